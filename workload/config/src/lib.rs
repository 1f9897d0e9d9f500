//! The settings of MicroCloud Cluster Manager, in the one form that both sides share: the charm writes them into the
//! workload's environment, the server reads them at start.
//!
//! Invariants: this crate is the only reader of the environment; every setting is parsed into its final type; an error
//! names the setting and never its value; a secret has no `Debug` or `Display` that shows it.

mod database;
mod history;
mod management;
mod network;
mod oidc;
mod rate_limit;
mod reader;
mod remote_write;
mod tracing;
mod tunnel;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

pub use database::{Database, DatabaseHost, DatabaseServer, DatabaseTls};
pub use history::History;
pub use management::{Management, PublicUrl};
pub use network::{InvalidNetwork, Network};
pub use oidc::Oidc;
pub use rate_limit::{AnonymousLimit, Balancer, InvalidRate, Rate, RateLimit};
pub use reader::{InvalidSetting, InvalidSettings, Reader};
pub use remote_write::RemoteWrite;
pub use secrecy::{ExposeSecret, SecretString};
pub use tracing::Tracing;
pub use tunnel::Tunnel;
pub use url::Url;
pub use workload_limits::{
    BodyLimits, Entry as LimitEntry, HeartbeatLimits, JoinLimits, Limits, ServiceLimits,
    SessionLimits, TunnelLimits,
};

/// Everything that a service or the command line needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the service listens for its API: `SERVER_HOST` and `SERVER_PORT`.
    pub listen: SocketAddr,
    /// Where the probes are answered over plain HTTP: `SERVER_HOST` and `STATUS_PORT`.
    pub status_listen: SocketAddr,
    /// Version as shown to operators: `VERSION`, by default that of the build.
    pub version: String,
    /// The public address of the Cluster Connector, written into join tokens.
    pub connector: Connector,
    /// Settings of the Management API.
    pub management: Management,
    /// Where PostgreSQL is and how to log in.
    pub database: Database,
    /// The identity provider; absent where nobody logs in (the connector and the command line need none).
    pub oidc: Option<Oidc>,
    /// `DATA_DIR`: keys that the service makes itself are kept here.
    pub data_dir: PathBuf,
    /// `GRAFANA_BASE_URL`: where the UI links for dashboards; empty hides the link.
    pub grafana_base_url: String,
    /// Where the metrics of clusters go.
    pub remote_write: RemoteWrite,
    /// Where traces go.
    pub tracing: Tracing,
    /// `LIMITS`: what the services bear, `name=number` with commas between them.
    pub limits: Limits,
    /// How long the history of clusters is kept.
    pub history: History,
    /// Whether the data of the earlier product is taken over at start.
    pub takeover: Takeover,
    /// How much clients may ask for.
    pub rate_limit: RateLimit,
    /// What stands between the clients and the services.
    pub balancer: Balancer,
    /// The reverse tunnels.
    pub tunnel: Tunnel,
    /// `LOG_LEVEL`: a level or a filter expression such as `info,cluster_manager::store=debug`; by default `info` for services
    /// and `warn` for commands.
    pub log_level: Option<String>,
    /// How long a service that was asked to stop goes on while its readiness probe already says no, so that balancers send new
    /// connections elsewhere: `SHUTDOWN_DRAIN_SECONDS`, 0 to 300, default 15.
    pub shutdown_drain: Duration,
    /// How long a stopping service lets running requests finish: `SHUTDOWN_GRACE_SECONDS`, 0 to 300, default 20.
    pub shutdown_grace: Duration,
}

/// What a service does at start with a database of the earlier Cluster Manager: `TAKEOVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takeover {
    /// `automatic`: takes its clusters and pending tokens over. The default.
    #[default]
    Automatic,
    /// `off`: starts without them; `takeover --apply` does it when an operator says so.
    Off,
}

impl Takeover {
    fn read(read: &mut Reader<'_>) -> Self {
        match read.text("TAKEOVER").as_deref() {
            None | Some("automatic") => Self::Automatic,
            Some("off") => Self::Off,
            Some(_) => {
                read.refuse("TAKEOVER", "automatic or off");
                Self::Off
            }
        }
    }
}

/// The Cluster Connector as clusters see it.
#[derive(Debug, Clone)]
pub struct Connector {
    /// `CLUSTER_CONNECTOR_DOMAIN`: host name or address.
    pub domain: String,
    /// `CLUSTER_CONNECTOR_PORT`.
    pub port: u16,
    /// `CLUSTER_CONNECTOR_TLS_PATH`: directory with `tls.crt` and `tls.key`. Without it the service makes a long-lived pair
    /// once and keeps it in the data directory.
    pub tls_path: Option<PathBuf>,
    /// `CLUSTER_CONNECTOR_CERTIFICATE`: `pinned`, the default, or `follow`: whether new files in `tls_path` are presented while
    /// the service runs.
    pub follow_certificate: bool,
    /// `HEARTBEAT_INTERVAL_SECONDS`, 1 to 86,400, default 60: what the answer to a heartbeat recommends.
    pub heartbeat_interval: Duration,
    /// `LOG_HEARTBEATS_EVERY`, default 1: one of so many heartbeats that are stored is logged at level info, the others at debug.
    pub log_heartbeats_every: NonZeroU64,
}

impl Connector {
    /// `domain:port` as written into join tokens, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        if self.domain.contains(':') {
            format!("[{}]:{}", self.domain, self.port)
        } else {
            format!("{}:{}", self.domain, self.port)
        }
    }
}

impl Config {
    /// Reads every setting through `get` (the process environment, or a map in tests). An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// All settings that are missing or malformed, by name, in one error.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut read = Reader::new(&get);
        let host = read.parsed("SERVER_HOST", IpAddr::V4(Ipv4Addr::UNSPECIFIED), "an IP address");
        let connector = Connector {
            domain: read.checked(
                "CLUSTER_CONNECTOR_DOMAIN",
                "cc.lxd-cm.local",
                is_host,
                "a host name or an IP address",
            ),
            port: read.parsed("CLUSTER_CONNECTOR_PORT", 30_000, "a port, 1 to 65535"),
            tls_path: read.text("CLUSTER_CONNECTOR_TLS_PATH").map(PathBuf::from),
            follow_certificate: read.checked(
                "CLUSTER_CONNECTOR_CERTIFICATE",
                "pinned",
                |text| matches!(text, "pinned" | "follow"),
                "pinned or follow",
            ) == "follow",
            heartbeat_interval: read.seconds("HEARTBEAT_INTERVAL_SECONDS", 60, 1..=86_400),
            log_heartbeats_every: read.parsed(
                "LOG_HEARTBEATS_EVERY",
                NonZeroU64::MIN,
                "a whole number, at least 1",
            ),
        };
        let config = Self {
            listen: SocketAddr::new(host, read.parsed("SERVER_PORT", 9000, "a port, 0 to 65535")),
            status_listen: SocketAddr::new(
                host,
                read.parsed("STATUS_PORT", 10_000, "a port, 0 to 65535"),
            ),
            version: read.text("VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            connector,
            management: Management::read(&mut read),
            database: Database::read(&mut read),
            oidc: Oidc::read(&mut read),
            data_dir: read
                .text("DATA_DIR")
                .unwrap_or_else(|| "/var/lib/microcloud-cluster-manager".into())
                .into(),
            grafana_base_url: read.text("GRAFANA_BASE_URL").unwrap_or_default(),
            remote_write: RemoteWrite::read(&mut read),
            tracing: Tracing::read(&mut read),
            limits: limits(&mut read),
            history: History::read(&mut read),
            takeover: Takeover::read(&mut read),
            rate_limit: RateLimit::read(&mut read),
            balancer: Balancer::read(&mut read),
            tunnel: Tunnel::read(&mut read),
            log_level: read.text("LOG_LEVEL"),
            shutdown_drain: read.seconds("SHUTDOWN_DRAIN_SECONDS", 15, 0..=300),
            shutdown_grace: read.seconds("SHUTDOWN_GRACE_SECONDS", 20, 0..=300),
        };
        read.finish(config)
    }

    /// Hosts of the manager itself, where no link of a cluster may lead. They are written as the URL standard writes the host of
    /// an address: names in lower case, IPv6 addresses in brackets, no ports.
    #[must_use]
    pub fn own_hosts(&self) -> Vec<String> {
        let public = self.management.public_url.as_ref().map(PublicUrl::host);
        let named = self.management.allowed_hosts.iter().map(String::as_str);
        let all = named.chain(public).chain([self.connector.domain.as_str()]);
        all.filter_map(host_in_address).collect()
    }
}

/// How the URL standard writes a host that comes with or without a port.
fn host_in_address(text: &str) -> Option<String> {
    let bare_v6 = text.parse::<Ipv6Addr>().is_ok();
    let address = if bare_v6 { format!("https://[{text}]") } else { format!("https://{text}") };
    let url = Url::parse(&address).ok()?;
    Some(url.host_str()?.trim_end_matches('.').to_owned())
}

fn limits(read: &mut Reader<'_>) -> Limits {
    let text = read.text("LIMITS").unwrap_or_default();
    Limits::parse(&text).unwrap_or_else(|error| {
        read.refuse("LIMITS", &error.to_string());
        Limits::default()
    })
}

/// A host name or an address that can stand in a join token: clusters join several addresses with commas.
fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= 253
            && text.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(settings: &[(&str, &str)]) -> Result<Config, InvalidSettings> {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Config::parse(move |name| {
            settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn defaults_are_complete_and_an_empty_value_is_unset() {
        let config = parse(&[("SERVER_PORT", ""), ("DB_DISABLE_TLS", "true")]).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(config.status_listen.to_string(), "0.0.0.0:10000");
        assert_eq!(config.connector.address(), "cc.lxd-cm.local:30000");
        assert!(config.oidc.is_none());
    }

    #[test]
    fn conf_05_all_bad_settings_are_named_at_once_and_never_their_values() {
        let error = parse(&[
            ("SERVER_PORT", "ninety-nine-secret"),
            ("CLUSTER_CONNECTOR_DOMAIN", "a,b-secret"),
            ("HEARTBEAT_INTERVAL_SECONDS", "0"),
            ("OIDC_ISSUER", "secret-not-a-url"),
            ("MANAGEMENT_API_URL", "http://secret.example.com"),
            ("PROMETHEUS_BASE_URL", "secret"),
            ("TAKEOVER", "secret"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "SERVER_PORT",
            "CLUSTER_CONNECTOR_DOMAIN",
            "HEARTBEAT_INTERVAL_SECONDS",
            "OIDC_ISSUER",
            "OIDC_CLIENT_ID",
            "MANAGEMENT_API_URL",
            "PROMETHEUS_BASE_URL",
            "TAKEOVER",
        ] {
            assert!(error.contains(name), "{name} is missing from: {error}");
        }
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn web_08_own_hosts_are_written_as_links_write_them() {
        let config = parse(&[
            ("MANAGEMENT_API_URL", "https://Manager.example.com:8443"),
            (
                "MANAGEMENT_API_ALLOWED_HOSTS",
                "alias.example.com:8443, Alias.example.net., [FD00::0:1]:9000, 10.0.0.1:1, not a host",
            ),
            ("CLUSTER_CONNECTOR_DOMAIN", "::1"),
        ])
        .unwrap();
        let expected = [
            "alias.example.com",
            "alias.example.net",
            "[fd00::1]",
            "10.0.0.1",
            "manager.example.com",
            "[::1]",
        ];
        assert_eq!(config.own_hosts(), expected);
    }

    /// What has none of these abilities has one `Lacks`; what has one of them has two, and the compiler cannot choose.
    trait Lacks<Ability> {
        fn lacks() {}
    }
    impl<T: ?Sized> Lacks<()> for T {}
    impl<T: ?Sized + std::fmt::Display> Lacks<&'static str> for T {}
    impl<T: ?Sized + serde::Serialize> Lacks<Vec<u8>> for T {}

    #[test]
    fn conf_02_a_secret_can_neither_be_shown_nor_written_and_is_wiped() {
        fn is_wiped<T: secrecy::zeroize::ZeroizeOnDrop>(_: &T) {}
        let config = parse(&[
            ("OIDC_ISSUER", "https://id.example.com"),
            ("OIDC_CLIENT_ID", "mcm"),
            ("OIDC_CLIENT_SECRET", "canary-client"),
        ])
        .unwrap();
        // This does not compile once secrets can be shown or serialised.
        <SecretString as Lacks<_>>::lacks();
        let oidc = config.oidc.unwrap();
        let secrets: [&SecretString; 2] =
            [&config.database.password, oidc.client_secret.as_ref().unwrap()];
        secrets.into_iter().for_each(is_wiped);
    }

    #[test]
    fn conf_02_secrets_do_not_show_in_debug_output() {
        let config = parse(&[
            ("DB_PASSWORD", "canary-password"),
            ("OIDC_ISSUER", "https://id.example.com"),
            ("OIDC_CLIENT_ID", "mcm"),
            ("OIDC_CLIENT_SECRET", "canary-client"),
        ])
        .unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn a_secret_is_read_from_a_file_and_not_from_both_places() {
        let dir = std::env::temp_dir().join(format!("workload-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("password");
        std::fs::write(&file, "from the file\n").unwrap();
        let path = file.to_str().unwrap();
        let config = parse(&[("DB_PASSWORD_FILE", path)]).unwrap();
        assert_eq!(config.database.password.expose_secret(), "from the file");
        let both = parse(&[("DB_PASSWORD_FILE", path), ("DB_PASSWORD", "x")]).unwrap_err();
        assert!(both.to_string().contains("DB_PASSWORD"));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(parse(&[("DB_PASSWORD_FILE", path)]).is_err());
    }

    #[test]
    fn the_port_inside_db_host_wins_and_tls_is_on_unless_switched_off() {
        let config = parse(&[("DB_HOST", "db.example:6432"), ("DB_PORT", "5433")]).unwrap();
        let server =
            |host: &str, port| DatabaseServer { host: DatabaseHost::Tcp(host.into()), port };
        assert_eq!(config.database.servers, [server("db.example", 6432)]);
        assert!(matches!(config.database.tls, DatabaseTls::VerifyFull { ca_file: None }));
        let socket = parse(&[("DB_HOST", "/run/postgresql")]).unwrap();
        assert!(matches!(socket.database.tls, DatabaseTls::Disabled));
    }

    #[test]
    fn db_01_several_database_hosts_are_read_in_their_order_each_once() {
        let hosts = "db-0.example:6432, db-1.example,[2001:db8::1]:6433,db-0.example:6432";
        let database = parse(&[("DB_HOST", hosts), ("DB_PORT", "5433")]).unwrap().database;
        let server =
            |host: &str, port| DatabaseServer { host: DatabaseHost::Tcp(host.into()), port };
        let expected = [
            server("db-0.example", 6432),
            server("db-1.example", 5433),
            server("2001:db8::1", 6433),
        ];
        assert_eq!(database.servers, expected);
        assert_eq!(
            database.masked_url(),
            "postgresql://admin:***@db-0.example:6432,db-1.example:5433,[2001:db8::1]:6433/cm?sslmode=verify-full"
        );
        for bad in ["a,", "a:x", "a,/run/postgresql", "a,b,c,d,e,f,g,h,i"] {
            assert!(
                parse(&[("DB_HOST", bad)]).unwrap_err().to_string().contains("DB_HOST"),
                "{bad}"
            );
        }
    }

    #[test]
    fn db_03_a_role_has_a_name_that_postgresql_takes_whole() {
        let role = |name: &str| parse(&[("DB_ROLE", name)]).map(|config| config.database.role);
        assert_eq!(role("").unwrap(), None);
        let longest = "r".repeat(63);
        for name in ["cm_services", "Of the services", "rôle", &longest] {
            assert_eq!(role(name).unwrap().as_deref(), Some(name));
        }
        for name in ["r".repeat(64).as_str(), &"ô".repeat(32), "a\nb"] {
            assert!(role(name).unwrap_err().to_string().contains("DB_ROLE"), "{name:?}");
        }
    }

    #[test]
    fn takeover_is_automatic_unless_switched_off() {
        assert_eq!(parse(&[]).unwrap().takeover, Takeover::Automatic);
        assert_eq!(parse(&[("TAKEOVER", "automatic")]).unwrap().takeover, Takeover::Automatic);
        assert_eq!(parse(&[("TAKEOVER", "off")]).unwrap().takeover, Takeover::Off);
    }

    #[test]
    fn an_ipv6_connector_address_is_bracketed() {
        let config = parse(&[("CLUSTER_CONNECTOR_DOMAIN", "2001:db8::1")]).unwrap();
        assert_eq!(config.connector.address(), "[2001:db8::1]:30000");
    }

    #[test]
    fn the_settings_page_lists_exactly_what_is_read() {
        let read = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let _ = Config::parse(|name| {
            read.borrow_mut().insert(name.to_owned());
            // Values that make the reader look at everything.
            matches!(name, "OIDC_ISSUER" | "OIDC_CLIENT_ID")
                .then(|| "https://id.example.com".to_owned())
        });
        let read = read.into_inner();
        let page = include_str!("../../../docs/settings.md");
        let listed: std::collections::BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .filter(|name| !name.starts_with(|c: char| c.is_ascii_lowercase())) // the limits are in one setting
            .map(str::to_owned)
            .collect();
        let mut expected: std::collections::BTreeSet<String> = read
            .iter()
            .filter(|name| !name.strip_suffix("_FILE").is_some_and(|secret| read.contains(secret)))
            .cloned()
            .collect();
        expected.insert("SERVICE".into()); // read by the command line
        assert_eq!(listed, expected);
    }
}
