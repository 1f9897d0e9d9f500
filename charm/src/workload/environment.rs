//! The settings of both services. Nothing in them is secret: secrets are in files, and the settings name the files.

use std::collections::BTreeMap;
use std::net::IpAddr;

use relations::grafana_metadata::GrafanaMetadata;
use relations::postgresql_client::Tls;
use relations::tracing::TracingAnswer;

use super::{AUTHORITIES_FILE, Facts, MAX_RECEIVERS};
use crate::cos;
use crate::observe::Offer;

/// Share of the requests of clusters that are traced: there are many, and all of them alike.
const CONNECTOR_TRACES: &str = "0.01";
/// Share of the requests of people that are traced.
const MANAGEMENT_TRACES: &str = "0.1";

/// Most servers of a database that the services take.
const MAX_DATABASE_HOSTS: usize = 8;

impl Facts<'_> {
    pub(super) fn environment(&self, port: u16, status_port: u16) -> BTreeMap<String, String> {
        let (config, database) = (self.config, &self.database);
        let mut vars = Vars::default();
        let hosts: Vec<String> =
            database.hosts.iter().take(MAX_DATABASE_HOSTS).map(ToString::to_string).collect();
        vars.set("SERVER_HOST", &self.inputs.surroundings.listen);
        vars.set("SERVER_PORT", &port.to_string());
        vars.set("STATUS_PORT", &status_port.to_string());
        vars.set("DATA_DIR", &self.path("data"));
        vars.set("MASTER_KEY_FILE", &self.path("master.key"));
        vars.set("LOG_LEVEL", config.log_level.as_str());
        vars.set("DB_HOST", &hosts.join(","));
        vars.set("DB_USER", &database.username);
        vars.set("DB_PASSWORD_FILE", &self.path("db/password"));
        vars.set("DB_NAME", &database.database);
        vars.set("DB_MAX_OPEN", &config.db_max_connections.0.to_string());
        vars.set("DB_DISABLE_TLS", &(database.tls == Tls::Off).to_string());
        if self.database_authorities().is_some_and(|text| !text.is_empty()) {
            vars.set("DB_CA_FILE", &self.path("db/ca.pem"));
        }
        vars.set("SHUTDOWN_DRAIN_SECONDS", &config.shutdown_drain_seconds.to_string());
        vars.set("LIMITS", config.limits.as_ref().map_or("", |limits| &limits.0));
        vars.set("TAKEOVER", config.takeover.as_str());
        vars.set("HISTORY_MINUTES_HOURS", &config.history_minutes_hours.to_string());
        vars.set("HISTORY_HALF_HOURS_DAYS", &config.history_half_hours_days.to_string());
        vars.set("HISTORY_SIX_HOURS_DAYS", &config.history_six_hours_days.to_string());
        vars.set("AUDIT_RETENTION_DAYS", &config.audit_retention_days.to_string());
        // The connector keeps links of clusters that lead there out.
        vars.set("MANAGEMENT_API_URL", &self.management_url);
        let connector = self.addresses.connector.as_ref().map(ToString::to_string);
        vars.set("CLUSTER_CONNECTOR_DOMAIN", &connector.unwrap_or_default());
        vars.set("CLUSTER_CONNECTOR_PORT", &self.addresses.connector_port.to_string());
        vars.set("CLUSTER_CONNECTOR_TLS_PATH", &self.path("connector"));
        vars.set("LOG_HEARTBEATS_EVERY", &config.log_heartbeats_every.0.to_string());
        vars.set("RATE_LIMIT_REFILL_RATE", &config.rate_limit_refill_rate.0.to_string());
        vars.set("RATE_LIMIT_BUCKET_SIZE", &config.rate_limit_bucket_size.0.to_string());
        // Only Traefik writes the header, so that it is demanded only behind Traefik.
        if let (Some(networks), Some(_)) = (&config.proxy_protocol_from, &self.inputs.route) {
            vars.set("PROXY_PROTOCOL", "required");
            vars.set("PROXY_PROTOCOL_FROM", &networks.0);
        }
        vars.0
    }

    /// Traces of a service: `share` of its requests.
    fn traces(&self, vars: &mut Vars, share: &str) {
        let answer = self.inputs.workload_tracing.as_ref().and_then(Offer::good);
        let Some(url) = answer.and_then(TracingAnswer::traces_url) else { return };
        vars.set("TRACING_URL", &url);
        vars.set("TRACING_SAMPLE_RATIO", share);
        let unit = ("juju_unit", self.inputs.unit.as_str());
        let labels = cos::application_labels(self.inputs).into_iter().chain([unit]);
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        vars.set("TRACING_LABELS", &labels.join(","));
        if !self.authorities.is_empty() {
            vars.set("TRACING_CA_FILE", &self.path(AUTHORITIES_FILE));
        }
    }

    /// The unit's own address, which is where other units reach the tunnels that it holds.
    pub(super) fn connector_environment(&self) -> BTreeMap<String, String> {
        let mut vars = Vars::default();
        let address = self.inputs.address.as_deref().filter(|a| a.parse::<IpAddr>().is_ok());
        vars.set("TUNNEL_ADDRESS", address.unwrap_or_default());
        self.traces(&mut vars, CONNECTOR_TRACES);
        let urls = super::remote_write_urls(self.inputs);
        let urls: Vec<&str> = urls.iter().take(MAX_RECEIVERS).map(String::as_str).collect();
        vars.set("PROMETHEUS_BASE_URL", &urls.join(" "));
        if !urls.is_empty() {
            let labels = cos::application_labels(self.inputs);
            let labels = labels.map(|(name, value)| format!("{name}={value}"));
            vars.set("REMOTE_WRITE_LABELS", &labels.join(","));
            if !self.authorities.is_empty() {
                vars.set("REMOTE_WRITE_CA_FILE", &self.path(AUTHORITIES_FILE));
            }
        }
        vars.0
    }

    pub(super) fn management_environment(&self) -> BTreeMap<String, String> {
        let (config, provider) = (self.config, &self.provider);
        let mut vars = Vars::default();
        self.traces(&mut vars, MANAGEMENT_TRACES);
        vars.set("MANAGEMENT_API_TLS_PATH", &self.path("management"));
        vars.set("OIDC_ISSUER", &provider.issuer);
        vars.set("OIDC_CLIENT_ID", &provider.client_id);
        if provider.client_secret.is_some() {
            vars.set("OIDC_CLIENT_SECRET_FILE", &self.path("oidc/client-secret"));
        }
        vars.set("OIDC_AUDIENCE", config.oidc_audience.as_deref().unwrap_or_default());
        if !self.login_authorities().is_empty() {
            vars.set("OIDC_CA_FILE", &self.path("oidc/ca.pem"));
        }
        vars.set("OIDC_GROUPS_CLAIM", &provider.groups_claim);
        vars.set("OIDC_ADMIN_GROUPS", &config.oidc_admin_groups);
        vars.set(
            "OIDC_OPERATOR_GROUPS",
            config.oidc_operator_groups.as_deref().unwrap_or_default(),
        );
        vars.set("OIDC_VIEWER_GROUPS", config.oidc_viewer_groups.as_deref().unwrap_or_default());
        vars.set("OIDC_SCOPES", config.scopes());
        vars.set("TUNNEL_FORWARD_ACCESS_TOKEN", &config.tunnel_forward_access_token.to_string());
        let grafana = self.inputs.grafana.as_ref().and_then(Offer::good);
        vars.set("GRAFANA_BASE_URL", grafana.map(GrafanaMetadata::base_url).unwrap_or_default());
        vars.0
    }
}

/// Variables; an empty value is no variable.
#[derive(Default)]
struct Vars(BTreeMap<String, String>);

impl Vars {
    fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }
}
