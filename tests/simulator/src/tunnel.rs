//! The member's side of the reverse tunnel: a web socket to the manager, over which requests come in.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::ClientError;
use crate::identity::Identity;
use crate::lxd::Lxd;
use crate::member::Member;
use crate::tls::{self, Dial, Trust};

/// Path of the upgrade (GET).
pub const TUNNEL_PATH: &str = "/1.0/remote-cluster/ws";

/// A request of the manager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TunnelRequest {
    /// What the answer must repeat.
    pub uuid: String,
    /// HTTP method.
    pub method: String,
    /// Path with query, to be put after LXD's address as it is.
    pub path: String,
    /// Headers by canonical name.
    pub headers: Option<HashMap<String, Vec<String>>>,
    /// The body; on the wire it is base64 or null.
    #[serde(default, deserialize_with = "from_base64")]
    pub body: Vec<u8>,
}

impl TunnelRequest {
    /// The first value of a header, as members read it: names are compared to the letter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.get(name)?.first().map(String::as_str)
    }
}

fn from_base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    STANDARD.decode(text.unwrap_or_default()).map_err(serde::de::Error::custom)
}

/// An answer to the manager; every field may hold nonsense.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TunnelAnswer {
    /// The request's.
    pub uuid: String,
    /// HTTP status.
    pub status: i64,
    /// Headers by canonical name.
    pub headers: Option<HashMap<String, Vec<String>>>,
    /// Cookies as Go prints them.
    pub cookies: Option<Vec<Value>>,
    /// Body in base64.
    pub body: Option<String>,
}

impl TunnelAnswer {
    /// A refusal or failure on the member's side: only id and status.
    #[must_use]
    pub fn refusal(request: &TunnelRequest, status: i64) -> Self {
        Self { uuid: request.uuid.clone(), status, headers: None, cookies: None, body: None }
    }

    /// The same answer with another header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.get_or_insert_default().insert(name.to_owned(), vec![value.to_owned()]);
        self
    }

    /// The same answer with a cookie that LXD set.
    #[must_use]
    pub fn with_cookie(mut self, name: &str, value: &str) -> Self {
        let cookie = json!({
            "Name": name, "Value": value, "Quoted": false, "Path": "/", "Domain": "",
            "Expires": "0001-01-01T00:00:00Z", "RawExpires": "", "MaxAge": 0, "Secure": true,
            "HttpOnly": true, "SameSite": 3, "Partitioned": false, "Raw": "", "Unparsed": null,
        });
        self.cookies.get_or_insert_default().push(cookie);
        let line = format!("{name}={value}; Path=/; HttpOnly; Secure; SameSite=Strict");
        self.with_header("Set-Cookie", &line)
    }

    /// The same answer with this body, without a word about its kind.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = Some(STANDARD.encode(body));
        self
    }
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// Preflight, pin check or connection failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The manager did not upgrade the connection.
    #[error("the cluster manager refused the tunnel with status {status}: {body}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// The web socket broke.
    #[error("the tunnel broke: {0}")]
    Socket(String),
}

impl From<SocketError> for TunnelError {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Http(answer) => Self::Refused {
                status: answer.status().as_u16(),
                body: answer
                    .body()
                    .as_deref()
                    .map(|body| String::from_utf8_lossy(body).into_owned())
                    .unwrap_or_default(),
            },
            other => Self::Socket(other.to_string()),
        }
    }
}

/// How a member behaves behind its tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TunnelManner {
    /// As it should.
    #[default]
    Plausible,
    /// It thinks for so long before each answer.
    Slow(Duration),
    /// It opens the tunnel and never reads.
    Dead,
    /// Its answers try to direct the operator's browser, and some are no answers.
    Hostile,
    /// Its answers have bodies of so many bytes.
    Huge(usize),
}

/// An open tunnel. Dropping it breaks the connection, as members end a tunnel.
pub struct Tunnel {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}

impl Member {
    /// Opens the tunnel as a member does: preflight, pin check, web socket over mutual TLS.
    ///
    /// # Errors
    ///
    /// [`TunnelError`] says which step failed.
    pub async fn open_tunnel(&self) -> Result<Tunnel, TunnelError> {
        let found = self.locate().await?;
        let trust = Trust::Leaf(found.leaf);
        upgrade(&found.address, &trust, Some(self.identity()), self.dial(), &[]).await
    }

    /// Asks for a tunnel without preflight and pin check, with another certificate or none, and with further headers.
    ///
    /// # Errors
    ///
    /// [`TunnelError`] says which step failed.
    pub async fn open_raw_tunnel(
        &self,
        identity: Option<&Identity>,
        headers: &[(&str, &str)],
    ) -> Result<Tunnel, TunnelError> {
        let address = self.pin().addresses.first().ok_or(ClientError::NoAddress)?;
        upgrade(address, &Trust::Anything, identity, self.dial(), headers).await
    }

    /// Keeps a tunnel open: looks every `interval` whether it is, as members do every ten seconds.
    pub async fn keep_tunnel(&self, mut lxd: Lxd, manner: TunnelManner, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match Box::pin(self.open_tunnel()).await {
                Ok(tunnel) => {
                    let ended = tunnel.serve(&mut lxd, manner).await;
                    tracing::info!("a tunnel ended: {ended}");
                }
                Err(error) => tracing::info!("a tunnel cannot be opened: {error}"),
            }
        }
    }
}

async fn upgrade(
    address: &str,
    trust: &Trust,
    identity: Option<&Identity>,
    dial: Dial,
    headers: &[(&str, &str)],
) -> Result<Tunnel, TunnelError> {
    let stream = tls::connect(address, trust, identity, dial).await.map_err(ClientError::from)?;
    let mut request = format!("wss://{address}{TUNNEL_PATH}").into_client_request()?;
    for (name, value) in headers {
        let invalid = || ClientError::Request(format!("{name} is no header"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        request.headers_mut().insert(name, value);
    }
    let (socket, _) = client_async(request, stream).await?;
    Ok(Tunnel { socket })
}

impl Tunnel {
    /// The next request; pings are answered on the way. `None` when the manager said goodbye.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Socket`] when the connection broke or a message is no request.
    pub async fn next(&mut self) -> Result<Option<TunnelRequest>, TunnelError> {
        loop {
            match self.message().await? {
                None | Some(Message::Close(_)) => return Ok(None),
                Some(Message::Text(text)) => {
                    let request = serde_json::from_str(&text);
                    return request.map(Some).map_err(|e| TunnelError::Socket(e.to_string()));
                }
                Some(_) => {}
            }
        }
    }

    /// The next message of any kind; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Socket`] when the connection broke.
    pub async fn message(&mut self) -> Result<Option<Message>, TunnelError> {
        Ok(self.socket.next().await.transpose()?)
    }

    /// Waits for the manager's goodbye and gives its code and reason; `None` when the connection broke without one or a request
    /// came before it.
    pub async fn goodbye(&mut self) -> Option<(u16, String)> {
        loop {
            match self.message().await {
                Ok(Some(Message::Close(frame))) => {
                    return frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                }
                Ok(Some(Message::Ping(_) | Message::Pong(_))) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Sends an answer.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Socket`] when the connection broke.
    pub async fn answer(&mut self, answer: &TunnelAnswer) -> Result<(), TunnelError> {
        let text = serde_json::to_string(answer).map_err(|e| TunnelError::Socket(e.to_string()))?;
        self.send(Message::text(text)).await
    }

    /// Sends any message.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Socket`] when the connection broke.
    pub async fn send(&mut self, message: Message) -> Result<(), TunnelError> {
        Ok(self.socket.send(message).await?)
    }

    /// Answers requests one by one until the tunnel ends; the answer says why.
    pub async fn serve(mut self, lxd: &mut Lxd, manner: TunnelManner) -> String {
        if manner == TunnelManner::Dead {
            std::future::pending::<()>().await;
        }
        let mut served = 0_usize;
        loop {
            let request = match self.next().await {
                Ok(Some(request)) => request,
                Ok(None) => return "the manager closed it".into(),
                Err(error) => return error.to_string(),
            };
            served += 1;
            let done = match manner {
                TunnelManner::Plausible | TunnelManner::Dead => {
                    self.answer(&lxd.answer(&request)).await
                }
                TunnelManner::Slow(time) => {
                    tokio::time::sleep(time).await;
                    self.answer(&lxd.answer(&request)).await
                }
                TunnelManner::Huge(bytes) => {
                    let answer = TunnelAnswer::refusal(&request, 200);
                    self.answer(&answer.with_body(&vec![b'x'; bytes])).await
                }
                TunnelManner::Hostile => self.misbehave(&request, served).await,
            };
            if let Err(error) = done {
                return error.to_string();
            }
        }
    }

    /// A page that wants to take over the operator's browser; every other time an answer with an impossible status, after strays.
    async fn misbehave(
        &mut self,
        request: &TunnelRequest,
        served: usize,
    ) -> Result<(), TunnelError> {
        let mut page = TunnelAnswer::refusal(request, 200)
            .with_body(b"<script>fetch('/1.0/configuration')</script>")
            .with_cookie("__Host-mcm-session", "stolen");
        for (name, value) in HOSTILE_HEADERS {
            page = page.with_header(name, value);
        }
        if served.is_multiple_of(2) {
            let stray = TunnelAnswer {
                uuid: "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21".into(),
                ..page.clone()
            };
            self.answer(&stray).await?;
            self.send(Message::text("{")).await?;
            let statuses = [0, -1, 99, 101, 302, 1000];
            page.status = statuses.get(served / 2 % statuses.len()).copied().unwrap_or_default();
        }
        self.answer(&page).await
    }
}

/// Headers that would direct a browser if they reached it.
pub const HOSTILE_HEADERS: [(&str, &str); 16] = [
    ("Content-Type", "text/html"),
    ("Location", "https://evil.example/"),
    ("Refresh", "0; url=https://evil.example/"),
    ("Set-Cookie", "__Host-mcm-session=stolen; Path=/; Secure"),
    ("Clear-Site-Data", "\"*\""),
    ("Service-Worker-Allowed", "/"),
    ("Link", "<https://evil.example/x.css>; rel=stylesheet"),
    ("Content-Encoding", "gzip"),
    ("Transfer-Encoding", "chunked"),
    ("Content-Length", "1"),
    ("Content-Security-Policy", "default-src *"),
    ("Strict-Transport-Security", "max-age=0"),
    ("Access-Control-Allow-Origin", "*"),
    ("X-Frame-Options", "ALLOWALL"),
    ("Alt-Svc", "h2=\"evil.example:443\""),
    ("X-Evil", "a\r\nSet-Cookie: b=c"),
];
