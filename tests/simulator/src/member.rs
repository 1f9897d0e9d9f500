//! The client that one MicroCloud is: preflight, pin check, mutual TLS, join, heartbeat, leave.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::client::{Answer, ClientError, Connection, Request};
use crate::identity::{Identity, fingerprint};
use crate::status::Status;
use crate::tls::{Dial, KeyExchange, Trust};
use crate::token::JoinToken;

/// Path of join (POST) and leave (DELETE).
pub const CLUSTER_PATH: &str = "/1.0/remote-cluster";
/// Path of heartbeats (POST).
pub const STATUS_PATH: &str = "/1.0/remote-cluster/status";
/// What the preflight calls itself: LXD's version and platform.
pub const PREFLIGHT_USER_AGENT: &str = "LXD 6.5 (Linux; x86_64; 6.8.0; Ubuntu; 24.04)";

/// Where a member finds its manager and which leaf certificate it accepts there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `host:port`, tried in order.
    pub addresses: Vec<String>,
    /// SHA-256 of the leaf in hexadecimal digits of either case.
    pub fingerprint: String,
}

impl Pin {
    /// What a member stores of a token. It keeps the addresses as one text with commas, so an
    /// address with a comma in it comes back as two.
    #[must_use]
    pub fn of(token: &JoinToken) -> Self {
        let stored = token.body().addresses.join(",");
        Self {
            addresses: stored.split(',').map(str::to_owned).collect(),
            fingerprint: token.body().fingerprint.clone(),
        }
    }
}

/// Choices that do not change what goes over the wire within a request.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Longest time for one operation. `None` is what members do: they wait for ever.
    pub timeout: Option<Duration>,
    /// Leave connections open after a preflight and after a 200 until the server closes them, as
    /// members do. Costs two file descriptors per heartbeat for the server's idle time.
    pub leave_connections_open: bool,
    /// Local address to connect from, so that clusters on one machine differ in their address.
    pub source: Option<IpAddr>,
    /// Which key exchange is preferred.
    pub key_exchange: KeyExchange,
}

/// What a preflight found.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The first address that answered.
    pub address: String,
    /// DER of its leaf certificate.
    pub leaf: Arc<[u8]>,
    /// Status of the answer to `GET /`; any will do.
    pub status: u16,
}

impl Preflight {
    /// Fingerprint of the leaf, lower case.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.leaf)
    }
}

/// One cluster's client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Member {
    identity: Identity,
    pin: Arc<Pin>,
    options: ClientOptions,
}

#[derive(Serialize)]
struct JoinBody<'a> {
    cluster_name: &'a str,
    cluster_certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl Member {
    /// A member that shows `identity` to the manager behind `pin`.
    #[must_use]
    pub fn new(identity: Identity, pin: Pin) -> Self {
        Self { identity, pin: Arc::new(pin), options: ClientOptions::default() }
    }

    /// The same member with other options.
    #[must_use]
    pub fn with_options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// The certificate and key of this cluster.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Addresses and fingerprint of the manager.
    #[must_use]
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// `GET /` without a client certificate and without checking the server's; the addresses are
    /// tried in order and the first one that gives any HTTP answer wins. A member would go through
    /// `HTTPS_PROXY` here; the simulator always connects directly.
    ///
    /// # Errors
    ///
    /// The error of the last address if none answered.
    pub async fn preflight(&self) -> Result<Preflight, ClientError> {
        let mut last = ClientError::NoAddress;
        for address in &self.pin.addresses {
            match self.preflight_at(address).await {
                Ok(found) => return Ok(found),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    async fn preflight_at(&self, address: &str) -> Result<Preflight, ClientError> {
        let request = Request::new("GET", "/")
            .with_header("User-Agent", PREFLIGHT_USER_AGENT)
            .with_header("Accept-Encoding", "gzip");
        let mut connection = Connection::open(address, &Trust::Anything, None, self.dial()).await?;
        let status = if self.options.leave_connections_open {
            connection.send(&request).await?.status
        } else {
            connection.send_head(&request).await?.status().as_u16()
        };
        let leaf = Arc::clone(connection.leaf());
        if self.options.leave_connections_open {
            connection.leave_open();
        }
        Ok(Preflight { address: address.to_owned(), leaf, status })
    }

    /// Preflight and pin check: the address and the leaf to use for the next connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::Fingerprint`] if the leaf is not the pinned one.
    pub async fn locate(&self) -> Result<Preflight, ClientError> {
        let found = self.preflight().await?;
        let got = found.fingerprint();
        if got.eq_ignore_ascii_case(&self.pin.fingerprint) {
            Ok(found)
        } else {
            Err(ClientError::Fingerprint { expected: self.pin.fingerprint.clone(), got })
        }
    }

    /// [`Member::locate`] and then the second connection: it trusts exactly the leaf just seen and
    /// carries the cluster certificate.
    ///
    /// # Errors
    ///
    /// [`ClientError::Fingerprint`] if the leaf is not the pinned one: then nothing more is sent.
    pub async fn open(&self) -> Result<Connection, ClientError> {
        let found = self.locate().await?;
        let trust = Trust::Leaf(found.leaf);
        Connection::open(&found.address, &trust, Some(&self.identity), self.dial()).await
    }

    /// How its connections are opened.
    pub(crate) fn dial(&self) -> Dial {
        Dial { source: self.options.source, key_exchange: self.options.key_exchange }
    }

    /// One operation as a member does it. The answer may have any status.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if no answer came.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        self.perform(&Request::of_member(method, path, body)).await
    }

    async fn perform(&self, request: &Request) -> Result<Answer, ClientError> {
        let work = async {
            let mut connection = self.open().await?;
            let answer = connection.send(request).await?;
            if self.options.leave_connections_open && answer.status == 200 {
                connection.leave_open();
            }
            Ok(answer)
        };
        match self.options.timeout {
            None => work.await,
            Some(limit) => {
                let timed = tokio::time::timeout(limit, work).await;
                timed.unwrap_or(Err(ClientError::Timeout(limit)))
            }
        }
    }

    /// A fresh connection to the first address with the given certificate or none, without
    /// preflight and pin check, for requests that a member would not send.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if there is no connection.
    pub async fn raw_connection(
        &self,
        identity: Option<&Identity>,
    ) -> Result<Connection, ClientError> {
        let address = self.pin.addresses.first().ok_or(ClientError::NoAddress)?;
        Connection::open(address, &Trust::Anything, identity, self.dial()).await
    }

    /// Sends `request` over a [`Member::raw_connection`] of its own.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if no answer came.
    pub async fn raw_request(
        &self,
        request: &Request,
        identity: Option<&Identity>,
    ) -> Result<Answer, ClientError> {
        self.raw_connection(identity).await?.send(request).await
    }

    /// Joins under the name in the token, with the token in the body as members do.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] for any status but 200, others if no answer came.
    pub async fn join(&self, token: &JoinToken) -> Result<Answer, ClientError> {
        let body = self.join_body(token, Some(token.text()))?;
        self.request("POST", CLUSTER_PATH, body).await?.success()
    }

    /// Joins with the signed form of the architecture document, which no released member uses:
    /// the token stays at home and its secret signs the body.
    ///
    /// # Errors
    ///
    /// As [`Member::join`].
    pub async fn join_signed(&self, token: &JoinToken) -> Result<Answer, ClientError> {
        let body = self.join_body(token, None)?;
        let authorization = sign_join(&token.body().secret, &body);
        let request = Request::of_member("POST", CLUSTER_PATH, body)
            .with_header("Authorization", &authorization);
        self.perform(&request).await?.success()
    }

    fn join_body(&self, token: &JoinToken, text: Option<&str>) -> Result<Vec<u8>, ClientError> {
        to_json(&JoinBody {
            cluster_name: &token.body().server_name,
            cluster_certificate: self.identity.certificate_pem(),
            token: text,
        })
    }

    /// Sends a heartbeat.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] for any status but 200, others if no answer came.
    pub async fn heartbeat(&self, status: &Status) -> Result<Answer, ClientError> {
        self.request("POST", STATUS_PATH, to_json(status)?).await?.success()
    }

    /// Leaves the manager.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] for any status but 200, others if no answer came.
    pub async fn leave(&self) -> Result<Answer, ClientError> {
        self.request("DELETE", CLUSTER_PATH, Vec::new()).await?.success()
    }
}

/// Value of the `Authorization` header of a signed join: HMAC-SHA-256 over the body. The key is
/// the text of the secret, not the bytes that its digits stand for.
#[must_use]
pub fn sign_join(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("ClusterManager-1.0 {}", hex::encode(hmac::sign(&key, body)))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|e| ClientError::Request(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenBody;

    #[test]
    fn a_join_is_signed_as_in_the_published_vectors() {
        assert_eq!(
            sign_join("foo", br#"{"hello":"world"}"#),
            "ClusterManager-1.0 4022ad4878aff5a3bbd815aec63cce26cb5e8abd4df69589312cd0dee25fd717"
        );
        let text = include_str!("../../examples/join-request-hmac.json");
        let vector: serde_json::Value = serde_json::from_str(text).unwrap();
        let (secret, body) = (vector["secret"].as_str(), vector["body_text"].as_str());
        assert_eq!(
            Some(sign_join(secret.unwrap(), body.unwrap().as_bytes()).as_str()),
            vector["headers"]["Authorization"].as_str()
        );
    }

    #[test]
    fn a_join_body_has_the_keys_of_the_published_request_in_their_order() {
        let example = include_str!("../../examples/join-request.json");
        let body =
            JoinBody { cluster_name: "a", cluster_certificate: "b".into(), token: Some("c") };
        let ours = serde_json::to_string(&body).unwrap();
        let keys = ["\"cluster_name\"", "\"cluster_certificate\"", "\"token\""];
        for text in [example, &ours] {
            let places: Vec<_> = keys.iter().map(|key| text.find(key).unwrap()).collect();
            assert!(places.is_sorted(), "{text}");
        }
        assert_eq!(ours, r#"{"cluster_name":"a","cluster_certificate":"b","token":"c"}"#);
    }

    #[test]
    fn stored_addresses_are_split_at_commas() {
        let body = TokenBody {
            secret: "s".into(),
            expires_at: None,
            addresses: vec!["a:1,b:2".into(), "c:3".into()],
            server_name: "n".into(),
            fingerprint: "F0".into(),
        };
        let pin = Pin::of(&JoinToken::decode(&body.encode()).unwrap());
        assert_eq!(pin.addresses, ["a:1", "b:2", "c:3"]);
        assert_eq!(pin.fingerprint, "F0");
    }
}
