//! Interface `grafana_dashboard`, which we provide: dashboards for Grafana.
//!
//! The content of a dashboard travels as base64 of an XZ stream. This module carries the text;
//! compressing is the business of whoever ships dashboards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;
use crate::topology::Topology;

const INTERFACE: &str = "grafana_dashboard";

/// Provider, application bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboards {
    /// Dashboards by template id, for example `file:fleet`.
    pub templates: BTreeMap<String, Dashboard>,
    /// Any text that changes when, and only when, the content does.
    pub uuid: String,
}

/// One dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// Name of the charm.
    pub charm: String,
    /// Base64 (standard alphabet, padded) of the XZ-compressed dashboard JSON.
    pub content: String,
    /// Where the data comes from; the reader restricts queries to it. `None`, an empty object in the bag: it does not.
    #[serde(with = "perhaps_empty")]
    pub juju_topology: Option<Topology>,
    /// Let the reader add drop-downs for model, application and unit.
    pub inject_dropdowns: bool,
    /// Identifier for a dashboard that has none, 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard_alt_uid: Option<String>,
}

mod perhaps_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Topology;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Object {
        Topology(Topology),
        Empty {},
    }

    #[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        topology: &Option<Topology>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        topology.clone().map_or(Object::Empty {}, Object::Topology).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Topology>, D::Error> {
        Ok(match Object::deserialize(from)? {
            Object::Topology(topology) => Some(topology),
            Object::Empty {} => None,
        })
    }
}

impl Databag for Dashboards {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["dashboards"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        bag.json("dashboards", "a JSON object of dashboards")
    }

    fn encode(&self) -> Bag {
        bag([("dashboards", Some(json::text(self)))])
    }
}

/// Requirer (Grafana), application bag: what it thinks of our dashboards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashboardEvent {
    /// Dashboards that could not be used.
    #[serde(default)]
    pub errors: Vec<DashboardError>,
}

/// A dashboard that could not be used. If it could not be decompressed, all of the relation are
/// dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DashboardError {
    /// Template id.
    pub dashboard_id: String,
    /// Why.
    pub error: String,
}

impl Databag for DashboardEvent {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["event"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        bag.json("event", "a JSON object about dashboards")
    }

    fn encode(&self) -> Bag {
        bag([("event", Some(json::text(self)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dashboard_that_is_about_no_unit_has_an_empty_topology() {
        let dashboard = Dashboard {
            charm: "charm".to_owned(),
            content: String::new(),
            juju_topology: None,
            inject_dropdowns: false,
            dashboard_alt_uid: None,
        };
        let text = serde_json::to_string(&dashboard).unwrap();
        assert!(text.contains(r#""juju_topology":{}"#), "{text}");
        assert_eq!(serde_json::from_str::<Dashboard>(&text).unwrap(), dashboard);
    }
}
