//! The identity provider: discovery, the redirect to it, and the exchange of its answer for a person.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{CoreAuthenticationFlow, CoreGenderClaim, CoreJwsSigningAlgorithm};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndSessionUrl, IdTokenClaims, IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout,
    RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use workload_config::{ExposeSecret, Oidc, PublicUrl};

use super::LoginAttempt;
use super::claims::{OidcClient, OtherClaims, ProviderIdToken, Tokens};
use super::http_client::HttpClient;
use crate::domain::sessions::Login;
use crate::error_chain::Chain;
use crate::model::Identity;
use crate::tls::{self, TlsError};

/// Scopes that are asked for.
const SCOPES: [&str; 3] = ["offline_access", "email", "profile"];
/// Least time between two attempts to reach a provider that does not answer.
const RETRY_TIME: Duration = Duration::from_secs(10);
/// Least time between two looks for new keys.
const KEY_REFRESH_TIME: Duration = Duration::from_mins(1);
/// Oldest ID token that is accepted at a login, and the tolerance between clocks, in seconds.
const MAX_TOKEN_AGE_S: i64 = 600;
const CLOCK_SKEW_S: i64 = 60;

/// Why a login fails.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be reached or answers nonsense.
    #[error("the identity provider is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider refused the code.
    #[error("the identity provider refused the login")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ID token is not acceptable.
    #[error("the ID token is not acceptable")]
    IdToken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The redirect that begins a login.
pub struct Authorization {
    /// Where to send the browser.
    pub url: String,
    /// What to remember of the attempt.
    pub attempt: LoginAttempt,
}

/// The configured identity provider. Its documents are fetched when the first login needs them: it may be away at start.
pub struct Provider {
    settings: Oidc,
    public_url: PublicUrl,
    http: HttpClient,
    discovered: Mutex<Discovered>,
}

#[derive(Default)]
struct Discovered {
    session: Option<Arc<Session>>,
    last_attempt: Option<Instant>,
}

/// What discovery yielded.
struct Session {
    client: OidcClient,
    end_session: Option<EndSessionUrl>,
}

impl Provider {
    /// Prepares for the provider; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the file with authorities cannot be used.
    pub fn new(settings: Oidc, public_url: PublicUrl) -> Result<Self, TlsError> {
        let tls = tls::client_config(settings.ca_file.as_deref())?;
        let http = HttpClient::new(tls).map_err(|_| TlsError::Runtime)?;
        Ok(Self { settings, public_url, http, discovered: Mutex::default() })
    }

    /// Begins a login: the address to send the browser to, with fresh state, nonce and PKCE challenge (S256).
    ///
    /// # Errors
    ///
    /// [`OidcError::Unavailable`] when the provider's configuration cannot be fetched.
    #[tracing::instrument(name = "oidc.login.begin", skip_all)]
    pub async fn begin(
        &self,
        next: String,
        now: OffsetDateTime,
    ) -> Result<Authorization, OidcError> {
        let session = self.session(None).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        // 256 bits each.
        let mut request = session
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(32),
                || Nonce::new_random_len(32),
            )
            .set_pkce_challenge(challenge);
        for scope in SCOPES {
            request = request.add_scope(Scope::new(scope.into()));
        }
        if !self.settings.audience.is_empty() {
            request = request.add_extra_param("audience", &self.settings.audience);
        }
        let (url, state, nonce) = request.url();
        let attempt = LoginAttempt::new(
            state.secret().clone(),
            nonce.secret().clone(),
            verifier.secret().clone(),
            next,
            now,
        );
        Ok(Authorization { url: url.into(), attempt })
    }

    /// Ends a login: exchanges the code and checks the ID token.
    ///
    /// # Errors
    ///
    /// [`OidcError`] says whether the provider was away, refused the code, or sent an ID token that is not acceptable.
    #[tracing::instrument(name = "oidc.login.finish", skip_all)]
    pub async fn finish(
        &self,
        attempt: &LoginAttempt,
        code: String,
        now: OffsetDateTime,
    ) -> Result<Login, OidcError> {
        let session = self.session(None).await?;
        let exchange = session
            .client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(unavailable)?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.pkce_verifier.clone()));
        let http = self.http.sender();
        let tokens = exchange.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => OidcError::Refused(error.into()),
            other => OidcError::Unavailable(other.into()),
        })?;
        let id_token =
            tokens.id_token().ok_or_else(|| OidcError::IdToken("there is none".into()))?;
        let nonce = Nonce::new(attempt.nonce.clone());
        let mut verified = verify(&session, &tokens, id_token, &nonce, now);
        if let Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        )) = verified
        {
            let session = self.session(Some(&session)).await?;
            verified = verify(&session, &tokens, id_token, &nonce, now);
        }
        let claims = verified.map_err(|error| OidcError::IdToken(error.into()))?;
        let subject = claims.subject().to_string();
        if subject.is_empty() || subject.len() > 255 {
            return Err(OidcError::IdToken("the subject must have 1 to 255 characters".into()));
        }
        Ok(Login {
            identity: Identity {
                issuer: self.settings.issuer.clone(),
                subject,
                name: claims
                    .name()
                    .and_then(|name| name.get(None))
                    .map(|name| name.to_string())
                    .unwrap_or_default(),
                email: claims.email().map(|email| email.to_string()).unwrap_or_default(),
            },
            groups: claims.additional_claims().groups(&self.settings.groups_claim),
            id_token: id_token.to_string(),
            refresh_token: tokens.refresh_token().map(|token| token.secret().clone()),
            access_token: tokens.access_token().secret().clone().into(),
        })
    }

    /// Where to send the browser to end the session at the provider as well (RP-Initiated Logout 1.0); `None` when the
    /// provider has no such page or was not reached yet.
    pub async fn logout_url(&self, id_token: &str) -> Option<String> {
        let session = self.discovered.lock().await.session.clone()?;
        let hint: ProviderIdToken = id_token.parse().ok()?;
        let target = PostLogoutRedirectUrl::new(self.public_url.join("/ui/login/")).ok()?;
        let request = LogoutRequest::from(session.end_session.clone()?)
            .set_id_token_hint(&hint)
            .set_client_id(ClientId::new(self.settings.client_id.clone()))
            .set_post_logout_redirect_uri(target);
        Some(request.http_get_url().into())
    }

    /// The provider's documents: fetched when there are none yet, and again when `outdated` is what we have. One request at a
    /// time; an unreachable provider is tried every ten seconds at most, new keys are looked for once a minute at most.
    async fn session(&self, outdated: Option<&Arc<Session>>) -> Result<Arc<Session>, OidcError> {
        let mut discovered = self.discovered.lock().await;
        let pause = if discovered.session.is_some() { KEY_REFRESH_TIME } else { RETRY_TIME };
        let too_soon = discovered.last_attempt.is_some_and(|at| at.elapsed() < pause);
        let known = discovered.session.clone();
        match &known {
            Some(session) if too_soon || !outdated.is_some_and(|old| Arc::ptr_eq(old, session)) => {
                return Ok(Arc::clone(session));
            }
            None if too_soon => {
                return Err(OidcError::Unavailable("it did not answer a moment ago".into()));
            }
            _ => {}
        }
        discovered.last_attempt = Some(Instant::now());
        match (self.discover().await, known) {
            (Ok(session), _) => Ok(Arc::clone(discovered.session.insert(Arc::new(session)))),
            (Err(error), Some(session)) => {
                tracing::warn!(error = %Chain(&error), "the identity provider's keys could not be fetched again");
                Ok(session)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn discover(&self) -> Result<Session, OidcError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(unavailable)?;
        let http = self.http.sender();
        let metadata =
            ProviderMetadataWithLogout::discover_async(issuer, &http).await.map_err(unavailable)?;
        let end_session = metadata.additional_metadata().end_session_endpoint.clone();
        let redirect =
            RedirectUrl::new(self.public_url.join("/oidc/callback")).map_err(unavailable)?;
        let secret = self
            .settings
            .client_secret
            .as_ref()
            .map(|secret| ClientSecret::new(secret.expose_secret().into()));
        let client = OidcClient::from_provider_metadata(
            metadata,
            ClientId::new(self.settings.client_id.clone()),
            secret,
        )
        .set_redirect_uri(redirect);
        tracing::info!(
            issuer = self.settings.issuer,
            "fetched the identity provider's configuration"
        );
        Ok(Session { client, end_session })
    }
}

fn unavailable<E: std::error::Error + Send + Sync + 'static>(error: E) -> OidcError {
    OidcError::Unavailable(error.into())
}

/// Checks signature, issuer, audience, expiry, nonce, age and the binding to the access token (OpenID Connect Core 1.0, section
/// 3.1.3.7). Only asymmetric algorithms are accepted.
fn verify<'a>(
    session: &Session,
    tokens: &'a Tokens,
    id_token: &'a ProviderIdToken,
    nonce: &Nonce,
    now: OffsetDateTime,
) -> Result<&'a IdTokenClaims<OtherClaims, CoreGenderClaim>, ClaimsVerificationError> {
    use CoreJwsSigningAlgorithm as Alg;
    let now = now.unix_timestamp();
    let algorithms = [
        Alg::RsaSsaPkcs1V15Sha256,
        Alg::RsaSsaPkcs1V15Sha384,
        Alg::RsaSsaPkcs1V15Sha512,
        Alg::RsaSsaPssSha256,
        Alg::RsaSsaPssSha384,
        Alg::RsaSsaPssSha512,
        Alg::EcdsaP256Sha256,
        Alg::EcdsaP384Sha384,
        Alg::EdDsa,
    ];
    let verifier =
        session.client.id_token_verifier().set_allowed_algs(algorithms).set_issue_time_verifier_fn(
            move |issued| {
                let age = now - issued.timestamp();
                if (-CLOCK_SKEW_S..=MAX_TOKEN_AGE_S).contains(&age) {
                    Ok(())
                } else {
                    Err(format!("it was issued {age} s ago"))
                }
            },
        );
    let claims = id_token.claims(&verifier, nonce)?;
    let refuse = |reason: &str| Err(ClaimsVerificationError::Other(reason.into()));
    if claims.additional_claims().not_before().is_some_and(|begin| begin > now + CLOCK_SKEW_S) {
        return refuse("it is not valid yet");
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm =
            id_token.signing_alg().map_err(ClaimsVerificationError::SignatureVerification)?;
        let key = id_token
            .signing_key(&verifier)
            .map_err(ClaimsVerificationError::SignatureVerification)?;
        let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
        if actual.is_ok_and(|actual| actual != *expected) {
            return refuse("it belongs to another access token");
        }
    }
    Ok(claims)
}
