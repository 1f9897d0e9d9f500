//! TLS as a member does it: version 1.3 only, no ALPN, no session resumption, a fresh connection
//! for each request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme,
};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::identity::Identity;

/// What members offer, in their order, which servers follow: they prefer AES-128 on processors that have instructions for AES, and Go
/// 1.24 and later send key shares for X25519MLKEM768 and X25519.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    use aws_lc_rs::{cipher_suite, kx_group};
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// The same without X25519MLKEM768.
static CLASSICAL: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = PROVIDER.as_ref().clone();
    provider.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    Arc::new(provider)
});

/// Which key exchange a client prefers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// X25519MLKEM768, as members built with Go 1.24 and later.
    #[default]
    Hybrid,
    /// X25519, as members built with earlier releases of Go.
    Classical,
}

impl KeyExchange {
    fn provider(self) -> Arc<CryptoProvider> {
        Arc::clone(match self {
            Self::Hybrid => &PROVIDER,
            Self::Classical => &CLASSICAL,
        })
    }
}

/// How a connection is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dial {
    /// The address of the local end, so that clusters on one machine can come from distinct ones.
    pub source: Option<IpAddr>,
    /// Which key exchange is preferred.
    pub key_exchange: KeyExchange,
}

/// How long a member waits for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a member waits for the handshake of the preflight; the second connection has no bound.
const PREFLIGHT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which server certificate a connection accepts.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Any certificate: the preflight, which only wants to see the leaf.
    Anything,
    /// Exactly this leaf (DER), which must name the host, be valid now and be for servers.
    Leaf(Arc<[u8]>),
}

/// Why no TLS connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not `host:port`.
    #[error("{0} is not an address of the form host:port")]
    Address(String),
    /// No TCP connection.
    #[error("cannot connect to {address}: {source}")]
    Tcp {
        /// The address as given.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// TCP worked, TLS did not.
    #[error("TLS handshake with {address} failed: {source}")]
    Tls {
        /// The address as given.
        address: String,
        /// What the TLS library said.
        source: io::Error,
    },
}

/// Opens a TLS connection to `address` (`host:port`, IPv6 in brackets).
///
/// `identity` is sent whenever the server asks for a certificate, whatever authorities it names.
///
/// # Errors
///
/// [`ConnectError`] says which step failed.
pub async fn connect(
    address: &str,
    trust: &Trust,
    identity: Option<&Identity>,
    dial: Dial,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let host = host_of(address).ok_or_else(|| ConnectError::Address(address.to_owned()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::Address(address.to_owned()))?;
    let tcp_failed = |source| ConnectError::Tcp { address: address.to_owned(), source };
    let tcp =
        within(CONNECT_TIMEOUT, connect_tcp(address, dial.source)).await.map_err(tcp_failed)?;
    let config = client_config(trust, identity, dial.key_exchange);
    let tls_failed = |source| ConnectError::Tls { address: address.to_owned(), source };
    let config = config.map_err(|e| tls_failed(io::Error::other(e)))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    match trust {
        Trust::Anything => within(PREFLIGHT_HANDSHAKE_TIMEOUT, handshake).await,
        Trust::Leaf(_) => handshake.await,
    }
    .map_err(tls_failed)
}

/// The leaf certificate (DER) that the server showed.
#[must_use]
pub fn leaf(stream: &TlsStream<TcpStream>) -> Option<Arc<[u8]>> {
    let chain = stream.get_ref().1.peer_certificates()?;
    chain.first().map(|der| Arc::from(der.as_ref()))
}

/// Host part of `host:port`, without the brackets of an IPv6 address.
fn host_of(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.or((!host.contains(':')).then_some(host)).filter(|host| !host.is_empty())
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")))
    })
}

async fn connect_tcp(address: &str, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for target in lookup_host(address).await? {
        match connect_one(target, source).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

async fn connect_one(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source.filter(|source| source.is_ipv4() == target.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(target).await
}

/// The settings of a connection: TLS 1.3, no ALPN, no resumption, what `trust` says of the server and `identity` whenever it asks.
///
/// # Errors
///
/// [`Error`] if the library refuses its own defaults.
pub fn client_config(
    trust: &Trust,
    identity: Option<&Identity>,
    key_exchange: KeyExchange,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(key_exchange.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier(trust.clone())));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(Always(identity.clone()))),
        None => builder.with_no_client_auth(),
    };
    // Each request is a connection of its own; a store for tickets would only cost memory.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Sends the certificate whatever the server's list of authorities says.
#[derive(Debug)]
struct Always(Identity);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.certified_key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Accepts what [`Trust`] says. An own verifier, because the usual one refuses a self-signed leaf
/// that calls itself a CA, which members accept.
#[derive(Debug)]
struct Verifier(Trust);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Trust::Leaf(pinned) = &self.0 {
            if pinned.as_ref() != end_entity.as_ref() {
                return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
            }
            check_dates_and_purpose(end_entity, now)?;
            let parsed = ParsedCertificate::try_from(end_entity)?;
            rustls::client::verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

fn check_dates_and_purpose(der: &[u8], now: UnixTime) -> Result<(), Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| bad())?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds < certificate.validity().not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if seconds > certificate.validity().not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    match certificate.extended_key_usage().map_err(|_| bad())? {
        Some(usage) if !usage.value.server_auth && !usage.value.any => {
            Err(Error::InvalidCertificate(CertificateError::InvalidPurpose))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_part_of_an_address_is_found() {
        for (address, host) in [
            ("cluster-connector.example.net:443", Some("cluster-connector.example.net")),
            ("127.0.0.1:9000", Some("127.0.0.1")),
            ("[::1]:9000", Some("::1")),
            ("::1:9000", None),
            ("example.net", None),
            ("example.net:", None),
            (":443", None),
            ("example.net:65536", None),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
    }
}
