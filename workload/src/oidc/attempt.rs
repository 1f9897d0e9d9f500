use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::seal::Sealer;

/// How long a login may take, in seconds.
const LOGIN_TIME_S: i64 = 600;

/// A login under way. It lives in a sealed cookie of the browser that began it, so that any unit can finish it, and a callback
/// that another browser was tricked into finds nothing.
#[derive(Serialize, Deserialize)]
pub struct LoginAttempt {
    /// Returned by the provider unchanged (RFC 6749, section 10.12).
    pub state: String,
    /// Must come back inside the ID token.
    pub nonce: String,
    /// Proves to the provider that we began the login (RFC 7636).
    pub pkce_verifier: String,
    /// The page of the UI to go to afterwards.
    pub next: String,
    started_at: i64,
}

impl LoginAttempt {
    /// An attempt that begins `now`.
    #[must_use]
    pub fn new(
        state: String,
        nonce: String,
        pkce_verifier: String,
        next: String,
        now: OffsetDateTime,
    ) -> Self {
        Self { state, nonce, pkce_verifier, next, started_at: now.unix_timestamp() }
    }

    /// The name of the attempt's cookie: logins in several tabs do not get in each other's way.
    #[must_use]
    pub fn cookie_name(state: &str) -> String {
        let digest = Sha256::digest(state.as_bytes());
        format!("__Host-mcm-login-{}", hex::encode(digest.get(..8).unwrap_or_default()))
    }

    /// The attempt for a cookie's value; `None` when it cannot be sealed.
    #[must_use]
    pub fn seal(&self, sealer: &Sealer) -> Option<String> {
        let json = serde_json::to_vec(self).ok()?;
        sealer.seal(KIND, &json).map(hex::encode)
    }

    /// The attempt in a cookie's value; `None` when we did not seal it, it is too old, or it belongs to another state.
    #[must_use]
    pub fn open(
        sealer: &Sealer,
        cookie_value: &str,
        state: &str,
        now: OffsetDateTime,
    ) -> Option<Self> {
        let attempt: Self =
            serde_json::from_slice(&sealer.open(KIND, &hex::decode(cookie_value).ok()?)?).ok()?;
        let age = now.unix_timestamp() - attempt.started_at;
        ((-60..=LOGIN_TIME_S).contains(&age) && attempt.state == state).then_some(attempt)
    }
}

const KIND: &str = "attempt";

/// Where to go after the login: `next` if it is a path of the UI and cannot lead anywhere else, otherwise the UI's start.
#[must_use]
pub fn safe_next(next: Option<&str>) -> String {
    let safe = |path: &&str| {
        path.len() <= 2048
            && path.starts_with("/ui/")
            && !path.contains("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(safe).unwrap_or("/ui/").to_owned()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::seal::MasterKey;

    #[test]
    fn oidc_04_only_paths_of_the_ui_are_followed() {
        for good in ["/ui/", "/ui/clusters?query=a%20b", "/ui/cluster/a%2Fb#x"] {
            assert_eq!(safe_next(Some(good)), good);
        }
        for bad in [
            "",
            "/",
            "/ui",
            "/1.0",
            "//evil.example/ui/",
            "/ui//evil.example",
            "/\\evil.example",
            "/ui/\\evil",
            "https://evil.example/ui/",
            "/ui/\r\nx: y",
            "/ui/é",
            "ui/",
        ] {
            assert_eq!(safe_next(Some(bad)), "/ui/", "{bad:?}");
        }
        assert_eq!(safe_next(None), "/ui/");
    }

    #[test]
    fn oidc_02_an_attempt_opens_only_for_its_state_and_ten_minutes() {
        let dir = std::env::temp_dir().join(format!("mcm-attempt-{}", std::process::id()));
        let sealer = MasterKey::read_or_create(&dir.join("key")).unwrap().login_attempts();
        std::fs::remove_dir_all(&dir).unwrap();
        let now = datetime!(2026-11-22 12:00 UTC);
        let attempt = LoginAttempt::new("s".into(), "n".into(), "v".into(), "/ui/".into(), now);
        let cookie = secrecy::SecretString::from(attempt.seal(&sealer).unwrap());
        let open = |value: &str, state: &str, at| {
            LoginAttempt::open(&sealer, value, state, at).map(|a| a.nonce)
        };
        let value = cookie.expose_secret();
        assert_eq!(open(value, "s", now + Duration::seconds(600)).as_deref(), Some("n"));
        assert_eq!(open(value, "s", now + Duration::seconds(601)), None);
        assert_eq!(open(value, "other", now), None);
        assert_eq!(open(&value.replace('0', "1"), "s", now), None);
        assert_eq!(open("", "s", now), None);
        assert_ne!(LoginAttempt::cookie_name("s"), LoginAttempt::cookie_name("t"));
    }
}
