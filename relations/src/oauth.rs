//! Interface `oauth`: the provider registers us as an OIDC client.
//!
//! Our leader writes [`OauthRequest`] as soon as the public URL is known, all keys at once, because
//! the provider refuses a bag that lacks one. The provider writes its endpoints first and the
//! client's id and secret later: [`OauthAnswer`].

use secrecy::SecretString;

use crate::bag::{Bag, BagError, Databag, Reader, bag, boolean_text};
use crate::json;
use crate::secret::{SecretContent, SecretUri, value};

const INTERFACE: &str = "oauth";

/// Requirer, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthRequest {
    /// Where the provider sends people back to.
    pub redirect_uri: String,
    /// Scopes, separated by blanks.
    pub scope: String,
    /// Grant types, for example `authorization_code`.
    pub grant_types: Vec<String>,
    /// Audiences that tokens may be for.
    pub audience: Vec<String>,
    /// `client_secret_basic` or `client_secret_post`.
    pub token_endpoint_auth_method: String,
}

impl OauthRequest {
    /// What a web application with a login page asks for. `scope` is what it will ask for at every login: the provider refuses a
    /// login that asks for more than was registered.
    #[must_use]
    pub fn code_flow(redirect_uri: &str, scope: &str, audience: Option<&str>) -> Self {
        Self {
            redirect_uri: redirect_uri.to_owned(),
            scope: scope.to_owned(),
            grant_types: ["authorization_code", "refresh_token"].map(str::to_owned).to_vec(),
            audience: audience.map(str::to_owned).into_iter().collect(),
            token_endpoint_auth_method: "client_secret_basic".to_owned(),
        }
    }
}

impl Databag for OauthRequest {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] =
        &["redirect_uri", "scope", "grant_types", "audience", "token_endpoint_auth_method"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let text = |key| bag.need(key, bag.string(key)?);
        let list = |key| bag.need(key, bag.json(key, "a JSON list of strings")?);
        Ok(Some(Self {
            redirect_uri: text("redirect_uri")?,
            scope: text("scope")?,
            grant_types: list("grant_types")?,
            audience: list("audience")?,
            token_endpoint_auth_method: text("token_endpoint_auth_method")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("redirect_uri", Some(self.redirect_uri.clone())),
            ("scope", Some(self.scope.clone())),
            ("grant_types", Some(json::text(&self.grant_types))),
            ("audience", Some(json::text(&self.audience))),
            ("token_endpoint_auth_method", Some(self.token_endpoint_auth_method.clone())),
        ])
    }
}

/// Provider, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthAnswer {
    /// Issuer, verbatim: discovery compares it byte by byte, a final slash counts.
    pub issuer_url: String,
    /// Where browsers log in.
    pub authorization_endpoint: String,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Within the provider's cluster only.
    pub introspection_endpoint: String,
    /// Claims about a user.
    pub userinfo_endpoint: String,
    /// Signing keys.
    pub jwks_endpoint: String,
    /// Scopes that the provider offers, separated by blanks.
    pub scope: String,
    /// Name of the claim with groups, if the provider fills one.
    pub groups: Option<String>,
    /// CA certificates (PEM) of the provider's URLs.
    pub ca_chain: Vec<String>,
    /// Access tokens are JSON Web Tokens.
    pub jwt_access_token: Option<bool>,
    /// The client, once it is registered.
    pub client: Option<OauthClient>,
}

/// A registered client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// Identifier of the client.
    pub id: String,
    /// Secret with the client's secret, see [`client_secret`].
    pub secret: SecretUri,
}

/// The client secret in the content of [`OauthClient::secret`].
#[must_use]
pub fn client_secret(content: &SecretContent) -> Option<&SecretString> {
    value(content, "secret")
}

impl Databag for OauthAnswer {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &[
        "issuer_url",
        "authorization_endpoint",
        "token_endpoint",
        "introspection_endpoint",
        "userinfo_endpoint",
        "jwks_endpoint",
        "scope",
        "groups",
        "ca_chain",
        "jwt_access_token",
        "client_id",
        "client_secret_id",
    ];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let text = |key| bag.need(key, bag.string(key)?);
        let secret = bag.parsed("client_secret_id", "a secret URI", SecretUri::parse)?;
        Ok(Some(Self {
            issuer_url: text("issuer_url")?,
            authorization_endpoint: text("authorization_endpoint")?,
            token_endpoint: text("token_endpoint")?,
            introspection_endpoint: text("introspection_endpoint")?,
            userinfo_endpoint: text("userinfo_endpoint")?,
            jwks_endpoint: text("jwks_endpoint")?,
            scope: text("scope")?,
            groups: bag.string("groups")?,
            ca_chain: bag.json("ca_chain", "a JSON list of PEM certificates")?.unwrap_or_default(),
            jwt_access_token: bag.boolean("jwt_access_token")?,
            client: bag
                .string("client_id")?
                .zip(secret)
                .map(|(id, secret)| OauthClient { id, secret }),
        }))
    }

    fn encode(&self) -> Bag {
        let client = self.client.as_ref();
        let chain = &self.ca_chain;
        bag([
            ("issuer_url", Some(self.issuer_url.clone())),
            ("authorization_endpoint", Some(self.authorization_endpoint.clone())),
            ("token_endpoint", Some(self.token_endpoint.clone())),
            ("introspection_endpoint", Some(self.introspection_endpoint.clone())),
            ("userinfo_endpoint", Some(self.userinfo_endpoint.clone())),
            ("jwks_endpoint", Some(self.jwks_endpoint.clone())),
            ("scope", Some(self.scope.clone())),
            ("groups", self.groups.clone()),
            ("ca_chain", (!chain.is_empty()).then(|| json::text(chain))),
            ("jwt_access_token", self.jwt_access_token.map(boolean_text)),
            ("client_id", client.map(|client| client.id.clone())),
            ("client_secret_id", client.map(|client| client.secret.to_string())),
        ])
    }
}
