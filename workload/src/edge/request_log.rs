use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use salvo::http::Method;
use salvo::http::header::HeaderValue;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use tracing::{Instrument, Span};

use crate::metrics::Metrics;
use crate::model::{Actor, Origin};
use crate::traces;

/// Gives each request an id, which the answer carries as `X-Request-Id` and every log line of the request as a field, and
/// logs and counts the request once, also when the client hung up before its answer. Queries are never logged.
#[derive(Debug)]
pub struct RequestLog(pub Metrics);

/// The id of a request, as the answer and the log have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RequestId(String);

/// Where a request comes from, for the audit log. Who it was is not known here.
#[must_use]
pub fn origin(req: &Request, depot: &Depot) -> Origin {
    let request_id = depot.get_typed::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    Origin { actor: Actor::Anonymous, source: source(req), request_id }
}

/// The address of the connection's other end, or of the client that a balancer names with the PROXY protocol. Headers have no say.
#[must_use]
pub fn source(req: &Request) -> String {
    req.remote_addr().ip().map(|ip| ip.to_canonical().to_string()).unwrap_or_default()
}

#[async_trait]
impl Handler for RequestLog {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let id = request_id();
        if let Ok(value) = HeaderValue::from_str(&id) {
            res.headers_mut().insert("x-request-id", value);
        }
        let mut entry = Entry {
            metrics: &self.0,
            begin: Instant::now(),
            method: req.method().clone(),
            path: super::path::for_log(req.uri().path()),
            route: format!("/{}", req.matched_path()),
            peer: req.remote_addr().to_string(),
            status: None,
            is_ordinary: false,
        };
        depot.insert_typed(RequestId(id.clone()));
        let span = tracing::info_span!("request", request.id = id);
        traces::asked(&span, method_label(&entry.method), &entry.route);
        async {
            ctrl.call_next(req, depot, res).await;
            let status = res.status_code.map_or(200, |status| status.as_u16());
            traces::answered(&Span::current(), status);
            entry.status = Some(status);
            entry.is_ordinary = status == 200 && depot.get_typed::<Ordinary>().is_ok();
            drop(entry);
        }
        .instrument(span)
        .await;
    }
}

/// Of the successful requests of a route one of so many is logged at info level, the others at debug level.
#[derive(Debug)]
pub struct SampledLog {
    every: NonZeroU64,
    requests: AtomicU64,
}

struct Ordinary;

impl SampledLog {
    /// Each one is logged at info level when `every` is 1.
    #[must_use]
    pub const fn new(every: NonZeroU64) -> Self {
        Self { every, requests: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Handler for SampledLog {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        if self.requests.fetch_add(1, Ordering::Relaxed) % self.every != 0 {
            depot.insert_typed(Ordinary);
        }
        ctrl.call_next(req, depot, res).await;
    }
}

struct Entry<'a> {
    metrics: &'a Metrics,
    begin: Instant,
    method: Method,
    path: String,
    /// The pattern that matched; `/` for an unknown path, too.
    route: String,
    peer: String,
    status: Option<u16>,
    /// One like many others, of which only some are logged.
    is_ordinary: bool,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Self { method, path, peer, .. } = self;
        let took = self.begin.elapsed();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // 499 stands for a client that went away, as operators know it from reverse proxies.
        self.metrics.answered(&self.route, method_label(method), self.status.unwrap_or(499), took);
        match self.status {
            // The anonymous look that precedes each call of a cluster says nothing either, and refusals for lack of tokens are logged
            // by the limit, which does not write a line for each.
            Some(status) if self.is_ordinary || path == "/" || status == 429 => {
                tracing::debug!(status, duration_ms, peer, "{method} {path}");
            }
            Some(status) => tracing::info!(status, duration_ms, peer, "{method} {path}"),
            None => tracing::info!(duration_ms, peer, "{method} {path}: the client went away"),
        }
    }
}

/// Clients may invent methods; labels must stay few.
fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

/// 64 random bits as 16 hexadecimal digits; fixed text in the unlikely case that the generator fails.
fn request_id() -> String {
    let mut bytes = [0_u8; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        Err(_) => "unknown".into(),
    }
}
