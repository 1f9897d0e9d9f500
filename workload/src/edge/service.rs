use salvo::catcher::Catcher;
use salvo::http::{ResBody, StatusCode};
use salvo::prelude::CatchPanic;
use salvo::{FlowCtrl, Request, Response, Router, Service, handler};

use super::{ApiError, ExactPath, RequestLog, SecurityHeaders};
use crate::metrics::Metrics;

/// What a handler returns.
pub type Reply<T> = Result<T, ApiError>;

/// A service around `router`: request log, panics as 500, security headers, exact paths, and the envelope for everything that
/// the router itself refuses.
#[must_use]
pub fn service(router: Router, metrics: &Metrics) -> Service {
    Service::new(router)
        .hoop(RequestLog(metrics.clone()))
        .hoop(SecurityHeaders)
        .hoop(CatchPanic::new())
        .hoop(ExactPath)
        .catcher(Catcher::default().hoop(envelope_errors))
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
