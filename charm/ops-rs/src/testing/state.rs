//! How the model stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ids::RelationId;
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
    /// The name of the unit's application.
    pub app: String,
    /// Results of the running action; `None` outside an action.
    pub action_results: Option<BTreeMap<String, String>>,
    /// Why the running action has failed.
    pub action_failure: Option<String>,
}

/// One relation.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationState {
    /// Endpoint and number.
    pub id: RelationId,
    /// Application on the other side.
    pub remote_app: String,
    /// Databag of the own application.
    pub local_app_data: Bag,
    /// Databag of the remote application.
    pub remote_app_data: Bag,
}

impl Default for State {
    /// A fresh leader `demo/0` without configuration and relations.
    fn default() -> Self {
        let status =
            ReportedStatus { status: "waiting".to_owned(), message: "installing agent".to_owned() };
        Self {
            config: Map::new(),
            leader: true,
            relations: Vec::new(),
            unit_status: status,
            app: "demo".to_owned(),
            action_results: None,
            action_failure: None,
        }
    }
}

impl State {
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

    /// Without leadership.
    #[must_use]
    pub fn follower(mut self) -> Self {
        self.leader = false;
        self
    }

    /// While an action runs.
    #[must_use]
    pub fn in_action(mut self) -> Self {
        self.action_results = Some(BTreeMap::new());
        self
    }
}

impl RelationState {
    /// A relation with empty databags.
    #[must_use]
    pub fn new(id: RelationId, remote_app: &str) -> Self {
        Self {
            id,
            remote_app: remote_app.to_owned(),
            local_app_data: Bag::new(),
            remote_app_data: Bag::new(),
        }
    }

    /// With this key in the remote application's databag.
    #[must_use]
    pub fn with_remote(mut self, key: &str, value: &str) -> Self {
        self.remote_app_data.insert(key.to_owned(), value.to_owned());
        self
    }
}
