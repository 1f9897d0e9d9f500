use std::sync::Arc;
use std::time::Duration;

use salvo::http::header::AUTHORIZATION;
use salvo::{Depot, Request, handler};
use time::OffsetDateTime;

use super::App;
use super::wire::{HeartbeatReply, JoinBody};
use crate::domain::enrol::{self, JoinRequest};
use crate::domain::{self, Error};
use crate::edge::{
    self, ApiError, EmptyObject, Reply, Success, parse_json, presented_certificate, read_body,
};
use crate::model::{Fingerprint, JoinSignature};

/// Longest body of a join in bytes, and the time that it may take.
const JOIN_MAX_BYTES: usize = 64 << 10;
const BODY_TIME: Duration = Duration::from_mins(1);

/// Any method on `/`: the versions of the API. Clusters call it, without a certificate, to see the server's.
#[handler]
pub(super) async fn root() -> Success<[&'static str; 1]> {
    Success(["/1.0"])
}

/// `GET /1.0/status`: the service and its database are reachable.
#[handler]
pub(super) async fn status(depot: &mut Depot) -> Reply<Success<Option<()>>> {
    app(depot)?.pool.answers().await.map_err(Error::from)?;
    Ok(Success::NULL)
}

/// `POST /1.0/remote-cluster`: a cluster joins with a one-shot token.
#[handler]
pub(super) async fn join(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    let app = app(depot)?;
    let presented = presented_certificate(req);
    let raw = read_body(req, JOIN_MAX_BYTES, BODY_TIME).await?;
    let JoinBody { cluster_name, certificate, token } =
        JoinBody::read(&raw, OffsetDateTime::now_utc())?;
    let signature = match req.headers().get(AUTHORIZATION) {
        None => None,
        // A header that is there must be right: another scheme is no signature of ours.
        Some(header) => Some(
            JoinSignature::parse(header.as_bytes(), &raw)
                .ok_or(ApiError::Forbidden("Forbidden"))?,
        ),
    };
    let request = JoinRequest { cluster_name, certificate, token, signature, presented };
    let origin = edge::origin(req, depot);
    let joined = enrol::join(&app.pool, &app.master_key, &request, &origin).await;
    if let Err(error) = &joined {
        enrol::note_refusal(&app.pool, &app.refused_joins, &request, error, &origin).await;
    }
    Ok(joined.map(|()| Success::EMPTY)?)
}

/// `POST /1.0/remote-cluster/status`: a heartbeat of an enrolled cluster.
#[handler]
pub(super) async fn heartbeat(
    req: &mut Request,
    depot: &mut Depot,
) -> Reply<Success<HeartbeatReply>> {
    let app = app(depot)?;
    let fingerprint = required_certificate(req)?;
    let raw = read_body(req, app.heartbeat_max_bytes, BODY_TIME).await?;
    let body = parse_json(&raw)?;
    let _room = raw.into_room(); // the metrics in it wait with it for the database
    match app.heartbeats.accept(fingerprint, body, &app.own_hosts).await {
        Err(Error::Forbidden(_)) => Err(domain::clusters::refusal(&app.pool, fingerprint).await?),
        other => other,
    }?;
    Ok(Success(HeartbeatReply {
        next_update_in_seconds: app.heartbeat_interval.as_secs().to_string(),
        cluster_manager_address: app.public_address.clone(),
    }))
}

/// `DELETE /1.0/remote-cluster`: the cluster that owns the certificate leaves.
#[handler]
pub(super) async fn leave(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    domain::leave::leave(&app(depot)?.pool, required_certificate(req)?, &edge::origin(req, depot))
        .await?;
    Ok(Success::EMPTY)
}

pub(super) fn app(depot: &Depot) -> Result<Arc<App>, ApiError> {
    depot
        .get_typed::<Arc<App>>()
        .cloned()
        .map_err(|_| ApiError::Internal("the service has no state".into()))
}

pub(super) fn required_certificate(req: &mut Request) -> Result<Fingerprint, ApiError> {
    presented_certificate(req).ok_or(ApiError::Forbidden("Forbidden"))
}
