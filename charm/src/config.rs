//! The charm's options, as `charmcraft.yaml` declares them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use relations::SecretUri;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use workload_limits::Limits;

/// What is asked for besides `openid` unless an option says something else.
const SCOPES: &str = "offline_access email profile";

/// All options, in their final types.
///
/// The defaults are those of `charmcraft.yaml`; a test compares them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Config {
    /// Where people open the UI: part of the certificate, the route and the login's return address.
    pub management_api_domain: Option<PublicHost>,
    /// Where clusters connect to: part of join tokens, the certificate and the route.
    pub cluster_connector_domain: Option<PublicHost>,
    /// The public port in join tokens and of the route. Inside it is always 9000.
    pub cluster_connector_port: Port,
    /// Which certificate clusters see.
    pub connector_certificate: ConnectorCertificate,
    /// Issuer of the identity provider.
    pub oidc_issuer: Option<HttpsUrl>,
    /// Client at the identity provider.
    pub oidc_client_id: Option<String>,
    /// The client's secret in clear; the existing charm has it so.
    #[serde(deserialize_with = "hidden")]
    pub oidc_client_secret: Option<SecretString>,
    /// The client's secret as a Juju secret with the key `client-secret`; wins over the above.
    #[serde(deserialize_with = "secret_uri")]
    pub oidc_client_credentials: Option<SecretUri>,
    /// Audience, for identity providers that need one.
    pub oidc_audience: Option<String>,
    /// Claim with the groups of a person.
    pub oidc_groups_claim: String,
    /// Groups whose members are administrators, separated by commas.
    pub oidc_admin_groups: String,
    /// Groups whose members enrol and configure clusters, separated by commas.
    pub oidc_operator_groups: Option<String>,
    /// Groups whose members see the fleet, separated by commas.
    pub oidc_viewer_groups: Option<String>,
    /// What to ask the identity provider for besides `openid`, separated by spaces.
    pub oidc_scopes: Option<String>,
    /// How much the services log.
    pub log_level: LogLevel,
    /// One of so many heartbeats is logged at level info.
    pub log_heartbeats_every: AtLeastOne,
    /// Requests per second that one client may make at the connector.
    pub rate_limit_refill_rate: Rate,
    /// Requests that one client may make at once at the connector.
    pub rate_limit_bucket_size: AtLeastOne,
    /// Database connections per unit and service.
    pub db_max_connections: AtLeastOne,
    /// Networks of the balancer in front, separated by commas; with them Traefik tells the addresses
    /// of clients in PROXY headers, which are believed from these networks only.
    pub proxy_protocol_from: Option<Networks>,
    /// Pass the operator's access token on to clusters through tunnels.
    pub tunnel_forward_access_token: bool,
    /// How long the history of clusters is kept by the minute, in hours.
    pub history_minutes_hours: Within<1, 168>,
    /// The same by the half hour, in days.
    pub history_half_hours_days: Within<1, 366>,
    /// The same by six hours, in days.
    pub history_six_hours_days: Within<1, 3660>,
    /// How long records of the audit log are kept, in days.
    pub audit_retention_days: Within<1, 3650>,
    /// How long a service that stops goes on while it is no longer ready, in seconds.
    pub shutdown_drain_seconds: Within<0, 300>,
    /// What the services bear, where that is not the default.
    pub limits: Option<CheckedLimits>,
    /// Whether services take over what the earlier product left in the database.
    pub takeover: Takeover,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            management_api_domain: None,
            cluster_connector_domain: None,
            cluster_connector_port: Port(443),
            connector_certificate: ConnectorCertificate::Pinned,
            oidc_issuer: None,
            oidc_client_id: None,
            oidc_client_secret: None,
            oidc_client_credentials: None,
            oidc_audience: None,
            oidc_groups_claim: "mcm-idp-groups".to_owned(),
            oidc_admin_groups: "admins".to_owned(),
            oidc_operator_groups: None,
            oidc_viewer_groups: None,
            oidc_scopes: None,
            log_level: LogLevel::Info,
            log_heartbeats_every: AtLeastOne(1),
            rate_limit_refill_rate: Rate(5.0),
            rate_limit_bucket_size: AtLeastOne(20),
            db_max_connections: AtLeastOne(10),
            proxy_protocol_from: None,
            tunnel_forward_access_token: false,
            history_minutes_hours: Within(24),
            history_half_hours_days: Within(30),
            history_six_hours_days: Within(365),
            audit_retention_days: Within(400),
            shutdown_drain_seconds: Within(15),
            limits: None,
            takeover: Takeover::Automatic,
        }
    }
}

impl Config {
    /// What logins ask the identity provider for besides `openid`, separated by blanks.
    #[must_use]
    pub fn scopes(&self) -> &str {
        self.oidc_scopes.as_deref().filter(|scopes| !scopes.trim().is_empty()).unwrap_or(SCOPES)
    }
}

/// Limits as the services read them, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CheckedLimits(pub String);

impl TryFrom<String> for CheckedLimits {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Limits::parse(&text).map_err(|error| format!("it must be {error}"))?;
        Ok(Self(text.split_whitespace().collect::<Vec<_>>().join(" ")))
    }
}

/// Whether services take over what the earlier product left in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// At their start.
    Automatic,
    /// Only the action does.
    Off,
}

impl Takeover {
    /// The word that the services read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Off => "off",
        }
    }
}

/// Which certificate the connector presents to clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorCertificate {
    /// A long-lived one of the application's own, which clusters can pin.
    Pinned,
    /// The one from the relation `certificates`; each renewal cuts off clusters that pin it.
    Relation,
}

/// How much the services log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// The word that the services read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A public host name or address. In certificates and TLS the two are different things.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PublicHost {
    /// DNS name in lower case.
    Name(String),
    /// IPv4 or IPv6 address.
    Ip(IpAddr),
}

impl TryFrom<String> for PublicHost {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Self::Ip(address));
        }
        let label = |label: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            (1..=63).contains(&label.len())
                && label.chars().all(plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // All digits and dots, but no address: a mistyped address and not a name.
        let mistyped = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.len() <= 253 && !mistyped && text.split('.').all(label) {
            Ok(Self::Name(text.to_ascii_lowercase()))
        } else {
            Err("it must be a host name or an IP address, without scheme, port and path")
        }
    }
}

impl PublicHost {
    /// As part of a URL: an IPv6 address in brackets.
    #[must_use]
    pub fn in_url(&self) -> String {
        match self {
            Self::Ip(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// A URL that begins with `https://` and has a host, verbatim: issuers are compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpsUrl(pub String);

impl TryFrom<String> for HttpsUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rest = text.strip_prefix("https://");
        if rest.is_some_and(|rest| has_host(rest) && !rest.contains(char::is_whitespace)) {
            Ok(Self(text))
        } else {
            Err("it must be a URL that begins with https:// and a host")
        }
    }
}

/// Whether what follows `https://` begins with a host, and a port if there is one.
fn has_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let after_host = if let Some(v6) = authority.strip_prefix('[') {
        let parts = v6.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
        parts.map(|(_, port)| port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        // Some have underscores or letters of their language in the names of hosts.
        let plain = host.trim_end_matches('.').replace(|c: char| c == '_' || !c.is_ascii(), "x");
        PublicHost::try_from(plain).is_ok().then_some(port)
    };
    after_host.is_some_and(|port| {
        let port = port.strip_prefix(':').unwrap_or(port);
        port.is_empty() || (port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok())
    })
}

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Port(pub u16);

impl TryFrom<i64> for Port {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u16::try_from(number) {
            Ok(port) if port != 0 => Ok(Self(port)),
            _ => Err("it must be a port from 1 to 65535"),
        }
    }
}

/// A whole number that is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct AtLeastOne(pub u32);

impl TryFrom<i64> for AtLeastOne {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u32::try_from(number) {
            Ok(number) if number != 0 => Ok(Self(number)),
            _ => Err("it must be a whole number of at least 1"),
        }
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Within<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Within<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        let number = u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(|| format!("it must be a whole number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Within<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Events per second, 0.001 to 1,000,000: what the services take.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(pub f64);

impl TryFrom<f64> for Rate {
    type Error = &'static str;

    fn try_from(rate: f64) -> Result<Self, Self::Error> {
        if (0.001..=1_000_000.0).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err("it must be a number from 0.001 to 1000000")
        }
    }
}

/// Networks such as `10.1.0.0/16`, separated by commas, as the services read them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Networks(pub String);

impl TryFrom<String> for Networks {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let network = |text: &str| {
            let (address, prefix) = text.split_once('/').unwrap_or((text, "0"));
            let address = address.parse::<IpAddr>().ok()?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix =
                Some(prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            prefix.parse::<u8>().ok().filter(|prefix| *prefix <= bits)
        };
        if text.split(',').all(|part| network(part.trim()).is_some()) {
            Ok(Self(text))
        } else {
            Err("it must be networks such as 10.1.0.0/16, separated by commas")
        }
    }
}

fn hidden<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

fn secret_uri<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretUri>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let wrong = || serde::de::Error::custom("it must be the id of a Juju secret");
    SecretUri::parse(&text).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<PublicHost> {
        PublicHost::try_from(text.to_owned()).ok()
    }

    #[test]
    fn a_public_host_is_a_name_or_an_address() {
        assert_eq!(
            host("Manager.Example.com"),
            Some(PublicHost::Name("manager.example.com".into()))
        );
        assert_eq!(host("10.64.140.43"), Some(PublicHost::Ip([10, 64, 140, 43].into())));
        assert_eq!(host("[fd00::1]"), host("fd00::1"));
        assert!(matches!(host("fd00::1"), Some(PublicHost::Ip(IpAddr::V6(_)))));
        for text in [
            "https://a.example",
            "a.example:443",
            "a/b",
            "a..b",
            "-a",
            "10.0.0",
            "1.2.3.400",
            "a`b",
        ] {
            assert_eq!(host(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(Port::try_from(0).is_err() && Port::try_from(65_536).is_err());
        assert!(AtLeastOne::try_from(0).is_err() && AtLeastOne::try_from(-1).is_err());
        for rate in [0.0, 0.000_9, -1.0, 1_000_001.0, f64::NAN, f64::INFINITY] {
            assert!(Rate::try_from(rate).is_err(), "{rate}");
        }
        assert_eq!(Port::try_from(65_535), Ok(Port(65_535)));
        assert_eq!(Within::<1, 3>::try_from(3), Ok(Within(3)));
        let refused = Within::<1, 3>::try_from(4).unwrap_err();
        assert_eq!(refused, "it must be a whole number from 1 to 3");
        assert!(Within::<1, 3>::try_from(0).is_err() && Within::<0, 3>::try_from(-1).is_err());
    }

    #[test]
    fn an_issuer_is_https_and_kept_verbatim() {
        let url = |text: &str| HttpsUrl::try_from(text.to_owned());
        assert_eq!(
            url("https://iam.example.com/hydra/").unwrap().0,
            "https://iam.example.com/hydra/"
        );
        for good in [
            "https://iam.example.com",
            "https://iam_1.example.com:8443/realms/a?b#c",
            "https://bücher.example",
            "https://10.0.0.1",
            "https://[fd00::1]:8443/",
            "https://iam.example.com:/",
            "https://localhost./",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://iam.example.com",
            "https://",
            "https://:443",
            "https:///path",
            "https://?query",
            "https://iam.example.com:port",
            "https://iam.example.com:+1",
            "https://iam.example.com:65536",
            "https://[fd00::1",
            "https://[fd00]",
            "https://1.2.3.400",
            "https://iam<.example.com",
            "https://iam.example.com/a b",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_what_the_services_take_for_limits() {
        let read = |text: &str| CheckedLimits::try_from(text.to_owned());
        let limits = read("heartbeat-bytes=32MiB,\n  tunnel-waiting=8").unwrap();
        assert_eq!(limits.0, "heartbeat-bytes=32MiB, tunnel-waiting=8");
        let told = read("connector-headers=1").unwrap_err();
        let range = "it must be limits within their ranges: connector-headers is a whole number from 16 to 1000";
        assert_eq!(told, range);
    }

    #[test]
    fn networks_are_what_the_services_take_for_networks() {
        let taken = |text: &str| Networks::try_from(text.to_owned()).is_ok();
        for text in ["10.1.0.0/16", "10.1.0.0/16, fd00::/8", "192.0.2.7", "::/0"] {
            assert!(taken(text), "{text}");
        }
        for text in ["", "/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "a"]
        {
            assert!(!taken(text), "{text}");
        }
    }
}
