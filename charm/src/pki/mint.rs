//! Making keys, requests and the connector's certificate.

use std::collections::BTreeSet;

use aws_lc_rs::rand;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
};
use time::{Duration, OffsetDateTime};

/// Life of the connector's own certificate.
const CONNECTOR_LIFE: Duration = Duration::days(3653);

/// Longest common name (RFC 5280, `ub-common-name`).
const LONGEST_COMMON_NAME: usize = 64;

/// Something about a key or certificate could not be done.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Making it failed.
    #[error("a key or certificate could not be made")]
    Make(#[source] rcgen::Error),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random,
}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error)
    }
}

/// Where fresh keys come from. Tests give known ones: making RSA keys takes long.
pub trait Mint {
    /// An RSA key of 2048 bits in PEM. Providers of certificates take no other kind for sure.
    ///
    /// # Errors
    ///
    /// [`PkiError`].
    fn rsa_key(&self) -> Result<String, PkiError>;

    /// A P-256 key in PEM.
    ///
    /// # Errors
    ///
    /// [`PkiError`].
    fn p256_key(&self) -> Result<String, PkiError>;

    /// 32 random bytes as 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`PkiError`].
    fn master_key(&self) -> Result<String, PkiError>;
}

/// Fresh keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealMint;

impl Mint for RealMint {
    fn rsa_key(&self) -> Result<String, PkiError> {
        Ok(KeyPair::generate_for(&PKCS_RSA_SHA256)?.serialize_pem())
    }

    fn p256_key(&self) -> Result<String, PkiError> {
        Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem())
    }

    fn master_key(&self) -> Result<String, PkiError> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| PkiError::Random)?;
        Ok(hex::encode(key))
    }
}

/// A request for a certificate with `names`, hosts and addresses, the first of which people use. Each
/// request differs from every other one, also with the same key and names: providers give an old answer
/// to an old request.
///
/// # Errors
///
/// [`PkiError`] if the key is unusable or a name is no name.
pub fn signing_request(key_pem: &str, names: &[String]) -> Result<String, PkiError> {
    let key = KeyPair::from_pem(key_pem)?;
    let mut params = CertificateParams::new(unique(names))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = names.first().filter(|name| name.len() <= LONGEST_COMMON_NAME) {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    // X.500 unique identifier.
    let unique = DnType::CustomDnType(vec![2, 5, 4, 45]);
    params.distinguished_name.push(unique, uuid::Uuid::new_v4().to_string());
    Ok(params.serialize_request(&key)?.pem()?.trim_end().to_owned())
}

/// The connector's own certificate with `names`, valid for ten years: clusters pin it.
///
/// # Errors
///
/// [`PkiError`] if the key is unusable or a name is no name.
pub fn connector_certificate(
    key_pem: &str,
    names: &[String],
    now: OffsetDateTime,
) -> Result<String, PkiError> {
    let key = KeyPair::from_pem(key_pem)?;
    let mut params = CertificateParams::new(unique(names))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "MicroCloud Cluster Connector");
    params.not_before = now - Duration::hours(1);
    params.not_after = now + CONNECTOR_LIFE;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(&key)?.pem())
}

/// Without repetition, in the same order.
fn unique(names: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| seen.insert(*name)).cloned().collect()
}
