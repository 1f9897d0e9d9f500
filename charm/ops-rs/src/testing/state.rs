//! How the model stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::ids::{RelationId, UnitName};
use crate::status::ReportedStatus;
use crate::tools::calls::Bag;

/// The model as one unit sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Configuration, without options that are not set.
    pub config: Map<String, Value>,
    /// The unit is the leader.
    pub leader: bool,
    /// Relations.
    pub relations: Vec<RelationState>,
    /// The unit's status.
    pub unit_status: ReportedStatus,
    /// The unit.
    pub unit: UnitName,
    /// Secrets that exist, whether this unit may read them or not.
    pub secrets: Vec<SecretState>,
    /// TCP ports that this unit has opened.
    pub ports: BTreeSet<u16>,
    /// The pod's own address; `None` while it has none.
    pub address: Option<String>,
    /// Version of the workload.
    pub workload_version: Option<String>,
    /// Log records: level and text.
    pub log: Vec<(String, String)>,
    /// Parameters of the running action.
    pub action_parameters: Map<String, Value>,
    /// Results of the running action; `None` outside an action.
    pub action_results: Option<BTreeMap<String, String>>,
    /// Lines of progress of the running action.
    pub action_log: Vec<String>,
    /// Why the running action has failed.
    pub action_failure: Option<String>,
}

/// One relation.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationState {
    /// Endpoint and number.
    pub id: RelationId,
    /// Application on the other side; the own one in a peer relation.
    pub remote_app: String,
    /// Databag of the own application.
    pub local_app_data: Bag,
    /// Databag of this unit.
    pub local_unit_data: Bag,
    /// Databag of the remote application.
    pub remote_app_data: Bag,
    /// Databags of the remote units.
    pub remote_units: BTreeMap<UnitName, Bag>,
}

/// One secret.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretState {
    /// Identifier with `secret:` in front.
    pub id: String,
    /// Who owns it.
    pub owner: SecretOwner,
    /// The owner's label.
    pub label: Option<String>,
    /// All revisions, the first is number 1.
    pub revisions: Vec<BTreeMap<String, String>>,
    /// For a secret of another: this unit may read it.
    pub granted: bool,
}

/// Who owns a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOwner {
    /// The own application: its units read it, its leader writes it.
    App,
    /// This unit.
    Unit,
    /// Another application, or a person.
    Other,
}

impl Default for State {
    /// A fresh leader `demo/0` without configuration and relations.
    fn default() -> Self {
        #[expect(clippy::unwrap_used, reason = "a constant that is right")]
        Self::of(UnitName::parse("demo/0").unwrap())
    }
}

impl State {
    /// A fresh leader without configuration and relations.
    #[must_use]
    pub fn of(unit: UnitName) -> Self {
        let status =
            ReportedStatus { status: "waiting".to_owned(), message: "installing agent".to_owned() };
        Self {
            config: Map::new(),
            leader: true,
            relations: Vec::new(),
            unit_status: status,
            unit,
            secrets: Vec::new(),
            ports: BTreeSet::new(),
            address: Some("10.1.7.33".to_owned()),
            workload_version: None,
            log: Vec::new(),
            action_parameters: Map::new(),
            action_results: None,
            action_log: Vec::new(),
            action_failure: None,
        }
    }

    /// With this option set.
    #[must_use]
    pub fn with_config(mut self, option: &str, value: impl Into<Value>) -> Self {
        self.config.insert(option.to_owned(), value.into());
        self
    }

    /// With this relation.
    #[must_use]
    pub fn with_relation(mut self, relation: RelationState) -> Self {
        self.relations.push(relation);
        self
    }

    /// With this secret.
    #[must_use]
    pub fn with_secret(mut self, secret: SecretState) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Without leadership.
    #[must_use]
    pub fn follower(mut self) -> Self {
        self.leader = false;
        self
    }

    /// While an action with these parameters runs.
    #[must_use]
    pub fn in_action(mut self, parameters: &[(&str, Value)]) -> Self {
        self.action_results = Some(BTreeMap::new());
        self.action_parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self
    }

    /// The first relation of an endpoint.
    #[must_use]
    pub fn relation_of(&self, endpoint: &str) -> Option<&RelationState> {
        self.relations.iter().find(|relation| relation.id.endpoint().as_str() == endpoint)
    }
}

impl RelationState {
    /// A relation with empty databags and one remote unit, number 0.
    #[must_use]
    pub fn new(id: RelationId, remote_app: &str) -> Self {
        let unit = UnitName::parse(&format!("{remote_app}/0")).ok();
        Self {
            id,
            remote_app: remote_app.to_owned(),
            local_app_data: Bag::new(),
            local_unit_data: Bag::new(),
            remote_app_data: Bag::new(),
            remote_units: unit.into_iter().map(|unit| (unit, Bag::new())).collect(),
        }
    }

    /// A peer relation of `app` without other units.
    #[must_use]
    pub fn peer(id: RelationId, app: &str) -> Self {
        Self { remote_units: BTreeMap::new(), ..Self::new(id, app) }
    }

    /// With this key in the remote application's databag.
    #[must_use]
    pub fn with_remote(mut self, key: &str, value: &str) -> Self {
        self.remote_app_data.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With this key in the databag of every remote unit.
    #[must_use]
    pub fn with_remote_unit(mut self, key: &str, value: &str) -> Self {
        for bag in self.remote_units.values_mut() {
            bag.insert(key.to_owned(), value.to_owned());
        }
        self
    }
}

impl SecretState {
    /// A secret of another application that this unit may read.
    #[must_use]
    pub fn granted(id: &str, content: &[(&str, &str)]) -> Self {
        let content =
            content.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self {
            id: id.to_owned(),
            owner: SecretOwner::Other,
            label: None,
            revisions: vec![content],
            granted: true,
        }
    }

    /// A secret of this unit.
    #[must_use]
    pub fn of_unit(id: &str, label: &str, content: &[(&str, &str)]) -> Self {
        Self {
            owner: SecretOwner::Unit,
            label: Some(label.to_owned()),
            ..Self::granted(id, content)
        }
    }

    /// The newest content.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<String, String> {
        self.revisions.last().cloned().unwrap_or_default()
    }
}
