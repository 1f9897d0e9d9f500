//! Actions that operators run.

use std::time::Duration;

use ops::pebble::{Exec, Pebble};
use ops::{CharmError, Model};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::addresses::Addresses;
use crate::custody::{self, Custody};
use crate::observe::{ContainerState, Inputs};
use crate::pki::{self, Leaf};
use crate::shared::{Certificates, Connector};
use crate::{CONTAINER, Manager, apply, status, workload};

/// Makes a join token for a cluster.
pub const ENROLL_CLUSTER: &str = "enroll-cluster";
/// Shows what the unit thinks of itself.
pub const GET_STATUS: &str = "get-status";
/// Replaces the private key of the relation `certificates`.
pub const ROTATE_CERTIFICATE_KEY: &str = "rotate-certificate-key";
/// Replaces the certificate that clusters pin, in two steps.
pub const ROTATE_CONNECTOR_CERTIFICATE: &str = "rotate-connector-certificate";

/// All actions, as `charmcraft.yaml` declares them. A test compares the two.
pub const ALL: [&str; 4] =
    [ENROLL_CLUSTER, GET_STATUS, ROTATE_CERTIFICATE_KEY, ROTATE_CONNECTOR_CERTIFICATE];

/// Longest time for a command in the workload.
const COMMAND: Duration = Duration::from_secs(30);

/// Runs the action `name`.
///
/// # Errors
///
/// [`CharmError`] with a sentence for the operator.
pub fn run(manager: &Manager, model: &Model<'_>, name: &str) -> Result<(), CharmError> {
    let inputs = manager.observe(model)?;
    match name {
        ENROLL_CLUSTER => enroll(model, &inputs),
        GET_STATUS => get_status(model, &inputs),
        ROTATE_CERTIFICATE_KEY => rotate_certificate_key(manager, model, inputs),
        ROTATE_CONNECTOR_CERTIFICATE => rotate_connector(manager, model, inputs),
        other => Err(format!(
            "this revision of the charm has no action {other}; run: juju actions {}",
            inputs.app
        )
        .into()),
    }
}

#[derive(Deserialize)]
struct Enroll {
    cluster: String,
}

fn enroll(model: &Model<'_>, inputs: &Inputs) -> Result<(), CharmError> {
    let Enroll { cluster } = model.action_parameters()?;
    if !is_cluster_name(&cluster) {
        return Err(
            "the name of a cluster has 1 to 63 letters, digits, '-', '_' and '.', and begins \
                    and ends with a letter or a digit"
                .into(),
        );
    }
    // The service knows the fingerprint that goes into the token: without it there is no token.
    let state = inputs.container.as_ref().ok_or("the workload container is not ready")?;
    let serves = |name: &str| {
        let found = state.services.iter().find(|service| service.name == name);
        found.is_some_and(ops::pebble::ServiceInfo::is_active)
    };
    if !serves(workload::MANAGEMENT) || !serves(workload::CONNECTOR) {
        let app = &inputs.app;
        return Err(
            format!("the services are not running; to see why, run: juju status {app}").into()
        );
    }
    let command = vec![inputs.surroundings.program(), "enroll".to_owned(), cluster.clone()];
    let exec = Exec {
        command,
        service_context: Some(workload::MANAGEMENT.to_owned()),
        timeout: COMMAND,
        ..Exec::default()
    };
    let output = Pebble::in_folder(&inputs.surroundings.containers, CONTAINER).exec(&exec)?;
    if output.exit_code != 0 {
        let words = output.stderr.expose_secret();
        let reason = words.lines().rev().find_map(|line| line.strip_prefix("Error: "));
        return Err(reason.unwrap_or("the program in the workload failed").into());
    }
    let token = output.stdout.expose_secret().trim().to_owned();
    if token.is_empty() {
        return Err("the program in the workload gave no token".into());
    }
    let token = SecretString::from(token);
    let note = format!(
        "This token is shown once. On the cluster, run: microcloud cluster-manager join <token>. It \
         enrols {cluster} and nothing else."
    );
    Ok(model.set_action_results(&[("token", token.expose_secret()), ("note", &note)])?)
}

/// The rule for new names that the services have; checked here as well, so that no other text gets
/// near a command line.
fn is_cluster_name(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=63).contains(&name.len())
        && name.starts_with(ends)
        && name.ends_with(ends)
        && name.chars().all(inner)
}

fn get_status(model: &Model<'_>, inputs: &Inputs) -> Result<(), CharmError> {
    let state = ContainerState::read(&inputs.surroundings);
    let status = status::with_container(status::status(inputs), &inputs.app, state.as_ref());
    let mut results = vec![
        ("status", status.kind().as_str().to_owned()),
        ("message", status.message().to_owned()),
        ("leader", inputs.leader.to_string()),
    ];
    if let Some(addresses) = inputs.addresses() {
        results.extend(addresses.management_url().map(|url| ("management-url", url)));
        results.extend(addresses.connector.as_ref().map(|host| {
            ("connector-address", format!("{}:{}", host.in_url(), addresses.connector_port))
        }));
    }
    if let Some(fingerprint) = status::connector_fingerprint(inputs) {
        results.push(("connector-fingerprint", fingerprint));
    }
    let pinned = inputs.shared.connector.content().and_then(|kept| Leaf::parse(&kept.pair.chain));
    results.extend(
        pinned.map(|leaf| ("connector-certificate-ends", leaf.not_after.date().to_string())),
    );
    let served = inputs.shared.certificates.content().and_then(|kept| kept.served.as_ref());
    let served = served.and_then(|pair| Leaf::parse(&pair.chain));
    results.extend(served.map(|leaf| ("certificate-ends", leaf.not_after.date().to_string())));
    let results: Vec<(&str, &str)> =
        results.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Ok(model.set_action_results(&results)?)
}

fn only_the_leader(inputs: &Inputs, action: &str) -> Result<(), CharmError> {
    if inputs.leader {
        return Ok(());
    }
    let app = &inputs.app;
    Err(format!("this unit is not the leader; run: juju run {app}/leader {action}").into())
}

fn rotate_certificate_key(
    manager: &Manager,
    model: &Model<'_>,
    mut inputs: Inputs,
) -> Result<(), CharmError> {
    only_the_leader(&inputs, ROTATE_CERTIFICATE_KEY)?;
    let kept = inputs.shared.certificates.content().cloned();
    let kept = kept.ok_or("there is no certificate yet")?;
    // What is served stays until the new certificate has come.
    let fresh = Certificates { key: manager.mint.rsa_key()?.into(), request: None, ..kept };
    let custody = Custody { certificates: Some(fresh), ..Custody::default() };
    apply::keep(model, &mut inputs, custody)?;
    manager.settle(model, inputs)?;
    let note = "A new key is made and a certificate for it is requested. The present certificate is \
                served until the new one comes. What clusters pin stays as it is.";
    Ok(model.set_action_results(&[("note", note)])?)
}

#[derive(Deserialize)]
struct Rotate {
    #[serde(default)]
    confirm: bool,
    #[serde(default, rename = "new-key")]
    new_key: bool,
}

/// Two steps: the first prepares a certificate and tells its fingerprint, the second serves it. Between
/// the two an operator can tell the clusters.
fn rotate_connector(
    manager: &Manager,
    model: &Model<'_>,
    mut inputs: Inputs,
) -> Result<(), CharmError> {
    only_the_leader(&inputs, ROTATE_CONNECTOR_CERTIFICATE)?;
    let Rotate { confirm, new_key } = model.action_parameters()?;
    if custody::serves_relation(&inputs) {
        let app = &inputs.app;
        return Err(format!(
            "clusters see the certificate of the relation certificates; run: juju config {app} \
             connector-certificate=pinned"
        )
        .into());
    }
    let addresses = inputs.addresses().ok_or("the options cannot be read")?;
    let kept = inputs.shared.connector.content().cloned();
    let kept = kept.ok_or("there is no certificate that clusters could have pinned yet")?;
    let old = Leaf::parse(&kept.pair.chain).ok_or("the present certificate cannot be read")?;
    let next = match (&kept.next, confirm) {
        (None, true) => {
            return Err("nothing is prepared: run the action without confirm first".into());
        }
        (Some(next), true) => Connector { pair: next.clone(), next: None },
        _ => prepare(manager, &inputs, &addresses, &kept, new_key)?,
    };
    let served = if confirm { &next.pair } else { next.next.as_ref().unwrap_or(&next.pair) };
    let new = Leaf::parse(&served.chain).ok_or("the new certificate cannot be read")?;
    let custody = Custody { connector: Some(next), ..Custody::default() };
    apply::keep(model, &mut inputs, custody)?;
    let app = inputs.app.clone();
    manager.settle(model, inputs)?;
    let on_clusters =
        format!("microcloud cluster-manager set certificate_fingerprint {}", new.fingerprint);
    let note = if confirm {
        "The new certificate is served. Clusters that still pin the old one are cut off until the \
         command was run on them. Join tokens that were not used are void: make new ones."
            .to_owned()
    } else {
        format!(
            "Nothing has changed yet. Every enrolled cluster pins the present certificate and is cut \
             off by the new one until the command was run on it. To serve the new one, run: juju run \
             {app}/leader {ROTATE_CONNECTOR_CERTIFICATE} confirm=true"
        )
    };
    Ok(model.set_action_results(&[
        ("old-fingerprint", &old.fingerprint),
        ("new-fingerprint", &new.fingerprint),
        ("command-on-each-cluster", &on_clusters),
        ("note", &note),
    ])?)
}

/// The next certificate beside the present one. The key stays unless a new one is asked for, or the
/// present one is not of our making.
fn prepare(
    manager: &Manager,
    inputs: &Inputs,
    addresses: &Addresses,
    kept: &Connector,
    new_key: bool,
) -> Result<Connector, CharmError> {
    let present = kept.pair.key.expose_secret();
    let key = if new_key || !pki::is_p256(present) {
        manager.mint.p256_key()?
    } else {
        present.to_owned()
    };
    let fresh = custody::fresh_connector(inputs, addresses, key)?;
    Ok(Connector { pair: kept.pair.clone(), next: Some(fresh.pair) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_never_get_near_a_command_line() {
        for name in ["a", "microcloud-01", "A.b_c-9", &"x".repeat(63)] {
            assert!(is_cluster_name(name), "{name}");
        }
        for name in
            ["", "$(id)", "; rm", "a\nb", "-x", "x-", "--help", "a b", "é", "a/b", &"x".repeat(64)]
        {
            assert!(!is_cluster_name(name), "{name:?}");
        }
    }
}
