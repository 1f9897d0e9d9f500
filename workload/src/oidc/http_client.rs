use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, Request, Response, StatusCode};
use reqwest::redirect::Policy;

/// Longest answer that is read from the provider, in bytes: of tokens, and of published documents such as the keys.
const MAX_TOKENS_BYTES: usize = 1 << 20;
const MAX_DOCUMENT_BYTES: usize = 256 << 10;

/// Speaks HTTPS to the identity provider: no redirects, ten seconds, a bounded answer. All clones use the same connections and the
/// same authorities.
#[derive(Debug, Clone)]
pub(super) struct HttpClient(Arc<ArcSwap<reqwest::Client>>);

/// Why there is no answer from the provider.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the request to the identity provider failed")]
    Request(#[from] reqwest::Error),
    #[error("the answer of the identity provider is longer than {0} bytes")]
    TooLong(usize),
    #[error("the identity provider's address is not https")]
    NotHttps,
    #[error("the identity provider answered {0}")]
    Status(StatusCode),
    #[error("the answer of the identity provider cannot be used")]
    Malformed(#[from] http::Error),
}

type Pending = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send>>;

impl HttpClient {
    pub(super) fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(build(tls)?))))
    }

    /// Uses other authorities from now on. Open connections are left behind.
    pub(super) fn replace(&self, tls: rustls::ClientConfig) -> Result<(), reqwest::Error> {
        self.0.store(Arc::new(build(tls)?));
        Ok(())
    }

    /// The function that `openidconnect` calls for each request.
    pub(super) fn sender(&self) -> impl Fn(Request<Vec<u8>>) -> Pending + Send + Sync + 'static {
        let client = self.clone();
        move |request| {
            let client = client.clone();
            Box::pin(async move { client.send(request).await })
        }
    }

    /// An answer that says nothing about the request itself (500 and above, 429) is an error here, so that its body is never
    /// mistaken for the provider's word.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        if request.uri().scheme_str() != Some("https") {
            return Err(HttpError::NotHttps);
        }
        let limit =
            if request.method() == Method::GET { MAX_DOCUMENT_BYTES } else { MAX_TOKENS_BYTES };
        let client = self.0.load_full();
        let mut answer = client.execute(request.try_into()?).await?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(HttpError::Status(status));
        }
        let mut response = Response::builder().status(status);
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(HttpError::TooLong(limit));
            }
        }
        Ok(response.body(body)?)
    }
}

fn build(tls: rustls::ClientConfig) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(10))
        .https_only(true)
        .user_agent("microcloud-cluster-manager")
        .build()
}
