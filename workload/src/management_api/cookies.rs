//! The cookies: host-bound, invisible to scripts, over TLS only (RFC 6265bis).

use salvo::http::cookie::time::Duration;
use salvo::http::cookie::{Cookie, SameSite};
use salvo::{Request, Response};

use crate::model::SessionId;

const SESSION: &str = "__Host-mcm-session";

/// Names that an earlier product used. They are never read, and expired when a browser still sends them.
const FOREIGN: [&str; 4] = ["oidc_session", "user_secret", "state", "pkce"];

/// The session id that the browser sent.
pub(super) fn session(req: &Request) -> Option<SessionId> {
    SessionId::parse(req.cookie(SESSION)?.value())
}

/// Gives the browser its session. `Strict`: it is sent with no request that another site begins.
pub(super) fn set_session(res: &mut Response, id: &SessionId, lifetime: std::time::Duration) {
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    res.add_cookie(cookie(SESSION.into(), id.cookie_value(), SameSite::Strict, seconds));
}

/// Takes the session away.
pub(super) fn clear_session(res: &mut Response) {
    res.add_cookie(cookie(SESSION.into(), String::new(), SameSite::Strict, 0));
}

/// Keeps the state of a login. `Lax`: the provider sends the browser back, which is a request that another site begins.
pub(super) fn set_attempt(res: &mut Response, name: String, sealed: String, lifetime_s: i64) {
    res.add_cookie(cookie(name, sealed, SameSite::Lax, lifetime_s));
}

/// Forgets the state of a login.
pub(super) fn clear_attempt(res: &mut Response, name: String) {
    res.add_cookie(cookie(name, String::new(), SameSite::Lax, 0));
}

/// Expires what an earlier product left in the browser.
pub(super) fn clear_foreign(req: &Request, res: &mut Response) {
    for name in FOREIGN {
        if req.cookie(name).is_some() {
            res.add_cookie(cookie(name.into(), String::new(), SameSite::Strict, 0));
        }
    }
}

fn cookie(name: String, value: String, same_site: SameSite, max_age_s: i64) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(same_site)
        .max_age(Duration::seconds(max_age_s))
        .build()
}
