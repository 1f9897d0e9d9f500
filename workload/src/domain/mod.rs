//! What the product does. It knows no HTTP and no SQL: handlers call it, it calls the store. Transactions begin here.

pub mod access_tokens;
pub mod audit;
pub mod clusters;
mod conflicts;
pub mod dropped_metrics;
pub mod enrol;
mod error;
pub mod fleet;
pub mod freshness;
pub mod heartbeat;
pub mod history;
pub mod join_tokens;
pub mod leave;
pub mod sessions;
pub mod status;
pub mod takeover;
pub mod tunnels;
pub mod warnings;

pub use error::Error;
