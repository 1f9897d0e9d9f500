//! Interface `loki_push_api`: where to push log lines to.

use serde::{Deserialize, Serialize};

use crate::alert_rules::AlertRules;
use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;
use crate::prometheus_remote_write::is_http;
use crate::topology::Topology;

const INTERFACE: &str = "loki_push_api";

/// Requirer, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LokiRequest {
    /// Who we are.
    pub metadata: Topology,
    /// Alert rules in `LogQL`.
    pub alert_rules: AlertRules,
}

impl Databag for LokiRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["metadata", "alert_rules"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let metadata = bag.json("metadata", "a Juju topology in JSON")?;
        Ok(Some(Self {
            metadata: bag.need("metadata", metadata)?,
            alert_rules: bag.json("alert_rules", "a rule file in JSON")?.unwrap_or_default(),
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("metadata", Some(json::text(&self.metadata))),
            ("alert_rules", Some(json::text(&self.alert_rules))),
        ])
    }
}

/// Provider, unit bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LokiUnit {
    /// Full push URL. Several units behind one ingress give the same.
    pub url: String,
}

impl Databag for LokiUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["endpoint"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let expected = "a JSON object with an http or https URL";
        let unit: Option<Self> = bag.json("endpoint", expected)?;
        match unit {
            Some(unit) if !is_http(&unit.url) => Err(bag.malformed("endpoint", expected)),
            unit => Ok(unit),
        }
    }

    fn encode(&self) -> Bag {
        bag([("endpoint", Some(json::text(self)))])
    }
}
