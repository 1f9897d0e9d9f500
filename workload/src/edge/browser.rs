//! Rules for requests that a browser sends (Fetch Metadata Request Headers, W3C).

use salvo::Request;
use salvo::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING};

use super::ApiError;

/// Refuses what another site makes a browser send. A browser tells with `Sec-Fetch-Site` where a request comes from; one
/// that does not must name our origin when the request changes something and names an origin at all.
///
/// # Errors
///
/// 403 for a request from another site, 415 for a changing request with a body that is not JSON.
pub fn check(req: &Request, origin: &str) -> Result<(), ApiError> {
    let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    match header("sec-fetch-site") {
        None | Some("same-origin") => {}
        Some("none") if req.method().is_safe() => {}
        Some(_) => return Err(ApiError::Forbidden("Forbidden Sec-Fetch-Site header value")),
    }
    if req.method().is_safe() {
        return Ok(());
    }
    if header("sec-fetch-site").is_none()
        && header(ORIGIN.as_str()).is_some_and(|named| named != origin)
    {
        return Err(ApiError::Forbidden("Forbidden Origin header value"));
    }
    let has_body = req.headers().contains_key(TRANSFER_ENCODING)
        || header(CONTENT_LENGTH.as_str()).is_some_and(|length| length != "0");
    let media_type = header(CONTENT_TYPE.as_str())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let is_browser = header("user-agent").is_some_and(|agent| agent.starts_with("Mozilla"))
        || header("sec-fetch-site").is_some();
    match media_type.as_deref() {
        Some("application/json") => Ok(()),
        None if !has_body || !is_browser => Ok(()),
        Some(_) if !is_browser => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType("Unsupported Content-Type for this request")),
    }
}

/// Refuses what a link, a form or a page's parts make a browser send: a browser must say that a script of our own origin asks
/// for data, and a program that says nothing of that kind must send `X-Requested-With`, which neither links nor forms can.
///
/// # Errors
///
/// 403.
pub fn check_data(req: &Request) -> Result<(), ApiError> {
    let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let says_so = match (header("sec-fetch-site"), header("sec-fetch-dest")) {
        (Some(site), Some(dest)) => site == "same-origin" && dest == "empty",
        (site, dest) => {
            site.is_none_or(|site| site == "same-origin")
                && dest.is_none_or(|dest| dest == "empty")
                && header("x-requested-with").is_some_and(|value| !value.is_empty())
        }
    };
    if says_so {
        Ok(())
    } else {
        Err(ApiError::Forbidden("Forbidden: this address is for programs"))
    }
}

#[cfg(test)]
mod tests {
    use salvo::http::Method;

    use super::*;

    fn request(method: Method, headers: &[(&'static str, &'static str)]) -> Request {
        let mut req = Request::new();
        *req.method_mut() = method;
        for (name, value) in headers {
            req.headers_mut().insert(*name, value.parse().unwrap());
        }
        req
    }

    #[test]
    fn tun_06_only_requests_for_data_pass() {
        const SITE: &str = "sec-fetch-site";
        const DEST: &str = "sec-fetch-dest";
        const SCRIPT: (&str, &str) = ("x-requested-with", "curl");
        let allowed: [&[(&str, &str)]; 3] = [
            &[(SITE, "same-origin"), (DEST, "empty")],
            &[SCRIPT],
            &[(SITE, "same-origin"), SCRIPT],
        ];
        for headers in allowed {
            assert!(check_data(&request(Method::GET, headers)).is_ok(), "{headers:?}");
        }
        let refused: [&[(&str, &str)]; 9] = [
            &[],
            &[("x-requested-with", "")],
            &[(SITE, "same-origin")],
            &[(SITE, "none"), (DEST, "empty"), SCRIPT],
            &[(SITE, "same-site"), (DEST, "empty"), SCRIPT],
            &[(SITE, "cross-site"), (DEST, "empty"), SCRIPT],
            &[(SITE, "same-origin"), (DEST, "document"), SCRIPT],
            &[(SITE, "same-origin"), (DEST, "iframe")],
            &[(DEST, "script"), SCRIPT],
        ];
        for headers in refused {
            assert!(check_data(&request(Method::GET, headers)).is_err(), "{headers:?}");
        }
    }

    #[test]
    fn web_02_only_same_origin_requests_of_browsers_pass() {
        const OURS: &str = "https://manager.example.com";
        let json = ("content-type", "application/json; charset=utf-8");
        let browser = ("user-agent", "Mozilla/5.0");
        let allowed: [(Method, &[(&str, &str)]); 8] = [
            (Method::GET, &[]),
            (Method::GET, &[("sec-fetch-site", "none"), browser]),
            (Method::GET, &[("sec-fetch-site", "same-origin")]),
            (Method::POST, &[("sec-fetch-site", "same-origin"), json, ("content-length", "5")]),
            (Method::POST, &[("content-length", "5")]),
            (
                Method::POST,
                &[
                    ("content-length", "5"),
                    ("content-type", "text/plain"),
                    ("user-agent", "curl/8"),
                ],
            ),
            (Method::DELETE, &[("sec-fetch-site", "same-origin"), browser]),
            (Method::POST, &[("origin", OURS), json, browser]),
        ];
        for (method, headers) in allowed {
            assert!(check(&request(method.clone(), headers), OURS).is_ok(), "{method} {headers:?}");
        }
        let refused: [(Method, &[(&str, &str)]); 9] = [
            (Method::GET, &[("sec-fetch-site", "cross-site")]),
            (Method::GET, &[("sec-fetch-site", "same-site")]),
            (Method::POST, &[("sec-fetch-site", "none"), json]),
            (Method::DELETE, &[("sec-fetch-site", "cross-site"), json]),
            (Method::POST, &[("origin", "https://evil.example"), json]),
            (Method::POST, &[("origin", "null"), json]),
            (Method::POST, &[browser, ("content-type", "text/plain"), ("content-length", "5")]),
            (Method::POST, &[browser, ("content-length", "5")]),
            (Method::POST, &[("sec-fetch-site", "same-origin"), ("transfer-encoding", "chunked")]),
        ];
        for (method, headers) in refused {
            assert!(
                check(&request(method.clone(), headers), OURS).is_err(),
                "{method} {headers:?}"
            );
        }
    }
}
