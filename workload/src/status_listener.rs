//! For the machinery around the service, over plain HTTP inside the pod: the probes `/status` and `/ready`, which ask the
//! database, `/alive`, which asks only this process, and `/metrics`.

use std::time::Duration;

use salvo::http::StatusCode;
use salvo::http::header::{CONTENT_TYPE, HeaderValue};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Router, Service, async_trait};
use tokio_util::sync::CancellationToken;

use crate::domain::clusters;
use crate::edge::Limits;
use crate::metrics::Metrics;
use crate::store::Pool;

/// Limits of the probes' listener.
pub const LIMITS: Limits = Limits {
    connections: 64,
    header_bytes: 8 << 10,
    headers: 32,
    header_time: Duration::from_secs(5),
    idle: Duration::from_secs(10),
};

/// The probes' routes. The service counts as ready from the moment `ready` is cancelled (the schema is up to date and the
/// listener open) until `draining` is, a while before the listener closes.
#[must_use]
pub fn service(
    pool: Pool,
    metrics: Metrics,
    ready: CancellationToken,
    draining: CancellationToken,
) -> Service {
    let scrape = Scrape { pool: pool.clone(), metrics };
    let probe = Probe { pool, ready, draining };
    Service::new(
        Router::new()
            .push(Router::with_path("metrics").get(scrape))
            .push(Router::with_path("{**path}").goal(probe)),
    )
}

/// `GET /metrics`, for Prometheus.
struct Scrape {
    pool: Pool,
    metrics: Metrics,
}

#[async_trait]
impl Handler for Scrape {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let (idle, used) = self.pool.connections();
        self.metrics.database_connections.with_label_values(&["idle"]).set(idle);
        self.metrics.database_connections.with_label_values(&["used"]).set(used);
        match clusters::count_by_state(&self.pool).await {
            Ok(counts) => {
                for (state, count) in counts {
                    self.metrics.clusters.with_label_values(&[state.as_str()]).set(count);
                }
            }
            // Without an answer the gauge is left out: an old number would hide that the database is away.
            Err(_) => self.metrics.clusters.reset(),
        }
        let with_warnings = &self.metrics.clusters_with_warnings;
        match clusters::count_by_warning(&self.pool).await {
            Ok(counts) => {
                for (kind, count) in counts {
                    with_warnings.with_label_values(&[kind]).set(count);
                }
            }
            Err(_) => with_warnings.reset(),
        }
        match self.metrics.render() {
            Ok(text) => {
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                res.headers_mut().insert(CONTENT_TYPE, kind);
                res.body(text);
            }
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                res.status_code(StatusCode::INTERNAL_SERVER_ERROR);
            }
        }
    }
}

struct Probe {
    pool: Pool,
    ready: CancellationToken,
    draining: CancellationToken,
}

#[async_trait]
impl Handler for Probe {
    async fn handle(
        &self,
        req: &mut Request,
        _: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let healthy = match req.uri().path() {
            "/alive" => true,
            "/status" => self.pool.answers().await.is_ok(),
            "/ready" => {
                self.ready.is_cancelled()
                    && !self.draining.is_cancelled()
                    && self.pool.answers().await.is_ok()
            }
            _ => {
                res.status_code(StatusCode::NOT_FOUND);
                res.render("404 page not found");
                return;
            }
        };
        res.status_code(if healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR });
        res.body("");
        ctrl.skip_rest();
    }
}
