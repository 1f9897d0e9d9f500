//! Rate limits: who may ask how often.
//!
//! Invariants:
//!
//! - **Whose bucket it is, only the transport decides**: the address of the peer (IPv4 /32, IPv6 /64) or the fingerprint of the
//!   certificate whose key the TLS handshake proved. No header is ever read.
//! - **Nobody pays for others.** An enrolled cluster has a bucket of its own, wherever it comes from. A certificate that is not
//!   enrolled costs its owner nothing to make, so it never gets a bucket: what such requests use up is charged to the address
//!   that they come from. See [`Clusters`].
//! - **Memory is bounded by construction.** Tables have a fixed capacity and keys a fixed size; a full table refuses nobody, it
//!   forgets the bucket that is the fullest. See `table.rs`.
//! - **A refusal is cheap and honest**: no lookup, 429, and `Retry-After` is the time to the next token of that very bucket.
//!
//! Behind a balancer that passes TCP through, every client has the balancer's address. Where the address is not known to be the
//! client's own ([`Peers`]), limits per address do not apply and those per unit do.

mod anonymous;
mod clusters;
mod limiter;
mod newcomers;
mod peers;
mod table;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use anonymous::Anonymous;
pub use clusters::{Clusters, Joined, is_known};
pub use governor::clock::MonotonicClock;
pub use limiter::{Limiter, Refused};
pub use newcomers::Newcomers;
pub use peers::{PeerNetwork, Peers, Unit};

/// How many requests or connections a limit refused so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    /// What is limited: `joins`, `preflights`, `clusters`, `strangers`, `anonymous`, `logins`, `logouts`, `connections`.
    pub limit: &'static str,
    /// Whose bucket was empty: `cluster`, `address`, `unit`.
    pub scope: &'static str,
    /// How many.
    pub count: u64,
}

/// How many clients a table remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// What is limited, as in [`Refusals`]; `known`: the certificates that are taken for enrolled.
    pub limit: &'static str,
    /// What the clients are: `cluster`, `address`.
    pub scope: &'static str,
    /// How many.
    pub count: usize,
}

/// What keeps buckets.
pub trait Limit: Send + Sync {
    /// The refusals so far, by scope.
    fn refusals(&self) -> Vec<Refusals>;

    /// How full the tables are.
    fn remembered(&self) -> Vec<Remembered>;

    /// Drops the clients whose bucket has been full for the client active interval. Nobody notices: a client that is not known
    /// begins with a full bucket.
    fn forget_idle(&self);
}

/// Looks for clients to forget once per `interval` until `stop`.
pub async fn forget_regularly(
    tables: Vec<Arc<dyn Limit>>,
    interval: Duration,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        for table in &tables {
            table.forget_idle();
        }
    }
}
