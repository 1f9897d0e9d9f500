//! `GET /1.0/login-check`: what is wrong with the login, in words.

use salvo::{Depot, handler};
use serde::Serialize;

use super::app;
use super::caller::caller;
use crate::edge::{ApiError, Reply, Success};
use crate::oidc::{Finding, Outcome};

/// What the identity provider makes of our settings.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LoginCheckView {
    /// Whether people can log in, as far as it can be seen.
    ok: bool,
    /// The configured identity provider.
    issuer: String,
    /// The address that has to be registered there.
    redirect_uri: String,
    /// The steps in their order; those after a failed one may be missing.
    steps: Vec<Finding>,
}

/// `GET /1.0/login-check`: tries each step of a login that needs nobody.
#[handler]
pub(super) async fn get(depot: &mut Depot) -> Reply<Success<LoginCheckView>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let steps = app.provider.self_test(&caller.operator.groups).await;
    let steps = steps.ok_or(ApiError::Unavailable(
        "another check of the login is running, try again later",
        None,
    ))?;
    Ok(Success(LoginCheckView {
        ok: steps.iter().all(|finding| finding.result != Outcome::Failed),
        issuer: app.provider.issuer().to_owned(),
        redirect_uri: app.public_url.join("/oidc/callback"),
        steps,
    }))
}
