//! What makes an ID token (OpenID Connect Core 1.0, section 3.1.3.7) and an access token (RFC 9068) acceptable.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreGenderClaim, CoreJsonWebKey};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, ClientId, IdTokenClaims, IdTokenVerifier,
    JsonWebTokenType, NonceVerifier, OAuth2TokenResponse, SignatureVerificationError,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::claims::{OtherClaims, ProviderIdToken, Tokens};
use super::documents::Documents;

/// Oldest ID token that is accepted from the token endpoint, in seconds.
const MAX_TOKEN_AGE_S: i64 = 600;
/// Tolerance between clocks, in seconds.
pub(super) const CLOCK_SKEW_S: i64 = 60;
/// Longest identifier of a person (OpenID Connect Core 1.0, section 2), a session or a token.
const MAX_ID_BYTES: usize = 255;

pub(super) type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;

/// Checks signature, issuer, audience, expiry, nonce, age, subject and the binding to the access token. Only asymmetric algorithms
/// are accepted.
pub(super) fn id_token<'a>(
    documents: &Documents,
    client_id: &str,
    tokens: &Tokens,
    token: &'a ProviderIdToken,
    nonce: impl NonceVerifier,
    now: OffsetDateTime,
) -> Result<&'a Claims, ClaimsVerificationError> {
    let verifier = prepared(documents.client.id_token_verifier(), documents, now, MAX_TOKEN_AGE_S);
    let claims = token.claims(&verifier, nonce)?;
    let party = claims.authorized_party().map(|party| party.as_str());
    let several = claims.audiences().len() > 1;
    if party.is_some_and(|party| party != client_id) || (several && party.is_none()) {
        return refuse("it was issued for somebody else as well");
    }
    check_common(claims, now)?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm =
            token.signing_alg().map_err(ClaimsVerificationError::SignatureVerification)?;
        let key =
            token.signing_key(&verifier).map_err(ClaimsVerificationError::SignatureVerification)?;
        let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
        if actual.is_ok_and(|actual| actual != *expected) {
            return refuse("it belongs to another access token");
        }
    }
    Ok(claims)
}

/// Checks signature, issuer, audience, life and subject of an access token that a script sent. Where our client id is the audience
/// as well, only the media type tells an access token from an ID token, and is required.
pub(super) fn access_token<'a>(
    documents: &Documents,
    client_id: &str,
    audience: &str,
    token: &'a ProviderIdToken,
    now: OffsetDateTime,
) -> Result<&'a Claims, ClaimsVerificationError> {
    let verifier = IdTokenVerifier::new_public_client(
        ClientId::new(audience.to_owned()),
        documents.issuer.clone(),
        documents.keys.clone(),
    );
    let is_ours = audience == client_id;
    if is_ours && !names_its_type(token) {
        return refuse("it does not say that it is an access token");
    }
    let types: &[&str] = if is_ours { &["at+jwt"] } else { &["at+jwt", "jwt"] };
    let types =
        types.iter().filter_map(|name| JsonWebTokenType::new((*name).into()).normalize().ok());
    let verifier = prepared(verifier, documents, now, i64::MAX).set_allowed_jose_types(types);
    let claims = token.claims(&verifier, |_: Option<&openidconnect::Nonce>| Ok(()))?;
    check_common(claims, now)?;
    Ok(claims)
}

/// Whether the header of a JWT has a media type: the library checks the one that is there, and lets those without pass.
fn names_its_type(token: &ProviderIdToken) -> bool {
    let text = token.to_string();
    let header = text.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).ok();
    let header: Option<Value> = header.and_then(|json| serde_json::from_slice(&json).ok());
    header.is_some_and(|header| header.get("typ").is_some_and(Value::is_string))
}

/// Whether another look at the provider's keys may help.
pub(super) fn lacks_key(error: &ClaimsVerificationError) -> bool {
    matches!(
        error,
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)
    )
}

fn prepared<'a>(
    verifier: IdTokenVerifier<'a, CoreJsonWebKey>,
    documents: &Documents,
    now: OffsetDateTime,
    max_age_s: i64,
) -> IdTokenVerifier<'a, CoreJsonWebKey> {
    let unix = now.unix_timestamp();
    let expiry_clock = u64::try_from(unix.saturating_sub(CLOCK_SKEW_S)).unwrap_or_default();
    verifier
        .set_allowed_algs(documents.algorithms.iter().cloned())
        .set_other_audience_verifier_fn(|_| true) // who else is addressed is judged by the authorised party
        .set_time_fn(move || (SystemTime::UNIX_EPOCH + Duration::from_secs(expiry_clock)).into())
        .set_issue_time_verifier_fn(move |issued| {
            let age = unix.saturating_sub(issued.timestamp());
            if (-CLOCK_SKEW_S..=max_age_s).contains(&age) {
                Ok(())
            } else {
                Err(format!("it was issued {age} s ago"))
            }
        })
}

fn check_common(claims: &Claims, now: OffsetDateTime) -> Result<(), ClaimsVerificationError> {
    let latest = now.unix_timestamp() + CLOCK_SKEW_S;
    if claims.additional_claims().not_before().is_some_and(|begin| begin > latest) {
        return refuse("it is not valid yet");
    }
    if !is_id(claims.subject().as_str()) {
        return refuse("the subject must have 1 to 255 bytes and no control characters");
    }
    Ok(())
}

/// Whether a provider may name somebody or something so: 1 to 255 bytes and no control characters.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

fn refuse<T>(reason: &str) -> Result<T, ClaimsVerificationError> {
    Err(ClaimsVerificationError::Other(reason.into()))
}
