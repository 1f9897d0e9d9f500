//! All SQL. One file per table; rows become model types here and nowhere else.
//!
//! Invariants: statements are literals and values are parameters; a lookup that finds nothing is `None`, an error is
//! PostgreSQL's or ours, never the caller's; where a transaction begins and ends is decided in `domain`.

pub mod access_tokens;
pub mod audit;
pub mod cluster_warnings;
pub mod clusters;
mod error;
pub mod fleet;
pub mod fleet_history;
pub mod heartbeats;
pub mod history;
pub mod join_tokens;
pub mod master_keys;
mod migrate;
pub mod notifications;
mod pool;
mod privileges;
pub mod purge;
pub mod session_verification;
pub mod sessions;
mod statement;
pub mod status;
pub mod takeover;
pub mod tunnels;

pub use error::StoreError;
pub use migrate::{MigrationLock, newest_version};
pub use pool::{Connection, Pool};
pub use privileges::Terms;
pub use statement::{begin, commit, commit_unpooled};
