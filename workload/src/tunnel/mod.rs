//! Reverse tunnels: requests to clusters behind NAT, over web sockets that the clusters open.
//!
//! Requests come in and answers go out in types of the `http` crate; nothing here knows the web framework. Invariants:
//!
//! - A cluster has at most one tunnel, on one unit; whoever opened later wins. The database decides (`keeper.rs`).
//! - One request at a time goes to a cluster; answers are matched per socket and by random ids (`exchange.rs`).
//! - A frame carries method, path, query, body, and of all headers at most the operator's access token and one LXD session
//!   (`frame.rs`). An answer is data: status, body, content type and entity tag, nothing that could direct a browser.
//! - Whatever a cluster does or leaves undone, memory and time are bounded, and the other clusters do not notice.

mod budget;
mod client;
mod connection;
mod exchange;
pub mod frame;
pub mod hop;
mod keeper;
mod path;
mod registry;
mod sessions;

pub use client::HopClient;
pub use connection::{Closing, Ended};
pub use frame::{Answer, Request};
pub use keeper::Keeper;
pub use path::{InvalidPath, TunnelPath};
pub use registry::{MAX_TUNNELS, Room, Tunnels};
pub use sessions::LxdSessions;

/// Why a request got no answer of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The cluster's tunnel is not here (any more).
    #[error("the cluster has no tunnel at this unit")]
    NoTunnel,
    /// Too many requests wait for this cluster.
    #[error("too many requests are waiting for this cluster")]
    Busy,
    /// The cluster was busy with other requests for 30 s.
    #[error("the cluster was busy with other requests for too long")]
    Waited,
    /// No answer came within 30 s.
    #[error("the cluster did not answer in time")]
    NoAnswer,
    /// The tunnel ended before the answer came.
    #[error("the cluster's tunnel broke off")]
    Broken,
    /// The answer cannot be passed on.
    #[error("the cluster's answer cannot be used")]
    Nonsense,
    /// The database cannot say whether the cluster is still enrolled.
    #[error("the database is not available, try again later")]
    Unavailable,
    /// The unit that holds the tunnel cannot be reached.
    #[error("the unit with the cluster's tunnel cannot be reached")]
    Unreachable,
}

impl RequestError {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoTunnel,
        Self::Busy,
        Self::Waited,
        Self::NoAnswer,
        Self::Broken,
        Self::Nonsense,
        Self::Unavailable,
        Self::Unreachable,
    ];

    /// A word for metrics and for other units.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoTunnel => "no_tunnel",
            Self::Busy => "busy",
            Self::Waited => "waited",
            Self::NoAnswer => "no_answer",
            Self::Broken => "broken",
            Self::Nonsense => "nonsense",
            Self::Unavailable => "unavailable",
            Self::Unreachable => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests;
