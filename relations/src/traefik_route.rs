//! Interface `traefik_route`: our own Traefik configuration, here TCP with TLS passed through.
//!
//! The requirer's leader writes [`RouteRequest`]; Traefik tells its public address in
//! [`RouteAnswer`]. What to route where is the charm's decision; this module knows the shape of the
//! documents and their traps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bag::{Bag, BagError, Databag, Reader, bag, boolean_text};

const INTERFACE: &str = "traefik_route";

/// Requirer, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRequest {
    /// Routers and services; Traefik applies changes at once.
    pub config: DynamicConfig,
    /// Entry points of our own. Changing them restarts Traefik for everybody, so `None` unless
    /// needed.
    pub static_config: Option<StaticConfig>,
    /// `true`: Traefik's charm must not add routers of its own. Without it every router gets a twin
    /// that terminates TLS and competes with passthrough.
    pub raw: bool,
}

impl Databag for RouteRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["config", "static", "raw"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let config = bag.parsed("config", "a Traefik TCP configuration in YAML", from_yaml)?;
        Ok(Some(Self {
            config: bag.need("config", config)?,
            static_config: bag.parsed("static", "a list of entry points in YAML", from_yaml)?,
            raw: bag.boolean("raw")?.unwrap_or(false),
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("config", Some(yaml(&self.config))),
            ("static", self.static_config.as_ref().map(yaml)),
            ("raw", Some(boolean_text(self.raw))),
        ])
    }
}

/// Traefik's dynamic configuration, as far as TCP passthrough needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicConfig {
    /// The TCP part.
    pub tcp: Tcp,
}

/// TCP routers and services by name. Names share one space over all applications of a Traefik and
/// must not contain `@`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Routers by name.
    pub routers: BTreeMap<String, Router>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
}

/// Sends connections of an entry point that fit a rule to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// Names of entry points, for example `websecure`.
    pub entry_points: Vec<String>,
    /// Rule, see [`sni_rule`] and [`ANY_SNI`].
    pub rule: String,
    /// Name of the service.
    pub service: String,
    /// What Traefik does with TLS.
    pub tls: RouterTls,
}

/// What Traefik does with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterTls {
    /// Hand the encrypted stream on as it is.
    pub passthrough: bool,
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The servers.
    pub load_balancer: LoadBalancer,
}

/// The servers of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Tell the server the client's address in a PROXY header; only if the listener demands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The servers.
    pub servers: Vec<Server>,
}

/// Version of the PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyProtocol {
    /// 1 (text) or 2 (binary).
    pub version: u8,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `host:port`, no scheme. A service name, not the address of a pod: Traefik resolves it for
    /// each connection.
    pub address: String,
}

/// The part of Traefik's static configuration that a relation may add to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StaticConfig {
    /// Entry points by name. A name must be a valid Kubernetes port name, unique in Traefik, and
    /// none of `web`, `websecure`, `diagnostics`.
    pub entry_points: BTreeMap<String, EntryPoint>,
}

/// A port that Traefik listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// `:<port>` and nothing more; other forms break Traefik's charm.
    pub address: String,
}

impl EntryPoint {
    /// An entry point on `port`, on all addresses.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        Self { address: format!(":{port}") }
    }
}

/// Rule for every connection, also those without a server name: clients that connect to an IP
/// address send none.
pub const ANY_SNI: &str = "HostSNI(`*`)";

/// Rule for connections with the TLS server name `name`; see [`ANY_SNI`] for addresses. `None` if
/// `name` is not made of letters, digits, dots and hyphens, and so could break out of the rule.
#[must_use]
pub fn sni_rule(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    (!name.is_empty() && name.chars().all(plain)).then(|| format!("HostSNI(`{name}`)"))
}

/// Provider, application bag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteAnswer {
    /// Public host name or address of Traefik, a path may follow; `None` while unknown.
    pub external_host: Option<String>,
    /// `http` or `https`: whether Traefik itself has a certificate. Without meaning for
    /// passthrough.
    pub scheme: Option<String>,
}

impl Databag for RouteAnswer {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["external_host", "scheme"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(Some(Self {
            external_host: bag.string("external_host")?,
            scheme: bag.string("scheme")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([("external_host", self.external_host.clone()), ("scheme", self.scheme.clone())])
    }
}

fn from_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_yaml::from_str(text).ok()
}

#[expect(clippy::expect_used, reason = "structs with string keys always have a YAML form")]
fn yaml<T: Serialize>(value: &T) -> String {
    serde_yaml::to_string(value).expect("databag types serialise")
}
