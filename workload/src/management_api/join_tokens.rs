//! `/1.0/remote-cluster-join-token`.

use salvo::{Depot, Request, handler};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::caller::caller;
use super::{app, json_body};
use crate::domain::join_tokens::{self, JoinTokenRequest, Purpose};
use crate::edge::{ApiError, Reply, Success, cluster_name};
use crate::model::PendingJoinToken;

/// A pending token as listed. `expired` is ours, the other keys are those of the contract.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JoinTokenView {
    #[serde(with = "time::serde::rfc3339")]
    expiry: OffsetDateTime,
    cluster_name: String,
    description: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    expired: bool,
    /// Whether it gives an enrolled cluster another certificate.
    rotation: bool,
}

impl From<PendingJoinToken> for JoinTokenView {
    fn from(token: PendingJoinToken) -> Self {
        Self {
            expiry: token.expires_at,
            cluster_name: token.cluster_name,
            description: token.description,
            created_at: token.created_at,
            expired: token.expired,
            rotation: token.rotation,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NewTokenView {
    token: String,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct NewTokenBody {
    cluster_name: Option<String>,
    description: Option<String>,
    expiry: Option<String>,
}

impl TryFrom<NewTokenBody> for JoinTokenRequest {
    type Error = ApiError;

    fn try_from(body: NewTokenBody) -> Result<Self, ApiError> {
        // Year 1 is how Go programs write "no time".
        let expiry = body.expiry.filter(|text| !text.is_empty() && text != "0001-01-01T00:00:00Z");
        let expiry = expiry
            .map(|text| OffsetDateTime::parse(&text, &Rfc3339))
            .transpose()
            .map_err(|_| {
                ApiError::BadRequest(
                    "expiry date must be an RFC 3339 time such as 2026-11-30T18:00:00Z".into(),
                )
            })?;
        Ok(Self {
            cluster_name: body.cluster_name.unwrap_or_default(),
            description: body.description.unwrap_or_default(),
            expiry,
            purpose: Purpose::Enrol,
        })
    }
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct RotationBody {
    expiry: Option<String>,
}

/// `GET /1.0/remote-cluster-join-token`: tokens that nobody used yet, the oldest first.
#[handler]
pub(super) async fn list(depot: &mut Depot) -> Reply<Success<Vec<JoinTokenView>>> {
    let tokens = join_tokens::list(&app(depot)?.pool).await?;
    Ok(Success(tokens.into_iter().map(JoinTokenView::from).collect()))
}

/// `POST /1.0/remote-cluster-join-token`: creates a token; its text is in this answer and nowhere else.
#[handler]
pub(super) async fn create(req: &mut Request, depot: &mut Depot) -> Reply<Success<NewTokenView>> {
    let app = app(depot)?;
    let body: NewTokenBody = json_body(req, &app).await?;
    let token =
        join_tokens::create(&app.pool, &app.join_tokens, body.try_into()?, &caller(depot)?.origin)
            .await?;
    Ok(Success(NewTokenView { token: token.expose().to_owned() }))
}

/// `POST /1.0/remote-cluster/{name}/rotation-token`: creates a token with which the cluster joins again, with another certificate;
/// it keeps its settings and its history, and the certificate that it has now stops working with that join.
#[handler]
pub(super) async fn rotate(req: &mut Request, depot: &mut Depot) -> Reply<Success<NewTokenView>> {
    let app = app(depot)?;
    let cluster_name = cluster_name(req)?;
    let body: RotationBody = json_body(req, &app).await?;
    let body = NewTokenBody { expiry: body.expiry, ..NewTokenBody::default() };
    let request = JoinTokenRequest::try_from(body)?;
    let request = JoinTokenRequest { cluster_name, purpose: Purpose::Rotate, ..request };
    let origin = caller(depot)?.origin;
    let token = join_tokens::create(&app.pool, &app.join_tokens, request, &origin).await?;
    Ok(Success(NewTokenView { token: token.expose().to_owned() }))
}

/// `DELETE /1.0/remote-cluster-join-token/{name}`: revokes the pending token of a cluster.
#[handler]
pub(super) async fn revoke(req: &mut Request, depot: &mut Depot) -> Reply<Success<Option<()>>> {
    join_tokens::revoke(&app(depot)?.pool, &cluster_name(req)?, &caller(depot)?.origin).await?;
    Ok(Success::NULL)
}
