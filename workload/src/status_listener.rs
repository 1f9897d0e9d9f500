//! The probes, over plain HTTP inside the pod: `/status` and `/ready` ask the database, `/alive` only this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use salvo::http::StatusCode;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Router, Service, async_trait};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::edge::Limits;
use crate::store::Pool;

/// Limits of the probes' listener.
pub const LIMITS: Limits = Limits {
    connections: 64,
    header_bytes: 8 << 10,
    headers: 32,
    header_time: Duration::from_secs(5),
    idle: Duration::from_secs(10),
};

/// How long an answer of the database counts.
const CACHE_TIME: Duration = Duration::from_secs(1);

/// The probes' routes. The service counts as ready from the moment `ready` is cancelled (the schema is up to date and the
/// listener open) until `stop` is, before the listener closes.
#[must_use]
pub fn service(pool: Pool, ready: CancellationToken, stop: CancellationToken) -> Service {
    Service::new(Router::with_path("{**path}").goal(Probe {
        pool,
        ready,
        stop,
        last: Arc::default(),
    }))
}

struct Probe {
    pool: Pool,
    ready: CancellationToken,
    stop: CancellationToken,
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Probe {
    async fn database_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        match *last {
            Some((at, answer)) if at.elapsed() < CACHE_TIME => answer,
            _ => {
                let answer = self.pool.ping().await.is_ok();
                *last = Some((Instant::now(), answer));
                answer
            }
        }
    }
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
            "/status" => self.database_answers().await,
            "/ready" => {
                self.ready.is_cancelled()
                    && !self.stop.is_cancelled()
                    && self.database_answers().await
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
