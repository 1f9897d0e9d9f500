//! `GET /1.0/configuration`: the settings in force, secrets masked.

use salvo::{Depot, handler};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use workload_config::{Config, ExposeSecret, LimitEntry, Limits, Url};

use super::app;
use crate::edge::{Reply, Success};

/// `GET /1.0/configuration`: an object of `{value, title, description}`, all texts.
#[handler]
pub(super) async fn get(depot: &mut Depot) -> Reply<Success<ConfigurationView>> {
    Ok(Success(ConfigurationView::of(&app(depot)?.config)))
}

/// Key, title and description of each setting but the limits, in the order of [`values`].
const ENTRIES: [(&str, &str, &str); 30] = [
    ("api_version", "API Version", "Version of the HTTP API"),
    ("version", "Version", "Version of this server"),
    ("cluster_connector_domain", "Cluster Connector Domain", "Host name that clusters connect to"),
    ("cluster_connector_port", "Cluster Connector Port", "Port that clusters connect to"),
    ("oidc_client_id", "OIDC Client ID", "Our name at the identity provider"),
    ("oidc_client_secret", "OIDC Client Secret", "Whether a client secret is set"),
    ("oidc_issuer", "OIDC Issuer", "The identity provider"),
    ("oidc_audience", "OIDC Audience", "Audience of access tokens"),
    (
        "db_connection_string",
        "DB Connection String",
        "PostgreSQL server and database, without the password",
    ),
    ("db_max_idle_conns", "DB Max Idle Conns", "Idle database connections per service"),
    ("db_max_open_conns", "DB Max Open Conns", "Database connections per service"),
    ("grafana_base_url", "Grafana Base URL", "Where dashboards are"),
    (
        "prometheus_base_url",
        "Prometheus Base URL",
        "Remote-write address for the metrics of clusters",
    ),
    (
        "rate_limit_refill_rate",
        "Rate Limit Refill Rate",
        "Requests per second that a client may make in the long run",
    ),
    ("rate_limit_bucket_size", "Rate Limit Bucket Size", "Requests that a client may make at once"),
    (
        "rate_limit_client_active_interval",
        "Rate Limit Client Active Interval",
        "A client that is silent for so long is forgotten",
    ),
    (
        "rate_limit_cleanup_interval",
        "Rate Limit Cleanup Interval",
        "How often silent clients are looked for",
    ),
    (
        "rate_limit_log_interval",
        "Rate Limit Log Interval",
        "Least time between two log lines about one client",
    ),
    ("rate_limit_max_clients", "Rate Limit Max Clients", "Clients that are remembered at a time"),
    (
        "rate_limit_connections_per_address",
        "Rate Limit Connections Per Address",
        "Connections of one address at a time that have not shown who they are",
    ),
    (
        "rate_limit_unknown_per_unit",
        "Rate Limit Unknown Per Unit",
        "Requests without an enrolled certificate: per second and at once",
    ),
    (
        "rate_limit_preflight_per_address",
        "Rate Limit Preflight Per Address",
        "Looks at the connector before each call: per second and at once",
    ),
    (
        "rate_limit_preflight_per_unit",
        "Rate Limit Preflight Per Unit",
        "The same of all clients of a unit together",
    ),
    (
        "rate_limit_join_per_address",
        "Rate Limit Join Per Address",
        "Attempts to join: per second and at once",
    ),
    (
        "rate_limit_join_per_unit",
        "Rate Limit Join Per Unit",
        "The same of all clients of a unit together",
    ),
    (
        "rate_limit_login_per_address",
        "Rate Limit Login Per Address",
        "Begun and finished logins: per second and at once",
    ),
    (
        "rate_limit_login_per_unit",
        "Rate Limit Login Per Unit",
        "The same of all clients of a unit together",
    ),
    ("proxy_protocol", "PROXY Protocol", "Whether a balancer names the client of each connection"),
    ("proxy_protocol_from", "PROXY Protocol From", "Networks of the balancers"),
    (
        "tunnel_forward_access_token",
        "Tunnel Forward Access Token",
        "Whether requests through a tunnel carry the operator's access token",
    ),
];

/// The settings as an object whose keys keep their order: the UI shows them as they come.
pub(super) struct ConfigurationView {
    values: [String; ENTRIES.len()],
    limits: Vec<LimitEntry>,
}

#[derive(Serialize)]
struct EntryView<'a> {
    value: &'a str,
    title: &'a str,
    description: &'a str,
}

impl ConfigurationView {
    fn of(config: &Config) -> Self {
        Self { values: values(config), limits: config.limits.entries().to_vec() }
    }
}

/// The key of a limit.
fn limit_key(name: &str) -> String {
    format!("limit_{}", name.replace('-', "_"))
}

impl Serialize for ConfigurationView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings =
            ENTRIES.iter().zip(&self.values).map(|((key, title, description), value)| {
                ((*key).to_owned(), EntryView { value, title, description })
            });
        let limits = self.limits.iter().map(|limit| {
            let LimitEntry { name, value, description, .. } = limit;
            (limit_key(name), EntryView { value, title: name, description })
        });
        serializer.collect_map(settings.chain(limits))
    }
}

/// The schema of [`ConfigurationView`].
pub(super) fn schema() -> Value {
    let entry = json!({
        "type": "object", "required": ["value", "title", "description"],
        "properties": {
            "value": { "type": "string" }, "title": { "type": "string" }, "description": { "type": "string" },
        },
    });
    let limits = Limits::default();
    let limits = limits.entries().iter().map(|limit| limit_key(&limit.name));
    let keys: Vec<_> = ENTRIES.iter().map(|(key, _, _)| (*key).to_owned()).chain(limits).collect();
    let properties: serde_json::Map<_, _> =
        keys.iter().map(|key| (key.clone(), entry.clone())).collect();
    json!({ "type": "object", "required": keys, "properties": properties, "additionalProperties": entry })
}

fn values(config: &Config) -> [String; ENTRIES.len()] {
    let Config { connector, database, rate_limit, balancer, tunnel, .. } = config;
    let oidc = config.oidc.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let secret = oidc.and_then(|oidc| oidc.client_secret.as_ref());
    let mask =
        if secret.is_some_and(|secret| !secret.expose_secret().is_empty()) { "***" } else { "" };
    [
        "1.0".into(),
        config.version.clone(),
        connector.domain.clone(),
        connector.port.to_string(),
        text(oidc.map(|oidc| &oidc.client_id)),
        mask.into(),
        text(oidc.map(|oidc| &oidc.issuer)),
        text(oidc.map(|oidc| &oidc.audience)),
        database.masked_url(),
        database.max_idle.to_string(),
        database.max_open.to_string(),
        config.grafana_base_url.clone(),
        config.remote_write.receivers.iter().map(masked).collect::<Vec<_>>().join(" "),
        format!("{:.2}", rate_limit.refill_rate),
        rate_limit.bucket_size.to_string(),
        go_duration(rate_limit.client_active_interval.as_secs()),
        go_duration(rate_limit.cleanup_interval.as_secs()),
        go_duration(rate_limit.log_interval.as_secs()),
        rate_limit.max_clients.to_string(),
        rate_limit.connections_per_address.to_string(),
        rate_limit.unknown_per_unit.to_string(),
        rate_limit.preflight.per_address.to_string(),
        rate_limit.preflight.per_unit.to_string(),
        rate_limit.join.per_address.to_string(),
        rate_limit.join.per_unit.to_string(),
        rate_limit.login.per_address.to_string(),
        rate_limit.login.per_unit.to_string(),
        if balancer.proxy_protocol { "required".into() } else { "off".into() },
        balancer.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        tunnel.forward_access_token.to_string(),
    ]
}

/// Stands for the settings that operators see: when it changes, they did.
#[must_use]
pub fn settings_digest(config: &Config) -> String {
    let limits = config.limits.entries().iter().map(ToString::to_string);
    let all: Vec<_> = values(config).into_iter().chain(limits).collect();
    hex::encode(Sha256::digest(all.join("\0").as_bytes()))
}

/// An address without what may be secret in it: user information and the values of its query.
fn masked(url: &Url) -> String {
    const MASK: &str = "***";
    let mut masked = url.clone();
    let user = url.username().is_empty() || masked.set_username(MASK).is_ok();
    let password = url.password().is_none() || masked.set_password(Some(MASK)).is_ok();
    if !(user && password) {
        return MASK.into();
    }
    if url.query().is_some_and(|query| !query.is_empty()) {
        // What has no name is itself a value.
        let pairs = url.query_pairs().map(|(name, value)| match &*value {
            "" => (MASK.into(), value),
            _ => (name, MASK.into()),
        });
        masked.query_pairs_mut().clear().extend_pairs(pairs);
    }
    masked.into()
}

/// Seconds as Go prints a duration: `45s`, `1m0s`, `1h0m0s`.
fn go_duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conf_01_every_key_is_there_and_no_secret_is() {
        let settings = [
            ("DB_PASSWORD", "canary-1"),
            ("OIDC_ISSUER", "https://id.example.org"),
            ("OIDC_CLIENT_ID", "mcm-web"),
            ("OIDC_CLIENT_SECRET", "canary-2"),
            (
                "PROMETHEUS_BASE_URL",
                "https://canary-3:canary-4@prometheus.example/api/v1/write?db=canary-5&canary-6 https://canary-7@b.example/",
            ),
        ];
        let find = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let view =
            serde_json::to_value(ConfigurationView::of(&Config::parse(find).unwrap())).unwrap();
        let example: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/examples/configuration.json"))
                .unwrap();
        for key in example["metadata"].as_object().unwrap().keys() {
            for part in ["value", "title", "description"] {
                assert!(view[key][part].is_string(), "{key}.{part}");
            }
        }
        let text = view.to_string();
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(view["oidc_client_secret"]["value"], "***");
        assert_eq!(
            view["prometheus_base_url"]["value"],
            "https://***:***@prometheus.example/api/v1/write?db=***&***= https://***@b.example/"
        );
        assert_eq!(view["rate_limit_cleanup_interval"]["value"], "10m0s");
        assert_eq!(view["limit_heartbeat_bytes"]["value"], "64MiB");
        assert_eq!(view["limit_heartbeat_bytes"]["title"], "heartbeat-bytes");
        let mut required: Vec<String> =
            serde_json::from_value(schema()["required"].clone()).unwrap();
        required.sort(); // as the keys of a parsed object are
        let shown: Vec<_> = view.as_object().unwrap().keys().cloned().collect();
        assert_eq!(required, shown, "the schema lists what is shown");
        assert_eq!(go_duration(3600), "1h0m0s");
        assert_eq!(go_duration(59), "59s");
    }
}
