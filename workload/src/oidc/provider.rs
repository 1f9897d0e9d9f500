//! The identity provider: the redirect to it, the exchange of its answer for a person, and what keeps a session verified.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreErrorResponseType, CoreRevocableToken};
use openidconnect::{
    AuthorizationCode, ClientId, CsrfToken, LogoutRequest, Nonce, NonceVerifier,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, RefreshToken,
    RequestTokenError, Scope, TokenResponse,
};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use workload_config::{Oidc, PublicUrl};

use super::claims::{ProviderIdToken, Tokens};
use super::documents::{self, DocumentCache, Documents};
use super::http_client::HttpClient;
use super::logout_token::{self, NotAcceptable};
use super::self_test::{self, Finding};
use super::verification::{self, Claims};
use super::{LoginAttempt, OidcError, unavailable};
use crate::domain::sessions::{IdentityProvider, Login, RefreshError};
use crate::error_chain::Chain;
use crate::model::{Identity, Operator, ProviderLogout};
use crate::tls::{self, TlsError};

/// Time between two looks at the file with authorities and at the age of the keys.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

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
    documents: DocumentCache,
    /// Held by the one self-test that runs.
    testing: Mutex<()>,
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
        let (documents, testing) = (DocumentCache::new(), Mutex::default());
        Ok(Self { settings, public_url, http, documents, testing })
    }

    /// Until `stop`: takes over a changed file with authorities, and fetches the provider's keys again before they are old.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = authorities(self.settings.ca_file.as_deref()).await;
        while stop.run_until_cancelled(tokio::time::sleep(FOLLOW_INTERVAL)).await.is_some() {
            let now = authorities(self.settings.ca_file.as_deref()).await;
            if now != seen {
                seen = now;
                self.replace_authorities().await;
            }
            self.documents.refresh_if_old(self.discover()).await;
        }
    }

    async fn replace_authorities(&self) {
        let replaced = tls::client_config(self.settings.ca_file.as_deref())
            .and_then(|tls| self.http.replace(tls).map_err(|_| TlsError::Runtime));
        match replaced {
            Ok(()) => {
                self.documents.try_again().await;
                tracing::info!("the authorities for the identity provider were replaced");
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the new authorities for the identity provider cannot be used: the old ones stay");
            }
        }
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
        let documents = self.documents(None).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        // 256 bits each.
        let mut request = documents
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(32),
                || Nonce::new_random_len(32),
            )
            .set_pkce_challenge(challenge);
        for scope in self.settings.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
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

    /// Ends a login: exchanges the code and checks the ID token. `issuer` is who the answer says that it comes from (RFC 9207).
    ///
    /// # Errors
    ///
    /// [`OidcError`] says whether the provider was away, refused the code, or sent an ID token that is not acceptable.
    #[tracing::instrument(name = "oidc.login.finish", skip_all)]
    pub async fn finish(
        &self,
        attempt: &LoginAttempt,
        code: String,
        issuer: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Login, OidcError> {
        let documents = self.documents(None).await?;
        if issuer.map_or(documents.names_itself, |issuer| issuer != self.settings.issuer) {
            return Err(OidcError::Token("the answer comes from another issuer".into()));
        }
        let exchange = documents
            .client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(unavailable)?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.pkce_verifier.clone()));
        let http = self.http.sender();
        let tokens = exchange.request_async(&http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => OidcError::Refused(error.into()),
            other => OidcError::Unavailable(other.into()),
        })?;
        let nonce = Nonce::new(attempt.nonce.clone());
        self.login(&documents, &tokens, || &nonce, now).await
    }

    /// Who a bearer access token belongs to (RFC 6750). It must be a JWT of the provider for the configured audience.
    ///
    /// # Errors
    ///
    /// [`OidcError::Token`] for every token when no audience is configured, and for one that is not acceptable;
    /// [`OidcError::Unavailable`] when the provider's keys cannot be fetched.
    #[tracing::instrument(name = "oidc.access_token.verify", skip_all)]
    pub async fn bearer(&self, token: &str, now: OffsetDateTime) -> Result<Operator, OidcError> {
        let audience = &self.settings.audience;
        if audience.is_empty() {
            return Err(OidcError::Token("no audience is configured".into()));
        }
        let token: ProviderIdToken =
            token.parse().map_err(|_| OidcError::Token("it is no JWT for us".into()))?;
        let client_id = &self.settings.client_id;
        let documents = self.documents(None).await?;
        let mut verified = verification::access_token(&documents, client_id, audience, &token, now);
        if verified.as_ref().is_err_and(verification::lacks_key) {
            let documents = self.documents(Some(&documents)).await?;
            verified = verification::access_token(&documents, client_id, audience, &token, now);
        }
        let claims = verified.map_err(|error| OidcError::Token(error.into()))?;
        let groups = claims.additional_claims().groups(&self.settings.groups_claim);
        Ok(Operator::new(self.identity(claims), groups))
    }

    /// What a logout token says (OpenID Connect Back-Channel Logout 1.0).
    ///
    /// # Errors
    ///
    /// [`OidcError::Token`] when it is not acceptable, [`OidcError::Unavailable`] when the provider's keys cannot be fetched.
    #[tracing::instrument(name = "oidc.logout_token.verify", skip_all)]
    pub async fn logged_out(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<ProviderLogout, OidcError> {
        let client_id = &self.settings.client_id;
        let documents = self.documents(None).await?;
        let mut verified = logout_token::verify(&documents, client_id, token, now);
        if matches!(verified, Err(NotAcceptable::Key)) {
            let documents = self.documents(Some(&documents)).await?;
            verified = logout_token::verify(&documents, client_id, token, now);
        }
        verified.map_err(|error| OidcError::Token(error.into()))
    }

    /// Where to send the browser to end the session at the provider as well (RP-Initiated Logout 1.0); `None` when the
    /// provider has no such page or was not reached yet.
    #[must_use]
    pub fn logout_url(&self, id_token: &str) -> Option<String> {
        let documents = self.documents.known()?;
        let hint: ProviderIdToken = id_token.parse().ok()?;
        let target = PostLogoutRedirectUrl::new(self.public_url.join("/ui/login/")).ok()?;
        let request = LogoutRequest::from(documents.end_session.clone()?)
            .set_id_token_hint(&hint)
            .set_client_id(ClientId::new(self.settings.client_id.clone()))
            .set_post_logout_redirect_uri(target)
            .set_state(CsrfToken::new_random());
        Some(request.http_get_url().into())
    }

    /// The configured issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Tries each step of a login that needs nobody and says in words what is wrong. `groups` are those of the person who asks.
    /// `None`: another test runs. It may take a minute while the provider does not answer, so nobody waits for it.
    #[tracing::instrument(name = "oidc.self_test", skip_all)]
    pub async fn self_test(&self, groups: &[String]) -> Option<Vec<Finding>> {
        let _alone = self.testing.try_lock().ok()?;
        Some(self_test::run(&self.settings, &self.public_url, &self.http, groups).await)
    }

    /// Checks the ID token among `tokens`, with the provider's newest keys if need be.
    async fn login<N: NonceVerifier>(
        &self,
        documents: &Arc<Documents>,
        tokens: &Tokens,
        nonce: impl Fn() -> N,
        now: OffsetDateTime,
    ) -> Result<Login, OidcError> {
        let id_token = tokens.id_token().ok_or_else(|| OidcError::Token("there is none".into()))?;
        let client_id = &self.settings.client_id;
        let mut verified =
            verification::id_token(documents, client_id, tokens, id_token, nonce(), now);
        if verified.as_ref().is_err_and(verification::lacks_key) {
            let documents = self.documents(Some(documents)).await?;
            verified =
                verification::id_token(&documents, client_id, tokens, id_token, nonce(), now);
        }
        let claims = verified.map_err(|error| OidcError::Token(error.into()))?;
        Ok(Login {
            identity: self.identity(claims),
            groups: claims.additional_claims().groups(&self.settings.groups_claim),
            provider_session: claims.additional_claims().session(),
            id_token: id_token.to_string(),
            refresh_token: tokens.refresh_token().map(|token| token.secret().clone()),
            access_token: tokens.access_token().secret().clone().into(),
        })
    }

    fn identity(&self, claims: &Claims) -> Identity {
        let name = claims.name().and_then(|name| name.get(None));
        // The database takes no NUL, and nobody has control characters in their name.
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
        Identity {
            issuer: self.settings.issuer.clone(),
            subject: claims.subject().to_string(),
            name: name.map(|name| plain(name.as_str())).unwrap_or_default(),
            email: claims.email().map(|email| plain(email.as_str())).unwrap_or_default(),
        }
    }

    async fn documents(
        &self,
        outdated: Option<&Arc<Documents>>,
    ) -> Result<Arc<Documents>, OidcError> {
        self.documents.get(outdated, self.discover()).await
    }

    async fn discover(&self) -> Result<Documents, OidcError> {
        documents::discover(&self.settings, &self.public_url, &self.http).await
    }
}

impl IdentityProvider for Provider {
    /// Refreshes (OpenID Connect Core 1.0, section 12). Only `invalid_grant`, an answer about another person and an answer without
    /// an ID token end a session; whatever else goes wrong may be the network's or the provider's bad moment.
    #[tracing::instrument(name = "oidc.refresh", skip_all)]
    async fn refresh(&self, refresh_token: &str, subject: &str) -> Result<Login, RefreshError> {
        let away = |error: OidcError| RefreshError::Unavailable(error.into());
        let ended = |reason: &str| RefreshError::Ended(reason.into());
        let documents = self.documents(None).await.map_err(away)?;
        let refresh_token = RefreshToken::new(refresh_token.to_owned());
        let request = documents
            .client
            .exchange_refresh_token(&refresh_token)
            .map_err(|error| away(unavailable(error)))?;
        let http = self.http.sender();
        let tokens = request.request_async(&http).await.map_err(|error| match &error {
            RequestTokenError::ServerResponse(answer)
                if *answer.error() == CoreErrorResponseType::InvalidGrant =>
            {
                RefreshError::Ended(error.into())
            }
            _ => RefreshError::Unavailable(error.into()),
        })?;
        if tokens.id_token().is_none() {
            return Err(ended("the answer to a refresh has no ID token"));
        }
        // A refreshed ID token need not have the nonce of the login.
        let nonce = || |_: Option<&Nonce>| Ok(());
        let now = OffsetDateTime::now_utc();
        let login = self.login(&documents, &tokens, nonce, now).await;
        let login = login.map_err(|error| match tokens.refresh_token() {
            Some(token) => RefreshError::Unchecked {
                refresh_token: token.secret().clone().into(),
                source: error.into(),
            },
            None => away(error),
        })?;
        if login.identity.subject != subject {
            return Err(ended("the answer to a refresh is about somebody else"));
        }
        Ok(login)
    }

    /// Revokes a refresh token (RFC 7009), where the provider knows how.
    #[tracing::instrument(name = "oidc.revoke", skip_all)]
    async fn revoke(&self, refresh_token: String) {
        let Some(documents) = self.documents.known() else { return };
        let Some(endpoint) = documents.revocation.clone() else { return };
        let client = documents.client.clone().set_revocation_url(endpoint);
        let token = CoreRevocableToken::RefreshToken(RefreshToken::new(refresh_token));
        let Ok(request) = client.revoke_token(token) else { return };
        let http = self.http.sender();
        match request.request_async(&http).await {
            Ok(()) => tracing::debug!("a refresh token was revoked"),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a refresh token could not be revoked");
            }
        }
    }
}

/// What the file with authorities holds; one that cannot be read counts as empty.
async fn authorities(path: Option<&Path>) -> Vec<u8> {
    match path {
        Some(path) => tokio::fs::read(path).await.unwrap_or_default(),
        None => Vec::new(),
    }
}
