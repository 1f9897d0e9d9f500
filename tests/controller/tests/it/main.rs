//! Whole stories of the charm with its real program, and what holds in all of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

mod actions;
mod hostile;
mod libraries;
mod names;
mod options;
mod order;
mod refresh;
mod secrets;
mod sentences;
mod status;
mod stories;
mod tracing;

use controller::{Authority, Controller, Remote, Runner};
use serde_json::{Value, json};

const TOOL: &str = env!("CARGO_BIN_EXE_hook-tool");

/// What an operator sets for a deployment with login by options.
fn options() -> Vec<(&'static str, Value)> {
    vec![
        ("management-api-domain", json!("manager.example.com")),
        ("cluster-connector-domain", json!("clusters.example.com")),
        ("oidc-issuer", json!("https://iam.example.com")),
        ("oidc-client-id", json!("mcm")),
    ]
}

fn postgresql() -> Remote {
    Remote::postgresql("postgresql-k8s-primary.db:5432", "relation_id_4", "canary-database", 1)
}

/// A deployment with one unit that works.
fn deployed(runner: Runner) -> Controller {
    let mut juju = Controller::new(runner);
    juju.deploy(&options());
    juju.integrate("database", postgresql());
    juju.integrate("certificates", Authority::default().charm());
    assert_eq!(juju.status(0), "active: ");
    juju
}

/// A file that the charm keeps in the container of a unit.
fn file(juju: &Controller, unit: u32, name: &str) -> Option<String> {
    juju.container(unit).file(&format!("/var/lib/microcloud-cluster-manager/{name}"))
}

fn environment<'a>(plan: &'a Value, service: &str, name: &str) -> &'a str {
    plan["services"][service]["environment"][name].as_str().unwrap_or_default()
}
