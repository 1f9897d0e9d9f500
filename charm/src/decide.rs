//! Second step: from what is known to what should be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ops::pebble::{Layer, LogTarget};
use ops::tools::calls::Bag;
use ops::{RelationId, Status};
use relations::Databag;
use relations::alert_rules::AlertRules;
use relations::certificate_transfer::TransferVersion;
use relations::ingress::{IngressRequest, IngressUnit, Scheme};
use relations::loki_push_api::LokiRequest;
use relations::oauth::OauthRequest;
use relations::peers::{PeerApp, SCHEMA};
use relations::postgresql_client::DatabaseRequest;
use relations::prometheus_remote_write::RemoteWriteRules;
use relations::prometheus_scrape::{ScrapeApp, ScrapeUnit};
use relations::tls_certificates::{CertificateRequest, CertificateRequests};
use relations::tracing::TracingRequest;

use crate::addresses::{Addresses, CONNECTOR_PORT, MANAGEMENT_PORT};
use crate::cos;
use crate::observe::{Inputs, Own};
use crate::shared::Kept;
use crate::workload::{self, Workload};
use crate::{CHARM, custody, route, status};

/// Name of the database that we ask for. Installations have their data in it.
pub const DATABASE_NAME: &str = "cluster_manager_db";

/// Label of the layer with log targets.
pub const LOG_LABEL: &str = "cluster-manager-log-forwarding";

/// What should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// What to write over our databags: only differences, an empty value removes its key.
    pub writes: Vec<Write>,
    /// TCP ports of the Kubernetes service.
    pub ports: BTreeSet<u16>,
    /// What should be in the container; `None`: leave it as it is.
    pub workload: Option<Workload>,
    /// Log targets.
    pub logs: Layer,
    /// The services that must not run.
    pub stop: &'static [&'static str],
    /// What to tell the operator, as far as Juju's side decides it.
    pub status: Status,
}

/// A change of one of our databags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which relation.
    pub id: RelationId,
    /// The application's databag; else the unit's.
    pub app: bool,
    /// What to write.
    pub changes: Bag,
}

/// Decides.
#[must_use]
pub fn decide(inputs: &Inputs) -> Desired {
    let (workload, stop) = services(inputs);
    Desired {
        writes: if inputs.leaving { Vec::new() } else { Writes::of(inputs) },
        ports: BTreeSet::from([CONNECTOR_PORT, MANAGEMENT_PORT]),
        workload,
        logs: logs(inputs),
        stop,
        status: status::status(inputs),
    }
}

/// What should be in the container, and which services must not run. Without a database neither has anything to work with, and without
/// the relation's certificate people are not served, nor are clusters that see it. Anything else may come back in a moment: services
/// run on with what they have.
fn services(inputs: &Inputs) -> (Option<Workload>, &'static [&'static str]) {
    let stopped = || (Some(workload::stopped(&inputs.surroundings)), &workload::BOTH[..]);
    if inputs.database.is_none() {
        return stopped();
    }
    match (workload::workload(inputs), &inputs.certificates) {
        (workload, Some(_)) => (workload.ok(), &[]),
        (Ok(workload), None) => (Some(workload), &[workload::MANAGEMENT]),
        (Err(_), None) if custody::serves_relation(inputs) => stopped(),
        (Err(_), None) => {
            (Some(workload::without_management(&inputs.surroundings)), &[workload::MANAGEMENT])
        }
    }
}

#[derive(Default)]
struct Writes(Vec<Write>);

impl Writes {
    fn of(inputs: &Inputs) -> Vec<Write> {
        let mut writes = Self::default();
        writes.needed(inputs);
        if let Some(addresses) = inputs.addresses() {
            writes.addressed(inputs, &addresses);
        }
        writes.observability(inputs);
        writes.0
    }

    fn app(&mut self, own: &Own, wanted: &impl Databag) {
        let changes = own.app.as_ref().map(|bag| wanted.changes(bag));
        self.push(own, true, changes);
    }

    fn unit(&mut self, own: &Own, wanted: &impl Databag) {
        let changes = own.unit.as_ref().map(|bag| wanted.changes(bag));
        self.push(own, false, changes);
    }

    fn push(&mut self, own: &Own, app: bool, changes: Option<Bag>) {
        if let Some(changes) = changes.filter(|changes| !changes.is_empty()) {
            self.0.push(Write { id: own.id.clone(), app, changes });
        }
    }

    fn needed(&mut self, inputs: &Inputs) {
        if let Some(database) = &inputs.database {
            self.app(&database.offer.own, &DatabaseRequest::new(DATABASE_NAME));
        }
        if let (Some(certificates), Some(kept)) =
            (&inputs.certificates, inputs.shared.certificates.content())
        {
            let requests = kept.request.iter().map(|request| CertificateRequest::leaf(request));
            self.app(&certificates.own, &CertificateRequests(requests.collect()));
        }
        for trust in &inputs.trust {
            self.app(&trust.own, &TransferVersion::CURRENT);
        }
        let shared = &inputs.shared;
        if let Some(peers) = inputs.peers.as_ref().filter(|_| inputs.leader) {
            let mut wanted = PeerApp {
                schema: SCHEMA,
                certificates_key: uri(&shared.certificates),
                cookie_key: uri(&shared.master_key),
                connector_identity: uri(&shared.connector),
            };
            // A secret that cannot be read now is still the one that counts.
            if let Some(Ok(Some(present))) = peers.app.as_ref().map(PeerApp::decode) {
                wanted.certificates_key = wanted.certificates_key.or(present.certificates_key);
                wanted.cookie_key = wanted.cookie_key.or(present.cookie_key);
                wanted.connector_identity =
                    wanted.connector_identity.or(present.connector_identity);
            }
            self.app(peers, &wanted);
        }
    }

    fn addressed(&mut self, inputs: &Inputs, addresses: &Addresses) {
        let Ok(config) = &inputs.config else { return };
        if let Some(relation) = &inputs.route {
            let proxy = config.proxy_protocol_from.is_some();
            let request = route::request(addresses, &inputs.app, &inputs.model_name, proxy);
            self.app(&relation.own, &request);
        }
        if let Some(ingress) = &inputs.ingress {
            self.app(
                &ingress.own,
                &IngressRequest {
                    model: inputs.model_name.clone(),
                    name: inputs.app.clone(),
                    port: MANAGEMENT_PORT,
                    scheme: Scheme::Https,
                    strip_prefix: true,
                    redirect_https: true,
                    is_port_open: true,
                    healthcheck: None,
                },
            );
            let unit = IngressUnit { host: addresses.pod.clone(), ip: inputs.address.clone() };
            self.unit(&ingress.own, &unit);
        }
        if let (Some(oauth), Some(url)) = (&inputs.login.relation, addresses.management_url()) {
            let redirect = format!("{url}/oidc/callback");
            let more = config.scopes().split_ascii_whitespace().filter(|scope| *scope != "openid");
            let scopes: Vec<&str> = ["openid"].into_iter().chain(more).collect();
            let audience = config.oidc_audience.as_deref();
            let request = OauthRequest::code_flow(&redirect, &scopes.join(" "), audience);
            self.app(&oauth.offer.own, &request);
        }
        for own in &inputs.metrics {
            let address = inputs.address.clone().unwrap_or_else(|| addresses.pod.clone());
            let unit = ScrapeUnit {
                address,
                name: inputs.unit.to_string(),
                path: None,
                fqdn: Some(addresses.pod.clone()),
            };
            self.unit(own, &unit);
        }
    }

    fn observability(&mut self, inputs: &Inputs) {
        for receiver in &inputs.receivers {
            self.app(&receiver.own, &RemoteWriteRules::default());
        }
        for own in &inputs.metrics {
            let app = ScrapeApp {
                metadata: cos::topology(inputs),
                jobs: cos::jobs(),
                alert_rules: cos::alert_rules(inputs),
            };
            self.app(own, &app);
        }
        for own in &inputs.dashboards {
            self.app(own, &cos::dashboards(inputs));
        }
        for loki in &inputs.loki {
            let metadata = cos::topology(inputs);
            self.app(&loki.own, &LokiRequest { metadata, alert_rules: AlertRules::default() });
        }
        for tracing in inputs.charm_tracing.iter().chain(&inputs.workload_tracing) {
            self.app(&tracing.own, &TracingRequest::otlp_http());
        }
    }
}

fn uri<T>(kept: &Kept<T>) -> Option<relations::SecretUri> {
    match kept {
        Kept::Here(uri, _) => Some(uri.clone()),
        Kept::Absent | Kept::Unreadable => None,
    }
}

/// One target per Loki, each address once. Targets cannot be deleted: those that are gone get nothing.
fn logs(inputs: &Inputs) -> Layer {
    let mut targets = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (name, unit) in inputs.loki.iter().flat_map(|loki| &loki.units) {
        if let Ok(Some(unit)) = unit
            && seen.insert(unit.url.clone())
        {
            targets.insert(name.to_string(), LogTarget::loki(&unit.url, log_labels(inputs)));
        }
    }
    let present = inputs.container.iter().flat_map(|container| container.log_targets());
    for (name, location) in present {
        targets.entry(name.to_owned()).or_insert_with(|| LogTarget::off(location));
    }
    Layer { log_targets: targets, ..Layer::default() }
}

fn log_labels(inputs: &Inputs) -> BTreeMap<String, String> {
    let short: String = inputs.model_uuid.chars().take(8).collect();
    let job = format!("juju_{}_{short}_{}", inputs.model_name, inputs.app);
    [
        ("product", "Juju"),
        ("charm", CHARM),
        ("juju_model", &inputs.model_name),
        ("juju_model_uuid", &inputs.model_uuid),
        ("juju_application", &inputs.app),
        ("juju_unit", inputs.unit.as_str()),
        ("job", &job),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
