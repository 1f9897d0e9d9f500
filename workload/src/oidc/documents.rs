//! What the provider publishes about itself: endpoints, algorithms and keys (OpenID Connect Discovery 1.0). It is fetched when it is
//! first needed, so the provider may be away at start, and kept while the provider is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use openidconnect::core::{CoreClientAuthMethod, CoreJsonWebKey, CoreJwsSigningAlgorithm};
use openidconnect::{
    AuthType, ClientId, ClientSecret, EndSessionUrl, IssuerUrl, JsonWebKeySet, RedirectUrl,
    RevocationUrl, TokenUrl,
};
use tokio::sync::Mutex;
use url::Url;
use workload_config::{ExposeSecret, Oidc, PublicUrl};

use super::OidcError;
use super::claims::{OidcClient, ProviderMetadata};
use super::http_client::HttpClient;
use crate::error_chain::Chain;

/// Least time between two attempts to reach a provider that does not answer.
const RETRY_TIME: Duration = Duration::from_secs(10);
/// Least time between two looks for new keys.
const KEY_REFRESH_TIME: Duration = Duration::from_mins(1);
/// Documents of this age are fetched again in the background.
const REFRESH_AGE: Duration = Duration::from_hours(1);
/// Documents of this age are no longer used: a provider that was away for so long may have given its keys up.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Most keys that a provider may publish.
const MAX_KEYS: usize = 100;

/// Signatures that are accepted: asymmetric ones only (RFC 8725, section 3.1).
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What discovery yielded.
pub(super) struct Documents {
    pub(super) client: OidcClient,
    pub(super) issuer: IssuerUrl,
    pub(super) keys: JsonWebKeySet<CoreJsonWebKey>,
    /// Accepted signatures of ID tokens: ours that the provider announces, too.
    pub(super) algorithms: Vec<CoreJwsSigningAlgorithm>,
    pub(super) end_session: Option<EndSessionUrl>,
    pub(super) revocation: Option<RevocationUrl>,
    /// Whether every answer to the browser names the provider (RFC 9207).
    pub(super) names_itself: bool,
    fetched_at: Instant,
}

/// The documents that are in use, and when they were last asked for.
pub(super) struct DocumentCache {
    current: ArcSwapOption<Documents>,
    attempts: Mutex<Attempts>,
}

/// When the documents were last asked for: because there were none, and because those that are there lacked something.
#[derive(Default)]
struct Attempts {
    first: Option<Instant>,
    again: Option<Instant>,
}

impl DocumentCache {
    pub(super) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), attempts: Mutex::default() }
    }

    /// The documents that are there already.
    pub(super) fn known(&self) -> Option<Arc<Documents>> {
        self.current.load_full().filter(|documents| documents.fetched_at.elapsed() <= MAX_AGE)
    }

    /// The documents: fetched when there are none yet, and again when `outdated` is what we have. One request at a time; an
    /// unreachable provider is tried every ten seconds at most, new keys are looked for once a minute at most.
    pub(super) async fn get(
        &self,
        outdated: Option<&Arc<Documents>>,
        fetch: impl Future<Output = Result<Documents, OidcError>>,
    ) -> Result<Arc<Documents>, OidcError> {
        let is_outdated =
            |known: &Arc<Documents>| outdated.is_some_and(|old| Arc::ptr_eq(old, known));
        if let Some(known) = self.known().filter(|known| !is_outdated(known)) {
            return Ok(known);
        }
        let mut attempts = self.attempts.lock().await;
        // Somebody else may have been here meanwhile.
        let known = self.known();
        let needed = known.as_ref().is_none_or(is_outdated);
        let last = if known.is_some() { &mut attempts.again } else { &mut attempts.first };
        match decide(needed, known.is_some(), last.map(|at| at.elapsed())) {
            Decision::Fetch => {}
            Decision::Use => return known.ok_or_else(not_a_moment_ago),
        }
        *last = Some(Instant::now()); // also when the caller gives up meanwhile
        let fetched = fetch.await;
        *last = Some(Instant::now()); // an attempt may itself take as long as the pause after it
        match (fetched, known) {
            (Ok(documents), _) => Ok(self.store(documents)),
            (Err(error), Some(known)) => {
                tracing::warn!(error = %Chain(&error), "the identity provider's keys could not be fetched again");
                Ok(known)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Fetches documents again that have become old; what is there stays in use when that fails.
    pub(super) async fn refresh_if_old(
        &self,
        fetch: impl Future<Output = Result<Documents, OidcError>>,
    ) {
        let old = |documents: &Arc<Documents>| documents.fetched_at.elapsed() > REFRESH_AGE;
        if !self.current.load().as_ref().is_some_and(old) {
            return;
        }
        let mut attempts = self.attempts.lock().await;
        if attempts.again.is_some_and(|at| at.elapsed() < KEY_REFRESH_TIME) {
            return;
        }
        attempts.again = Some(Instant::now());
        match fetch.await {
            Ok(documents) => drop(self.store(documents)),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the identity provider's keys could not be fetched again");
            }
        }
    }

    /// Lets the next call try at once: something changed that the last failure may have been due to.
    pub(super) async fn try_again(&self) {
        *self.attempts.lock().await = Attempts::default();
    }

    fn store(&self, documents: Documents) -> Arc<Documents> {
        let documents = Arc::new(documents);
        self.current.store(Some(Arc::clone(&documents)));
        documents
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Fetch,
    /// What is there is used; where nothing is, the caller is refused.
    Use,
}

fn decide(needed: bool, known: bool, since_attempt: Option<Duration>) -> Decision {
    let pause = if known { KEY_REFRESH_TIME } else { RETRY_TIME };
    let too_soon = since_attempt.is_some_and(|time| time < pause);
    if needed && !too_soon { Decision::Fetch } else { Decision::Use }
}

fn not_a_moment_ago() -> OidcError {
    OidcError::Unavailable("it did not answer a moment ago".into())
}

/// Fetches what the provider publishes and checks that it can be used: it names itself as configured, every endpoint is https, and
/// it has a bounded number of keys.
pub(super) async fn discover(
    settings: &Oidc,
    public_url: &PublicUrl,
    http: &HttpClient,
) -> Result<Documents, OidcError> {
    let unusable = |reason: &str| OidcError::Unavailable(reason.into());
    let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(super::unavailable)?;
    let sender = http.sender();
    let metadata = ProviderMetadata::discover_async(issuer.clone(), &sender)
        .await
        .map_err(super::unavailable)?;
    let more = metadata.additional_metadata().clone();
    let endpoints = [
        Some(metadata.authorization_endpoint().url()),
        metadata.token_endpoint().map(TokenUrl::url),
        Some(metadata.jwks_uri().url()),
        more.end_session_endpoint.as_ref().map(EndSessionUrl::url),
        more.revocation_endpoint.as_ref().map(RevocationUrl::url),
    ];
    if endpoints.into_iter().flatten().any(|url: &Url| url.scheme() != "https") {
        return Err(unusable("it announces an endpoint that is not https"));
    }
    let keys = metadata.jwks().clone();
    if keys.keys().len() > MAX_KEYS {
        return Err(unusable("it publishes more than 100 keys"));
    }
    let announced = metadata.id_token_signing_alg_values_supported();
    let algorithms = ALGORITHMS.into_iter().filter(|known| announced.contains(known)).collect();
    let redirect =
        RedirectUrl::new(public_url.join("/oidc/callback")).map_err(super::unavailable)?;
    let secret = settings
        .client_secret
        .as_ref()
        .map(|secret| ClientSecret::new(secret.expose_secret().into()));
    let in_body = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
        !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
            && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
    });
    let client = OidcClient::from_provider_metadata(
        metadata,
        ClientId::new(settings.client_id.clone()),
        secret,
    )
    .set_redirect_uri(redirect)
    .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
    tracing::info!(issuer = settings.issuer, "fetched the identity provider's configuration");
    Ok(Documents {
        client,
        issuer,
        keys,
        algorithms,
        end_session: more.end_session_endpoint,
        revocation: more.revocation_endpoint,
        names_itself: more.authorization_response_iss_parameter_supported,
        fetched_at: Instant::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_07_keys_are_looked_for_once_a_minute_and_an_absent_provider_every_ten_seconds() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (needed, known, since_attempt, decision) in [
            (true, false, None, Decision::Fetch),
            (true, false, seconds(9), Decision::Use),
            (true, false, seconds(10), Decision::Fetch),
            (true, true, seconds(59), Decision::Use),
            (true, true, seconds(60), Decision::Fetch),
            (false, true, None, Decision::Use),
            (false, true, seconds(3600), Decision::Use),
        ] {
            let case = format!("{needed} {known} {since_attempt:?}");
            assert_eq!(decide(needed, known, since_attempt), decision, "{case}");
        }
    }
}
