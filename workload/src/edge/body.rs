//! Reading request bodies within limits.

use std::time::Duration;

use salvo::Request;
use salvo::http::ParseError;
use salvo::http::header::CONTENT_ENCODING;
use serde::de::DeserializeOwned;

use super::ApiError;

/// Reads the whole body: at most `max_bytes`, within `deadline`. Compressed bodies are not accepted, so that a few bytes
/// never become many.
///
/// # Errors
///
/// 413 as soon as the length is known or exceeded, 415 for a compressed body, 408 when it takes too long, 400 when the
/// transfer breaks.
pub async fn read_body(
    req: &mut Request,
    max_bytes: usize,
    deadline: Duration,
) -> Result<&[u8], ApiError> {
    if req.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::UnsupportedMediaType("compressed request bodies are not accepted"));
    }
    let announced = req.header::<u64>("content-length").unwrap_or_default();
    if usize::try_from(announced).is_ok_and(|length| length > max_bytes) {
        return Err(ApiError::PayloadTooLarge(max_bytes));
    }
    match tokio::time::timeout(deadline, req.payload_with_max_size(max_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(ParseError::PayloadTooLarge)) => Err(ApiError::PayloadTooLarge(max_bytes)),
        Ok(Err(_)) => Err(ApiError::BadRequest("the request body broke off".into())),
        Err(_) => Err(ApiError::RequestTimeout),
    }
}

/// Parses a JSON body: UTF-8, one object, no key twice.
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
    serde_json::from_slice(body)
        .map_err(|error| ApiError::BadRequest(format!("invalid JSON: {error}")))
}
