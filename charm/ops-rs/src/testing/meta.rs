//! What a charm's metadata declares, as far as tests hold a state against it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::State;
use crate::dispatch::{Event, RelationEvent};

/// The metadata; reads `charmcraft.yaml` through any serde library.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// Endpoints.
    pub requires: BTreeMap<String, EndpointMeta>,
    /// Endpoints.
    pub provides: BTreeMap<String, EndpointMeta>,
    /// Endpoints.
    pub peers: BTreeMap<String, EndpointMeta>,
    /// Containers.
    pub containers: BTreeMap<String, Value>,
    /// Options.
    pub config: ConfigMeta,
    /// Actions.
    pub actions: BTreeMap<String, ActionMeta>,
}

/// An endpoint.
#[derive(Debug, Clone, Deserialize)]
pub struct EndpointMeta {
    /// Name of the interface.
    pub interface: String,
    /// Greatest number of relations.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// The options.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigMeta {
    /// By name.
    pub options: BTreeMap<String, OptionMeta>,
}

/// An option.
#[derive(Debug, Clone, Deserialize)]
pub struct OptionMeta {
    /// Type: `string`, `int`, `float`, `boolean` or `secret`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Default.
    #[serde(default)]
    pub default: Option<Value>,
}

/// An action.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ActionMeta {
    /// Parameters by name.
    pub params: BTreeMap<String, Value>,
    /// Names of parameters that must be given.
    pub required: Vec<String>,
}

/// A state, or what a charm made of it, that cannot be in Juju: the test is wrong, or the charm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inconsistent(pub String);

impl Meta {
    /// The state with defaults of options that it does not set.
    #[must_use]
    pub fn with_defaults(&self, mut state: State) -> State {
        for (name, option) in &self.config.options {
            if let Some(default) = &option.default {
                state.config.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
        state
    }

    /// Holds a state and an event against the metadata.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] says what cannot be.
    pub fn check_before(&self, event: &Event, state: &State) -> Result<(), Inconsistent> {
        let declared = |endpoint: &str| {
            [&self.requires, &self.provides, &self.peers].iter().find_map(|s| s.get(endpoint))
        };
        let mut numbers = std::collections::BTreeSet::new();
        for relation in &state.relations {
            let endpoint = relation.id.endpoint().as_str();
            let Some(meta) = declared(endpoint) else {
                return wrong(format!("endpoint {endpoint} is not declared"));
            };
            if !numbers.insert(relation.id.number()) {
                return wrong(format!("two relations have the number {}", relation.id.number()));
            }
            let peers = self.peers.contains_key(endpoint);
            if peers != (relation.remote_app == state.unit.app().as_str()) {
                return wrong(format!(
                    "{} has the wrong application on its other side",
                    relation.id
                ));
            }
            let same = state.relations.iter().filter(|r| r.id.endpoint().as_str() == endpoint);
            let count = same.count();
            if meta.limit.is_some_and(|limit| count > limit) {
                return wrong(format!("endpoint {endpoint} has {count} relations"));
            }
        }
        for (name, value) in &state.config {
            let fits = match self.config.options.get(name).map(|option| option.kind.as_str()) {
                Some("string") => value.is_string(),
                Some("secret") => value.as_str().is_some_and(|id| id.starts_with("secret:")),
                Some("int") => value.is_i64() || value.is_u64(),
                Some("float") => value.is_number(),
                Some("boolean") => value.is_boolean(),
                _ => return wrong(format!("option {name} is not declared")),
            };
            if !fits {
                return wrong(format!("option {name} has another type"));
            }
        }
        self.check_event(event, state)
    }

    fn check_event(&self, event: &Event, state: &State) -> Result<(), Inconsistent> {
        match event {
            Event::Relation { id, kind, .. } => {
                let there = state.relations.iter().any(|relation| relation.id == *id);
                if !there && *kind != RelationEvent::Broken {
                    return wrong(format!("the event's relation {id} is not in the state"));
                }
            }
            Event::Workload { container, .. } if !self.containers.contains_key(container) => {
                return wrong(format!("container {container} is not declared"));
            }
            Event::Secret { id, .. }
                if !state.secrets.iter().any(|secret| secret.id == id.as_str()) =>
            {
                return wrong(format!("the event's secret {id} is not in the state"));
            }
            Event::Action { name, .. } => {
                let Some(action) = self.actions.get(name) else {
                    return wrong(format!("action {name} is not declared"));
                };
                let given = &state.action_parameters;
                if let Some(name) = given.keys().find(|name| !action.params.contains_key(*name)) {
                    return wrong(format!("parameter {name} is not declared"));
                }
                if let Some(name) = action.required.iter().find(|name| !given.contains_key(*name)) {
                    return wrong(format!("parameter {name} is required"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Holds what a charm did against what it may do.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] says what cannot be.
    pub fn check_after(before: &State, after: &State) -> Result<(), Inconsistent> {
        for (old, new) in before.relations.iter().zip(&after.relations) {
            if old.remote_app_data != new.remote_app_data || old.remote_units != new.remote_units {
                return wrong(format!("{}: a remote databag was written", old.id));
            }
            if !before.leader && old.local_app_data != new.local_app_data {
                return wrong(format!("{}: a follower wrote the application's databag", old.id));
            }
        }
        Ok(())
    }
}

fn wrong(text: String) -> Result<(), Inconsistent> {
    Err(Inconsistent(text))
}
