//! Settings of the identity provider.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::Reader;

/// The identity provider and what its claims mean here.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// `OIDC_ISSUER`, to the letter as the provider's discovery document has it.
    pub issuer: String,
    /// `OIDC_CLIENT_ID`.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET` or `OIDC_CLIENT_SECRET_FILE`; a public client has none.
    pub client_secret: Option<SecretString>,
    /// `OIDC_SCOPES`: what is asked for besides `openid`, separated by spaces, default `offline_access email profile`.
    pub scopes: Vec<String>,
    /// `OIDC_AUDIENCE`; empty: no audience is asked for, and scripts cannot bring access tokens.
    pub audience: String,
    /// `OIDC_CA_FILE`: PEM file with authorities to trust besides the machine's trust store.
    pub ca_file: Option<PathBuf>,
    /// `OIDC_GROUPS_CLAIM`: the ID token's claim with the list of groups, default `mcm-idp-groups`.
    pub groups_claim: String,
    /// `OIDC_ADMIN_GROUPS`: the groups whose members administer, separated by commas, default `admins`.
    pub admin_groups: Vec<String>,
    /// `OIDC_OPERATOR_GROUPS`: the groups whose members enrol and configure clusters, default none.
    pub operator_groups: Vec<String>,
    /// `OIDC_VIEWER_GROUPS`: the groups whose members see the fleet, default none.
    pub viewer_groups: Vec<String>,
}

impl Oidc {
    /// `None` when neither issuer nor client id is set; one without the other is refused.
    pub(crate) fn read(read: &mut Reader<'_>) -> Option<Self> {
        let (issuer, client_id) = (read.text("OIDC_ISSUER"), read.text("OIDC_CLIENT_ID"));
        let client_secret = read.secret("OIDC_CLIENT_SECRET");
        if issuer.is_none() && client_id.is_none() {
            return None;
        }
        if !issuer.as_deref().is_some_and(is_https) {
            read.refuse("OIDC_ISSUER", "the https address of the identity provider");
        }
        if client_id.is_none() {
            read.refuse("OIDC_CLIENT_ID", "set when OIDC_ISSUER is set");
        }
        Some(Self {
            issuer: issuer?,
            client_id: client_id?,
            client_secret,
            audience: read.text("OIDC_AUDIENCE").unwrap_or_default(),
            ca_file: read.text("OIDC_CA_FILE").map(PathBuf::from),
            groups_claim: read.text("OIDC_GROUPS_CLAIM").unwrap_or_else(|| "mcm-idp-groups".into()),
            scopes: read
                .text("OIDC_SCOPES")
                .unwrap_or_else(|| "offline_access email profile".into())
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            admin_groups: groups(read, "OIDC_ADMIN_GROUPS", "admins"),
            operator_groups: groups(read, "OIDC_OPERATOR_GROUPS", ""),
            viewer_groups: groups(read, "OIDC_VIEWER_GROUPS", ""),
        })
    }
}

/// The groups in a list separated by commas.
fn groups(read: &Reader<'_>, name: &str, default: &str) -> Vec<String> {
    read.text(name)
        .unwrap_or_else(|| default.to_owned())
        .split(',')
        .map(|group| group.trim().to_owned())
        .filter(|group| !group.is_empty())
        .collect()
}

fn is_https(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}
