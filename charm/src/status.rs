//! What the operator is told: one sentence, with the command that helps.

use ops::{RelationId, Status};
use relations::BagError;
use time::Duration;

use crate::config::ConnectorCertificate;
use crate::observe::{ContainerState, Inputs, Offer, Trust, WrongOption};
use crate::pki::{self, Leaf};
use crate::{addresses, custody, pinned, route, workload};

/// How long before its end a certificate that clusters pin is talked about.
const WARN_BEFORE: Duration = Duration::days(30);

/// The status as far as Juju's side decides it, the first condition that holds: this is the order in
/// which an operator should go about them.
#[must_use]
pub fn status(inputs: &Inputs) -> Status {
    let certificates = || {
        let missing = inputs.certificates.is_none();
        missing.then(|| missing_relation(inputs, "certificates", "self-signed-certificates"))
    };
    let route = || route_conflict(inputs);
    let early = inputs.database.is_none().then(|| no_database(inputs));
    if let Some(status) = early.or_else(certificates).or_else(|| options(inputs)).or_else(route) {
        return status;
    }
    match workload::workload(inputs) {
        Err(status) => status,
        Ok(_) if inputs.container.is_none() => {
            Status::maintenance("waiting for the workload container")
        }
        Ok(_) => Status::active(&notes(inputs).join("; ")),
    }
}

/// The same after a look at the container, for a status that is good so far.
#[must_use]
pub fn with_container(status: Status, app: &str, container: Option<&ContainerState>) -> Status {
    if status.kind() != ops::StatusKind::Active {
        return status;
    }
    let Some(container) = container else {
        return Status::maintenance("waiting for the workload container");
    };
    for name in [workload::MANAGEMENT, workload::CONNECTOR] {
        let service = container.services.iter().find(|service| service.name == name);
        if !service.is_some_and(ops::pebble::ServiceInfo::is_active) {
            return Status::maintenance(&format!(
                "service {name} is not running; to see why, run: juju debug-log --include {app}"
            ));
        }
    }
    match container.down().first() {
        Some(check) => Status::maintenance(&format!("check {check} fails")),
        None => status,
    }
}

fn missing_relation(inputs: &Inputs, endpoint: &str, provider: &str) -> Status {
    let app = &inputs.app;
    Status::blocked(&format!(
        "missing relation: {endpoint}; run: juju integrate {app}:{endpoint} {provider}"
    ))
}

/// There is no relation `database`.
#[must_use]
pub fn no_database(inputs: &Inputs) -> Status {
    missing_relation(inputs, "database", "postgresql-k8s:database")
}

/// An option cannot be used.
#[must_use]
pub fn wrong_option(inputs: &Inputs, wrong: &WrongOption) -> Status {
    let (app, option, reason) = (&inputs.app, &wrong.option, &wrong.reason);
    Status::blocked(&format!(
        "option {option} is wrong: {reason}; run: juju config {app} {option}=<value>"
    ))
}

/// Nobody has said under which name a service is reached.
#[must_use]
pub fn no_domain(inputs: &Inputs, service: &str) -> Status {
    let app = &inputs.app;
    Status::blocked(&format!(
        "option {service}-domain is not set; run: juju config {app} {service}-domain=<host name>"
    ))
}

/// A remote charm has written something that is not of its interface.
#[must_use]
pub fn unusable(id: &RelationId, error: &BagError) -> Status {
    Status::blocked(&format!(
        "unusable data in relation {id}: {error}; look at the provider, run: juju status --relations"
    ))
}

/// The leader has not made what all units share.
#[must_use]
pub fn no_keys() -> Status {
    Status::waiting("waiting for the leader to share its keys")
}

/// There is no certificate to serve.
#[must_use]
pub fn no_certificate(inputs: &Inputs) -> Status {
    let kept = inputs.shared.certificates.content();
    let request = kept.and_then(|kept| kept.request.as_deref());
    if let Some(offer) = &inputs.certificates {
        match (&offer.answer, request) {
            (Err(error), _) => return unusable(&offer.own.id, error),
            (Ok(Some(answers)), Some(request)) => {
                if let Some(refusal) = answers.refusal_of(request) {
                    let (code, name) = (refusal.code, plain(&refusal.name));
                    return Status::blocked(&format!(
                        "certificates: the provider refused the request with {code} {name}; look at its \
                         options, run: juju config <provider>"
                    ));
                }
            }
            _ => {}
        }
    }
    Status::waiting("waiting for certificates: the provider has not answered yet")
}

/// Words of others in our status: short, and without what could be mistaken for something else.
fn plain(text: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || "_- .".contains(*c);
    text.chars().filter(good).take(80).collect()
}

fn options(inputs: &Inputs) -> Option<Status> {
    let config = match &inputs.config {
        Err(wrong) => return Some(wrong_option(inputs, wrong)),
        Ok(config) => config,
    };
    let addresses = inputs.addresses()?;
    if addresses.management.is_none() {
        return Some(no_domain(inputs, "management-api"));
    }
    if addresses.connector.is_none() {
        return Some(no_domain(inputs, "cluster-connector"));
    }
    let login = crate::login::provider(inputs, config).err();
    login.filter(|status| status.kind() == ops::StatusKind::Blocked)
}

fn route_conflict(inputs: &Inputs) -> Option<Status> {
    inputs.route.as_ref()?;
    let conflict = route::conflict(&inputs.addresses()?)?;
    let app = &inputs.app;
    Some(Status::blocked(&format!(
        "{conflict}; run: juju config {app} cluster-connector-port=<another port>"
    )))
}

/// What is worth knowing although everything works.
fn notes(inputs: &Inputs) -> Vec<String> {
    let mut notes = Vec::new();
    let Ok(config) = &inputs.config else { return notes };
    notes.extend(connector_notes(inputs));
    if inputs.login.relation.is_some() && config.oidc_issuer.is_some() {
        notes.push("login through the relation oauth, the options oidc-* are not used".to_owned());
    } else if config.oidc_client_secret.is_some() && inputs.login.credentials.is_none() {
        notes.push(
            "oidc-client-secret is readable in the configuration: prefer \
             oidc-client-credentials"
                .to_owned(),
        );
    }
    let receivers = workload::remote_write_urls(inputs).len();
    if receivers > workload::MAX_RECEIVERS {
        notes.push(format!(
            "metrics of clusters go to the first {} of {receivers} receivers only",
            workload::MAX_RECEIVERS
        ));
    }
    if let Some(url) = inputs.ingress.as_ref().and_then(Offer::good).map(|answer| &answer.url)
        && addresses::ingress_host(url).is_none()
    {
        notes.push(
            "the relation ingress gives an address that cannot be used: integrate \
             traefik-route instead"
                .to_owned(),
        );
    }
    for id in malformed(inputs) {
        notes.push(format!("unusable data in relation {id}"));
    }
    for id in &inputs.refused {
        notes.push(format!(
            "the other side of relation {id} cannot use our alert rules or dashboards"
        ));
    }
    notes
}

/// Optional relations whose data cannot be used.
fn malformed(inputs: &Inputs) -> Vec<&RelationId> {
    let mut all = Vec::new();
    let damaged = |trust: &&Trust| trust.trusted.as_ref().map_or(true, |good| good.skipped > 0);
    all.extend(inputs.trust.iter().filter(damaged).map(|trust| &trust.own.id));
    all.extend(inputs.route.iter().filter(|o| o.answer.is_err()).map(|o| &o.own.id));
    all.extend(inputs.ingress.iter().filter(|o| o.answer.is_err()).map(|o| &o.own.id));
    all.extend(inputs.grafana.iter().filter(|o| o.answer.is_err()).map(|o| &o.own.id));
    let tracing = inputs.charm_tracing.iter().chain(&inputs.workload_tracing);
    all.extend(tracing.filter(|o| o.answer.is_err()).map(|o| &o.own.id));
    all.extend(inputs.receivers.iter().filter(|r| r.malformed).map(|r| &r.own.id));
    let bad_unit = |loki: &&crate::observe::Loki| loki.units.iter().any(|(_, unit)| unit.is_err());
    all.extend(inputs.loki.iter().filter(bad_unit).map(|loki| &loki.own.id));
    // The certificate that is served stays, whatever the provider writes.
    all.extend(inputs.certificates.iter().filter(|o| o.answer.is_err()).map(|o| &o.own.id));
    all
}

/// Clusters pin the connector's certificate: what endangers it is said long before.
fn connector_notes(inputs: &Inputs) -> Vec<String> {
    let mut notes = Vec::new();
    let app = &inputs.app;
    let is_pinned =
        inputs.config.as_ref().map(|c| c.connector_certificate) == Ok(ConnectorCertificate::Pinned);
    let served = if custody::serves_relation(inputs) {
        inputs.shared.certificates.content().and_then(|kept| kept.served.as_ref())
    } else {
        inputs.shared.connector.content().map(|kept| &kept.pair)
    };
    let leaf = served.and_then(|pair| Leaf::parse(&pair.chain));
    let (Some(leaf), Some(addresses)) = (leaf, inputs.addresses()) else { return notes };
    let command = format!("run: juju run {app}/leader rotate-connector-certificate");
    if is_pinned && leaf.not_after - inputs.surroundings.now < WARN_BEFORE {
        let day = leaf.not_after.date();
        notes.push(format!("the certificate that clusters pin ends on {day}; {command}"));
    }
    let kept = inputs.shared.connector.content().filter(|_| is_pinned);
    for leaf in
        kept.iter().flat_map(|kept| &kept.earlier).filter_map(|pair| Leaf::parse(&pair.chain))
    {
        if leaf.not_after - inputs.surroundings.now < WARN_BEFORE {
            let names: Vec<&str> = leaf
                .names
                .iter()
                .map(String::as_str)
                .filter(|name| *name != addresses.service)
                .collect();
            let (names, day) = (names.join(", "), leaf.not_after.date());
            notes.push(format!(
                "the certificate for clusters that connect to {names} ends on {day}: enrol them anew"
            ));
        }
    }
    if let Some(connector) = pinned::unnamed(inputs) {
        notes.push(format!(
            "the certificate that clusters pin does not name {connector}; {command}"
        ));
    }
    let next = kept.and_then(|kept| kept.next.as_ref());
    if let Some(next) = next.and_then(|pair| Leaf::parse(&pair.chain)) {
        let short: String = next.fingerprint.chars().take(12).collect();
        notes.push(format!("a new connector certificate {short}… waits: {command} confirm=true"));
    }
    notes
}

/// Fingerprint of the certificate that clusters see, for people.
#[must_use]
pub fn connector_fingerprint(inputs: &Inputs) -> Option<String> {
    let pair = &inputs.shared.connector.content()?.pair;
    let served = if custody::serves_relation(inputs) {
        inputs.shared.certificates.content()?.served.as_ref()?
    } else {
        pair
    };
    Some(pki::Leaf::parse(&served.chain)?.fingerprint)
}
