//! The listener for the Management API: requests on their way to the clusters whose tunnels this unit holds. Who is no unit does
//! not get past the TLS handshake.

use std::time::Duration;

use bytes::Bytes;
use salvo::http::{ResBody, StatusCode};
use salvo::{Depot, Request, Response, Router, Service, affix_state, handler};
use tracing::Instrument;
use workload_config::{Limits, TunnelLimits};

use crate::edge::{self, ApiError, BodyRoom, BodyRules, Reply, read_body};
use crate::metrics::Metrics;
use crate::traces;
use crate::tunnel::{Keeper, hop};

/// Limits of this listener. Its clients are units.
#[must_use]
pub fn limits(tunnel: &TunnelLimits) -> edge::Limits {
    edge::Limits {
        connections: 1000,
        handshake_time: Duration::from_secs(10),
        header_bytes: 64 << 10, // a path and an access token
        headers: 32,
        header_time: Duration::from_secs(5),
        keep_alive: Duration::from_mins(1),
        idle: tunnel.waiting_time + tunnel.answer_time + Duration::from_mins(1),
    }
}

/// The one route.
#[must_use]
pub fn service(keeper: Keeper, limits: &Limits, metrics: &Metrics) -> Service {
    let bodies = BodyRoom::new(BodyRules {
        bytes: limits.management.bodies_bytes,
        share: None,
        time: limits.management.body_time,
        rate: limits.body.rate,
    });
    let router = Router::new()
        .hoop(affix_state::inject(keeper))
        .hoop(affix_state::inject(limits.tunnel))
        .push(Router::with_path("tunnel/{cluster}").post(pass_on));
    edge::service(router, bodies, metrics)
}

/// `POST /tunnel/{cluster}`: passes a request on to a cluster.
#[handler]
async fn pass_on(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let no_state = |_| ApiError::Internal("the service has no state".into());
    let keeper = depot.get_typed::<Keeper>().cloned().map_err(no_state)?;
    let cluster_id: i64 = req.param("cluster").ok_or_else(ApiError::unknown_path)?;
    let limits = *depot.get_typed::<TunnelLimits>().map_err(no_state)?;
    let body = read_body(req, limits.body_bytes).await?;
    let (request, by) = hop::read_request(req.headers(), Bytes::from_owner(body))
        .ok_or_else(|| ApiError::BadRequest("this is no request to a cluster".into()))?;
    tracing::debug!(
        cluster.id = cluster_id,
        operator = by.operator,
        operator.request_id = by.request_id,
        "a request goes to a cluster"
    );
    let still_valid = async |lease| keeper.still_valid(lease).await;
    let span = tracing::info_span!("tunnel.request");
    traces::go_on(&span, req.headers());
    let asked = keeper.tunnels().request(cluster_id, request, still_valid).instrument(span);
    match asked.await {
        Ok(answer) => {
            res.status_code(StatusCode::OK);
            res.headers_mut().extend(hop::answer_headers(&answer));
            res.replace_body(ResBody::Once(answer.body));
        }
        Err(error) => {
            tracing::info!(cluster.id = cluster_id, %error, "a request to a cluster got no answer");
            let (status, (name, value)) = hop::refusal(error);
            res.status_code(status);
            res.headers_mut().insert(name, value);
            res.replace_body(ResBody::Once(error.to_string().into()));
        }
    }
    Ok(())
}
