//! Where people log in: the relation `oauth`, or the options `oidc-*`.

use ops::Status;
use relations::oauth::OauthAnswer;
use relations::{BagError, Databag};
use secrecy::SecretString;

use crate::config::{Config, HttpsUrl};
use crate::observe::{Inputs, Registration};
use crate::pki;

/// The identity provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Issuer, to the letter.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; a public client has none.
    pub client_secret: Option<SecretString>,
    /// Claim with the groups of a person.
    pub groups_claim: String,
    /// Authorities to trust for it, one PEM text each.
    pub authorities: Vec<String>,
}

/// Finds the identity provider.
///
/// # Errors
///
/// What the operator should do, or whom we wait for.
pub fn provider(inputs: &Inputs, config: &Config) -> Result<Provider, Status> {
    match &inputs.login.relation {
        Some(relation) => from_relation(relation, config),
        None => from_options(inputs, config),
    }
}

fn from_relation(relation: &Registration, config: &Config) -> Result<Provider, Status> {
    let waiting = || Status::waiting("waiting for oauth: the provider is still registering us");
    let answer = match &relation.offer.answer {
        Ok(answer) => answer.as_ref().ok_or_else(waiting)?,
        Err(error) => return Err(crate::status::unusable(&relation.offer.own.id, error)),
    };
    let unusable = |key, expected| {
        let error = BagError::Malformed { interface: OauthAnswer::INTERFACE, key, expected };
        crate::status::unusable(&relation.offer.own.id, &error)
    };
    let HttpsUrl(issuer) = HttpsUrl::try_from(answer.issuer_url.clone())
        .map_err(|_| unusable("issuer_url", "a URL that begins with https:// and a host"))?;
    let chain = answer.ca_chain.join("\n");
    let authorities =
        if chain.trim().is_empty() { Some(Vec::new()) } else { pki::certificates(&chain) };
    let authorities =
        authorities.ok_or_else(|| unusable("ca_chain", "a JSON list of PEM certificates"))?;
    let client = answer.client.as_ref().ok_or_else(waiting)?;
    Ok(Provider {
        issuer,
        client_id: client.id.clone(),
        client_secret: Some(relation.secret.clone().ok_or_else(waiting)?),
        groups_claim: answer.groups.clone().unwrap_or_else(|| config.oidc_groups_claim.clone()),
        authorities,
    })
}

fn from_options(inputs: &Inputs, config: &Config) -> Result<Provider, Status> {
    let app = &inputs.app;
    let (issuer, client_id) = match (&config.oidc_issuer, &config.oidc_client_id) {
        (Some(issuer), Some(client_id)) => (issuer.0.clone(), client_id.clone()),
        (Some(_), None) => {
            return Err(Status::blocked(&format!(
                "OIDC is not configured: option oidc-client-id is not set; run: juju config {app} \
                 oidc-client-id=<client id>"
            )));
        }
        (None, Some(_)) => {
            return Err(Status::blocked(&format!(
                "OIDC is not configured: option oidc-issuer is not set; run: juju config {app} \
                 oidc-issuer=<URL>"
            )));
        }
        (None, None) => {
            return Err(Status::blocked(&format!(
                "OIDC is not configured; run: juju integrate {app}:oauth hydra, or: juju config \
                 {app} oidc-issuer=<URL> oidc-client-id=<client id>"
            )));
        }
    };
    let client_secret = match &inputs.login.credentials {
        Some(Some(secret)) => Some(secret.clone()),
        Some(None) => {
            return Err(Status::blocked(&format!(
                "the secret of option oidc-client-credentials cannot be read, or has no key \
                 client-secret; run: juju grant-secret <secret> {app}"
            )));
        }
        None => config.oidc_client_secret.clone(),
    };
    let groups_claim = config.oidc_groups_claim.clone();
    Ok(Provider { issuer, client_id, client_secret, groups_claim, authorities: Vec::new() })
}
