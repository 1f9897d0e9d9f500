//! Reading request bodies within limits.

use std::time::Duration;

use http_body_util::BodyExt;
use salvo::Request;
use salvo::http::ReqBody;
use salvo::http::header::CONTENT_ENCODING;
use serde::de::DeserializeOwned;

use super::ApiError;

/// How much of a body that is refused is read on and thrown away, so that the client has finished writing when it gets the
/// answer: so much more than the limit, but not without bound. Beyond it the connection is closed under the client's hands.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_MAX_BYTES: usize = 16 << 20;
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
    let most = max_bytes.saturating_add(LINGER_BYTES).min(LINGER_MAX_BYTES);
    drop(tokio::time::timeout(LINGER_TIME, discard(&mut body, most)).await);
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
