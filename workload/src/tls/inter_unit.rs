//! How units of one deployment know each other.
//!
//! All units share the master key. From it each derives the same Ed25519 key pair, for this purpose only, and makes itself a
//! certificate with it at start. Both sides of a connection accept a certificate with exactly that public key and nothing else,
//! and TLS 1.3 proves the possession of the private key (RFC 8446, section 4.4.3). No authority, no name and no date is involved:
//! whoever lacks the master key is no unit, whatever certificate they hold.

use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme,
};
use secrecy::ExposeSecret;

use super::{TlsError, provider};
use crate::seal::MasterKey;

/// The certificate and key of a unit, towards other units.
#[derive(Debug)]
pub struct InterUnit {
    pair: Arc<CertifiedKey>,
    verifier: Arc<SameKey>,
}

impl InterUnit {
    /// Derives the key pair from the master key.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the cryptographic library fails.
    pub fn new(key: &MasterKey) -> Result<Self, TlsError> {
        let seed = key.unit_identity_seed().ok_or(TlsError::InterUnit)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret())
            .map_err(|_| TlsError::InterUnit)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| TlsError::InterUnit)?;
        let private = PrivatePkcs8KeyDer::from(pkcs8.as_ref());
        let signer = KeyPair::from_pkcs8_der_and_sign_algo(&private, &PKCS_ED25519)
            .map_err(TlsError::Generate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "MicroCloud Cluster Manager unit");
        let certificate = params.self_signed(&signer).map_err(TlsError::Generate)?;
        let chain = vec![certificate.der().clone()];
        let provider = provider();
        let pair = CertifiedKey::from_der(chain, private.clone_key().into(), &provider)
            .map_err(TlsError::Pair)?;
        let public_key = public_key(certificate.der()).map_err(TlsError::Pair)?;
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { pair: Arc::new(pair), verifier: Arc::new(SameKey { public_key, algorithms }) })
    }

    /// The settings of the listener for other units: a certificate of the same key is required.
    ///
    /// # Errors
    ///
    /// [`TlsError::Library`] if the library refuses its own defaults.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Library)?
            .with_client_cert_verifier(Arc::clone(&self.verifier) as _)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.pair))));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// The settings for connections to other units.
    ///
    /// # Errors
    ///
    /// [`TlsError::Library`] if the library refuses its own defaults.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Library)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier) as _)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.pair))));
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Accepts the one public key that all units share.
#[derive(Debug)]
struct SameKey {
    public_key: Vec<u8>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SameKey {
    fn check(&self, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        if chain.is_empty() && public_key(leaf)? == self.public_key {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, Error> {
    Ok(ParsedCertificate::try_from(certificate)?.subject_public_key_info().as_ref().to_vec())
}

impl ServerCertVerifier for SameKey {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(leaf, chain).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into()) // TLS 1.3 only
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for SameKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(leaf, chain).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into()) // TLS 1.3 only
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
