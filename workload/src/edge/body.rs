//! Reading request bodies within limits.

use std::time::Duration;

use http_body_util::BodyExt;
use salvo::Request;
use salvo::http::ReqBody;
use salvo::http::header::CONTENT_ENCODING;
use serde::de::DeserializeOwned;

use super::ApiError;

/// How much of a body that is refused is read on and thrown away, so that the client has finished writing when it gets the
/// answer. Beyond it the connection is closed under the client's hands.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body: at most `max_bytes`, within `deadline`. Compressed bodies are not accepted, so that a few bytes
/// never become many.
///
/// # Errors
///
/// 413 when it is longer, 415 for a compressed body, 408 when it takes too long, 400 when the transfer breaks.
pub async fn read_body(
    req: &mut Request,
    max_bytes: usize,
    deadline: Duration,
) -> Result<Vec<u8>, ApiError> {
    let encoded =
        req.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let announced = req.header::<usize>("content-length").unwrap_or_default();
    let mut body = req.take_body();
    let refusal = if encoded {
        ApiError::UnsupportedMediaType("compressed request bodies are not accepted")
    } else {
        if announced <= max_bytes {
            match tokio::time::timeout(deadline, collect(&mut body, max_bytes, announced)).await {
                Ok(Ok(Some(bytes))) => return Ok(bytes),
                Ok(Ok(None)) => {}
                Ok(Err(_)) => {
                    return Err(ApiError::BadRequest("the request body broke off".into()));
                }
                Err(_) => return Err(ApiError::RequestTimeout),
            }
        }
        ApiError::PayloadTooLarge(max_bytes)
    };
    drop(tokio::time::timeout(LINGER_TIME, discard(&mut body, LINGER_BYTES)).await);
    Err(refusal)
}

/// The body's bytes; `None` as soon as there are more than `max_bytes`. The announced length only saves reallocations: memory
/// is taken for bytes that have arrived.
async fn collect(
    body: &mut ReqBody,
    max_bytes: usize,
    announced: usize,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(announced.min(64 << 10));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(std::io::Error::other)?.into_data() {
            if bytes.len() + data.len() > max_bytes {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Some(bytes))
}

async fn discard(body: &mut ReqBody, mut most: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        if length > most {
            return;
        }
        most -= length;
    }
}

/// Deepest nesting of objects and lists in a JSON body.
const MOST_DEPTH: usize = 16;

/// Parses a JSON body: UTF-8, one object, no key twice, at most 16 levels of objects and lists.
///
/// # Errors
///
/// 400: `EOF` for an empty body, as clients know it, else what is wrong and where.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::BadRequest("EOF".into()));
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::BadRequest("invalid JSON: expected an object".into()));
    }
    if is_too_deep(body) {
        let text = format!("invalid JSON: more than {MOST_DEPTH} levels of objects and lists");
        return Err(ApiError::BadRequest(text));
    }
    // All of it: what is passed over by the parser, such as unknown keys, is not looked at there.
    let body = str::from_utf8(body)
        .map_err(|_| ApiError::BadRequest("invalid JSON: expected UTF-8".into()))?;
    serde_json::from_str(body)
        .map_err(|error| ApiError::BadRequest(format!("invalid JSON: {error}")))
}

/// Whether more objects and lists are open at some place than are allowed. Of bytes that are no JSON it need not be true: those
/// are refused anyway.
fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut rest) = (0_usize, body);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_text(after),
            _ => {}
        }
        if depth > MOST_DEPTH {
            return true;
        }
    }
    false
}

/// What follows the text whose first quote was taken. Most of a heartbeat is inside one, so that this hurries.
fn after_text(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(place) == Some(&b'"');
        let next = if is_end { place + 1 } else { place + 2 }; // the escaped character is passed over
        rest = rest.get(next..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parses(text: &str) -> bool {
        parse_json::<serde_json::Value>(text.as_bytes()).is_ok()
    }

    #[test]
    fn lim_05_sixteen_levels_of_json_are_accepted_and_seventeen_are_not() {
        let nested = |levels: usize| {
            format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
        };
        for (levels, fits) in [(1, true), (16, true), (17, false), (1600, false)] {
            assert_eq!(parses(&nested(levels)), fits, "{levels}");
        }
        let unknown = b"{\"unknown\":\"\xff\"}";
        assert!(parse_json::<crate::model::Heartbeat>(unknown).is_err(), "not UTF-8");
        // Neither brackets within texts nor lists beside each other are levels.
        let text =
            format!(r#"{{"a":"\\\"{}","b":[{}]}}"#, "[{".repeat(50), vec!["[]"; 50].join(","));
        assert!(parses(&text), "{text}");
        for text in [r#"{"a":""#, r#"{"a":"\"#, r#"{"a":"\""#] {
            assert!(!parses(text), "{text}");
        }
    }
}
