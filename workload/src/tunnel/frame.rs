//! What goes over the web socket: one JSON document per text message.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::TunnelPath;

/// A request to a cluster. Nothing else of what a client sent ever reaches it.
#[derive(Debug)]
pub struct Request {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// Path and query.
    pub path: TunnelPath,
    /// The operator's access token, if it is forwarded at all.
    pub access_token: Option<SecretString>,
    /// The session that LXD gave the operator.
    pub session: Option<SecretString>,
    /// The body; may be empty.
    pub body: Bytes,
}

/// A cluster's answer: data, nothing that could direct a browser.
#[derive(Debug)]
pub struct Answer<B = Bytes> {
    /// 200 to 599, no redirect.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: Option<HeaderValue>,
    /// `ETag`, which LXD wants to see again in changes.
    pub etag: Option<HeaderValue>,
    /// The session that LXD gives the operator.
    pub session: Option<SecretString>,
    /// The body; may be empty.
    pub body: B,
}

#[derive(Serialize)]
struct RequestFrame<'a> {
    uuid: String,
    method: &'a str,
    path: &'a str,
    headers: Option<RequestHeaders<'a>>,
    body: Option<String>,
}

/// Canonical spelling: members look these two up and drop everything else.
#[derive(Serialize)]
struct RequestHeaders<'a> {
    #[serde(rename = "Authorization", skip_serializing_if = "Option::is_none")]
    authorization: Option<[String; 1]>,
    #[serde(rename = "Cookie", skip_serializing_if = "Option::is_none")]
    cookie: Option<[Cow<'a, str>; 1]>,
}

/// A request as text for the socket. `None` when it cannot be written as JSON: a defect.
#[must_use]
pub fn write(id: Uuid, request: &Request) -> Option<String> {
    let authorization =
        request.access_token.as_ref().map(|token| [format!("Bearer {}", token.expose_secret())]);
    let cookie = request
        .session
        .as_ref()
        .map(|session| [Cow::Owned(format!("session={}", session.expose_secret()))]);
    let headers = (authorization.is_some() || cookie.is_some())
        .then_some(RequestHeaders { authorization, cookie });
    let frame = RequestFrame {
        uuid: id.to_string(),
        method: request.method.as_str(),
        path: request.path.as_str(),
        headers,
        body: (!request.body.is_empty()).then(|| STANDARD.encode(&request.body)),
    };
    serde_json::to_string(&frame).ok()
}

/// What a cluster sent: the id of the request that it answers, and the answer if it is one that may be passed on.
#[derive(Debug)]
pub struct Received {
    /// The id of the request.
    pub id: Uuid,
    /// `None` when it may not be passed on.
    pub answer: Option<Answer>,
}

/// Reads an answer; `None` when the text is none. Headers and cookies that nobody uses are skipped, not kept.
#[must_use]
pub fn read(text: &str) -> Option<Received> {
    let frame: AnswerFrame<'_> = serde_json::from_str(text).ok()?;
    let id = Uuid::try_parse(&frame.uuid).ok()?;
    Some(Received { id, answer: frame.into_answer() })
}

#[derive(Deserialize)]
struct AnswerFrame<'a> {
    #[serde(borrow)]
    uuid: Cow<'a, str>,
    status: i64,
    #[serde(default)]
    headers: AnswerHeaders,
    #[serde(default)]
    cookies: SessionCookie,
    #[serde(default, borrow)]
    body: Option<Text<'a>>,
}

/// A text that is not copied unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl AnswerFrame<'_> {
    fn into_answer(self) -> Option<Answer> {
        let status = u16::try_from(self.status).ok().filter(|code| (200..=599).contains(code))?;
        let status = StatusCode::from_u16(status).ok().filter(|code| !code.is_redirection())?;
        let body = match self.body {
            None => Bytes::new(),
            Some(Text(text)) => STANDARD.decode(text.as_bytes()).ok()?.into(),
        };
        let header = |text: Option<String>| text.and_then(|text| HeaderValue::try_from(text).ok());
        Some(Answer {
            status,
            content_type: header(self.headers.content_type),
            etag: header(self.headers.etag),
            session: self.cookies.0,
            body,
        })
    }
}

/// The two headers of an answer that are of use.
#[derive(Default)]
struct AnswerHeaders {
    content_type: Option<String>,
    etag: Option<String>,
}

impl<'de> Deserialize<'de> for AnswerHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = AnswerHeaders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of texts, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(AnswerHeaders::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut headers = AnswerHeaders::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let slot = match name.as_ref() {
                name if name.eq_ignore_ascii_case("content-type") => &mut headers.content_type,
                name if name.eq_ignore_ascii_case("etag") => &mut headers.etag,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *slot = map.next_value::<Option<FirstText>>()?.and_then(|first| first.0);
        }
        Ok(headers)
    }
}

/// The first text of a list, if it is of a header's length.
struct FirstText(Option<String>);

impl<'de> Deserialize<'de> for FirstText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstTextVisitor)
    }
}

struct FirstTextVisitor;

impl<'de> Visitor<'de> for FirstTextVisitor {
    type Value = FirstText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        const MOST: usize = 1024;
        let first = list.next_element::<Cow<'de, str>>()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FirstText(first.filter(|text| text.len() <= MOST).map(Cow::into_owned)))
    }
}

/// The value of the last cookie that is named `session` and not empty.
#[derive(Default)]
struct SessionCookie(Option<SecretString>);

/// A cookie as Go prints it; the other keys are of no use here.
#[derive(Deserialize)]
struct GoCookie<'a> {
    #[serde(borrow, rename = "Name")]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "Value")]
    value: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for SessionCookie {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CookiesVisitor)
    }
}

struct CookiesVisitor;

impl<'de> Visitor<'de> for CookiesVisitor {
    type Value = SessionCookie;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of cookies, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(SessionCookie::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut session = None;
        while let Some(cookie) = list.next_element::<Option<GoCookie<'de>>>()? {
            if let Some(cookie) =
                cookie.filter(|cookie| cookie.name == "session" && is_cookie(&cookie.value))
            {
                session = Some(SecretString::from(cookie.value.into_owned()));
            }
        }
        Ok(SessionCookie(session))
    }
}

/// Whether a text can stand as a cookie's value (RFC 6265, section 4.1.1), so that it cannot smuggle in another cookie.
fn is_cookie(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 4096
        && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(path: &str) -> Request {
        Request {
            method: Method::GET,
            path: TunnelPath::parse_joined(path).unwrap(),
            access_token: None,
            session: None,
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_request_equals_the_published_example() {
        let example: Value =
            serde_json::from_str(include_str!("../../../tests/examples/tunnel-request.json"))
                .unwrap();
        let body = STANDARD.decode(example["body"].as_str().unwrap()).unwrap();
        let request = Request {
            method: Method::POST,
            path: TunnelPath::parse_joined("/1.0/instances?project=shop").unwrap(),
            access_token: Some("eyJhbGciOiJSUzI1NiJ9.access.token".into()),
            session: Some("eyJhbGciOiJIUzUxMiJ9.lxd.session".into()),
            body: body.into(),
        };
        let id = example["uuid"].as_str().unwrap().parse().unwrap();
        let ours: Value = serde_json::from_str(&write(id, &request).unwrap()).unwrap();
        assert_eq!(ours, example);
    }

    #[test]
    fn tun_04_without_a_token_and_a_session_a_frame_has_no_headers() {
        let id = Uuid::from_u128(1);
        let frame: Value = serde_json::from_str(&write(id, &request("/1.0")).unwrap()).unwrap();
        let expected = json!({"uuid": id.to_string(), "method": "GET", "path": "/1.0", "headers": null, "body": null});
        assert_eq!(frame, expected);
    }

    #[test]
    fn the_published_answers_are_understood() {
        let received = read(include_str!("../../../tests/examples/tunnel-response.json")).unwrap();
        assert_eq!(received.id.to_string(), "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21");
        let answer = received.answer.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(answer.content_type.unwrap(), "application/json");
        assert_eq!(answer.session.unwrap().expose_secret(), "eyJhbGciOiJIUzUxMiJ9.lxd.session2");
        assert!(answer.body.starts_with(b"{\"type\":\"async\""));
        let refused =
            read(include_str!("../../../tests/examples/tunnel-response-refused.json")).unwrap();
        assert_eq!(refused.answer.unwrap().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn tun_05_a_status_that_no_answer_can_have_is_no_answer() {
        let id = "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21";
        for status in [-1, 0, 99, 100, 101, 199, 300, 301, 304, 308, 399, 600, 1000, i64::MAX] {
            let text = json!({"uuid": id, "status": status}).to_string();
            assert!(read(&text).unwrap().answer.is_none(), "{status}");
        }
        for status in [200, 204, 299, 400, 404, 418, 599] {
            let text = json!({"uuid": id, "status": status, "body": ""}).to_string();
            assert_eq!(read(&text).unwrap().answer.unwrap().status.as_u16(), status);
        }
    }

    #[test]
    fn tun_05_headers_and_cookies_that_could_do_harm_are_dropped() {
        let id = "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21";
        let answer = |more: Value| {
            let mut frame = json!({"uuid": id, "status": 200});
            frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(&frame.to_string()).unwrap().answer.unwrap()
        };
        let split = answer(
            json!({"headers": {"Content-Type": ["text/html\r\nSet-Cookie: a=b"], "ETag": ["a\nb"]}}),
        );
        assert!(split.content_type.is_none() && split.etag.is_none());
        let long = answer(json!({"headers": {"etag": ["x".repeat(1025)]}}));
        assert!(long.etag.is_none());
        let empty = answer(json!({"headers": {"Content-Type": [], "Etag": null, "X": 7}}));
        assert!(empty.content_type.is_none() && empty.etag.is_none());
        for value in ["", "a;b", "a\r\nb", "a b", "é", "a,b", "\"a\"", "x\\y"] {
            let cookies = json!({"cookies": [{"Name": "session", "Value": value}]});
            assert!(answer(cookies).session.is_none(), "{value:?}");
        }
        let other =
            answer(json!({"cookies": [null, {"Name": "other", "Value": "a", "Quoted": 5}]}));
        assert!(other.session.is_none());
    }

    #[test]
    fn what_is_no_answer_is_not_read() {
        let id = "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21";
        for text in [
            String::new(),
            "[]".into(),
            "null".into(),
            json!({"status": 200}).to_string(),
            json!({"uuid": "x", "status": 200}).to_string(),
            json!({"uuid": id}).to_string(),
            json!({"uuid": id, "status": "200"}).to_string(),
            json!({"uuid": id, "status": 200, "headers": []}).to_string(),
            json!({"uuid": id, "status": 200, "cookies": {}}).to_string(),
            format!("{{\"uuid\":\"{id}\",\"status\":200,\"status\":200}}"),
            "[".repeat(100_000),
        ] {
            assert!(read(&text).is_none(), "{}", text.get(..40).unwrap_or(&text));
        }
        let garbled = json!({"uuid": id, "status": 200, "body": "%%%"}).to_string();
        assert!(read(&garbled).unwrap().answer.is_none());
    }
}
