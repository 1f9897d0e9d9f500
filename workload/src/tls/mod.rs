//! TLS on all sides: the listeners, the database and the identity provider. TLS 1.3 on our own listeners (RFC 8446), with
//! aws-lc-rs as the only provider.

mod any_client;
mod client;
mod identities;
mod identity;
mod inter_unit;
mod pin;
mod presented;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

pub use client::{client_config, follow_authorities};
pub use identities::Identities;
pub use identity::ServerIdentity;
pub use inter_unit::InterUnit;
pub use pin::Pin;
pub use presented::{Presented, Renewal};
pub use server::{ClientCertificates, server_config};

use rustls::crypto::CryptoProvider;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        reason: String,
    },
    /// The certificate and the key do not belong together, or cannot be used by TLS.
    #[error("certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// A self-made certificate failed.
    #[error("a certificate could not be made")]
    Generate(#[source] rcgen::Error),
    /// The library refused its own defaults.
    #[error("the TLS library refused its configuration")]
    Library(#[source] rustls::Error),
    /// The key pair by which units know each other could not be made.
    #[error("the key pair for connections between units could not be made")]
    InterUnit,
    /// The connection pool has no runtime.
    #[error("the connection pool could not be set up")]
    Runtime,
}

/// The one crypto provider.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
