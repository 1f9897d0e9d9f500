//! What stands before the handlers: the host, the session, the origin and the group.

use salvo::http::header::HOST;
use salvo::{Depot, FlowCtrl, Request, Response, handler};

use super::{app, cookies};
use crate::domain;
use crate::edge::{ApiError, browser};
use crate::model::Operator;

/// Refuses requests for a host that is not ours: a foreign name that points here must not get at anything.
#[handler]
pub(super) async fn own_host(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = app(depot).and_then(|app| {
        let named = match req.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => req.headers().get(HOST).and_then(|value| value.to_str().ok()),
        };
        let named = named.unwrap_or_default().to_ascii_lowercase();
        let ours = named == app.public_url.authority()
            || app.config.management.allowed_hosts.contains(&named)
            || req.uri().path() == "/1.0/status";
        if ours { Ok(()) } else { Err(ApiError::MisdirectedRequest) }
    });
    pass(verdict, req, res, ctrl);
}

/// Lets people with a valid session through and tells the handlers who it is.
#[handler]
pub(super) async fn people(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = match operator(req, depot).await {
        Ok(operator) => {
            depot.insert_typed(operator);
            Ok(())
        }
        Err(error) => Err(error),
    };
    pass(verdict, req, res, ctrl);
}

async fn operator(req: &Request, depot: &Depot) -> Result<Operator, ApiError> {
    let app = app(depot)?;
    let id = cookies::session(req).ok_or(ApiError::Unauthorized)?;
    let session =
        domain::sessions::find(&app.pool, &id, app.config.management.session_idle).await?;
    Ok(session.ok_or(ApiError::Unauthorized)?.operator)
}

/// Refuses what another site makes a browser send.
#[handler]
pub(super) async fn same_origin(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = app(depot).and_then(|app| browser::check(req, &app.public_url.origin()));
    pass(verdict, req, res, ctrl);
}

/// Refuses what would show an answer as a page, a frame, an image or a script: only a program that reads it as data passes.
#[handler]
pub(super) async fn data_only(
    req: &mut Request,
    _depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    pass(browser::check_data(req), req, res, ctrl);
}

/// Lets members of an admin group through.
#[handler]
pub(super) async fn admins(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = app(depot).and_then(|app| {
        let operator = depot.get_typed::<Operator>().map_err(|_| ApiError::Unauthorized)?;
        let admin = operator.groups.iter().any(|group| app.admin_groups.contains(group));
        if admin { Ok(()) } else { Err(ApiError::Forbidden("Permission denied")) }
    });
    pass(verdict, req, res, ctrl);
}

fn pass(verdict: Result<(), ApiError>, req: &Request, res: &mut Response, ctrl: &mut FlowCtrl) {
    if let Err(error) = verdict {
        error.respond(req, res);
        ctrl.skip_rest();
    }
}
