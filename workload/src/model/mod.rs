//! Plain types that cannot hold a wrong value. They know neither HTTP nor SQL.

mod audit;
mod certificate;
mod cluster;
mod fingerprint;
mod fleet_history;
mod heartbeat;
mod history;
mod imported_token;
mod join_token;
mod name;
mod role;
mod session;
mod text;
mod tunnel;
mod ui_url;

pub use audit::{Actor, AuditEntry, AuditFilter, AuditRecord, Event, Origin, Outcome};
pub use certificate::{CertificateError, ClusterCertificate};
pub use cluster::{ClusterChanges, Pulse, RemoteCluster, Threshold};
pub use fingerprint::Fingerprint;
pub use fleet_history::{FleetHistoryPoint, FleetSample};
pub use heartbeat::{Heartbeat, HeartbeatError, MemberMetrics, StatusCount, StoragePoolUsage};
pub use history::{HistoryPoint, HistorySeries};
pub use imported_token::{ImportedToken, InvalidToken};
pub use join_token::{
    JoinSecret, JoinSignature, JoinTokenText, NewJoinToken, PendingJoinToken, TokenHash,
};
pub use name::{ClusterName, InvalidName};
pub use role::{Role, RoleGroups};
pub use session::{
    Device, Identity, KnownIdentity, Operator, ProviderLogout, SessionId, SessionSummary,
};
pub use text::{Description, InvalidDescription};
pub use tunnel::Lease;
pub use ui_url::{InvalidUiUrl, UiUrl};
