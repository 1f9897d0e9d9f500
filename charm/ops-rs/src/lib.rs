//! Juju charms in Rust: one dispatch as one typed event, hook tools behind a trait.
//!
//! Juju starts a charm's `dispatch` program once per hook or action, with everything about the
//! occasion in the environment, and waits for it to end. This crate turns that environment into a
//! [`Dispatch`], and gives typed access to the model through Juju's hook tools ([`Model`]) and to
//! the workload through Pebble ([`pebble`]). It is synchronous and small: a dispatch is a short program, and Juju runs one at a time.
//!
//! A charm built on it reads its inputs, decides purely, and writes only differences:
//!
//! ```
//! use ops::testing::{MemoryTools, State};
//! use ops::{Dispatch, Endpoint, Model, Status};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "kebab-case", default)]
//! struct Config { greeting: Option<String> }
//! # impl Default for Config { fn default() -> Self { Self { greeting: None } } }
//!
//! const DATABASE: Endpoint = Endpoint::new("database");
//!
//! fn decide(config: &Config, databases: usize) -> Status {
//!     match (&config.greeting, databases) {
//!         (None, _) => Status::blocked("option greeting is not set"),
//!         (_, 0) => Status::blocked("missing relation: database"),
//!         (Some(_), _) => Status::active(""),
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tools = MemoryTools::new(State::default().with_config("greeting", "hello"));
//! let dispatch = Dispatch::from_vars(ops::testing::hook_environment("config-changed", "demo/0"))?;
//! let model = Model::new(&tools, &dispatch);
//! let status = decide(&model.config()?, model.relations(&DATABASE)?.len());
//! model.set_unit_status(&status)?;
//! assert_eq!(tools.commit().unit_status, Status::blocked("missing relation: database"));
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - No shell: hook tools are started directly, data goes through standard input, and free text
//!   comes after `--`.
//! - Secrets travel in files that only this user can read, and have no `Debug` that shows them.
//! - Writing to an application's databag needs a [`Leader`], which only [`Model::leader`] gives.
//! - Errors name the tool, the option or the variable, never the content.

#![deny(missing_docs)]

mod charm;
mod config;
pub mod dispatch;
mod ids;
pub mod log;
pub mod model;
pub mod pebble;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tools;

/// The examples of the README, held against the crate.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub use charm::{Charm, CharmError, run, run_with};
pub use config::ConfigError;
pub use dispatch::{Dispatch, DispatchError, Event};
pub use ids::{AppName, Endpoint, InvalidName, RelationId, SecretId, UnitName};
pub use model::{Leader, Model};
pub use status::{Status, StatusKind};
pub use tools::secret_calls::{SecretContent, SecretRef};
pub use tools::{HookTools, ProcessTools, Tool, ToolError};
