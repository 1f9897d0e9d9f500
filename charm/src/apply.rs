//! Last step: write what differs.

use ops::log::Level;
use ops::pebble::{Pebble, PebbleError};
use ops::{CharmError, Leader, Model, SecretId, Status, StatusKind, ToolError};
use relations::SecretUri;

use crate::custody::Custody;
use crate::decide::{Desired, LOG_LABEL};
use crate::observe::{ContainerState, Inputs, LEGACY_PREFIX, Legacy};
use crate::pki;
use crate::shared::{CERTIFICATES_LABEL, CONNECTOR_LABEL, Content, Kept, MASTER_KEY_LABEL, same};
use crate::{CONTAINER, status, workload};

/// Writes the secrets that the units share, and takes them over into what is known: their identifiers
/// are valid at once, and all of it takes effect when the hook ends well.
///
/// # Errors
///
/// [`ToolError`].
pub fn keep(model: &Model<'_>, inputs: &mut Inputs, custody: Custody) -> Result<(), CharmError> {
    let Some(leader) = model.leader()? else { return Ok(()) };
    let shared = &mut inputs.shared;
    keep_one(model, leader, MASTER_KEY_LABEL, &mut shared.master_key, custody.master_key)?;
    keep_one(model, leader, CERTIFICATES_LABEL, &mut shared.certificates, custody.certificates)?;
    keep_one(model, leader, CONNECTOR_LABEL, &mut shared.connector, custody.connector)?;
    Ok(())
}

fn keep_one<T: Content>(
    model: &Model<'_>,
    leader: Leader<'_>,
    label: &str,
    kept: &mut Kept<T>,
    wanted: Option<T>,
) -> Result<(), CharmError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let content = wanted.write();
    let uri = match &*kept {
        Kept::Unreadable => return Ok(()),
        Kept::Absent => {
            let id = model.add_secret(&leader, label, &content)?;
            SecretUri::parse(id.as_str()).ok_or("Juju gave a secret an identifier of a new form")?
        }
        Kept::Here(uri, present) => {
            if !same(&present.write(), &content) {
                model.set_secret(&leader, &SecretId::new(uri.as_str()), &content)?;
            }
            uri.clone()
        }
    };
    *kept = Kept::Here(uri, wanted);
    Ok(())
}

/// Makes model and container as they should be. The container first: what is done there cannot be
/// taken back if the hook fails, and is done again by the next one.
///
/// # Errors
///
/// [`ToolError`]. A container that is not there, or that refuses, is a status.
pub fn apply(model: &Model<'_>, inputs: &Inputs, desired: &Desired) -> Result<(), ToolError> {
    let problem = if inputs.leaving { None } else { container(model, inputs, desired) };
    let leader = model.leader()?;
    for write in &desired.writes {
        let _ = match &leader {
            Some(leader) if write.app => model.write_app_data(leader, &write.id, &write.changes)?,
            _ if write.app => continue,
            _ => model.write_unit_data(&write.id, &write.changes)?,
        };
    }
    if let Some(legacy) = &inputs.legacy {
        forget_legacy(model, inputs, legacy)?;
    }
    if inputs.leaving {
        return Ok(());
    }
    let _ = model.set_ports(&desired.ports)?;
    let after = match desired.status.kind() {
        StatusKind::Active => ContainerState::read(&inputs.surroundings),
        _ => None,
    };
    let status = status::with_container(desired.status.clone(), &inputs.app, after.as_ref());
    let _ = model.set_unit_status(&problem.unwrap_or(status))?;
    Ok(())
}

/// Brings the container to where it should be; a status if that does not work.
fn container(model: &Model<'_>, inputs: &Inputs, desired: &Desired) -> Option<Status> {
    let state = inputs.container.as_ref()?;
    match change_container(inputs, state, desired) {
        Ok(()) => None,
        Err(error) if error.is_not_ready() => {
            Some(Status::maintenance("waiting for the workload container"))
        }
        Err(error) => {
            model.log(Level::Error, error.to_string());
            let app = &inputs.app;
            Some(Status::maintenance(&format!(
                "the services cannot be started; to see why, run: juju debug-log --include {app}"
            )))
        }
    }
}

fn change_container(
    inputs: &Inputs,
    state: &ContainerState,
    desired: &Desired,
) -> Result<(), PebbleError> {
    let pebble = Pebble::in_folder(&inputs.surroundings.containers, CONTAINER);
    let _ = pebble.add_layer_if_changed(LOG_LABEL, &desired.logs, &state.plan)?;
    let Some(wanted) = &desired.workload else { return Ok(()) };
    let known = |name: &&str| state.services.iter().any(|service| service.name == *name);
    let stop: Vec<&str> = desired.stop.iter().copied().filter(known).collect();
    let starts = desired.stop.len() < workload::BOTH.len();
    pebble.write_files(&wanted.files)?;
    if starts || !stop.is_empty() {
        let _ = pebble.add_layer_if_changed(workload::LABEL, &wanted.layer, &state.plan)?;
    }
    // Before the others start: Pebble would start those anew whose settings have changed.
    if !stop.is_empty() {
        pebble.stop(&stop, workload::replan_time(inputs))?;
    }
    if starts {
        pebble.replan(workload::replan_time(inputs))?;
    }
    for path in &wanted.without {
        pebble.remove_file(path)?;
    }
    Ok(())
}

/// What the Python charm has left goes once its certificate is the application's.
fn forget_legacy(model: &Model<'_>, inputs: &Inputs, legacy: &Legacy) -> Result<(), ToolError> {
    let kept = &inputs.shared;
    if kept.connector.content().is_none() || kept.certificates.content().is_none() {
        return Ok(());
    }
    let _ = model.remove_secret_labelled(&legacy.label)?;
    let unit = inputs.unit.number();
    if let Some(request) = &legacy.request {
        let hash = pki::fingerprint(request.as_bytes());
        for label in [
            format!("{LEGACY_PREFIX}-certificate-{unit}-{hash}"),
            format!("{LEGACY_PREFIX}-certificate-{unit}-certificates-{hash}"),
        ] {
            let _ = model.remove_secret_labelled(&label)?;
        }
    }
    if let Some(certificates) = &inputs.certificates {
        let gone = [("certificate_signing_requests".to_owned(), String::new())].into();
        let _ = model.write_unit_data(&certificates.own.id, &gone)?;
    }
    model.log(Level::Info, "took over the certificate that clusters have pinned");
    Ok(())
}
