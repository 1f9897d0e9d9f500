//! One HTTP/1.1 request over one TLS connection, without a pool: the low level of a member, also
//! the escape hatch of tests that want to send something a member never would.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::HeaderMap;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::identity::Identity;
use crate::tls::{self, ConnectError, Dial, Trust};

/// Why an operation failed; the texts are those that the operator of a MicroCloud would see.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The leaf certificate is not the pinned one; nothing was sent after the preflight.
    #[error("Invalid cluster manager certificate fingerprint, expected {expected}, got {got}")]
    Fingerprint {
        /// The pinned fingerprint as stored.
        expected: String,
        /// The fingerprint of the leaf that was seen.
        got: String,
    },
    /// Any status but 200.
    #[error("Failed to send request to cluster manager: {}, body: {}", .0.status_line(), .0.body)]
    Refused(Box<Answer>),
    /// The connection ended before an answer came.
    #[error("the cluster manager at {address} closed the connection without an answer: {reason}")]
    NoAnswer {
        /// The address that was connected to.
        address: String,
        /// What the HTTP library said.
        reason: String,
    },
    /// The request cannot be written as HTTP.
    #[error("the request is not valid HTTP: {0}")]
    Request(String),
    /// The bound that the caller set has passed; members have none.
    #[error("no answer from the cluster manager within {0:?}")]
    Timeout(Duration),
    /// There is no address to connect to.
    #[error("no address of the cluster manager is known")]
    NoAddress,
}

/// A request as it goes over the wire. `Host` comes first by itself unless it is in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, any token.
    pub method: String,
    /// Path with query, as sent.
    pub path: String,
    /// Further headers in the order sent; names are written capitalised (`User-Agent`).
    pub headers: Vec<(String, String)>,
    /// Body; the length is announced for POST, PUT and PATCH and for any body that is not empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with nothing but `Host` and, with a body, `Content-Length`.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A request with the headers of a member: its user agent, `Accept-Encoding: gzip`, and no
    /// `Content-Type` whatever the body is.
    #[must_use]
    pub fn of_member(method: &str, path: &str, body: Vec<u8>) -> Self {
        Self::new(method, path)
            .with_header("User-Agent", "Go-http-client/1.1")
            .with_body(body)
            .with_header("Accept-Encoding", "gzip")
    }

    /// Adds a header at the end.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body and announces its length at this place among the headers.
    #[must_use]
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        if !body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            let length = body.len().to_string();
            self = self.with_header("Content-Length", &length);
        }
        self.body = body;
        self
    }

    fn build(&self, host: &str) -> Result<hyper::Request<Full<Bytes>>, ClientError> {
        let invalid = |e: &dyn std::fmt::Display| ClientError::Request(e.to_string());
        let mut headers = HeaderMap::new();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let host = HeaderValue::from_str(host).map_err(|e| invalid(&e))?;
            headers.append(hyper::header::HOST, host);
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| invalid(&e))?;
            headers.append(name, HeaderValue::from_str(value).map_err(|e| invalid(&e))?);
        }
        let mut request = hyper::Request::builder()
            .method(self.method.as_str())
            .uri(self.path.as_str())
            .body(Full::new(Bytes::copy_from_slice(&self.body)))
            .map_err(|e| invalid(&e))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// An answer of the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Reason phrase of the status line.
    pub reason: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; bytes that are not UTF-8 are replaced. A compressed body is not unpacked, since
    /// members look at bodies of refusals only.
    pub body: String,
}

impl Answer {
    /// `403 Forbidden`, as a member quotes it.
    #[must_use]
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }

    /// A header as text, `None` if it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, `None` if it is none.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// What a member takes for success: status 200 and nothing else, 201 and 204 included.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with the answer for any other status.
    pub fn success(self) -> Result<Self, ClientError> {
        if self.status == 200 { Ok(self) } else { Err(ClientError::Refused(Box::new(self))) }
    }
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    address: String,
    leaf: Arc<[u8]>,
}

impl Connection {
    /// Connects to `address` (`host:port`); see [`tls::connect`] for the other parameters.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`] if there is no connection, [`ClientError::NoAnswer`] if the HTTP
    /// side does not start.
    pub async fn open(
        address: &str,
        trust: &Trust,
        identity: Option<&Identity>,
        dial: Dial,
    ) -> Result<Self, ClientError> {
        let stream = tls::connect(address, trust, identity, dial).await?;
        let leaf = tls::leaf(&stream).unwrap_or_default();
        let (sender, connection) = Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| no_answer(address, &e))?;
        let driver = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("connection to the cluster manager ended: {e}");
            }
        });
        Ok(Self { sender, driver, address: address.to_owned(), leaf })
    }

    /// DER of the leaf certificate that the server showed.
    #[must_use]
    pub fn leaf(&self) -> &Arc<[u8]> {
        &self.leaf
    }

    /// Sends a request and reads the whole answer. May be called again on the same connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::Request`] if it cannot be written, [`ClientError::NoAnswer`] if the
    /// connection ends first. A refusal is an answer, not an error.
    pub async fn send(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let response = self.send_head(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| no_answer(&self.address, &e))?.to_bytes();
        let reason = head.extensions.get::<hyper::ext::ReasonPhrase>().map_or_else(
            || head.status.canonical_reason().unwrap_or_default().to_owned(),
            |phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        );
        Ok(Answer {
            status: head.status.as_u16(),
            reason,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Sends a request and waits for the head of the answer only.
    pub(crate) async fn send_head(
        &mut self,
        request: &Request,
    ) -> Result<hyper::Response<Incoming>, ClientError> {
        let request = request.build(&self.address)?;
        self.sender.ready().await.map_err(|e| no_answer(&self.address, &e))?;
        self.sender.send_request(request).await.map_err(|e| no_answer(&self.address, &e))
    }

    /// Keeps the connection open and idle until the server closes it, as a member does after a 200.
    pub fn leave_open(self) {
        tokio::spawn(async move {
            let Self { sender, driver, .. } = self;
            let _ = driver.await;
            drop(sender);
        });
    }
}

fn no_answer(address: &str, error: &hyper::Error) -> ClientError {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason = format!("{reason}: {inner}");
        cause = inner.source();
    }
    ClientError::NoAnswer { address: address.to_owned(), reason }
}
