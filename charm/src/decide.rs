//! Second step: from what is known to what should be. Pure.

use ops::tools::calls::Bag;
use ops::{RelationId, Status};
use relations::Databag;
use relations::certificate_transfer::TransferVersion;
use relations::postgresql_client::DatabaseRequest;

use crate::config::Config;
use crate::observe::{Database, Inputs, Own};
use crate::route;

/// Name of the database that we ask for. Installations have their data in it.
pub const DATABASE_NAME: &str = "cluster_manager_db";

/// What should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What to write over our application databags: only differences, an empty value removes its
    /// key. Empty unless we are the leader.
    pub changes: Vec<(RelationId, Bag)>,
    /// What to tell the operator.
    pub status: Status,
}

/// Decides.
#[must_use]
pub fn decide(inputs: &Inputs) -> Desired {
    let database = inputs.database.iter().map(|database| &database.own);
    let wanted = DatabaseRequest::new(DATABASE_NAME);
    let changes = database
        .filter_map(|own| change(own, &wanted))
        .chain(inputs.send_ca_cert.iter().filter_map(|own| change(own, &TransferVersion::CURRENT)))
        .collect();
    Desired { changes, status: status(inputs) }
}

fn change(own: &Own, wanted: &impl Databag) -> Option<(RelationId, Bag)> {
    let changes = wanted.changes(own.bag.as_ref()?);
    (!changes.is_empty()).then(|| (own.id.clone(), changes))
}

/// The worst condition, the first of equals: this is the order in which an operator should go
/// about them. Every message is one sentence that ends with the command to run, if one helps.
fn status(inputs: &Inputs) -> Status {
    let app = &inputs.app;
    let conditions = [
        inputs.database.is_none().then(|| missing(app, "database", "postgresql-k8s:database")),
        (!inputs.certificates).then(|| missing(app, "certificates", "self-signed-certificates")),
        options(inputs),
        inputs.database.as_ref().and_then(database),
    ];
    Status::worst(conditions.into_iter().flatten()).unwrap_or_else(|| {
        Status::blocked(&format!(
            "this revision of the charm checks relations and options but does not start the \
             services; run: juju refresh {app}"
        ))
    })
}

fn missing(app: &str, endpoint: &str, provider: &str) -> Status {
    Status::blocked(&format!(
        "missing relation: {endpoint}; run: juju integrate {app}:{endpoint} {provider}"
    ))
}

fn options(inputs: &Inputs) -> Option<Status> {
    let app = &inputs.app;
    match &inputs.config {
        Err(wrong) => {
            let (option, reason) = (&wrong.option, &wrong.reason);
            Some(Status::blocked(&format!(
                "option {option} is wrong: {reason}; run: juju config {app} {option}=<value>"
            )))
        }
        Ok(config) => route_conflict(inputs, config).or_else(|| login(inputs, config)),
    }
}

fn route_conflict(inputs: &Inputs, config: &Config) -> Option<Status> {
    if !inputs.traefik_route {
        return None;
    }
    let conflict = route::conflict(config)?;
    let app = &inputs.app;
    Some(Status::blocked(&format!(
        "{conflict}; run: juju config {app} cluster-connector-port=<another port>"
    )))
}

/// Without an identity provider nobody can log in.
fn login(inputs: &Inputs, config: &Config) -> Option<Status> {
    let app = &inputs.app;
    let reason = match (&config.oidc_issuer, &config.oidc_client_id) {
        _ if inputs.oauth => return None,
        (Some(_), Some(_)) => return None,
        (Some(_), None) => format!(
            "OIDC is not configured: option oidc-client-id is not set; run: juju config {app} \
             oidc-client-id=<client id>"
        ),
        (None, Some(_)) => format!(
            "OIDC is not configured: option oidc-issuer is not set; run: juju config {app} \
             oidc-issuer=<URL>"
        ),
        (None, None) => format!(
            "OIDC is not configured; run: juju integrate {app}:oauth hydra, or: juju config {app} \
             oidc-issuer=<URL> oidc-client-id=<client id>"
        ),
    };
    Some(Status::blocked(&reason))
}

fn database(database: &Database) -> Option<Status> {
    match &database.answer {
        Ok(Some(answer)) if answer.is_answered() => None,
        Ok(_) => Some(Status::waiting("waiting for database: the provider is still preparing it")),
        Err(error) => Some(Status::blocked(&format!(
            "unusable data in relation {}: {error}; check the provider with: juju status --relations",
            database.own.id
        ))),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
