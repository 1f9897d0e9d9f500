use salvo::catcher::Catcher;
use salvo::http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use salvo::http::{ResBody, StatusCode};
use salvo::prelude::CatchPanic;
use salvo::{Depot, FlowCtrl, Request, Response, Router, Service, handler};

use super::{ApiError, BodyRoom, ExactPath, RequestLog, SecurityHeaders};
use crate::metrics::Metrics;

/// What a handler returns.
pub type Reply<T> = Result<T, ApiError>;

/// A service around `router`: room for bodies, request log, panics as 500, security headers, exact paths, and the envelope for everything that
/// the router itself refuses.
#[must_use]
pub fn service(router: Router, bodies: BodyRoom, metrics: &Metrics) -> Service {
    Service::new(router)
        .hoop(RequestLog(metrics.clone()))
        .hoop(close_what_is_not_followed)
        .hoop(bodies)
        .hoop(SecurityHeaders)
        .hoop(CatchPanic::new())
        .hoop(ExactPath)
        .catcher(Catcher::default().hoop(envelope_errors))
}

/// A body with `Transfer-Encoding` is the last thing on its connection: were there a second length, which the HTTP library ignores
/// as it must, nobody could hide a request behind it (RFC 9112, section 6.3). So is a request for another protocol that is not
/// granted: nobody looks at the heads that follow it (see `framing.rs`).
#[handler]
async fn close_what_is_not_followed(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let is_last = [TRANSFER_ENCODING, UPGRADE].iter().any(|name| req.headers().contains_key(name));
    ctrl.call_next(req, depot, res).await;
    if is_last && res.status_code != Some(StatusCode::SWITCHING_PROTOCOLS) {
        res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Puts what salvo refuses by itself (unknown path or method, a panic) into the envelope.
#[handler]
async fn envelope_errors(req: &mut Request, res: &mut Response, ctrl: &mut FlowCtrl) {
    let error = match res.status_code.unwrap_or(StatusCode::NOT_FOUND) {
        StatusCode::NOT_FOUND => ApiError::unknown_path(),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed,
        StatusCode::BAD_REQUEST => ApiError::BadRequest("Bad Request".into()),
        other => {
            let reason = match &res.body {
                ResBody::Error(error) => error.brief.clone(),
                _ => "the handler panicked or gave no answer".into(),
            };
            ApiError::Internal(format!("{other}: {reason}").into())
        }
    };
    error.respond(req, res);
    ctrl.skip_rest();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::edge::{Limits, Listener};

    #[handler]
    async fn breaks() -> &'static str {
        panic!("canary in a panic")
    }

    #[handler]
    async fn works() -> &'static str {
        "fine"
    }

    #[tokio::test]
    async fn lim_07_a_panic_is_a_counted_500_and_the_service_goes_on() {
        let metrics = Metrics::new("test").unwrap();
        let router = Router::new()
            .push(Router::with_path("breaks").get(breaks))
            .push(Router::with_path("works").get(works));
        let limits =
            Limits { connections: 8, ..workload_config::Limits::default().connector.into() };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None, limits).unwrap();
        let service = service(router, BodyRoom::of(1 << 20), &metrics);
        let address = listener.serve(service, &tasks, stop.clone(), Duration::ZERO).unwrap();
        for (path, status) in [("breaks", "500"), ("works", "200"), ("breaks", "500")] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(!answer.contains("canary"), "{answer}");
        }
        let counted = metrics.requests.with_label_values(&["/breaks", "GET", "500"]).get();
        assert_eq!(counted, 2);
        stop.cancel();
    }
}
