//! The charm `microcloud-cluster-manager-k8s`.
//!
//! Juju starts the program `dispatch` for every hook and action. Each run does the same, whatever
//! the event:
//!
//! 1. [`observe`]: read configuration, relations, databags, secrets and the container into a plain
//!    [`observe::Inputs`];
//! 2. [`custody`]: on the leader, make and renew what all units share: keys and certificates;
//! 3. [`decide`]: a pure function from there to a [`decide::Desired`]: databags, ports, files, the Pebble
//!    layer, status;
//! 4. [`apply`]: write what differs.
//!
//! # Invariants
//!
//! - A hook ends with 0 unless Juju itself fails: wrong options, missing relations, unusable
//!   databags and a container that is away are statuses. For actions every failure is the action's.
//! - Nothing confidential is in a status, a log line, a databag or the Pebble plan: secrets are Juju
//!   secrets outside the container, and files that only their owner can read inside.
//! - Only the leader writes application databags and shared secrets, and only when they differ.
//! - The certificate that clusters pin changes by an operator's word only.

pub mod actions;
pub mod addresses;
pub mod apply;
pub mod config;
pub mod cos;
pub mod custody;
pub mod decide;
pub mod endpoints;
pub mod login;
pub mod observe;
pub mod pinned;
pub mod pki;
mod route;
pub mod shared;
pub mod status;
pub mod surroundings;
mod trace;
pub mod workload;

use ops::{Charm, CharmError, Model};

use observe::Inputs;
use pki::{Mint, RealMint};
use surroundings::Surroundings;
use trace::Trace;

/// Name of the charm.
pub const CHARM: &str = "microcloud-cluster-manager-k8s";

/// Name of the workload container.
pub const CONTAINER: &str = "microcloud-cluster-manager";

/// The charm.
pub struct Manager {
    surroundings: Surroundings,
    mint: Box<dyn Mint>,
}

impl Manager {
    /// The charm in its surroundings.
    #[must_use]
    pub fn new(surroundings: Surroundings) -> Self {
        Self::with_mint(surroundings, Box::new(RealMint))
    }

    /// The charm with fresh keys from `mint`.
    #[must_use]
    pub fn with_mint(surroundings: Surroundings, mint: Box<dyn Mint>) -> Self {
        Self { surroundings, mint }
    }

    /// Observes, does `work` with what it has seen, and sends the trace of it all.
    fn traced(
        &self,
        model: &Model<'_>,
        work: impl FnOnce(Inputs, &mut Trace) -> Result<(), CharmError>,
    ) -> Result<(), CharmError> {
        let mut trace = Trace::default();
        let inputs = trace.step("observe", || observe::observe(model, &self.surroundings))?;
        trace.aim(&inputs);
        let outcome = work(inputs, &mut trace);
        trace.send(model, self.surroundings.now, outcome.is_err());
        outcome
    }

    /// From what is known to where everything should be.
    fn settle(
        &self,
        model: &Model<'_>,
        mut inputs: Inputs,
        trace: &mut Trace,
    ) -> Result<(), CharmError> {
        trace.step("custody", || {
            let custody = custody::next(&inputs, self.mint.as_ref())?;
            apply::keep(model, &mut inputs, custody)
        })?;
        let desired = trace.step("decide", || decide::decide(&inputs));
        Ok(trace.step("apply", || apply::apply(model, &inputs, &desired))?)
    }
}

impl Charm for Manager {
    fn reconcile(&self, model: &Model<'_>) -> Result<(), CharmError> {
        self.traced(model, |inputs, trace| self.settle(model, inputs, trace))
    }

    fn action(&self, model: &Model<'_>, name: &str) -> Result<(), CharmError> {
        self.traced(model, |inputs, trace| actions::run(self, model, inputs, name, trace))
    }
}
