//! What stands before the handlers: the host, and who may use the route.

use std::sync::Arc;

use salvo::http::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use salvo::{Depot, FlowCtrl, Request, Response, handler};
use serde_json::json;
use time::OffsetDateTime;

use super::access::{self, Access};
use super::caller::Caller;
use super::{App, app, cookies};
use crate::domain::audit;
use crate::edge::{self, ApiError, browser};
use crate::error_chain::Chain;
use crate::model::{AuditEntry, Event, Origin, Role};
use crate::oidc::OidcError;

/// Refuses requests for a host that is not ours: a foreign name that points here must not get at anything.
#[handler]
pub(super) async fn own_host(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = app(depot).and_then(|app| {
        let named = named_host(req);
        let ours = named == app.public_url.authority()
            || app.config.management.allowed_hosts.contains(&named)
            || req.uri().path() == "/1.0/status";
        if ours { Ok(()) } else { Err(ApiError::MisdirectedRequest) }
    });
    pass(verdict, req, res, ctrl);
}

/// The host that a request is for, in lower case, with its port unless that is the one of https: who writes it means the same.
pub(super) fn named_host(req: &Request) -> String {
    let named = match req.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => req.headers().get(HOST).and_then(|value| value.to_str().ok()),
    };
    let named = named.unwrap_or_default();
    named.strip_suffix(":443").unwrap_or(named).to_ascii_lowercase()
}

/// Lets those through who may use the route, and tells the handlers who it is.
#[handler]
pub(super) async fn permitted(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
) {
    let verdict = permit(req, depot).await;
    if matches!(verdict, Err(ApiError::Unauthorized)) && bearer_token(req).is_some() {
        // RFC 6750, section 3.1.
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        res.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    pass(verdict, req, res, ctrl);
}

async fn permit(req: &Request, depot: &mut Depot) -> Result<(), ApiError> {
    let pattern = format!("/{}", req.matched_path());
    let Some(needed) = access::needed(req.method(), &pattern) else {
        tracing::error!(method = %req.method(), pattern, "nobody may use this route: it is not in the table");
        return Err(ApiError::Forbidden("Permission denied"));
    };
    if needed == Access::Anyone {
        return Ok(());
    }
    let app = app(depot)?;
    let caller = authenticate(req, &app, edge::origin(req, depot)).await?;
    app.newcomers.welcome(req.remote_addr());
    if let Access::Role(role) = needed
        && caller.role < Some(role)
    {
        return Err(denied(req, &app, &caller, role).await);
    }
    depot.insert_typed(caller);
    Ok(())
}

/// Records that somebody wanted to change something that their role does not allow.
pub(super) async fn denied(req: &Request, app: &App, caller: &Caller, needed: Role) -> ApiError {
    if !req.method().is_safe() {
        let details = json!({"role": caller.role, "needed": needed});
        let object = attempt(req);
        let entry = AuditEntry::refused(Event::PermissionDenied, &object, details);
        audit::note(&app.pool, &caller.origin, &entry).await;
    }
    ApiError::Forbidden("Permission denied")
}

/// What a request wants to do, for the audit log.
fn attempt(req: &Request) -> String {
    format!("{} {}", req.method(), edge::path_for_log(req))
}

/// Refuses what another site makes a browser send, and records it where it would have changed something.
async fn from_our_pages(req: &Request, app: &App, caller: &Caller) -> Result<(), ApiError> {
    let verdict = browser::check(req, &app.public_url.origin());
    if let Err(error) = &verdict
        && !req.method().is_safe()
    {
        let (object, details) = (attempt(req), json!({"reason": error.to_string()}));
        let entry = AuditEntry::refused(Event::PermissionDenied, &object, details);
        app.foreign_requests.note(&app.pool, &caller.origin, entry).await;
    }
    verdict
}

/// Refuses to look up anything for another site before anybody knows who is logged in: its page learns nothing of that, not even from the
/// time that the answer takes. Who is made to change something is looked up, for the audit log.
fn refuse_foreign_look(req: &Request, app: &App) -> Result<(), ApiError> {
    match browser::check(req, &app.public_url.origin()) {
        Err(error @ ApiError::Forbidden(_)) if req.method().is_safe() => Err(error),
        _ => Ok(()),
    }
}

/// An access token speaks for itself; otherwise the session counts, and the request must come from our own pages. A browser adds the
/// cookie to whatever another site makes it send, but never an access token, so that only requests with a cookie are checked.
async fn authenticate(req: &Request, app: &App, origin: Origin) -> Result<Caller, ApiError> {
    let cookie = cookies::session(req);
    let token = bearer_token(req);
    if token.is_none() {
        refuse_foreign_look(req, app)?;
    }
    if cookie.is_none() && token.is_none() {
        return Err(ApiError::Unauthorized);
    }
    if let Some(token) = token {
        return match app.provider.bearer(token, OffsetDateTime::now_utc()).await {
            Ok(operator) => {
                let caller = Caller::new(operator, None, &app.roles, &origin);
                if cookie.is_some() {
                    from_our_pages(req, app, &caller).await?;
                }
                Ok(caller)
            }
            Err(error @ OidcError::Unavailable(_)) => Err(ApiError::Unavailable(
                "the identity provider is not available, try again later",
                Some(error.into()),
            )),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "an access token was refused");
                Err(ApiError::Unauthorized)
            }
        };
    }
    let id = Arc::new(cookie.ok_or(ApiError::Unauthorized)?);
    let operator = app.sessions.find(&id).await?.ok_or(ApiError::Unauthorized)?;
    let caller = Caller::new(operator, Some(id), &app.roles, &origin);
    from_our_pages(req, app, &caller).await?;
    Ok(caller)
}

/// The token in `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer_token(req: &Request) -> Option<&str> {
    let (scheme, token) = req.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
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

fn pass(verdict: Result<(), ApiError>, req: &Request, res: &mut Response, ctrl: &mut FlowCtrl) {
    if let Err(error) = verdict {
        error.respond(req, res);
        ctrl.skip_rest();
    }
}
