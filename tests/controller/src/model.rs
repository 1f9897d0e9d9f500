//! What the controller knows.

use std::collections::{BTreeMap, BTreeSet};

use ops::status::ReportedStatus;
use ops::testing::{RelationState, SecretOwner, SecretState, State};
use ops::tools::calls::Bag;
use ops::{RelationId, UnitName};
use serde_json::{Map, Value};

use crate::remotes::Remote;

/// A relation of the application.
#[derive(Debug)]
pub struct Relation {
    /// Endpoint and number.
    pub id: RelationId,
    /// The other application, the own one in a peer relation.
    pub remote_app: String,
    /// The own application's databag.
    pub app: Bag,
    /// The own units' databags.
    pub units: BTreeMap<u32, Bag>,
    /// The other application's databag.
    pub remote_app_data: Bag,
    /// The other units' databags.
    pub remote_units: BTreeMap<UnitName, Bag>,
    /// What the other charm does; none in a peer relation.
    pub remote: Option<Remote>,
}

/// A unit of the application.
#[derive(Debug, Clone)]
pub struct Unit {
    /// What it says.
    pub status: ReportedStatus,
    /// Ports that it has opened.
    pub ports: BTreeSet<u16>,
    /// The pod's address.
    pub address: String,
    /// Everything that it has logged.
    pub log: Vec<(String, String)>,
}

/// The model.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) config: Map<String, Value>,
    pub(crate) units: BTreeMap<u32, Unit>,
    pub(crate) leader: Option<u32>,
    pub(crate) relations: Vec<Relation>,
    /// Secrets; those of a unit with its number.
    pub(crate) secrets: Vec<(Option<u32>, SecretState)>,
}

/// What a hook has changed that makes other hooks run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Relations whose own databags changed.
    pub(crate) relations: Vec<RelationId>,
    /// Secrets of the application that have a new revision.
    pub(crate) secrets: Vec<String>,
}

impl Model {
    pub(crate) fn unit_name(app: &str, number: u32) -> UnitName {
        UnitName::parse(&format!("{app}/{number}")).unwrap()
    }

    /// The model as one unit sees it, without the relation `broken`.
    pub(crate) fn view(&self, app: &str, number: u32, broken: Option<&RelationId>) -> State {
        let unit = &self.units[&number];
        let mut state = State::of(Self::unit_name(app, number));
        state.config.clone_from(&self.config);
        state.leader = self.leader == Some(number);
        state.unit_status = unit.status.clone();
        state.ports.clone_from(&unit.ports);
        state.address = Some(unit.address.clone());
        for relation in self.relations.iter().filter(|r| Some(&r.id) != broken) {
            let mut view = RelationState::new(relation.id.clone(), &relation.remote_app);
            view.local_app_data.clone_from(&relation.app);
            view.local_unit_data = relation.units.get(&number).cloned().unwrap_or_default();
            view.remote_app_data.clone_from(&relation.remote_app_data);
            view.remote_units.clone_from(&relation.remote_units);
            if relation.remote.is_none() {
                let others = self.units.keys().filter(|other| **other != number);
                let bag = |other: &u32| relation.units.get(other).cloned().unwrap_or_default();
                view.remote_units =
                    others.map(|other| (Self::unit_name(app, *other), bag(other))).collect();
            }
            state.relations.push(view);
        }
        let visible = self.secrets.iter().filter(|(owner, _)| owner.is_none_or(|o| o == number));
        state.secrets = visible.map(|(_, secret)| secret.clone()).collect();
        state
    }

    /// Takes over what a hook of `number` has made of its view.
    pub(crate) fn merge(&mut self, number: u32, state: State) -> Changes {
        let mut changes = Changes::default();
        let unit = self.units.get_mut(&number).unwrap();
        unit.status = state.unit_status;
        unit.ports = state.ports;
        unit.log.extend(state.log);
        for view in state.relations {
            let Some(relation) = self.relations.iter_mut().find(|r| r.id == view.id) else {
                continue;
            };
            let own = relation.units.entry(number).or_default();
            if *own != view.local_unit_data || relation.app != view.local_app_data {
                changes.relations.push(view.id);
            }
            *own = view.local_unit_data;
            relation.app = view.local_app_data;
        }
        let before = std::mem::take(&mut self.secrets);
        self.secrets = state
            .secrets
            .into_iter()
            .map(|secret| ((secret.owner == SecretOwner::Unit).then_some(number), secret))
            .collect();
        for (owner, secret) in before {
            if owner.is_some_and(|owner| owner != number) {
                self.secrets.push((owner, secret));
            } else if let Some((_, now)) = self.secrets.iter().find(|(_, s)| s.id == secret.id)
                && now.revisions.len() != secret.revisions.len()
                && now.owner == SecretOwner::App
            {
                changes.secrets.push(secret.id);
            }
        }
        changes
    }
}
