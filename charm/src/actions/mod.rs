//! Actions that operators run.

mod connector;
mod program;

use ops::{CharmError, Model};

use crate::custody::Custody;
use crate::observe::{ContainerState, Inputs};
use crate::pki::Leaf;
use crate::shared::Certificates;
use crate::trace::Trace;
use crate::{Manager, apply, status};

/// Makes a join token for a cluster.
pub const ENROLL_CLUSTER: &str = "enroll-cluster";
/// Shows what the unit thinks of itself.
pub const GET_STATUS: &str = "get-status";
/// Replaces the private key of the relation `certificates`.
pub const ROTATE_CERTIFICATE_KEY: &str = "rotate-certificate-key";
/// Replaces the certificate that clusters pin, in two steps.
pub const ROTATE_CONNECTOR_CERTIFICATE: &str = "rotate-connector-certificate";

/// Lists the enrolled clusters.
pub const LIST_CLUSTERS: &str = "list-clusters";
/// Looks at what the earlier product left in the database, or takes it over.
pub const TAKEOVER: &str = "takeover";

/// All actions, as `charmcraft.yaml` declares them. A test compares the two.
pub const ALL: [&str; 6] = [
    ENROLL_CLUSTER,
    GET_STATUS,
    LIST_CLUSTERS,
    ROTATE_CERTIFICATE_KEY,
    ROTATE_CONNECTOR_CERTIFICATE,
    TAKEOVER,
];

/// Runs the action `name`.
///
/// # Errors
///
/// [`CharmError`] with a sentence for the operator.
pub(crate) fn run(
    manager: &Manager,
    model: &Model<'_>,
    inputs: Inputs,
    name: &str,
    trace: &mut Trace,
) -> Result<(), CharmError> {
    match name {
        ENROLL_CLUSTER => trace.step("command", || program::enroll(model, &inputs)),
        GET_STATUS => get_status(model, &inputs),
        LIST_CLUSTERS => trace.step("command", || program::list_clusters(model, &inputs)),
        TAKEOVER => trace.step("command", || program::takeover(model, &inputs)),
        ROTATE_CERTIFICATE_KEY => rotate_certificate_key(manager, model, inputs, trace),
        ROTATE_CONNECTOR_CERTIFICATE => connector::rotate(manager, model, inputs, trace),
        other => Err(format!(
            "this revision of the charm has no action {other}; run: juju actions {}",
            inputs.app
        )
        .into()),
    }
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
    trace: &mut Trace,
) -> Result<(), CharmError> {
    only_the_leader(&inputs, ROTATE_CERTIFICATE_KEY)?;
    let kept = inputs.shared.certificates.content().cloned();
    let kept = kept.ok_or("there is no certificate yet")?;
    // What is served stays until the new certificate has come.
    let fresh = Certificates { key: manager.mint.rsa_key()?.into(), request: None, ..kept };
    let custody = Custody { certificates: Some(fresh), ..Custody::default() };
    apply::keep(model, &mut inputs, custody)?;
    manager.settle(model, inputs, trace)?;
    let note = "A new key is made and a certificate for it is requested. The present certificate is \
                served until the new one comes. What clusters pin stays as it is.";
    Ok(model.set_action_results(&[("note", note)])?)
}
