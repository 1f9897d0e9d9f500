use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use reqwest::redirect::Policy;

/// Longest answer that is read from the provider, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Speaks HTTPS to the identity provider: no redirects, ten seconds, a bounded answer.
#[derive(Debug, Clone)]
pub(super) struct HttpClient(reqwest::Client);

/// Why there is no answer from the provider.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the request to the identity provider failed")]
    Request(#[from] reqwest::Error),
    #[error("the answer of the identity provider is longer than 1 MiB")]
    TooLong,
    #[error("the identity provider's address is not https")]
    NotHttps,
    #[error("the answer of the identity provider cannot be used")]
    Malformed(#[from] http::Error),
}

type Pending = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, HttpError>> + Send>>;

impl HttpClient {
    pub(super) fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .https_only(true)
            .user_agent("microcloud-cluster-manager")
            .build()?;
        Ok(Self(client))
    }

    /// The function that `openidconnect` calls for each request.
    pub(super) fn sender(&self) -> impl Fn(Request<Vec<u8>>) -> Pending + Send + Sync + 'static {
        let client = self.clone();
        move |request| {
            let client = client.clone();
            Box::pin(async move { client.send(request).await })
        }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        if request.uri().scheme_str() != Some("https") {
            return Err(HttpError::NotHttps);
        }
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(HttpError::TooLong);
            }
        }
        Ok(response.body(body)?)
    }
}
