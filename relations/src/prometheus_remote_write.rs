//! Interface `prometheus_remote_write`: where to push metrics to.
//!
//! Each unit of the provider publishes a URL ([`RemoteWriteUnit`]); every distinct one must be
//! written to, because each stores only what it receives. Our leader hands in alert rules
//! ([`RemoteWriteRules`]), and the provider may complain about them ([`RemoteWriteEvent`]).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::alert_rules::{AlertRules, RuleEvent};
use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;

const INTERFACE: &str = "prometheus_remote_write";

/// Provider, unit bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteWriteUnit {
    /// Where to push to. The path differs by product: take it as it is.
    pub url: String,
}

impl Databag for RemoteWriteUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["remote_write"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let expected = "a JSON object with an http or https URL";
        let unit: Option<Self> = bag.json("remote_write", expected)?;
        match unit {
            Some(unit) if !is_http(&unit.url) => Err(bag.malformed("remote_write", expected)),
            unit => Ok(unit),
        }
    }

    fn encode(&self) -> Bag {
        bag([("remote_write", Some(json::text(self)))])
    }
}

/// The distinct URLs of several units, sorted.
pub fn distinct_urls<'a>(units: impl IntoIterator<Item = &'a RemoteWriteUnit>) -> Vec<&'a str> {
    let urls: BTreeSet<_> = units.into_iter().map(|unit| unit.url.as_str()).collect();
    urls.into_iter().collect()
}

/// Provider, application bag: what it thinks of our rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteWriteEvent(pub RuleEvent);

impl Databag for RemoteWriteEvent {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["event"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(bag.json("event", "a JSON object about alert rules")?.map(Self))
    }

    fn encode(&self) -> Bag {
        bag([("event", Some(json::text(&self.0)))])
    }
}

/// Requirer, application bag: our alert rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteWriteRules(pub AlertRules);

impl Databag for RemoteWriteRules {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["alert_rules"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(bag.json("alert_rules", "a Prometheus rule file in JSON")?.map(Self))
    }

    fn encode(&self) -> Bag {
        bag([("alert_rules", Some(json::text(&self.0)))])
    }
}

/// Whether `url` is one that can be pushed to.
pub(crate) fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}
