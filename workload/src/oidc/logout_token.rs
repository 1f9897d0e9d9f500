//! Logout tokens: with these the provider says that somebody's session there has ended (OpenID Connect Back-Channel Logout 1.0).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm, JwsSigningAlgorithm};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::documents::Documents;
use super::verification::{CLOCK_SKEW_S, is_id};
use crate::model::ProviderLogout;

/// Oldest token that counts, in seconds.
const MAX_AGE_S: i64 = 120;
/// The member of `events` that makes a token one of these (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why a logout token does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAcceptable {
    #[error("it is no JWT")]
    Form,
    #[error("{0}")]
    Claim(&'static str),
    #[error("its signature is wrong")]
    Signature,
    /// Another look at the provider's keys may help.
    #[error("it is signed by none of the provider's keys")]
    Key,
}

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: Option<i64>,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: Map<String, Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn contains(&self, client_id: &str) -> bool {
        match self {
            Self::One(one) => one == client_id,
            Self::Several(several) => several.iter().any(|one| one == client_id),
        }
    }
}

/// Checks signature, type, issuer, audience, age and event, and that it cannot be mistaken for an ID token (section 2.6). An expiry
/// is looked at where there is one: drafts of the standard had none.
pub(super) fn verify(
    documents: &Documents,
    client_id: &str,
    token: &str,
    now: OffsetDateTime,
) -> Result<ProviderLogout, NotAcceptable> {
    let (signed, signature) = token.rsplit_once('.').ok_or(NotAcceptable::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(NotAcceptable::Form)?;
    let header: Header = decode(header)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NotAcceptable::Form)?;
    if header.crit.is_some() || !documents.algorithms.contains(&header.alg) {
        return Err(NotAcceptable::Claim("its header is not for us"));
    }
    if !header.typ.as_deref().is_none_or(is_type) {
        return Err(NotAcceptable::Claim("it is another kind of token"));
    }
    let mut keys = documents.keys.keys().iter().filter(|key| may_sign(key, &header)).peekable();
    if keys.peek().is_none() {
        return Err(NotAcceptable::Key);
    }
    if !keys.any(|key| key.verify_signature(&header.alg, signed.as_bytes(), &signature).is_ok()) {
        return Err(NotAcceptable::Signature);
    }
    check(decode(claims)?, documents.issuer.as_str(), client_id, now.unix_timestamp())
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, NotAcceptable> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| NotAcceptable::Form)?;
    serde_json::from_slice(&json).map_err(|_| NotAcceptable::Form)
}

/// RFC 7515, section 4.1.9: `application/` may be left out. Providers from before the type had a name say `JWT`.
fn is_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "logout+jwt" | "jwt")
}

fn may_sign(key: &CoreJsonWebKey, header: &Header) -> bool {
    let named = key.key_id().map(|id| id.as_str());
    let algorithm = match key.signing_alg() {
        JsonWebKeyAlgorithm::Algorithm(of_key) => *of_key == header.alg,
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    algorithm
        && header.kid.as_deref().is_none_or(|wanted| named == Some(wanted))
        && key.key_use().is_none_or(|of_key| *of_key == CoreJsonWebKeyUse::Signature)
        && header.alg.key_type().is_some_and(|needed| needed == *key.key_type())
}

fn check(
    claims: Claims,
    issuer: &str,
    client_id: &str,
    now: i64,
) -> Result<ProviderLogout, NotAcceptable> {
    let age = now.saturating_sub(claims.iat);
    let expired = claims.exp.is_some_and(|end| end <= now.saturating_sub(CLOCK_SKEW_S));
    let ids = [Some(&claims.jti), claims.sub.as_ref(), claims.sid.as_ref()];
    let verdicts = [
        (claims.iss == issuer, "it comes from another issuer"),
        (claims.aud.contains(client_id), "it is for somebody else"),
        ((-CLOCK_SKEW_S..=MAX_AGE_S).contains(&age), "it is too old, or not from now"),
        (!expired, "it has expired"),
        (claims.events.get(EVENT).is_some_and(Value::is_object), "it is about another event"),
        (!claims.others.contains_key("nonce"), "it may be an ID token"),
        (claims.sub.is_some() || claims.sid.is_some(), "it says of nobody that they logged out"),
        (ids.into_iter().flatten().all(|id| is_id(id)), "an identifier in it is none"),
    ];
    match verdicts.into_iter().find(|(holds, _)| !holds) {
        Some((_, reason)) => Err(NotAcceptable::Claim(reason)),
        None => Ok(ProviderLogout {
            issuer: claims.iss,
            id: claims.jti,
            subject: claims.sub,
            session: claims.sid,
        }),
    }
}
