//! `POST /oidc/backchannel-logout`: the identity provider says that a session there has ended (OpenID Connect Back-Channel Logout
//! 1.0, sections 2.5 to 2.8).

use salvo::http::header::CONTENT_TYPE;
use salvo::{Depot, Request, handler};
use time::OffsetDateTime;
use url::form_urlencoded;

use super::app;
use crate::domain::sessions;
use crate::edge::{self, ApiError, EmptyObject, Reply, Success, read_body};
use crate::error_chain::Chain;
use crate::oidc::OidcError;

/// The form in which the token comes.
#[derive(utoipa::ToSchema)]
#[schema(as = LogoutForm)]
pub(super) struct Form {
    /// The signed token.
    #[expect(dead_code, reason = "it describes the form, which is read by hand")]
    logout_token: String,
}

/// Ends the sessions that the token names. Nobody needs to be logged in for this: the token says who speaks.
#[handler]
pub(super) async fn end(req: &mut Request, depot: &mut Depot) -> Reply<Success<EmptyObject>> {
    let app = app(depot)?;
    let origin = edge::origin(req, depot);
    if !is_form(req) {
        return Err(ApiError::UnsupportedMediaType(
            "the body must be a form: application/x-www-form-urlencoded",
        ));
    }
    let body = read_body(req, app.config.limits.body.json_bytes).await?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
        return Err(ApiError::BadRequest("the form must have one logout_token".into()));
    };
    let logout = app.provider.logged_out(&token, OffsetDateTime::now_utc()).await;
    let logout = logout.map_err(refusal)?;
    let ended = sessions::end_at_provider(&app.pool, &logout, &origin).await?;
    let Some(ended) = ended else {
        return Err(ApiError::BadRequest("this logout_token was used before".into()));
    };
    for hash in ended {
        app.tunnels.sessions.forget_operator(hash);
    }
    Ok(Success::EMPTY)
}

fn is_form(req: &Request) -> bool {
    let kind = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn refusal(error: OidcError) -> ApiError {
    match error {
        OidcError::Unavailable(_) => ApiError::Unavailable(
            "the identity provider is not available, try again later",
            Some(error.into()),
        ),
        OidcError::Refused(_) | OidcError::Token(_) => {
            tracing::warn!(error = %Chain(&error), "a logout token was refused");
            ApiError::BadRequest("the logout_token is not acceptable".into())
        }
    }
}
