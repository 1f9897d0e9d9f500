//! Login with OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9700).
//! It knows the identity provider and nothing of our HTTP routes or tables.

mod attempt;
mod claims;
mod http_client;
mod provider;

pub use attempt::{LoginAttempt, safe_next};
pub use provider::{Authorization, OidcError, Provider};
