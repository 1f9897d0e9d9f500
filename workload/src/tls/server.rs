use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use super::any_client::AnyClient;
use super::{Presented, TlsError, provider};

/// Whether a listener asks clients for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// For clusters: asked for, never required; the handshake proves the possession of its key.
    Requested,
    /// For browsers, which would show their users a dialog.
    NotRequested,
}

/// The settings of a listener: TLS 1.3 only, HTTP/2 and HTTP/1.1 offered, no early data. Connections of clusters are never
/// resumed, so that every one proves its key anew.
///
/// # Errors
///
/// [`TlsError::Library`] if the library refuses its own defaults.
pub fn server_config(
    presented: Arc<Presented>,
    clients: ClientCertificates,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Library)?;
    let builder = match clients {
        ClientCertificates::Requested => {
            builder.with_client_cert_verifier(Arc::new(AnyClient(algorithms)))
        }
        ClientCertificates::NotRequested => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(presented);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if clients == ClientCertificates::Requested {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(config)
}
