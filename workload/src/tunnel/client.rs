//! The side of the hop that asks: the Management API.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Body, Client};
use tokio::time::timeout;

use super::hop::{self, OnBehalfOf};
use super::{Answer, Request, RequestError};
use crate::{Chain, traces};

/// Longest time for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How much longer than until the head of the answer the other unit may be silent.
const SILENCE: Duration = Duration::from_secs(5);
/// Idle connections are kept for a shorter time than the other side keeps them.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Sends requests to the units that hold tunnels. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct HopClient {
    client: Client,
    answer_time: Duration,
}

impl HopClient {
    /// A client that knows units by `tls` (`tls::InterUnit`). The head of an answer must come within `answer_time`, waiting for the
    /// cluster's turn included.
    ///
    /// # Errors
    ///
    /// What the HTTP library says about its settings.
    pub fn new(tls: rustls::ClientConfig, answer_time: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIME)
            .read_timeout(answer_time + SILENCE)
            .pool_idle_timeout(IDLE_TIME)
            .build()?;
        Ok(Self { client, answer_time })
    }

    /// Sends a request to the cluster's tunnel at the unit that listens on `unit`. The answer's body is still on its way.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says why there is no answer.
    pub async fn send(
        &self,
        unit: SocketAddr,
        cluster_id: i64,
        request: Request,
        by: &OnBehalfOf,
    ) -> Result<Answer<Body>, RequestError> {
        let mut headers = hop::request_headers(&request, by).ok_or(RequestError::Nonsense)?;
        traces::pass_on(&mut headers);
        let url = format!("https://{unit}/tunnel/{cluster_id}");
        let sent = self.client.post(url).headers(headers).body(request.body).send();
        let answer = match timeout(self.answer_time, sent).await {
            Err(_) => return Err(RequestError::NoAnswer),
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error.without_url()), %unit, "a unit with a tunnel cannot be reached");
                return Err(RequestError::Unreachable);
            }
            Ok(Ok(answer)) => answer,
        };
        let (head, body) = http::Response::<Body>::from(answer).into_parts();
        if head.status == http::StatusCode::OK {
            hop::read_answer(&head.headers, body).ok_or(RequestError::Unreachable)
        } else {
            Err(hop::read_refusal(&head.headers))
        }
    }
}
