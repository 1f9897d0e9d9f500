use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AdditionalProviderMetadata, Client, EmptyExtraTokenFields, EndSessionUrl,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenFields, RevocationUrl,
    StandardErrorResponse, StandardTokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::verification;

/// All claims that the standard does not name: the one with the groups has a configurable name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OtherClaims {
    #[serde(flatten)]
    claims: Map<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

impl OtherClaims {
    /// The groups: the claim must be an array of strings, anything else counts as absent and gives no rights. Nor does a group with
    /// control characters in its name.
    pub(super) fn groups(&self, claim: &str) -> Vec<String> {
        let Some(Value::Array(list)) = self.claims.get(claim) else { return Vec::new() };
        let groups: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        let groups = groups.unwrap_or_default().into_iter();
        groups.filter(|group| !group.contains(char::is_control)).map(str::to_owned).collect()
    }

    /// The claim `sid`, the session at the provider (OpenID Connect Front-Channel Logout 1.0, section 3).
    pub(super) fn session(&self) -> Option<String> {
        let session = self.claims.get("sid").and_then(Value::as_str)?;
        verification::is_id(session).then(|| session.to_owned())
    }

    /// The claim `nbf`, in seconds since 1970 (RFC 7519, section 4.1.5).
    pub(super) fn not_before(&self) -> Option<i64> {
        self.claims.get("nbf").and_then(Value::as_i64)
    }
}

/// What a provider publishes beyond OpenID Connect Discovery 1.0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OtherMetadata {
    /// RP-Initiated Logout 1.0.
    pub(super) end_session_endpoint: Option<EndSessionUrl>,
    /// RFC 7009.
    pub(super) revocation_endpoint: Option<RevocationUrl>,
    /// RFC 9207.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for OtherMetadata {}

/// The provider's own description of itself.
pub(super) type ProviderMetadata = openidconnect::ProviderMetadata<
    OtherMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) type ProviderIdToken = IdToken<
    OtherClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Fields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// The provider's answer to a code.
pub(super) type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

/// A client that knows the provider's authorization endpoint.
pub(super) type OidcClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_09_only_an_array_of_strings_gives_groups() {
        let groups = |json: &str| {
            serde_json::from_str::<OtherClaims>(json).unwrap().groups("mcm-idp-groups")
        };
        assert_eq!(groups(r#"{"mcm-idp-groups":["admins","staff"]}"#), ["admins", "staff"]);
        assert_eq!(groups(r#"{"mcm-idp-groups":["admins\u0000","staff"]}"#), ["staff"]);
        for none in [
            r"{}",
            r#"{"mcm-idp-groups":"admins"}"#,
            r#"{"mcm-idp-groups":["admins",1]}"#,
            r#"{"mcm-idp-groups":[["admins"]]}"#,
            r#"{"mcm-idp-groups":{"admins":true}}"#,
            r#"{"mcm-idp-groups":null}"#,
            r#"{"MCM-IDP-GROUPS":["admins"]}"#,
        ] {
            assert_eq!(groups(none), [] as [&str; 0], "{none}");
        }
    }
}
