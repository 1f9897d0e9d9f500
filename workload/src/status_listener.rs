//! For the machinery around the service, over plain HTTP inside the pod: the probes `/status` and `/ready`, which ask the
//! database, `/alive`, which asks only this process, and `/metrics`.

use std::time::Duration;

use salvo::http::StatusCode;
use salvo::http::header::{CONTENT_TYPE, HeaderValue};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Router, Service, async_trait};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{Error, clusters};
use crate::edge::Limits;
use crate::metrics::Metrics;
use crate::store::Pool;

/// Limits of the probes' listener.
pub const LIMITS: Limits = Limits {
    connections: 64,
    header_bytes: 8 << 10,
    headers: 32,
    handshake_time: Duration::ZERO, // there is none
    header_time: Duration::from_secs(5),
    keep_alive: Duration::from_secs(5),
    idle: Duration::from_secs(10),
};

/// Least time between two looks at the clusters, however many ask for metrics.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time of such a look: whoever asks waits for it, Prometheus for ten seconds as a rule.
const LOOK_TIME: Duration = Duration::from_secs(3);

/// The probes' routes. The service counts as ready from the moment `ready` is cancelled (the schema is up to date and the
/// listener open) until `draining` is, a while before the listener closes.
#[must_use]
pub fn service(
    pool: Pool,
    metrics: Metrics,
    ready: CancellationToken,
    draining: CancellationToken,
) -> Service {
    let scrape = Scrape { pool: pool.clone(), metrics, looked: Mutex::default() };
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
    /// When the clusters were looked at last.
    looked: Mutex<Option<Instant>>,
}

#[async_trait]
impl Handler for Scrape {
    async fn handle(&self, _: &mut Request, _: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let (idle, used) = self.pool.connections();
        self.metrics.database_connections.with_label_values(&["idle"]).set(idle);
        self.metrics.database_connections.with_label_values(&["used"]).set(used);
        self.look().await;
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

impl Scrape {
    /// Looks at the clusters, all of which that reads, unless it was done a moment ago.
    async fn look(&self) {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return;
        }
        let counted = tokio::time::timeout(LOOK_TIME, self.count()).await;
        if !matches!(counted, Ok(Ok(()))) {
            // Old numbers would hide that the database is away.
            self.metrics.clusters.reset();
            self.metrics.clusters_with_warnings.reset();
            self.metrics.cluster_certificate_expiry.reset();
        }
        *looked = Some(Instant::now());
    }

    async fn count(&self) -> Result<(), Error> {
        for (state, count) in clusters::count_by_state(&self.pool).await? {
            self.metrics.clusters.with_label_values(&[state.as_str()]).set(count);
        }
        for (kind, count) in clusters::count_by_warning(&self.pool).await? {
            self.metrics.clusters_with_warnings.with_label_values(&[kind]).set(count);
        }
        let expiry = &self.metrics.cluster_certificate_expiry;
        match clusters::first_certificate_end(&self.pool).await? {
            Some(seconds) => expiry.with_label_values::<&str>(&[]).set(seconds),
            None => expiry.reset(),
        }
        Ok(())
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
