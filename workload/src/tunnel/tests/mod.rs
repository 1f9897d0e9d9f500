//! Tunnels with a member at the other end of a pipe, on a clock that tests move.

mod limits;
mod liveness;
mod queue;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use workload_config::TunnelLimits;

use super::{Answer, Closing, Ended, Request, RequestError, TunnelPath, Tunnels};
use crate::metrics::{Metrics, TunnelMetrics};
use crate::model::{Fingerprint, Lease};

/// A unit and what it counts.
struct Fixture {
    tunnels: Tunnels,
    metrics: TunnelMetrics,
}

/// The member's end of a tunnel, and the task that serves it.
struct Far {
    socket: WebSocketStream<DuplexStream>,
    served: JoinHandle<Ended>,
}

pub(super) fn limits() -> TunnelLimits {
    workload_config::Limits::default().tunnel
}

impl Fixture {
    fn new() -> Self {
        let metrics = Metrics::new("test").unwrap().tunnels;
        Self { tunnels: Tunnels::new(limits(), &metrics), metrics }
    }

    /// A unit whose tunnels may hold so many bytes of messages that are not complete yet.
    fn with_budget(bytes: usize) -> Self {
        let metrics = Metrics::new("test").unwrap().tunnels;
        Self { tunnels: Tunnels::with_budget(limits(), &metrics, bytes), metrics }
    }

    async fn open(&self, cluster_id: i64, generation: i64) -> Far {
        self.open_with_pipe(cluster_id, generation, 64 << 10).await
    }

    /// A tunnel whose pipe holds so many bytes that nobody reads.
    async fn open_with_pipe(&self, cluster_id: i64, generation: i64, bytes: usize) -> Far {
        let (near, far) = tokio::io::duplex(bytes);
        let lease = lease(cluster_id, generation);
        let tunnels = self.tunnels.clone();
        let served = tokio::spawn(async move { tunnels.serve(lease, near).await });
        while !self.tunnels.leases().contains(&lease) && !served.is_finished() {
            tokio::task::yield_now().await;
        }
        Far { socket: WebSocketStream::from_raw_socket(far, Role::Client, None).await, served }
    }

    fn ask(&self, cluster_id: i64, path: &str) -> JoinHandle<Result<Answer, RequestError>> {
        self.ask_with_body(cluster_id, path, Vec::new())
    }

    fn ask_with_body(
        &self,
        cluster_id: i64,
        path: &str,
        body: Vec<u8>,
    ) -> JoinHandle<Result<Answer, RequestError>> {
        let (tunnels, request) = (self.tunnels.clone(), request(path, body));
        tokio::spawn(async move { tunnels.request(cluster_id, request, async |_| Ok(true)).await })
    }

    fn outcomes(&self, outcome: &str) -> u64 {
        self.metrics.requests.with_label_values(&[outcome]).get()
    }
}

impl Far {
    /// The next request; pings are answered on the way.
    async fn next(&mut self) -> Value {
        loop {
            // On a paused clock an hour is over at once.
            let next = tokio::time::timeout(3600 * SECOND, self.socket.next()).await;
            match next.expect("a request comes").unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn answer(&mut self, request: &Value, body: &str) {
        self.send(&json!({"uuid": request["uuid"], "status": 200, "body": STANDARD.encode(body)}))
            .await;
    }

    async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Code of the goodbye.
    async fn goodbye(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }
}

pub(super) fn lease(cluster_id: i64, generation: i64) -> Lease {
    Lease { cluster_id, generation, fingerprint: Fingerprint::of(&cluster_id.to_be_bytes()) }
}

pub(super) fn request(path: &str, body: Vec<u8>) -> Request {
    Request {
        method: Method::GET,
        path: TunnelPath::parse_joined(path).unwrap(),
        access_token: None,
        session: None,
        body: body.into(),
    }
}

fn text(answer: Result<Answer, RequestError>) -> String {
    String::from_utf8(answer.unwrap().body.to_vec()).unwrap()
}

fn error(answer: Result<Answer, RequestError>) -> RequestError {
    answer.err().unwrap()
}

/// Lets every task go on as far as it can without time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

const SECOND: Duration = Duration::from_secs(1);
