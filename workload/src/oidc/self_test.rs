//! What is wrong with the login, in words. Each step of a login is tried with the identity provider as far as that goes without a
//! person: its description, its keys, a request for a login that must come back to us, a code that it must refuse.

use std::error::Error as StdError;
use std::io;

use http::header::{ACCEPT, LOCATION};
use http::{Request, Response};
use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AuthorizationCode, CsrfToken, Nonce, PkceCodeChallenge, RequestTokenError, Scope,
};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use workload_config::{Oidc, PublicUrl};

use super::documents::{self, Documents};
use super::http_client::{HttpClient, HttpError};
use crate::error_chain::Chain;

/// Longest text of the provider that is quoted, in characters.
const QUOTED: usize = 200;

/// A step of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The provider is reached and describes itself.
    Discovery,
    /// It calls itself what the settings call it.
    Issuer,
    /// It has what a login needs.
    Endpoints,
    /// Its keys can be fetched and used.
    Keys,
    /// It gives the scopes that are asked for.
    Scopes,
    /// It knows us, and leads people back to us.
    Redirect,
    /// It accepts our secret.
    Secret,
    /// It can tell of logouts.
    Logouts,
    /// Access tokens of scripts.
    Audience,
    /// The claim that gives rights.
    Groups,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Logins work, but something may be missing, or could not be seen from here.
    Warning,
    /// Nobody can log in like this.
    Failed,
    /// Not tried: an earlier step failed, nothing is configured, or the provider has nothing of the kind.
    Skipped,
}

/// A step, what came of it, and what that means.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub result: Outcome,
    /// A sentence or two for people: what was found, and what to do about it.
    pub text: String,
}

type Verdict = (Outcome, String);

fn failed(text: impl Into<String>) -> Verdict {
    (Outcome::Failed, text.into())
}

/// Tries every step. `groups` are those that the login of the person who asks has brought.
pub(super) async fn run(
    settings: &Oidc,
    public_url: &PublicUrl,
    http: &HttpClient,
    groups: &[String],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |step, (result, text): Verdict| {
        findings.push(Finding { step, result, text });
        result != Outcome::Failed
    };
    let callback = public_url.join("/oidc/callback");
    let usable = match description(settings, http).await {
        Err(text) => {
            note(Step::Discovery, failed(text));
            None
        }
        Ok(description) => {
            let text = format!("{} describes itself.", settings.issuer);
            note(Step::Discovery, (Outcome::Ok, text));
            let good = note(Step::Issuer, issuer(settings, &description))
                && note(Step::Endpoints, endpoints(&description));
            let documents = if good { Some(keys(settings, public_url, http).await) } else { None };
            documents.and_then(|(verdict, documents)| {
                note(Step::Keys, verdict).then_some((description, documents?))
            })
        }
    };
    if let Some((description, documents)) = usable {
        note(Step::Scopes, scopes(settings, &description));
        note(Step::Redirect, redirect(settings, &documents, http, &callback).await);
        note(Step::Secret, secret(settings, &documents, http).await);
        note(Step::Logouts, logouts(&description, &public_url.join("/oidc/backchannel-logout")));
    }
    note(Step::Audience, audience(settings));
    note(Step::Groups, own_groups(settings, groups));
    findings
}

/// The provider's description of itself, or why there is none.
async fn description(settings: &Oidc, http: &HttpClient) -> Result<Value, String> {
    let base = settings.issuer.trim_end_matches('/');
    let address = format!("{base}/.well-known/openid-configuration");
    let answer = get(http, &address).await?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(format!(
            "{address} leads on to another address, which is not followed: set the issuer to the provider's own address."
        ));
    }
    if !status.is_success() {
        return Err(format!(
            "{address} answered {status}: the address of the issuer is wrong or lacks a part of its path."
        ));
    }
    match serde_json::from_slice(answer.body()) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        _ => Err(format!(
            "{address} answered with something else than a JSON object: another service may be at this address."
        )),
    }
}

fn issuer(settings: &Oidc, description: &Value) -> Verdict {
    let configured = &settings.issuer;
    match description.get("issuer").and_then(Value::as_str) {
        Some(named) if named == configured => {
            (Outcome::Ok, format!("It calls itself {configured}, as configured."))
        }
        Some(named) => failed(format!(
            "It calls itself {}, but the issuer is configured as {configured}: both must be the same to the letter, a slash at the \
             end included.",
            quoted(named)
        )),
        None => {
            failed("It does not say its own name (issuer): this is no OpenID Connect provider.")
        }
    }
}

fn endpoints(description: &Value) -> Verdict {
    for key in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        match description.get(key).and_then(Value::as_str) {
            None => return failed(format!("Its description has no {key}: logins need it.")),
            Some(address) if !Url::parse(address).is_ok_and(|url| url.scheme() == "https") => {
                return failed(format!("Its {key} is {}: only https is used.", quoted(address)));
            }
            Some(_) => {}
        }
    }
    let lacks = |key: &str, wanted: &str| {
        let list = description.get(key).and_then(Value::as_array);
        list.is_some_and(|list| !list.iter().any(|entry| entry == wanted))
    };
    if lacks("response_types_supported", "code") {
        return failed(
            "It does not offer the authorization code flow (response type code): allow it for this client.",
        );
    }
    if lacks("code_challenge_methods_supported", "S256") {
        return failed("It does not take PKCE with S256, which every login uses.");
    }
    (Outcome::Ok, "It offers logins by authorization code, over https alone.".into())
}

/// The keys, fetched as for a login.
async fn keys(
    settings: &Oidc,
    public_url: &PublicUrl,
    http: &HttpClient,
) -> (Verdict, Option<Documents>) {
    let documents = match documents::discover(settings, public_url, http).await {
        Ok(documents) => documents,
        Err(error) => {
            return (failed(format!("Its keys cannot be used ({}).", Chain(&error))), None);
        }
    };
    let names: Vec<String> = documents.algorithms.iter().map(name_of).collect();
    let count = documents.keys.keys().len();
    if count == 0 {
        (failed("It publishes no key: no login can be verified."), None)
    } else if names.is_empty() {
        let text = "It signs with none of the accepted algorithms: let it sign ID tokens with RS256, ES256 or EdDSA.";
        (failed(text), None)
    } else {
        let noun = if count == 1 { "key" } else { "keys" };
        let text = format!("It publishes {count} {noun} and signs with {}.", names.join(", "));
        ((Outcome::Ok, text), Some(documents))
    }
}

fn name_of(algorithm: &CoreJwsSigningAlgorithm) -> String {
    let name = serde_json::to_value(algorithm).ok();
    name.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn scopes(settings: &Oidc, description: &Value) -> Verdict {
    let announced = description.get("scopes_supported").and_then(Value::as_array);
    let missing: Vec<_> = announced.map_or_else(Vec::new, |announced| {
        let known = |scope: &&String| announced.iter().any(|entry| entry == scope.as_str());
        settings.scopes.iter().filter(|scope| !known(scope)).map(String::as_str).collect()
    });
    if missing.is_empty() {
        return (Outcome::Ok, format!("Logins ask for openid {}.", settings.scopes.join(" ")));
    }
    (
        Outcome::Warning,
        format!(
            "It does not announce {}, which logins ask for: without offline_access sessions end early, without email and profile \
             people have no names.",
            missing.join(", ")
        ),
    )
}

/// Whether it says that it can tell of logouts (OpenID Connect Back-Channel Logout 1.0, section 2.1). Whether our address is registered
/// there cannot be seen from here.
fn logouts(description: &Value, address: &str) -> Verdict {
    match description.get("backchannel_logout_supported") {
        Some(Value::Bool(true)) => (
            Outcome::Ok,
            format!(
                "It can tell of logouts. For sessions to end at once, {address} must be registered with the client as its address \
                 for back-channel logout."
            ),
        ),
        _ => (
            Outcome::Skipped,
            "It does not say that it can tell of logouts. Who is locked out there is locked out here within 15 minutes.".into(),
        ),
    }
}

/// A request for a login that needs nobody (`prompt=none`): a provider that knows client and address leads back with a refusal.
async fn redirect(
    settings: &Oidc,
    documents: &Documents,
    http: &HttpClient,
    callback: &str,
) -> Verdict {
    let (challenge, _) = PkceCodeChallenge::new_random_sha256();
    let mut request = documents
        .client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            || CsrfToken::new_random_len(32),
            || Nonce::new_random_len(32),
        )
        .add_prompt(CoreAuthPrompt::None)
        .set_pkce_challenge(challenge);
    for scope in settings.scopes.iter().filter(|scope| *scope != "openid") {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    if !settings.audience.is_empty() {
        request = request.add_extra_param("audience", &settings.audience);
    }
    let (address, ..) = request.url();
    let answer = match get(http, address.as_str()).await {
        Ok(answer) => answer,
        Err(text) => return failed(text),
    };
    let client = &settings.client_id;
    let target = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let target = target.and_then(|target| address.join(target).ok());
    match target {
        Some(target) if target.as_str().split(['?', '#']).next() == Some(callback) => {
            let value = |name| target.query_pairs().find(|(key, _)| key == name).map(|pair| pair.1);
            came_back(
                client,
                callback,
                value("error").as_deref(),
                value("error_description").as_deref(),
            )
        }
        None if answer.status().is_client_error() => failed(format!(
            "It refuses the client {client} or the address {callback} ({}): register both at the identity provider.",
            answer.status()
        )),
        _ => (
            Outcome::Warning,
            format!(
                "It shows a page of its own, so it cannot be seen from here whether the client {client} may come back to {callback}: \
                 see that this address is registered."
            ),
        ),
    }
}

fn came_back(client: &str, callback: &str, error: Option<&str>, more: Option<&str>) -> Verdict {
    match error {
        None
        | Some(
            "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required",
        ) => (
            Outcome::Ok,
            format!("It knows the client {client} and leads people back to {callback}."),
        ),
        Some(error) => {
            let more = more.map(|more| format!(": {}", quoted(more))).unwrap_or_default();
            failed(format!(
                "It knows the client {client} but refuses its logins with {}{more}.",
                quoted(error)
            ))
        }
    }
}

/// A code that nobody was given: a provider that accepts the secret refuses the code, any other one the client.
async fn secret(settings: &Oidc, documents: &Documents, http: &HttpClient) -> Verdict {
    let (_, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = match documents.client.exchange_code(AuthorizationCode::new("self-test".into())) {
        Ok(request) => request.set_pkce_verifier(verifier),
        Err(error) => return failed(format!("Codes cannot be exchanged ({}).", Chain(&error))),
    };
    let client = &settings.client_id;
    let has_secret = settings.client_secret.is_some();
    match request.request_async(&http.sender()).await {
        Err(RequestTokenError::ServerResponse(answer)) => match answer.error() {
            CoreErrorResponseType::InvalidGrant => {
                let what = if has_secret { "and its secret" } else { "without a secret" };
                (Outcome::Ok, format!("It accepts the client {client} {what}."))
            }
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                let what = if has_secret { "its secret" } else { "that it has no secret" };
                failed(format!(
                    "It refuses the client {client} or {what}: compare OIDC_CLIENT_ID and OIDC_CLIENT_SECRET with the identity provider."
                ))
            }
            other => (
                Outcome::Warning,
                format!(
                    "It answered an invented code with {}, so it cannot be seen whether the secret is right.",
                    quoted(other.as_ref())
                ),
            ),
        },
        Err(RequestTokenError::Request(error)) => failed(why(&error, "The address for tokens")),
        Ok(_) | Err(_) => failed("It answers an invented code with something else than a refusal."),
    }
}

fn audience(settings: &Oidc) -> Verdict {
    if settings.audience.is_empty() {
        let text =
            "No audience is configured: people log in, but scripts cannot bring access tokens.";
        return (Outcome::Skipped, text.into());
    }
    let text = format!(
        "Logins ask for the audience {}; access tokens of scripts must be JWTs for it.",
        settings.audience
    );
    (Outcome::Ok, text)
}

fn own_groups(settings: &Oidc, groups: &[String]) -> Verdict {
    let list = |names: &[String]| {
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let claim = &settings.groups_claim;
    let roles = format!(
        "Admins: {}. Operators: {}. Viewers: {}.",
        list(&settings.admin_groups),
        list(&settings.operator_groups),
        list(&settings.viewer_groups)
    );
    if groups.is_empty() {
        let text = format!("Your own login has brought no groups in the claim {claim}. {roles}");
        return (Outcome::Warning, text);
    }
    let own: Vec<_> = groups.iter().map(|group| quoted(group)).collect();
    let text =
        format!("Your own login has brought {} in the claim {claim}. {roles}", own.join(", "));
    (Outcome::Ok, text)
}

async fn get(http: &HttpClient, address: &str) -> Result<Response<Vec<u8>>, String> {
    let request =
        Request::get(address).header(ACCEPT, "application/json, text/html").body(Vec::new());
    let request = request.map_err(|_| format!("{} is no address.", quoted(address)))?;
    let place = Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned));
    let place = place.unwrap_or_else(|| address.to_owned());
    (http.sender())(request).await.map_err(|error| why(&error, &place))
}

/// Why there is no answer, and what to do about it.
fn why(error: &HttpError, place: &str) -> String {
    let HttpError::Request(request) = error else {
        return format!("{place} did not answer as it should ({}).", Chain(error));
    };
    match tls_fault(request) {
        Some(rustls::Error::InvalidCertificate(fault)) => format!(
            "The certificate of {place} is not accepted ({fault}): put the authority that signed it into OIDC_CA_FILE, or renew it."
        ),
        Some(fault) => format!("No safe connection to {place} can be made ({fault})."),
        None if request.is_timeout() => {
            format!("{place} did not answer in time: see whether a firewall is in between.")
        }
        None => format!(
            "{place} cannot be reached: check its name and port, and whether it runs ({}).",
            Chain(request.source().map_or(request as &(dyn StdError + 'static), |cause| cause))
        ),
    }
}

/// The fault of TLS behind an error, however deep it lies.
fn tls_fault<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(fault) = error.downcast_ref::<rustls::Error>() {
        return Some(fault);
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    next.and_then(tls_fault)
}

/// A text of the provider: short, in quotation marks, without anything that a terminal or a page would obey.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_08_texts_of_the_provider_are_short_and_harmless() {
        assert_eq!(quoted("a\u{202e}b\n\"c\""), r#""a\u{202e}b\n\"c\"""#);
        assert_eq!(quoted(&"x".repeat(1000)).len(), QUOTED + 2);
    }

    #[test]
    fn the_fault_of_tls_is_found_behind_other_errors() {
        let fault = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let deep = io::Error::other(io::Error::other(fault.clone()));
        assert_eq!(tls_fault(&deep), Some(&fault));
        assert_eq!(tls_fault(&io::Error::other("no")), None);
    }
}
