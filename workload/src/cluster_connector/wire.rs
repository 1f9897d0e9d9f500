//! What goes over the wire between clusters and the connector.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::edge::{ApiError, parse_json};
use crate::model::{ClusterCertificate, JoinTokenText};

/// Body of a join as it is sent. Members send all three keys; unknown ones are ignored.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct SentJoin {
    cluster_name: Option<String>,
    cluster_certificate: Option<String>,
    token: Option<String>,
}

/// Body of a join.
#[derive(Debug)]
pub struct JoinBody {
    /// Not empty; whether it is a name shows when its token is looked for.
    pub cluster_name: String,
    /// The certificate that the cluster wants to be known by.
    pub certificate: ClusterCertificate,
    /// Absent from joins that are signed instead.
    pub token: Option<JoinTokenText>,
}

impl JoinBody {
    /// Reads a body of at most so many levels of objects and lists; the certificate must be valid at `now`.
    ///
    /// # Errors
    ///
    /// [`ApiError::BadRequest`] says what is wrong or missing.
    pub fn read(raw: &[u8], max_depth: usize, now: OffsetDateTime) -> Result<Self, ApiError> {
        let sent: SentJoin = parse_json(raw, max_depth)?;
        let cluster_name = required(sent.cluster_name, "name")?;
        let pem = required(sent.cluster_certificate, "certificate")?;
        let certificate = ClusterCertificate::from_pem(&pem, now)
            .map_err(|error| ApiError::BadRequest(error.to_string()))?;
        let token = sent.token.filter(|token| !token.is_empty()).map(JoinTokenText::received);
        Ok(Self { cluster_name, certificate, token })
    }
}

fn required(value: Option<String>, what: &str) -> Result<String, ApiError> {
    let value = value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| ApiError::BadRequest(format!("remote cluster {what} is required")))?;
    if value.contains('\0') {
        let text = format!("remote cluster {what} must not have a NUL character");
        return Err(ApiError::BadRequest(text));
    }
    Ok(value)
}

/// Metadata of the answer to a heartbeat. Members ignore it; scripts and tests read it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HeartbeatReply {
    /// Whole seconds, as text.
    pub(super) next_update_in_seconds: String,
    pub(super) cluster_manager_address: String,
}
