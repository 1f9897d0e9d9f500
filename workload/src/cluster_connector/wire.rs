//! What goes over the wire between clusters and the connector.

use serde::{Deserialize, Serialize};

/// Body of a join. Members send all three; unknown keys are ignored.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct JoinBody {
    pub(super) cluster_name: Option<String>,
    pub(super) cluster_certificate: Option<String>,
    pub(super) token: Option<String>,
}

/// Metadata of the answer to a heartbeat. Members ignore it; scripts and tests read it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HeartbeatReply {
    /// Whole seconds, as text.
    pub(super) next_update_in_seconds: String,
    pub(super) cluster_manager_address: String,
}
