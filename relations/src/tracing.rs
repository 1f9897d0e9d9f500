//! Interface `tracing`, version 2: where to send spans.

use serde::{Deserialize, Serialize};

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;
use crate::prometheus_remote_write::is_http;

const INTERFACE: &str = "tracing";

/// Name of the protocol that we speak: OTLP over HTTP.
pub const OTLP_HTTP: &str = "otlp_http";

/// Requirer, application bag: the protocols that we would like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracingRequest {
    /// Names of protocols.
    pub receivers: Vec<String>,
}

impl TracingRequest {
    /// A request for [`OTLP_HTTP`].
    #[must_use]
    pub fn otlp_http() -> Self {
        Self { receivers: vec![OTLP_HTTP.to_owned()] }
    }
}

impl Databag for TracingRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["receivers"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let list = bag.json("receivers", "a JSON list of protocol names")?;
        Ok(list.map(|receivers| Self { receivers }))
    }

    fn encode(&self) -> Bag {
        bag([("receivers", Some(json::text(&self.receivers)))])
    }
}

/// Provider, application bag: the receivers that are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracingAnswer {
    /// Receivers, not all of them asked for by us.
    pub receivers: Vec<Receiver>,
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// What it speaks.
    pub protocol: Protocol,
    /// Base URL without path for HTTP, `host:port` for gRPC.
    pub url: String,
}

/// What a receiver speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Name, for example `otlp_http`.
    pub name: String,
    /// `http` or `grpc`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl TracingAnswer {
    /// Where to post OTLP traces over HTTP; `None` if no such receiver is open, or its address is none.
    #[must_use]
    pub fn traces_url(&self) -> Option<String> {
        let receiver = self.receivers.iter().find(|r| r.protocol.name == OTLP_HTTP)?;
        let url = format!("{}/v1/traces", receiver.url.trim_end_matches('/'));
        is_http(&url).then_some(url)
    }
}

impl Databag for TracingAnswer {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["receivers"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let list = bag.json("receivers", "a JSON list of receivers")?;
        Ok(list.map(|receivers| Self { receivers }))
    }

    fn encode(&self) -> Bag {
        bag([("receivers", Some(json::text(&self.receivers)))])
    }
}
