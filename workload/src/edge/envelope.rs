//! The LXD envelope: one compact JSON object with the same seven keys in the same order, for success and error alike.

use salvo::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use salvo::http::{ResBody, StatusCode};
use salvo::{Response, Scribe};
use serde::Serialize;

#[derive(Serialize)]
struct Envelope<'a, T> {
    r#type: &'a str,
    status: &'a str,
    status_code: u16,
    operation: &'a str,
    error_code: u16,
    error: &'a str,
    metadata: T,
}

/// A success with its metadata: status 200.
#[derive(Debug)]
pub struct Success<T>(pub T);

impl Success<Option<()>> {
    /// Success with `null` as metadata.
    pub const NULL: Self = Self(None);
}

/// The metadata `{}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EmptyObject {}

impl Success<EmptyObject> {
    /// Success with `{}` as metadata.
    pub const EMPTY: Self = Self(EmptyObject {});
}

impl<T: Serialize + Send> Scribe for Success<T> {
    fn render(self, res: &mut Response) {
        success(res, StatusCode::OK, self.0);
    }
}

/// A permanent redirect: status 308, a success envelope and `Location`.
#[derive(Debug)]
pub struct Redirect(pub &'static str);

impl Scribe for Redirect {
    fn render(self, res: &mut Response) {
        success(res, StatusCode::PERMANENT_REDIRECT, ());
        res.headers_mut().insert(LOCATION, HeaderValue::from_static(self.0));
    }
}

/// The bytes of a success whose metadata are JSON already.
#[must_use]
pub fn write_success(metadata: &[&str]) -> Vec<u8> {
    const BEGIN: &str = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":"#;
    let length = metadata.iter().map(|part| part.len()).sum::<usize>() + BEGIN.len() + 2;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(BEGIN.as_bytes());
    for part in metadata {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes.extend_from_slice(b"}\n");
    bytes
}

fn success<T: Serialize>(res: &mut Response, status: StatusCode, metadata: T) {
    let envelope = Envelope {
        r#type: "sync",
        status: "Success",
        status_code: 200,
        operation: "",
        error_code: 0,
        error: "",
        metadata,
    };
    write(res, status, &envelope, "\n");
}

/// An error: `message` is for people and never empty.
pub(super) fn error(res: &mut Response, status: StatusCode, message: &str) {
    let envelope = Envelope {
        r#type: "error",
        status: "",
        status_code: 0,
        operation: "",
        error_code: status.as_u16(),
        error: message,
        metadata: (),
    };
    write(res, status, &envelope, "\n\n");
}

fn write<T: Serialize>(
    res: &mut Response,
    status: StatusCode,
    envelope: &Envelope<'_, T>,
    end: &str,
) {
    let headers = res.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match serde_json::to_vec(envelope) {
        Ok(mut body) => {
            body.extend_from_slice(end.as_bytes());
            res.status_code(status);
            res.replace_body(ResBody::Once(body.into()));
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            res.status_code(StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(res: &mut Response) -> String {
        match res.take_body() {
            ResBody::Once(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("unexpected body {other:?}"),
        }
    }

    #[test]
    fn answers_equal_the_published_examples() {
        let example = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        let mut res = Response::new();
        Success::NULL.render(&mut res);
        let body = text(&mut res);
        assert_eq!(
            body,
            "{\"type\":\"sync\",\"status\":\"Success\",\"status_code\":200,\"operation\":\"\",\"error_code\":0,\"error\":\"\",\"metadata\":null}\n"
        );
        assert_eq!(
            example(&body),
            example(include_str!("../../../tests/examples/null-metadata-response.json"))
        );
        assert_eq!(write_success(&["nu", "ll"]), body.as_bytes());
        Success::EMPTY.render(&mut res);
        assert_eq!(
            example(&text(&mut res)),
            example(include_str!("../../../tests/examples/empty-object-response.json"))
        );
        error(&mut res, StatusCode::FORBIDDEN, "Forbidden");
        let body = text(&mut res);
        assert!(body.ends_with("}\n\n"));
        assert_eq!(example(&body), example(include_str!("../../../tests/examples/error-403.json")));
    }
}
