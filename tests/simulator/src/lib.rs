//! A fleet of simulated MicroClouds that behave on the wire as MicroCloud members do.
//!
//! * [`JoinToken`] reads what an operator pastes.
//! * [`Identity`] is the cluster certificate with its key, odd ones for tests included.
//! * [`Member`] is one cluster's client: anonymous preflight, pin check, mutual TLS, join,
//!   heartbeat, leave. [`Connection`] and [`Request`] below it send anything else.
//! * [`Tunnel`] is the member's side of the reverse tunnel, [`Lxd`] what answers behind it, and
//!   [`TunnelManner`] how well it behaves.
//! * [`ClusterModel`] is the state of one cluster, a pure function of seed and time; [`Status`] is
//!   the heartbeat it makes.
//! * [`Fleet`] runs thousands of them; [`Site`] names them, [`Failure`] makes some of them unwell,
//!   [`StateDir`] keeps them over restarts.
//!
//! Like members, the simulator uses a fresh connection for every request, TLS 1.3 only, no ALPN,
//! and takes status 200 and no other for success. Unlike them it closes its connections after an
//! answer and does not use a proxy; [`ClientOptions::leave_connections_open`] gives the former.

#![allow(clippy::doc_markdown, reason = "MicroCloud is the name of a product, not of an item")]

mod client;
mod counters;
mod failure;
mod fleet;
mod identity;
mod lxd;
mod member;
mod model;
mod random;
mod sites;
mod spoilt;
mod state;
mod status;
pub mod tls;
mod token;
mod tunnel;

pub use client::{Answer, ClientError, Connection, Request};
pub use counters::Counters;
pub use failure::{Failure, FailureShares};
pub use fleet::{Fleet, FleetOptions, JoinError, Joined};
pub use identity::{CertificateSpec, Identity, IdentityError, KeyKind, fingerprint};
pub use lxd::{Lxd, Trusts};
pub use member::{
    CLUSTER_PATH, ClientOptions, Member, PREFLIGHT_USER_AGENT, Pin, Preflight, STATUS_PATH,
    sign_join,
};
pub use model::ClusterModel;
/// What an extended key usage of a [`CertificateSpec`] can be.
pub use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
pub use sites::Site;
pub use spoilt::SpoiltProof;
pub use state::{StateDir, StateError, StoredCluster};
pub use status::{PoolUsage, ServerMetrics, Status, StatusCount};
pub use token::{InvalidToken, JoinToken, TokenBody};
/// A message of a tunnel's web socket.
pub use tokio_tungstenite::tungstenite::Message;
pub use tunnel::{
    HOSTILE_HEADERS, TUNNEL_PATH, Tunnel, TunnelAnswer, TunnelError, TunnelManner, TunnelRequest,
};
