//! Third step: write what differs.

use ops::{Model, ToolError};

use crate::decide::Desired;

/// Makes the model as it should be. Databags first: they are written when the hook ends, and a
/// status is written at once.
///
/// # Errors
///
/// [`ToolError`].
pub fn apply(model: &Model<'_>, desired: &Desired) -> Result<(), ToolError> {
    if let Some(leader) = model.leader()? {
        for (id, changes) in &desired.changes {
            let _ = model.write_app_data(&leader, id, changes)?;
        }
    }
    let _ = model.set_unit_status(&desired.status)?;
    Ok(())
}
