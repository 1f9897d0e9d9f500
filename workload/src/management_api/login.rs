//! `/oidc/login`, `/oidc/callback` and `/oidc/logout`.

use salvo::http::header::{ACCEPT, CACHE_CONTROL, HeaderValue, LOCATION};
use salvo::http::{Method, StatusCode};
use salvo::{Depot, Request, Response, Scribe, handler};
use serde::Serialize;
use time::OffsetDateTime;

use super::{app, cookies};
use crate::domain::{access_tokens, sessions};
use crate::edge::{ApiError, Reply, Success};
use crate::error_chain::Chain;
use crate::oidc::{LoginAttempt, OidcError, safe_next};

/// How long the browser keeps the state of a login, in seconds.
const ATTEMPT_LIFETIME_S: i64 = 600;

/// The page that people without a session see.
const LOGIN_PAGE: &str = "/ui/login/";

/// `GET /oidc/login[?next=/ui/…]`: sends the browser to the identity provider.
#[handler]
pub(super) async fn begin(req: &mut Request, depot: &mut Depot, res: &mut Response) {
    let next = safe_next(req.query::<String>("next").as_deref());
    if let Err(failure) = try_begin(depot, res, next).await {
        failure.answer(req, res);
    }
}

async fn try_begin(depot: &Depot, res: &mut Response, next: String) -> Result<(), Failure> {
    let app = app(depot)?;
    let begun = app.provider.begin(next, OffsetDateTime::now_utc()).await?;
    let sealed = begun.attempt.seal(&app.master_key.login_attempts());
    let sealed = sealed.ok_or_else(|| ApiError::Internal("a login could not be sealed".into()))?;
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
    let login = app.provider.finish(&attempt, code, now).await?;
    let lifetime = app.config.management.session_lifetime;
    let id = sessions::start(&app.pool, &app.master_key, &login, lifetime)
        .await
        .map_err(ApiError::from)?;
    if app.config.tunnel.forward_access_token {
        access_tokens::keep(&app.pool, &app.master_key, &id, &login.access_token)
            .await
            .map_err(ApiError::from)?;
    }
    // A session that was there before ends: its id may have been planted.
    if let Some(old) = cookies::session(req) {
        sessions::end(&app.pool, &app.master_key, &old).await.map_err(ApiError::from)?;
    }
    cookies::set_session(res, &id, lifetime);
    cookies::clear_foreign(req, res);
    tracing::info!(
        issuer = login.identity.issuer,
        subject = login.identity.subject,
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
        let id_token = sessions::end(&app.pool, &app.master_key, &id).await?;
        if let Some(id_token) = id_token {
            target = app.provider.logout_url(&id_token).await.unwrap_or(target);
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
            OidcError::Refused(_) | OidcError::IdToken(_) => Self::NotAcceptable(error),
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
