//! The driver: from Juju's environment to an exit code.

use std::error::Error;
use std::process::ExitCode;

use crate::dispatch::{Dispatch, Event};
use crate::log::Level;
use crate::model::Model;
use crate::tools::{HookTools, ProcessTools, ToolError};

/// What stops a dispatch. A hook that ends with it is run again by Juju, so it is for bugs and for a
/// Juju that does not answer; whatever an operator can change belongs into a status.
pub type CharmError = Box<dyn Error>;

/// A charm. Every hook runs the same function; which event it was is in [`Model::dispatch`].
pub trait Charm {
    /// Brings everything to where it should be.
    ///
    /// # Errors
    ///
    /// [`CharmError`]; Juju drops what the hook has written and runs it again.
    fn reconcile(&self, model: &Model<'_>) -> Result<(), CharmError>;

    /// Runs the action `name`.
    ///
    /// # Errors
    ///
    /// [`CharmError`] becomes the action's failure, with its text for the operator.
    fn action(&self, model: &Model<'_>, name: &str) -> Result<(), CharmError> {
        let _ = model;
        Err(format!("this charm has no action {name}").into())
    }
}

/// Runs `charm` for the event in this process's environment: the whole `main` of a charm.
pub fn run(charm: &dyn Charm) -> ExitCode {
    let outcome = Dispatch::from_env()
        .map_err(CharmError::from)
        .and_then(|dispatch| run_with(charm, &ProcessTools::from_path(), &dispatch));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Juju's log takes standard error as warnings of this unit.
            eprintln!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs `charm` for `dispatch` with `tools`.
///
/// # Errors
///
/// [`CharmError`] if a hook fails, or if the failure of an action cannot even be told.
pub fn run_with(
    charm: &dyn Charm,
    tools: &dyn HookTools,
    dispatch: &Dispatch,
) -> Result<(), CharmError> {
    let model = Model::new(tools, dispatch);
    let outcome = match &dispatch.event {
        Event::Action { name, .. } => match charm.action(&model, name) {
            Ok(()) => Ok(()),
            Err(error) => model.fail_action(&chain(error.as_ref())).map_err(CharmError::from),
        },
        _ => charm.reconcile(&model),
    };
    if let Err(error) = &outcome
        && error.downcast_ref::<ToolError>().is_none_or(|error| error.failure().is_some())
    {
        model.log(Level::Error, chain(error.as_ref()));
    }
    model.flush_log();
    outcome
}

/// An error with its sources on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
