//! Settings of the Management API.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::Reader;

/// Settings of the Management API.
#[derive(Debug, Clone)]
pub struct Management {
    /// `MANAGEMENT_API_URL`: the origin that browsers use. Without it the first DNS name of the certificate is taken.
    pub public_url: Option<PublicUrl>,
    /// `MANAGEMENT_API_ALLOWED_HOSTS`: further values of the `Host` header to accept, separated by commas. The port of https, which
    /// browsers leave out, is left out here.
    pub allowed_hosts: Vec<String>,
    /// `MANAGEMENT_API_TLS_PATH`: directory with `tls.crt` and `tls.key`.
    pub tls_path: Option<PathBuf>,
    /// `MASTER_KEY_FILE`: 32 bytes as 64 hexadecimal digits, shared by all units. Made in the data directory when unset.
    pub master_key_file: Option<PathBuf>,
    /// `MASTER_KEY_PREVIOUS_FILE`: the key that was in force before, while what it sealed is still about.
    pub master_key_previous_file: Option<PathBuf>,
    /// `SESSION_IDLE_SECONDS`, default 8 h: a session that is not used for so long ends.
    pub session_idle: Duration,
    /// `SESSION_LIFETIME_SECONDS`, default 7 days: no session lives longer.
    pub session_lifetime: Duration,
    /// `AUDIT_RETENTION_DAYS`, default 400: how long records of the audit log are kept.
    pub audit_retention: Duration,
    /// `JOIN_TOKEN_MAX_DAYS`, default 30: the longest life of a join token.
    pub join_token_max_life: Duration,
}

/// An `https` origin: no user information, path, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Parses an origin such as `https://manager.example.com`; a single trailing slash is allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_origin = url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        is_origin.then_some(Self(url))
    }

    /// `https://host[:port]`, as browsers write it in `Origin`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// `host[:port]`, as browsers write it in `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.origin().trim_start_matches("https://").to_owned()
    }

    /// The host alone.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The origin followed by `path`, which begins with `/`.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }
}

impl Management {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        let public_url = read.text("MANAGEMENT_API_URL").and_then(|text| {
            let url = PublicUrl::parse(&text);
            if url.is_none() {
                read.refuse(
                    "MANAGEMENT_API_URL",
                    "an https address without a path, such as https://manager.example.com",
                );
            }
            url
        });
        let mut days = |name: &str, default: u64| {
            const EXPECTED: &str = "a number of days, 1 to 3650";
            let days = read.parsed(name, default, EXPECTED);
            if !(1..=3650).contains(&days) {
                read.refuse(name, EXPECTED);
            }
            Duration::from_secs(days.saturating_mul(86_400))
        };
        let (join_token_max_life, audit_retention) =
            (days("JOIN_TOKEN_MAX_DAYS", 30), days("AUDIT_RETENTION_DAYS", 400));
        Self {
            public_url,
            allowed_hosts: read
                .text("MANAGEMENT_API_ALLOWED_HOSTS")
                .unwrap_or_default()
                .split(',')
                .map(|host| host.trim().to_ascii_lowercase())
                .map(|host| host.strip_suffix(":443").map(str::to_owned).unwrap_or(host))
                .filter(|host| !host.is_empty())
                .collect(),
            tls_path: read.text("MANAGEMENT_API_TLS_PATH").map(PathBuf::from),
            master_key_file: read.text("MASTER_KEY_FILE").map(PathBuf::from),
            master_key_previous_file: read.text("MASTER_KEY_PREVIOUS_FILE").map(PathBuf::from),
            session_idle: read.seconds("SESSION_IDLE_SECONDS", 8 * 3600, 60..=7 * 86_400),
            session_lifetime: read.seconds("SESSION_LIFETIME_SECONDS", 7 * 86_400, 60..=7 * 86_400),
            audit_retention,
            join_token_max_life,
        }
    }
}
