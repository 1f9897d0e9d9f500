use std::time::Instant;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use salvo::http::Method;
use salvo::http::header::HeaderValue;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use tracing::Instrument;

/// Gives each request an id, which the answer carries as `X-Request-Id` and every log line of the request as a field, and
/// logs the request once, also when the client hung up before its answer. Queries are never logged.
#[derive(Debug)]
pub struct RequestLog;

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
            begin: Instant::now(),
            method: req.method().clone(),
            path: super::path::for_log(req.uri().path()),
            peer: req.remote_addr().to_string(),
            status: None,
        };
        let span = tracing::info_span!("request", request.id = id);
        async {
            ctrl.call_next(req, depot, res).await;
            entry.status = Some(res.status_code.map_or(200, |status| status.as_u16()));
            drop(entry);
        }
        .instrument(span)
        .await;
    }
}

struct Entry {
    begin: Instant,
    method: Method,
    path: String,
    peer: String,
    status: Option<u16>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Self { method, path, peer, .. } = self;
        let duration_ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self.status {
            // The anonymous look that precedes each call of a cluster says nothing.
            Some(status) if path == "/" => {
                tracing::debug!(status, duration_ms, peer, "{method} {path}");
            }
            Some(status) => tracing::info!(status, duration_ms, peer, "{method} {path}"),
            None => tracing::info!(duration_ms, peer, "{method} {path}: the client went away"),
        }
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
