//! A TLS server that records every connection and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster_simulator::{CertificateSpec, Identity, JoinToken, Pin, TokenBody};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, HandshakeKind, ServerConfig};
use rustls::{SignatureScheme, client::danger::HandshakeSignatureValid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What one connection brought.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection, counted from 0; several requests may share one.
    pub(crate) connection: usize,
    pub(crate) from: SocketAddr,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) full_handshake: bool,
    /// Request line and headers as they came, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Decides the answer: status line and body. An empty status line means no answer at all.
type Answers = dyn Fn(&Seen) -> (String, String) + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Identity,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicUsize>,
    refused_handshakes: Arc<AtomicUsize>,
    certificates: Arc<Certificates>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server certificate for localhost.
pub(crate) fn server_spec() -> CertificateSpec {
    CertificateSpec {
        dns_names: vec!["localhost".into()],
        ip_addresses: vec![[127, 0, 0, 1].into()],
        ..CertificateSpec::lxd("manager")
    }
}

impl Server {
    /// Answers everything with 200 and `{}`.
    pub(crate) async fn start() -> Self {
        Self::answering(|_| ("200 OK".into(), "{}".into())).await
    }

    pub(crate) async fn answering(
        answers: impl Fn(&Seen) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        Self::with(Identity::from_spec(&server_spec()).unwrap(), answers).await
    }

    pub(crate) async fn with(
        identity: Identity,
        answers: impl Fn(&Seen) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let certificates = Arc::new(Certificates(Mutex::new(vec![identity.certified_key()])));
        let provider = Arc::new(default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyCertificate))
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(AtomicUsize::new(0));
        let refused_handshakes = Arc::new(AtomicUsize::new(0));
        let connections = Connections {
            seen: Arc::clone(&seen),
            open: Arc::clone(&open),
            refused_handshakes: Arc::clone(&refused_handshakes),
            answers: Arc::new(answers),
        };
        let task = tokio::spawn(async move {
            for number in 0.. {
                let Ok((tcp, from)) = listener.accept().await else { return };
                tokio::spawn(connections.clone().serve(number, acceptor.clone(), tcp, from));
            }
        });
        Self { address, identity, seen, open, refused_handshakes, certificates, task }
    }

    /// The leaf certificate of the connections after the first `after` ones.
    pub(crate) fn change_certificate(&self, after: usize, identity: &Identity) {
        let mut certificates = self.certificates.0.lock().unwrap();
        let current = certificates[0].clone();
        *certificates = vec![current; after];
        certificates.push(identity.certified_key());
    }

    pub(crate) fn pin(&self) -> Pin {
        Pin { addresses: vec![self.address.to_string()], fingerprint: self.identity.fingerprint() }
    }

    pub(crate) fn token(&self, name: &str) -> JoinToken {
        let body = TokenBody {
            secret: "ab".repeat(32),
            expires_at: Some("2026-11-30T18:00:00Z".into()),
            addresses: self.pin().addresses,
            server_name: name.into(),
            fingerprint: self.pin().fingerprint,
        };
        JoinToken::decode(&body.encode()).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn refused_handshakes(&self) -> usize {
        self.refused_handshakes.load(Ordering::SeqCst)
    }

    /// Requests with this start of the request line.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.seen().iter().filter(|seen| seen.head.starts_with(start)).count()
    }
}

/// Waits until `condition` holds; fails the test when that takes more than 20 seconds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {what}");
}

#[derive(Clone)]
struct Connections {
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicUsize>,
    refused_handshakes: Arc<AtomicUsize>,
    answers: Arc<Answers>,
}

impl Connections {
    async fn serve(self, number: usize, tls: TlsAcceptor, tcp: TcpStream, from: SocketAddr) {
        let Ok(mut stream) = tls.accept(tcp).await else {
            self.refused_handshakes.fetch_add(1, Ordering::SeqCst);
            return;
        };
        self.open.fetch_add(1, Ordering::SeqCst);
        while let Some((head, body)) = read_request(&mut stream).await {
            let session = stream.get_ref().1;
            let certificates = session.peer_certificates().unwrap_or_default();
            let seen = Seen {
                connection: number,
                from,
                certificates: certificates.iter().map(|der| der.to_vec()).collect(),
                server_name: session.server_name().map(str::to_owned),
                alpn: session.alpn_protocol().map(<[u8]>::to_vec),
                full_handshake: session.handshake_kind() != Some(HandshakeKind::Resumed),
                head,
                body,
            };
            let (status, body) = (self.answers)(&seen);
            self.seen.lock().unwrap().push(seen);
            if status.is_empty() {
                continue;
            }
            let length = if status.starts_with("204") {
                String::new()
            } else {
                format!("Content-Length: {}\r\n", body.len())
            };
            let answer = format!("HTTP/1.1 {status}\r\n{length}X-Test: yes\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.map_or(0, |text| text.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// The certificate of each connection; the last one serves the rest.
#[derive(Debug)]
struct Certificates(Mutex<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut list = self.0.lock().unwrap();
        if list.len() > 1 { Some(list.remove(0)) } else { list.first().cloned() }
    }
}

/// Asks for a certificate of an authority that nobody has, and takes any or none.
#[derive(Debug)]
struct AnyCertificate;

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        static FOREIGN: std::sync::LazyLock<[DistinguishedName; 1]> =
            // CN=elsewhere
            std::sync::LazyLock::new(|| {
                    let name = hex::decode("30143112301006035504030c09656c73657768657265").unwrap();
                    [DistinguishedName::from(name)]
                });
        FOREIGN.as_slice()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is off".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
