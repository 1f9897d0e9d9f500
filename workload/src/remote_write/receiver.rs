//! One request to the receiver, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use rustls::ClientConfig;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use url::Url;

use crate::Chain;

/// How much of an answer is read, in bytes: enough for its reason, and to use the connection again.
const MAX_ANSWER_BYTES: usize = 4096;
/// How much of it goes to the log.
const MAX_REASON_CHARACTERS: usize = 256;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// All samples are stored.
    Stored,
    /// The receiver will never take this request; `bad_sample` if one sample may be the reason for it.
    Refused { bad_sample: bool, reason: String },
    /// It may take the request later, not before `after` has passed.
    Later { after: Option<Duration>, reason: String },
}

/// Where requests go. Tests put their own in its place.
pub(super) trait Receiver: Send + Sync + 'static {
    /// Sends one request.
    fn send(&self, body: Bytes) -> impl Future<Output = Answer> + Send;
}

/// A server that speaks Prometheus remote write 1.0.
#[derive(Debug)]
pub(super) struct HttpReceiver {
    client: ArcSwap<Client>,
    url: Url,
}

impl HttpReceiver {
    /// `url` is the complete address, path included.
    pub(super) fn new(url: Url, tls: ClientConfig) -> Result<Self, reqwest::Error> {
        Ok(Self { client: ArcSwap::from_pointee(client(tls)?), url })
    }

    /// Uses other authorities from the next request on. Open connections are left behind.
    pub(super) fn replace(&self, tls: ClientConfig) -> Result<(), reqwest::Error> {
        self.client.store(Arc::new(client(tls)?));
        Ok(())
    }
}

fn client(tls: ClientConfig) -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .user_agent("microcloud-cluster-manager")
        .build()
}

impl Receiver for HttpReceiver {
    async fn send(&self, body: Bytes) -> Answer {
        let request = self
            .client
            .load_full()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(body);
        match request.send().await {
            Ok(answer) => meaning(answer).await,
            Err(error) => {
                // The address may hold a secret in its path or query.
                let error = error.without_url();
                Answer::Later { after: None, reason: Chain(&error).to_string() }
            }
        }
    }
}

async fn meaning(mut answer: Response) -> Answer {
    let status = answer.status();
    let after = retry_after(answer.headers(), OffsetDateTime::now_utc());
    let mut text = Vec::new();
    while text.len() < MAX_ANSWER_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Answer::Stored;
    }
    let text: String =
        String::from_utf8_lossy(&text).trim().chars().take(MAX_REASON_CHARACTERS).collect();
    let reason = format!("the answer is {status}: {text}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Answer::Later { after, reason }
    } else {
        Answer::Refused { bad_sample: status == StatusCode::BAD_REQUEST, reason }
    }
}

/// The header `Retry-After`: seconds or a date. Source: RFC 9110, section 10.2.3.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = PrimitiveDateTime::parse(text, IMF_FIXDATE).ok()?.assume_utc();
    (date - now).try_into().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn rel_05_retry_after_is_seconds_or_a_date() {
        let now = datetime!(2026-03-01 12:00 UTC);
        let header = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now)
        };
        assert_eq!(header("120"), Some(Duration::from_mins(2)));
        assert_eq!(header("Sun, 01 Mar 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(header("Sun, 01 Mar 2026 11:00:00 GMT"), None);
        assert_eq!(header("-1"), None);
        assert_eq!(header("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
