use std::sync::Arc;
use std::time::Duration;

use salvo::http::header::AUTHORIZATION;
use salvo::{Depot, Request, handler};
use time::OffsetDateTime;

use super::App;
use super::wire::{HeartbeatReply, JoinBody};
use crate::domain::enrol::{self, JoinRequest};
use crate::domain::{self, Error};
use crate::edge::rate_limit::is_known;
use crate::edge::{
    self, ApiError, Body, EmptyObject, Reply, Success, parse_json_as, presented_certificate,
    read_body,
};
use crate::model::{Fingerprint, Heartbeat, JoinSignature};

/// Longest body of a heartbeat that is parsed where it arrives, in bytes: that takes a few milliseconds.
const SHORT_BYTES: usize = 1 << 20;
/// Longest wait for one's turn to be looked up: that of a heartbeat for the database. All clusters of another unit may come at once.
const TURN_TIME: Duration = Duration::from_secs(9);

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
    let raw = read_body(req, app.limits.join.bytes).await?;
    let JoinBody { cluster_name, certificate, token } =
        JoinBody::read(&raw, app.limits.body.json_depth, OffsetDateTime::now_utc())?;
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
    if !is_known(req) {
        admit(&app, fingerprint).await?;
    }
    let raw = read_body(req, app.limits.heartbeat.bytes).await?;
    let (body, _room) = parse(&app, raw).await?; // the metrics in it wait with it for the database
    match app.heartbeats.accept(fingerprint, body, &app.own_hosts).await {
        Err(Error::Forbidden(_)) => Err(domain::clusters::refusal(&app.pool, fingerprint).await?),
        other => other,
    }?;
    Ok(Success(HeartbeatReply {
        next_update_in_seconds: app.heartbeat_interval.as_secs().to_string(),
        cluster_manager_address: app.public_address.clone(),
    }))
}

/// Lets somebody go on who has had no success here yet: only enrolled clusters may fill memory with their bodies. The lookups of
/// all of them get few of the connections to the database, so that heartbeats of clusters do not wait for strangers.
async fn admit(app: &App, fingerprint: Fingerprint) -> Result<(), ApiError> {
    let turn = tokio::time::timeout(TURN_TIME, app.lookups.acquire()).await;
    let _turn = turn.map_err(|elapsed| {
        ApiError::Unavailable("the service is busy, try again later", Some(elapsed.into()))
    })?;
    if domain::tunnels::is_authorised(&app.pool, fingerprint).await? {
        return Ok(());
    }
    app.heartbeats.refused();
    Err(domain::clusters::refusal(&app.pool, fingerprint).await?.into())
}

/// The heartbeat in a body, and the room that the body took. A long one is parsed beside the runtime, whose threads it would hold
/// for a good part of a second, and with few others at a time, since that takes as much memory again.
async fn parse(app: &App, raw: Body) -> Result<(Heartbeat, impl Sized + Send + use<>), ApiError> {
    let is_short = raw.len() <= SHORT_BYTES;
    let (limits, max_depth) = (app.limits.heartbeat, app.limits.body.json_depth);
    let parse = move || {
        let read = parse_json_as(&raw, max_depth, Heartbeat::within(&limits))?;
        Ok((read, raw.into_room()))
    };
    if is_short {
        return parse();
    }
    // The semaphore is never closed; without a turn the body would be parsed all the same.
    let turn = Arc::clone(&app.long_bodies).acquire_owned().await;
    let parse = move || {
        let _turn = turn; // until it is done, also when the client has left
        parse()
    };
    tokio::task::spawn_blocking(parse).await.map_err(|error| ApiError::Internal(error.into()))?
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
