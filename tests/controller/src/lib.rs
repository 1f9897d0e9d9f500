//! A Juju controller for tests.
//!
//! [`Controller`] keeps one model with one application: units, relations, databags, secrets and
//! leadership. It brings events to the charm as Juju does: by starting the real `dispatch` program with
//! an environment made from nothing and hook tools in its `PATH`, or, where a test needs thousands of
//! events, by calling the charm's code. Both ways hook tools are answered by `ops::testing`, pending
//! writes are applied when a hook ends well and dropped when it does not, and what a write makes Juju
//! do (other units' hooks, the remote charms' answers) follows.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "for tests only"
)]

mod controller;
mod cost;
mod events;
mod model;
mod remotes;
mod runner;
pub mod wire;

pub use controller::{ActionOutcome, Controller};
pub use cost::{Cost, cost_of_starting_a_tool};
pub use model::{Relation, Unit};
pub use remotes::{Authority, Remote, RemoteData};
pub use runner::{KnownKeys, Run, Runner};
