//! `/oidc/login`, `/oidc/callback` and `/oidc/logout`.

use salvo::http::cookie::Cookie;
use salvo::http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, LOCATION};
use salvo::http::{Method, StatusCode};
use salvo::{Depot, Request, Response, Scribe, handler};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use url::form_urlencoded;

use super::caller::device;
use super::guards::named_host;
use super::{app, cookies};
use crate::domain::sessions::Started;
use crate::edge::{self, ApiError, Reply, Success};
use crate::error_chain::Chain;
use crate::model::{AuditEntry, Event, Outcome};
use crate::oidc::{LoginAttempt, OidcError, safe_next};

/// How long the browser keeps the state of a login, in seconds.
const ATTEMPT_LIFETIME_S: i64 = 600;

/// In the query of a login that was sent here from another name of ours.
const AT_HOME: &str = "at-home";

/// The page that people without a session see.
const LOGIN_PAGE: &str = "/ui/login/";

/// `GET /oidc/login[?next=/ui/…]`: sends the browser to the identity provider.
#[handler]
pub(super) async fn begin(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    if let Err(failure) = try_begin(req, depot, res).await {
        failure.answer(req, res);
    }
}

async fn try_begin(req: &mut Request, depot: &Depot, res: &mut Response) -> Result<(), Failure> {
    let app = app(depot)?;
    let next = safe_next(req.query::<String>("next").as_deref());
    // The provider leads back to our public name, where a cookie of another name does not come along. Who was sent there and comes
    // under another name all the same is behind a proxy that changes the name: the browser has the right one.
    if named_host(req) != app.public_url.authority() && req.query::<String>(AT_HOME).is_none() {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("next", &next)
            .append_pair(AT_HOME, "1")
            .finish();
        redirect(res, StatusCode::FOUND, &app.public_url.join(&format!("/oidc/login?{query}")));
        return Ok(());
    }
    let (key, now) = (app.master_key.login_attempts(), OffsetDateTime::now_utc());
    let begun = app.provider.begin(next, now).await?;
    let sealed = begun.attempt.seal(&key);
    let sealed = sealed.ok_or_else(|| ApiError::Internal("a login could not be sealed".into()))?;
    let sent = req.cookies().iter().map(Cookie::name_value);
    for name in LoginAttempt::superfluous(&key, sent, now) {
        cookies::clear_attempt(res, name.to_owned());
    }
    cookies::set_attempt(
        res,
        LoginAttempt::cookie_name(&begun.attempt.state),
        sealed,
        ATTEMPT_LIFETIME_S,
    );
    redirect(res, StatusCode::FOUND, &begun.url);
    Ok(())
}

/// `GET /oidc/callback`: the identity provider sends the browser back.
#[handler]
pub(super) async fn finish(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    if let Err(failure) = try_finish(req, depot, res).await {
        failure.note(req, depot).await;
        failure.answer(req, res);
    }
}

async fn try_finish(req: &mut Request, depot: &Depot, res: &mut Response) -> Result<(), Failure> {
    let app = app(depot)?;
    let now = OffsetDateTime::now_utc();
    let state = req.query::<String>("state").unwrap_or_default();
    // Not a state of ours at all. Scripts know this answer.
    if state.len() != 43
        || !state.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    {
        return Err(ApiError::Forbidden("Forbidden").into());
    }
    let name = LoginAttempt::cookie_name(&state);
    let sealer = app.master_key.login_attempts();
    let attempt = req
        .cookie(name.as_str())
        .and_then(|cookie| LoginAttempt::open(&sealer, cookie.value(), &state, now));
    let attempt = attempt.ok_or(Failure::Expired)?;
    cookies::clear_attempt(res, name);
    if let Some(error) = req.query::<String>("error") {
        tracing::warn!(error = %error.chars().take(200).collect::<String>(), "the identity provider ended a login");
        return Err(Failure::Refused);
    }
    let code = req.query::<String>("code").ok_or(Failure::Refused)?;
    let issuer = req.query::<String>("iss");
    let login = app.provider.finish(&attempt, code, issuer.as_deref(), now).await?;
    let origin = edge::origin(req, depot);
    let network = app.peers.client(req.remote_addr()).map(|network| network.to_string());
    let started = app.sessions.start(&login, &device(req), network.as_deref(), &origin).await;
    let Started { id, from_new_network } = started.map_err(ApiError::from)?;
    let result = if from_new_network { "from_new_network" } else { "completed" };
    app.logins.with_label_values(&[result]).inc();
    // A session that was there before ends: its id may have been planted.
    if let Some(old) = cookies::session(req) {
        app.sessions.replace(&old, &origin).await.map_err(ApiError::from)?;
    }
    cookies::set_session(res, &id, app.sessions.lifetime);
    cookies::clear_foreign(req, res);
    tracing::info!(
        issuer = login.identity.issuer,
        subject = login.identity.subject,
        from_new_network,
        "a person logged in"
    );
    redirect(res, StatusCode::SEE_OTHER, &attempt.next);
    Ok(())
}

/// Where to go after a logout.
#[derive(Serialize)]
struct LogoutView {
    redirect: String,
}

/// `POST /oidc/logout`: ends the session; the answer names the provider's logout page, or our login page if it has none.
/// `GET /oidc/logout`: the same for scripts that know the older form; it always leads to the login page.
#[handler]
pub(super) async fn logout(req: &mut Request, depot: &mut Depot, res: &mut Response) -> Reply<()> {
    let app = app(depot)?;
    let mut target = LOGIN_PAGE.to_owned();
    if let Some(id) = cookies::session(req) {
        app.tunnels.sessions.forget_operator(id.hash());
        let id_token = app.sessions.log_out(&id, &edge::origin(req, depot)).await?;
        if let Some(id_token) = id_token {
            target = app.provider.logout_url(&id_token).unwrap_or(target);
        }
    }
    cookies::clear_session(res);
    if *req.method() == Method::POST {
        Success(LogoutView { redirect: target }).render(res);
    } else {
        redirect(res, StatusCode::FOUND, LOGIN_PAGE);
    }
    Ok(())
}

/// Why a login did not work.
enum Failure {
    /// The attempt is unknown, too old, or was begun in another browser.
    Expired,
    /// The provider, or the person there, said no.
    Refused,
    /// The provider did not answer.
    ProviderUnavailable(OidcError),
    /// What the provider sent is not acceptable.
    NotAcceptable(OidcError),
    /// Anything that is not about the login.
    Other(ApiError),
}

impl Failure {
    /// Records what came of a login that was really begun here.
    async fn note(&self, req: &Request, depot: &Depot) {
        let Ok(app) = app(depot) else { return };
        let (outcome, reason) = match self {
            Self::Expired | Self::Other(_) => return,
            Self::Refused => (Outcome::Refused, "the identity provider ended the login"),
            Self::ProviderUnavailable(_) => {
                (Outcome::Failed, "the identity provider did not answer")
            }
            Self::NotAcceptable(_) => {
                (Outcome::Failed, "the identity provider's answer is not acceptable")
            }
        };
        let result = if outcome == Outcome::Refused { "refused" } else { "failed" };
        app.logins.with_label_values(&[result]).inc();
        let details = json!({"reason": reason});
        let entry = AuditEntry { event: Event::Login, object: "", outcome, details };
        app.failed_logins.note(&app.pool, &edge::origin(req, depot), entry).await;
    }

    /// People get the login page, which explains the code; scripts get the envelope.
    fn answer(self, req: &Request, res: &mut Response) {
        let (code, error) = match self {
            Self::Expired => (
                "expired",
                ApiError::BadRequest("this login is unknown or took too long: log in again".into()),
            ),
            Self::Refused => ("refused", ApiError::Unauthorized),
            Self::NotAcceptable(error) => {
                tracing::warn!(error = %Chain(&error), "a login was refused");
                ("failed", ApiError::Unauthorized)
            }
            Self::ProviderUnavailable(error) => (
                "provider-unavailable",
                ApiError::Unavailable(
                    "the identity provider is not available, try again later",
                    Some(error.into()),
                ),
            ),
            Self::Other(error) => ("failed", error),
        };
        error.respond(req, res);
        let wants_page = req.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        if wants_page.is_some_and(|accept| accept.contains("text/html")) {
            res.take_body();
            redirect(res, StatusCode::SEE_OTHER, &format!("{LOGIN_PAGE}?error={code}"));
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<OidcError> for Failure {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Unavailable(_) => Self::ProviderUnavailable(error),
            OidcError::Refused(_) | OidcError::Token(_) => Self::NotAcceptable(error),
        }
    }
}

fn redirect(res: &mut Response, status: StatusCode, target: &str) {
    match HeaderValue::from_str(target) {
        Ok(location) => {
            res.status_code(status);
            res.headers_mut().insert(LOCATION, location);
            res.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Err(_) => {
            res.status_code(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}
