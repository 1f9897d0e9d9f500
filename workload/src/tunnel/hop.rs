//! The way of a request from the Management API to the unit that holds the tunnel: `POST /tunnel/<number of the cluster>` over
//! mutual TLS (`tls::InterUnit`). The request of the operator stands in headers of our own, so that nothing in it is taken for
//! part of this hop, and its body is this one's body. The answer comes back in the same way.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{Answer, Request, RequestError, TunnelPath};

const METHOD: HeaderName = HeaderName::from_static("tunnel-method");
const PATH: HeaderName = HeaderName::from_static("tunnel-path");
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("tunnel-access-token");
const SESSION: HeaderName = HeaderName::from_static("tunnel-session");
const OPERATOR: HeaderName = HeaderName::from_static("tunnel-operator");
const REQUEST_ID: HeaderName = HeaderName::from_static("tunnel-request-id");
const STATUS: HeaderName = HeaderName::from_static("tunnel-status");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("tunnel-content-type");
const ETAG: HeaderName = HeaderName::from_static("tunnel-etag");
const ERROR: HeaderName = HeaderName::from_static("tunnel-error");

/// On whose behalf a request is made, for the log of the unit that sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnBehalfOf {
    /// The operator.
    pub operator: String,
    /// The id of the operator's request at the Management API.
    pub request_id: String,
}

/// Methods that members accept.
const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The headers of a request on its way to the unit; `None` when a value cannot stand in a header.
pub(super) fn request_headers(request: &Request, by: &OnBehalfOf) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(METHOD, HeaderValue::from_str(request.method.as_str()).ok()?);
    headers.insert(PATH, HeaderValue::from_str(request.path.as_str()).ok()?);
    for (name, value) in [(ACCESS_TOKEN, &request.access_token), (SESSION, &request.session)] {
        if let Some(value) = value {
            headers.insert(name, secret(value)?);
        }
    }
    let operator = utf8_percent_encode(&by.operator, NON_ALPHANUMERIC).to_string();
    headers.insert(OPERATOR, HeaderValue::from_str(&operator).ok()?);
    headers.insert(REQUEST_ID, HeaderValue::from_str(&by.request_id).ok()?);
    Some(headers)
}

/// The request that came with these headers and this body; `None` when it is none that may be sent to a cluster.
#[must_use]
pub fn read_request(headers: &HeaderMap, body: Bytes) -> Option<(Request, OnBehalfOf)> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let method = METHODS.into_iter().find(|known| text(METHOD) == Some(known.as_str()))?;
    let path = TunnelPath::parse_joined(text(PATH)?).ok()?;
    let secret = |name| text(name).map(SecretString::from);
    let operator = percent_decode_str(text(OPERATOR)?).decode_utf8().ok()?.into_owned();
    let by = OnBehalfOf { operator, request_id: text(REQUEST_ID)?.to_owned() };
    let (access_token, session) = (secret(ACCESS_TOKEN), secret(SESSION));
    Some((Request { method, path, access_token, session, body }, by))
}

/// The headers of an answer on its way back; the status of the hop itself is 200.
#[must_use]
pub fn answer_headers(answer: &Answer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(STATUS, HeaderValue::from(answer.status.as_u16()));
    if let Some(value) = &answer.content_type {
        headers.insert(CONTENT_TYPE, value.clone());
    }
    if let Some(value) = &answer.etag {
        headers.insert(ETAG, value.clone());
    }
    if let Some(value) = answer.session.as_ref().and_then(secret) {
        headers.insert(SESSION, value);
    }
    headers
}

/// The answer that came back with these headers.
pub(super) fn read_answer<B>(headers: &HeaderMap, body: B) -> Option<Answer<B>> {
    let status = headers.get(STATUS)?.to_str().ok()?.parse().ok()?;
    let session = headers.get(SESSION).and_then(|value| value.to_str().ok());
    Some(Answer {
        status: StatusCode::from_u16(status).ok()?,
        content_type: headers.get(CONTENT_TYPE).cloned(),
        etag: headers.get(ETAG).cloned(),
        session: session.map(SecretString::from),
        body,
    })
}

/// The status and the header that say why there is no answer.
#[must_use]
pub fn refusal(error: RequestError) -> (StatusCode, (HeaderName, HeaderValue)) {
    let status = match error {
        RequestError::NoTunnel => StatusCode::NOT_FOUND,
        RequestError::Busy | RequestError::Waited | RequestError::Unavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        RequestError::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
        RequestError::Broken | RequestError::Nonsense | RequestError::Unreachable => {
            StatusCode::BAD_GATEWAY
        }
    };
    (status, (ERROR, HeaderValue::from_static(error.code())))
}

/// Why there is no answer, as the headers say.
pub(super) fn read_refusal(headers: &HeaderMap) -> RequestError {
    let code = headers.get(ERROR).and_then(|value| value.to_str().ok()).unwrap_or_default();
    RequestError::ALL
        .into_iter()
        .find(|error| error.code() == code)
        .unwrap_or(RequestError::Unreachable)
}

/// A value that is not shown when headers are printed.
fn secret(value: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_an_answer_come_out_as_they_went_in() {
        let request = || Request {
            method: Method::PATCH,
            path: TunnelPath::parse("/1.0/instances/a%20b", Some("project=x&y=%3F")).unwrap(),
            access_token: Some("canary".into()),
            session: Some("lxd".into()),
            body: Bytes::from_static(b"{}"),
        };
        let by = OnBehalfOf { operator: "Zoë\r\nX: y".into(), request_id: "00ff".into() };
        let headers = request_headers(&request(), &by).unwrap();
        assert!(!format!("{headers:?}").contains("canary"), "{headers:?}");
        let (read, read_by) = read_request(&headers, Bytes::from_static(b"{}")).unwrap();
        assert_eq!(
            (read.method, read.path, read.body),
            (Method::PATCH, request().path, request().body)
        );
        assert_eq!(read.access_token.unwrap().expose_secret(), "canary");
        assert_eq!(read.session.unwrap().expose_secret(), "lxd");
        assert_eq!(read_by, by);

        let answer = Answer {
            status: StatusCode::ACCEPTED,
            content_type: Some(HeaderValue::from_static("application/json")),
            etag: None,
            session: Some("lxd2".into()),
            body: Bytes::new(),
        };
        let read = read_answer(&answer_headers(&answer), ()).unwrap();
        assert_eq!(
            (read.status, read.content_type, read.etag),
            (answer.status, answer.content_type, None)
        );
        assert_eq!(read.session.unwrap().expose_secret(), "lxd2");
        for error in RequestError::ALL {
            let (_, (name, value)) = refusal(error);
            assert_eq!(read_refusal(&HeaderMap::from_iter([(name, value)])), error);
        }
    }

    #[test]
    fn tun_02_a_hop_with_a_bad_method_or_path_is_refused() {
        for (method, path) in [
            ("HEAD", "/1.0"),
            ("get", "/1.0"),
            ("GET", "/1.0/../internal"),
            ("GET", "https://elsewhere/1.0"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(OPERATOR, HeaderValue::from_static("a"));
            headers.insert(REQUEST_ID, HeaderValue::from_static("b"));
            headers.insert(METHOD, HeaderValue::from_static(method));
            headers.insert(PATH, HeaderValue::from_static(path));
            assert!(read_request(&headers, Bytes::new()).is_none(), "{method} {path}");
            headers.insert(METHOD, HeaderValue::from_static("GET"));
            headers.insert(PATH, HeaderValue::from_static("/1.0"));
            assert!(read_request(&headers, Bytes::new()).is_some());
        }
    }
}
