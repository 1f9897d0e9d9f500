//! The certificate and key that a listener presents.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{TlsError, provider};
use crate::model::Fingerprint;

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
    dns_names: Vec<String>,
    has_address: bool,
    not_after: i64,
}

impl ServerIdentity {
    /// Reads `tls.crt` (leaf first) and `tls.key` from a directory.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when a file cannot be used or the two do not belong together.
    pub fn from_directory(directory: &Path) -> Result<Self, TlsError> {
        Self::from_files(&directory.join("tls.crt"), &directory.join("tls.key"))
    }

    /// The connector's own pair: kept in one file, and made when there is none. Clusters pin this very certificate, so it is
    /// valid for ten years and never replaced by itself.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the file cannot be used or made.
    pub fn read_or_create(path: &Path, host: &str, now: OffsetDateTime) -> Result<Self, TlsError> {
        if !path.exists() {
            let pair = self_signed(host, now).map_err(TlsError::Generate)?;
            crate::files::create_once(path, |file| file.write_all(pair.as_bytes())).map_err(
                |error| TlsError::File { path: path.to_owned(), reason: error.to_string() },
            )?;
        }
        Self::from_files(path, path)
    }

    fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| TlsError::File {
                path,
                reason: error.to_string(),
            }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(failed(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
        Self::new(certificate, chain, key)
    }

    /// A chain, leaf first, and its key, both read from `path`.
    pub(super) fn new(
        path: &Path,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let leaf = chain.first().cloned().ok_or_else(|| TlsError::File {
            path: path.to_owned(),
            reason: "it holds no certificate".into(),
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Pair)?;
        let (dns_names, has_address) = names(&leaf);
        Ok(Self {
            key: Arc::new(key),
            fingerprint: Fingerprint::of(&leaf),
            dns_names,
            has_address,
            not_after: not_after(&leaf),
        })
    }

    /// The fingerprint of the leaf: what clusters pin.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The DNS names in the leaf's subject alternative names, lower case, without wildcards.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// Whether the leaf is good for an IP address. Clients that connect to one ask for no name.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.has_address
    }

    /// End of the leaf's validity, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

fn self_signed(host: &str, now: OffsetDateTime) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "MicroCloud Cluster Connector");
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(3653);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(&key)?.pem() + &key.serialize_pem())
}

fn not_after(der: &[u8]) -> i64 {
    X509Certificate::from_der(der)
        .map_or(0, |(_, certificate)| certificate.validity().not_after.timestamp())
}

/// DNS names, and whether there is an IP address among the names.
fn names(der: &[u8]) -> (Vec<String>, bool) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Default::default() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Default::default() };
    let names = &names.value.general_names;
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) if !name.contains('*') => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    (dns.collect(), names.iter().any(|name| matches!(name, GeneralName::IPAddress(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connectors_pair_is_made_once_and_stays_the_same() {
        let dir = std::env::temp_dir().join(format!("mcm-identity-{}", std::process::id()));
        let path = dir.join("connector.pem");
        let now = OffsetDateTime::now_utc();
        let first = ServerIdentity::read_or_create(&path, "connector.example.com", now).unwrap();
        let second = ServerIdentity::read_or_create(&path, "other.example.com", now).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(second.dns_names(), ["connector.example.com"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error =
            ServerIdentity::from_directory(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/tls.crt cannot be used"), "{error}");
    }
}
