//! The relation endpoints, as `charmcraft.yaml` declares them.
//!
//! Interface names come from the `relations` crate. A test compares this table with the YAML file.

use ops::Endpoint;
use relations::Databag as _;
use relations::{
    certificate_transfer, grafana_dashboard, grafana_metadata, ingress, loki_push_api, oauth,
    peers, postgresql_client, prometheus_remote_write, prometheus_scrape, tls_certificates,
    tracing, traefik_route,
};

/// The database. Needed to start.
pub const DATABASE: Endpoint = Endpoint::new("database");
/// The certificate of the Management API. Needed to start.
pub const CERTIFICATES: Endpoint = Endpoint::new("certificates");
/// CA certificates to trust in outgoing connections.
pub const SEND_CA_CERT: Endpoint = Endpoint::new("send-ca-cert");
/// TCP routes through Traefik, TLS passed through.
pub const TRAEFIK_ROUTE: Endpoint = Endpoint::new("traefik-route");
/// An HTTP ingress for the Management API.
pub const INGRESS: Endpoint = Endpoint::new("ingress");
/// Where metrics of clusters are pushed to.
pub const SEND_REMOTE_WRITE: Endpoint = Endpoint::new("send-remote-write");
/// Our dashboards for Grafana.
pub const GRAFANA_DASHBOARD: Endpoint = Endpoint::new("grafana-dashboard");
/// Where Grafana is, for links.
pub const GRAFANA_METADATA: Endpoint = Endpoint::new("grafana-metadata");
/// Metrics of the manager itself.
pub const METRICS_ENDPOINT: Endpoint = Endpoint::new("metrics-endpoint");
/// Where log lines of the workload go.
pub const LOGGING: Endpoint = Endpoint::new("logging");
/// Where spans of the charm go.
pub const CHARM_TRACING: Endpoint = Endpoint::new("charm-tracing");
/// Where spans of the workload go.
pub const WORKLOAD_TRACING: Endpoint = Endpoint::new("workload-tracing");
/// OIDC client registration, instead of the `oidc-*` options.
pub const OAUTH: Endpoint = Endpoint::new("oauth");
/// The other units of this application.
pub const PEERS: Endpoint = Endpoint::new("peers");

/// Endpoints whose interface has nothing in our application's databag.
pub const WITHOUT_APP_DATA: [Endpoint; 1] = [GRAFANA_METADATA];

/// Endpoints whose interface has our unit databag as well.
pub const WITH_UNIT_DATA: [Endpoint; 2] = [INGRESS, METRICS_ENDPOINT];

/// On which side of a relation this charm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Section `requires` of the metadata.
    Requires,
    /// Section `provides` of the metadata.
    Provides,
    /// Section `peers` of the metadata.
    Peer,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Name.
    pub endpoint: Endpoint,
    /// Name of the interface.
    pub interface: &'static str,
    /// Side.
    pub role: Role,
    /// Greatest number of relations, if there is one.
    pub limit: Option<u32>,
    /// Without it the services cannot start.
    pub needed: bool,
}

/// All endpoints.
#[must_use]
pub fn all() -> Vec<Declared> {
    use Role::{Peer, Provides, Requires};
    let declared = |endpoint, interface, role, limit, needed| Declared {
        endpoint,
        interface,
        role,
        limit,
        needed,
    };
    let tracing = tracing::TracingRequest::INTERFACE;
    let remote_write = prometheus_remote_write::RemoteWriteUnit::INTERFACE;
    let ca = certificate_transfer::TransferVersion::INTERFACE;
    vec![
        declared(DATABASE, postgresql_client::DatabaseRequest::INTERFACE, Requires, Some(1), true),
        declared(
            CERTIFICATES,
            tls_certificates::CertificateRequests::INTERFACE,
            Requires,
            Some(1),
            true,
        ),
        declared(SEND_CA_CERT, ca, Requires, None, false),
        declared(TRAEFIK_ROUTE, traefik_route::RouteRequest::INTERFACE, Requires, Some(1), false),
        declared(INGRESS, ingress::IngressRequest::INTERFACE, Requires, Some(1), false),
        declared(SEND_REMOTE_WRITE, remote_write, Requires, None, false),
        declared(
            GRAFANA_DASHBOARD,
            grafana_dashboard::Dashboards::INTERFACE,
            Provides,
            None,
            false,
        ),
        declared(
            GRAFANA_METADATA,
            grafana_metadata::GrafanaMetadata::INTERFACE,
            Requires,
            Some(1),
            false,
        ),
        declared(METRICS_ENDPOINT, prometheus_scrape::ScrapeApp::INTERFACE, Provides, None, false),
        declared(LOGGING, loki_push_api::LokiRequest::INTERFACE, Requires, None, false),
        declared(CHARM_TRACING, tracing, Requires, Some(1), false),
        declared(WORKLOAD_TRACING, tracing, Requires, Some(1), false),
        declared(OAUTH, oauth::OauthRequest::INTERFACE, Requires, Some(1), false),
        declared(PEERS, peers::PeerApp::INTERFACE, Peer, None, false),
    ]
}
