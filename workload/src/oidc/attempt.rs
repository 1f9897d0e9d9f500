use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::seal::Sealer;

/// How long a login may take, in seconds.
const LOGIN_TIME_S: i64 = 600;
/// In front of the names of attempts' cookies.
const COOKIE_PREFIX: &str = "__Host-mcm-login-";
/// Most attempts that a browser keeps: with many cookies its requests would become too long to be read.
const MAX_ATTEMPTS: usize = 8;
/// Longest page to go to afterwards, in bytes. It is part of the cookie, and browsers keep none of more than 4,096 bytes.
const MAX_NEXT_BYTES: usize = 1024;

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
        format!("{COOKIE_PREFIX}{}", hex::encode(digest.get(..8).unwrap_or_default()))
    }

    /// Of a browser's cookies, by name and value, the attempts that must go before another one begins `now`: those that can come to
    /// no end any more, and the oldest of too many.
    #[must_use]
    pub fn superfluous<'a>(
        sealer: &Sealer,
        cookies: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: OffsetDateTime,
    ) -> Vec<&'a str> {
        let attempts = cookies.into_iter().filter(|(name, _)| name.starts_with(COOKIE_PREFIX));
        let began = |value| Self::unsealed(sealer, value, now).map(|attempt| attempt.started_at);
        let mut known: Vec<_> = attempts.map(|(name, value)| (began(value), name)).collect();
        known.sort_unstable_by(|one, other| other.cmp(one)); // the newest first, the hopeless last
        let kept = known.iter().take(MAX_ATTEMPTS - 1).filter(|(began, _)| began.is_some()).count();
        known.split_off(kept).into_iter().map(|(_, name)| name).collect()
    }

    /// The attempt for a cookie's value; `None` when it cannot be sealed.
    #[must_use]
    pub fn seal(&self, sealer: &Sealer) -> Option<String> {
        let json = serde_json::to_vec(self).ok()?;
        sealer.seal(KIND, &json).map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The attempt in a cookie's value; `None` when we did not seal it, it is too old, or it belongs to another state.
    #[must_use]
    pub fn open(
        sealer: &Sealer,
        cookie_value: &str,
        state: &str,
        now: OffsetDateTime,
    ) -> Option<Self> {
        Self::unsealed(sealer, cookie_value, now).filter(|attempt| attempt.state == state)
    }

    fn unsealed(sealer: &Sealer, cookie_value: &str, now: OffsetDateTime) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie_value).ok()?;
        let attempt: Self = serde_json::from_slice(&sealer.open(KIND, &bytes)?).ok()?;
        let age = now.unix_timestamp() - attempt.started_at;
        (-60..=LOGIN_TIME_S).contains(&age).then_some(attempt)
    }
}

const KIND: &str = "attempt";

/// Where to go after the login: `next` if it is a path of the UI and cannot lead anywhere else, otherwise the UI's start.
#[must_use]
pub fn safe_next(next: Option<&str>) -> String {
    let safe = |path: &&str| {
        path.len() <= MAX_NEXT_BYTES
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
            &format!("/ui/{}", "x".repeat(MAX_NEXT_BYTES)),
        ] {
            assert_eq!(safe_next(Some(bad)), "/ui/", "{bad:?}");
        }
        assert_eq!(safe_next(None), "/ui/");
    }

    #[test]
    fn oidc_02_an_attempt_opens_only_for_its_state_and_ten_minutes() {
        let sealer = sealer("attempt");
        let now = datetime!(2026-11-22 12:00 UTC);
        let attempt = LoginAttempt::new("s".into(), "n".into(), "v".into(), "/ui/".into(), now);
        let cookie = secrecy::SecretString::from(attempt.seal(&sealer).unwrap());
        let open = |value: &str, state: &str, at| {
            LoginAttempt::open(&sealer, value, state, at).map(|a| a.nonce)
        };
        let value = cookie.expose_secret();
        let mut changed = URL_SAFE_NO_PAD.decode(value).unwrap();
        changed[20] ^= 1;
        assert_eq!(open(value, "s", now + Duration::seconds(600)).as_deref(), Some("n"));
        assert_eq!(open(value, "s", now + Duration::seconds(601)), None);
        assert_eq!(open(value, "other", now), None);
        assert_eq!(open(&URL_SAFE_NO_PAD.encode(changed), "s", now), None);
        assert_eq!(open("", "s", now), None);
        assert_ne!(LoginAttempt::cookie_name("s"), LoginAttempt::cookie_name("t"));
    }

    #[test]
    fn the_newest_attempts_stay_and_the_longest_one_fits_into_a_cookie() {
        let sealer = sealer("superfluous");
        let now = datetime!(2026-11-22 12:00 UTC);
        let attempt = |age: i64, next: &str| {
            let [state, nonce, verifier] = ["s", "n", "v"].map(|text| text.repeat(43));
            let began = now - Duration::seconds(age);
            LoginAttempt::new(state, nonce, verifier, next.into(), began).seal(&sealer).unwrap()
        };
        let longest = safe_next(Some(&format!("/ui/{}", "x".repeat(MAX_NEXT_BYTES - 4))));
        assert_eq!(longest.len(), MAX_NEXT_BYTES);
        let cookie = format!("{}={}", LoginAttempt::cookie_name("s"), attempt(0, &longest));
        assert!(cookie.len() < 4096 - 100, "with its attributes: {}", cookie.len());

        let mut cookies = vec![
            ("__Host-mcm-session".to_owned(), "x".to_owned()),
            (format!("{COOKIE_PREFIX}garbage"), "x".to_owned()),
            (format!("{COOKIE_PREFIX}old"), attempt(601, "/ui/")),
        ];
        let superfluous = |cookies: &[(String, String)]| {
            let pairs = cookies.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let mut names = LoginAttempt::superfluous(&sealer, pairs, now);
            names.sort_unstable();
            names.iter().map(|name| name.replace(COOKIE_PREFIX, "")).collect::<Vec<_>>()
        };
        assert_eq!(superfluous(&cookies), ["garbage", "old"]);
        cookies.extend((1..=10).map(|age| (format!("{COOKIE_PREFIX}{age}"), attempt(age, "/ui/"))));
        assert_eq!(superfluous(&cookies), ["10", "8", "9", "garbage", "old"]);
    }

    fn sealer(name: &str) -> Sealer {
        let dir = std::env::temp_dir().join(format!("mcm-{name}-{}", std::process::id()));
        let sealer = MasterKey::read_or_create(&dir.join("key")).unwrap().login_attempts();
        std::fs::remove_dir_all(&dir).unwrap();
        sealer
    }
}
