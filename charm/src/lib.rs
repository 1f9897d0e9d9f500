//! The charm `microcloud-cluster-manager-k8s`.
//!
//! Juju starts the program `dispatch` for every hook and action. Each run does the same three
//! things, whatever the event:
//!
//! 1. [`observe`]: read configuration, relations and databags into a plain [`observe::Inputs`];
//! 2. [`decide`]: a pure function from there to a [`decide::Desired`]: databags and status;
//! 3. [`apply`]: write what differs.
//!
//! What it does today: it checks options and relations, asks the database charm for its database and the
//! CA provider for its certificates, and tells the operator the next command in the status. What
//! it will hold, in the same three steps: the certificate request and the long-lived identity of
//! the connector, the routes, the Pebble layer and files of the two services, ports, dashboards,
//! rules, log and trace targets, and the actions that talk to the workload. The three steps take
//! more inputs and outputs then; their shape stays.
//!
//! # Invariants
//!
//! - A hook ends with 0 unless Juju itself fails: wrong options, missing relations and unusable
//!   databags are statuses. For actions every failure is the action's.
//! - Nothing confidential is in a status, a log line or a databag.
//! - Only the leader writes application databags, and only when they differ.

pub mod actions;
pub mod apply;
pub mod config;
pub mod decide;
pub mod endpoints;
pub mod observe;
mod route;

use ops::{Dispatch, Event, HookTools, Model, ToolError};

/// One run of the charm.
///
/// # Errors
///
/// [`ToolError`] if Juju does not do what it should; a hook is retried then.
pub fn run(tools: &dyn HookTools, dispatch: &Dispatch) -> Result<(), ToolError> {
    let model = Model::new(tools, dispatch);
    if let Event::Action { name, .. } = &dispatch.event {
        return actions::run(&model, name);
    }
    let inputs = observe::observe(&model)?;
    apply::apply(&model, &decide::decide(&inputs))
}
