//! Layers: what should run in the container.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// One layer. Every entry replaces one of the same name, so that the last push alone defines it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Layer {
    /// One line for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Services by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// Checks by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Check>,
    /// Log targets by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub log_targets: BTreeMap<String, LogTarget>,
}

/// How an entry goes with one of the same name in an older layer. There is one way only: without
/// it lists would grow with every push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Override {
    /// It takes the other's place.
    #[default]
    Replace,
}

/// Whether something is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Startup {
    /// [`super::Pebble::replan`] starts it.
    #[default]
    Enabled,
    /// Only an explicit start does.
    Disabled,
}

/// A program that Pebble keeps running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// Always replace.
    #[serde(rename = "override")]
    pub over: Override,
    /// One line for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The program with its arguments; not a shell's line.
    pub command: String,
    /// Whether it is to run.
    pub startup: Startup,
    /// Its environment, over that of the container. Readable by everyone who can read the plan: no
    /// secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What to do when a check is down, by the check's name: `restart`, `shutdown` or `ignore`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub on_check_failure: BTreeMap<String, String>,
    /// How long it may take to stop before it is killed, for example `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_delay: Option<String>,
}

/// Something that Pebble looks at regularly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// Always replace.
    #[serde(rename = "override")]
    pub over: Override,
    /// What depends on it: on Kubernetes the pod's probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Whether it runs.
    pub startup: Startup,
    /// Time between two looks, for example `10s`.
    pub period: String,
    /// Longest time for one look, not more than the period.
    pub timeout: String,
    /// Failures in a row that make it down.
    pub threshold: u32,
    /// What is looked at.
    #[serde(flatten)]
    pub probe: CheckProbe,
}

/// What depends on a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Kubernetes restarts the container when it is down.
    Alive,
    /// Kubernetes sends no connections to the pod while it is down.
    Ready,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckProbe {
    /// `GET` must be answered with 2xx.
    Http {
        /// The address.
        url: String,
    },
    /// A connection must be accepted.
    Tcp {
        /// The port.
        port: u16,
    },
}

/// Where the services' output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogTarget {
    /// Always replace.
    #[serde(rename = "override")]
    pub over: Override,
    /// Kind, for example `loki`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Complete address.
    pub location: String,
    /// Names of services, or `all`; none turns the target off. Targets cannot be deleted.
    pub services: Vec<String>,
    /// Labels of every line.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl LogTarget {
    /// A Loki at `location` that gets everything.
    #[must_use]
    pub fn loki(location: &str, labels: BTreeMap<String, String>) -> Self {
        Self {
            over: Override::Replace,
            kind: "loki".to_owned(),
            location: location.to_owned(),
            services: vec!["all".to_owned()],
            labels,
        }
    }

    /// A target that gets nothing any more.
    #[must_use]
    pub fn off(location: &str) -> Self {
        Self { services: Vec::new(), ..Self::loki(location, BTreeMap::new()) }
    }
}

impl Layer {
    /// The text for Pebble.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    fn to_value(&self) -> Value {
        // Structs with text keys always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether `plan`, a plan read from YAML, has every entry of this layer exactly so.
    #[must_use]
    pub fn is_in(&self, plan: &Value) -> bool {
        let wanted = self.to_value();
        ["services", "checks", "log-targets"].into_iter().all(|section| {
            let Some(entries) = wanted.get(section).and_then(Value::as_object) else { return true };
            entries.iter().all(|(name, entry)| {
                plan.get(section)
                    .and_then(|have| have.get(name))
                    .is_some_and(|have| same(entry, have))
            })
        })
    }
}

/// Pebble leaves out what is empty.
fn same(wanted: &Value, have: &Value) -> bool {
    let filled = |value: &Value| {
        let Value::Object(map) = value else { return value.clone() };
        let empty = |value: &Value| {
            value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty)
        };
        Value::Object(
            map.iter().filter(|(_, v)| !empty(v)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        )
    };
    filled(wanted) == filled(have)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer() -> Layer {
        let service = Service { command: "/bin/web".to_owned(), ..Service::default() };
        let target = LogTarget::off("http://gone");
        Layer {
            services: BTreeMap::from([("web".to_owned(), service)]),
            log_targets: BTreeMap::from([("old".to_owned(), target)]),
            ..Layer::default()
        }
    }

    #[test]
    fn every_entry_replaces() {
        let wanted = json!({
            "services": {"web": {"override": "replace", "command": "/bin/web", "startup": "enabled"}},
            "log-targets": {"old": {"override": "replace", "type": "loki",
                "location": "http://gone", "services": []}},
        });
        assert_eq!(layer().to_value(), wanted);
    }

    #[test]
    fn a_plan_with_more_in_it_has_the_layer_and_one_with_a_difference_has_not() {
        let mut plan = layer().to_value();
        plan["services"]["other"] = json!({"command": "x"});
        plan["log-targets"]["old"].as_object_mut().unwrap().remove("services");
        assert!(layer().is_in(&plan));
        plan["services"]["web"]["environment"] = json!({"A": "b"});
        assert!(!layer().is_in(&plan));
        assert!(!layer().is_in(&json!({})));
    }
}
