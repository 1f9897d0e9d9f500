//! Login with OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9700),
//! the refresh that verifies a session, access tokens that scripts bring, and logouts that the provider tells of. It knows the identity provider and nothing of our
//! HTTP routes or tables.

mod attempt;
mod claims;
mod documents;
mod http_client;
mod logout_token;
mod provider;
mod self_test;
mod verification;

pub use attempt::{LoginAttempt, safe_next};
pub use provider::{Authorization, Provider};
pub use self_test::{Finding, Outcome, Step};

/// Why a login or a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be reached or answers nonsense.
    #[error("the identity provider is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider refused the code.
    #[error("the identity provider refused the login")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A token is not acceptable.
    #[error("the token is not acceptable")]
    Token(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn unavailable<E: std::error::Error + Send + Sync + 'static>(error: E) -> OidcError {
    OidcError::Unavailable(error.into())
}
