//! Actions that operators run.

use ops::{Model, ToolError};

use crate::{decide, observe};

/// Makes a join token for a cluster.
pub const ENROLL_CLUSTER: &str = "enroll-cluster";
/// Shows what the unit thinks of itself.
pub const GET_STATUS: &str = "get-status";
/// Replaces the private key of the relation `certificates`.
pub const ROTATE_CERTIFICATE_KEY: &str = "rotate-certificate-key";

/// All actions, as `charmcraft.yaml` declares them. A test compares the two.
pub const ALL: [&str; 3] = [ENROLL_CLUSTER, GET_STATUS, ROTATE_CERTIFICATE_KEY];

/// Runs the action `name`. What goes wrong is told as the action's failure, with a sentence for the
/// operator; the program ends well.
///
/// # Errors
///
/// [`ToolError`] if even that cannot be told.
pub fn run(model: &Model<'_>, name: &str) -> Result<(), ToolError> {
    let app = model.app();
    match name {
        GET_STATUS => match observe::observe(model) {
            Ok(inputs) => {
                let status = decide::decide(&inputs).status;
                model.set_action_results(&[
                    ("status", status.kind().as_str()),
                    ("message", status.message()),
                ])
            }
            Err(error) => model.fail_action(&error.to_string()),
        },
        ENROLL_CLUSTER | ROTATE_CERTIFICATE_KEY => model.fail_action(&format!(
            "this revision of the charm does not start the services that {name} needs; run: juju \
             refresh {app}"
        )),
        other => model.fail_action(&format!(
            "this revision of the charm has no action {other}; run: juju actions {app}"
        )),
    }
}
