//! Interface `prometheus_remote_write`: where to push metrics to.
//!
//! Each unit of the provider publishes a URL ([`RemoteWriteUnit`]); every distinct one must be
//! written to, because each stores only what it receives. Our leader hands in alert rules
//! ([`RemoteWriteRules`]), and the provider may complain about them ([`RemoteWriteEvent`]).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

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

/// Whether `url` is one that can be connected to: an http or https address whose host and port every reader takes for such.
pub(crate) fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.contains(|c: char| c.is_whitespace() || c == '\\'))
    else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) if address.parse::<Ipv6Addr>().is_ok() => ("v6", port),
        Some(_) => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let good_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok());
    let letters = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // What ends in a number must be an address.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.starts_with(char::is_numeric));
    good_port
        && name.trim_end_matches('.').split('.').all(letters)
        && (!numeric || name.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_no_reader_would_take_is_malformed() {
        for good in [
            "http://prometheus-0.prometheus-endpoints.cos.svc.cluster.local:9090/api/v1/write",
            "https://cos.example.com/cos-mimir/api/v1/push",
            "http://u:p@10.1.2.3:80/?a=[b]",
            "http://[2001:db8::1]:9090/x",
            "http://a",
        ] {
            assert!(is_http(good), "{good}");
        }
        for bad in [
            "ftp://a/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://a b/",
            "http://a:x/",
            "http://a:99999/",
            "http://[::1",
            "http://[x]/",
            "http://1.2.3.400/",
            "http://a%zz/",
            "http://a..b/",
            "http://a|b/",
            "http://a\\b/",
        ] {
            assert!(!is_http(bad), "{bad}");
        }
    }
}
