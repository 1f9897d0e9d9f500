//! Interface `ingress`, version 2: HTTP by path, one URL per application. All values are JSON.

use serde::{Deserialize, Serialize};

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;
use crate::prometheus_remote_write::is_http;

const INTERFACE: &str = "ingress";

/// Requirer, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRequest {
    /// Name of our model.
    pub model: String,
    /// Name of our application.
    pub name: String,
    /// Port of our service.
    pub port: u16,
    /// How the ingress talks to us.
    pub scheme: Scheme,
    /// Take the path prefix off before the request reaches us.
    pub strip_prefix: bool,
    /// Send people from http to https.
    pub redirect_https: bool,
    /// We opened the port on the Kubernetes service.
    pub is_port_open: bool,
    /// How the ingress checks our health.
    pub healthcheck: Option<Healthcheck>,
}

/// How the ingress talks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS; the ingress must trust our CA.
    Https,
    /// HTTP/2 without TLS.
    H2c,
}

/// How the ingress checks our health. Intervals are Go durations such as `10s`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// Path to ask for.
    pub path: String,
    /// Scheme, if another than that of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Host header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Port, if another than that of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Time between two checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Time to wait for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

impl Databag for IngressRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &[
        "model",
        "name",
        "port",
        "scheme",
        "strip-prefix",
        "redirect-https",
        "is_port_open",
        "healthcheck_params",
    ];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let string = |key| bag.need(key, bag.json(key, "a JSON string")?);
        let flag = |key| {
            let value: Option<bool> = bag.json(key, "true or false")?;
            Ok::<_, BagError>(value.unwrap_or(false))
        };
        Ok(Some(Self {
            model: string("model")?,
            name: string("name")?,
            port: bag.need("port", bag.json("port", "a port number")?)?,
            scheme: bag.json("scheme", "http, https or h2c in JSON")?.unwrap_or(Scheme::Http),
            strip_prefix: flag("strip-prefix")?,
            redirect_https: flag("redirect-https")?,
            is_port_open: flag("is_port_open")?,
            healthcheck: bag.json("healthcheck_params", "a JSON object or null")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("model", Some(json::text(&self.model))),
            ("name", Some(json::text(&self.name))),
            ("port", Some(json::text(&self.port))),
            ("scheme", Some(json::text(&self.scheme))),
            ("strip-prefix", Some(json::text(&self.strip_prefix))),
            ("redirect-https", Some(json::text(&self.redirect_https))),
            ("is_port_open", Some(json::text(&self.is_port_open))),
            ("healthcheck_params", Some(json::text(&self.healthcheck))),
        ])
    }
}

/// Requirer, unit bag: where this pod is. The address changes with every new pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressUnit {
    /// Fully qualified name of the pod.
    pub host: String,
    /// Address of the pod.
    pub ip: Option<String>,
}

impl Databag for IngressUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["host", "ip"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(Some(Self {
            host: bag.need("host", bag.json("host", "a JSON string")?)?,
            ip: bag.json("ip", "a JSON string or null")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([("host", Some(json::text(&self.host))), ("ip", Some(json::text(&self.ip)))])
    }
}

/// Provider, application bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressAnswer {
    /// Where people reach us; it has a path unless the ingress gives each application a host.
    pub url: String,
}

impl Databag for IngressAnswer {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["ingress"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let expected = "a JSON object with an http or https URL";
        let answer: Option<Self> = bag.json("ingress", expected)?;
        match answer {
            Some(answer) if !is_http(&answer.url) => Err(bag.malformed("ingress", expected)),
            answer => Ok(answer),
        }
    }

    fn encode(&self) -> Bag {
        bag([("ingress", Some(json::text(self)))])
    }
}
