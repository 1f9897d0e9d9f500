//! All SQL. One file per table; rows become model types here and nowhere else.
//!
//! Invariants: statements are literals and values are parameters; a lookup that finds nothing is `None`, an error is
//! PostgreSQL's or ours, never the caller's; no transaction begins here.

pub mod access_tokens;
pub mod clusters;
mod error;
pub mod heartbeats;
pub mod join_tokens;
mod migrate;
pub mod notifications;
mod pool;
pub mod purge;
pub mod sessions;
mod statement;
pub mod tunnels;

pub use error::StoreError;
pub use migrate::migrate;
pub use pool::{Connection, Pool};
