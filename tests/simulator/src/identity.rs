//! The cluster certificate and its key: what a cluster shows at every mutual TLS connection.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::spoilt::{SpoilingKey, SpoiltProof};

/// Lower-case hexadecimal SHA-256 of the DER encoding of a certificate: 64 digits.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// Why an identity could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate could not be generated.
    #[error("cannot generate the certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The TLS library cannot use the key.
    #[error("cannot use the private key: {0}")]
    Key(#[from] rustls::Error),
    /// The stored PEM text is damaged.
    #[error("cannot read the stored identity: {0}")]
    Pem(#[from] pem::PemError),
}

/// Kind of key of a cluster certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// What LXD generates: EC P-384, signed with ECDSA-SHA384.
    #[default]
    P384,
    /// EC P-256.
    P256,
    /// EC P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits: slow to generate in debug builds.
    Rsa2048,
}

/// What a certificate says. [`CertificateSpec::lxd`] is the normal one; tests change single fields.
#[derive(Debug, Clone)]
pub struct CertificateSpec {
    /// Kind of key.
    pub key: KeyKind,
    /// Organisation of the subject; LXD writes `LXD`.
    pub organisation: String,
    /// Common name of the subject; LXD writes `root@<host>`.
    pub common_name: String,
    /// First moment of validity.
    pub not_before: OffsetDateTime,
    /// Last moment of validity.
    pub not_after: OffsetDateTime,
    /// DNS names; LXD writes `unspecified` for a cluster certificate.
    pub dns_names: Vec<String>,
    /// IP addresses, for certificates of test servers.
    pub ip_addresses: Vec<std::net::IpAddr>,
    /// Extended key usages; none at all if empty.
    pub extended_key_usages: Vec<ExtendedKeyUsagePurpose>,
    /// Key usages; the extension is left out if empty.
    pub key_usages: Vec<KeyUsagePurpose>,
    /// Whether the certificate calls itself a certification authority.
    pub ca: bool,
}

impl CertificateSpec {
    /// A cluster certificate as LXD on `host` makes it: valid for ten years from now,
    /// `serverAuth` only, not a CA.
    #[must_use]
    pub fn lxd(host: &str) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            key: KeyKind::P384,
            organisation: "LXD".into(),
            common_name: format!("root@{host}"),
            not_before: now,
            not_after: now + Duration::days(3650),
            dns_names: vec!["unspecified".into()],
            ip_addresses: Vec::new(),
            extended_key_usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
            key_usages: vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment],
            ca: false,
        }
    }

    fn key_pair(&self) -> Result<KeyPair, rcgen::Error> {
        match self.key {
            KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            KeyKind::Rsa2048 => KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256),
        }
    }

    fn params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.not_before = self.not_before;
        params.not_after = self.not_after;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, self.organisation.as_str());
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        for name in &self.dns_names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(self.ip_addresses.iter().map(|ip| SanType::IpAddress(*ip)));
        params.is_ca = if self.ca {
            IsCa::Ca(rcgen::BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        params.extended_key_usages.clone_from(&self.extended_key_usages);
        params.key_usages.clone_from(&self.key_usages);
        Ok(params)
    }
}

/// A certificate with a private key, ready for TLS. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    key_der: Arc<PrivatePkcs8KeyDer<'static>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

impl Identity {
    /// A new cluster identity as LXD on `host` generates it.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if no key or certificate could be generated.
    pub fn generate(host: &str) -> Result<Self, IdentityError> {
        Self::from_spec(&CertificateSpec::lxd(host))
    }

    /// A new self-signed identity with a certificate that says what `spec` says.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if no key or certificate could be generated.
    pub fn from_spec(spec: &CertificateSpec) -> Result<Self, IdentityError> {
        let key = spec.key_pair()?;
        let certificate = spec.params()?.self_signed(&key)?;
        Self::assemble(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()),
        )
    }

    /// An identity whose validity ended yesterday.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_spec`].
    pub fn expired(host: &str) -> Result<Self, IdentityError> {
        let now = OffsetDateTime::now_utc();
        Self::from_spec(&CertificateSpec {
            not_before: now - Duration::days(30),
            not_after: now - Duration::days(1),
            ..CertificateSpec::lxd(host)
        })
    }

    /// An identity that becomes valid tomorrow.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_spec`].
    pub fn not_yet_valid(host: &str) -> Result<Self, IdentityError> {
        let now = OffsetDateTime::now_utc();
        Self::from_spec(&CertificateSpec {
            not_before: now + Duration::days(1),
            ..CertificateSpec::lxd(host)
        })
    }

    /// This certificate with the private key of `other`: someone who knows a cluster's certificate
    /// but not its key. A server that checks the handshake signature drops the connection.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        Self {
            certified: Arc::new(CertifiedKey::new(
                self.certified.cert.clone(),
                Arc::clone(&other.certified.key),
            )),
            key_der: Arc::clone(&other.key_der),
        }
    }

    /// This identity with proofs of its key that are none: its signatures of handshakes are spoilt.
    #[must_use]
    pub fn with_spoilt_proof(&self, spoilt: SpoiltProof) -> Self {
        let key = Arc::new(SpoilingKey { key: Arc::clone(&self.certified.key), spoilt });
        Self {
            certified: Arc::new(CertifiedKey::new(self.certified.cert.clone(), key)),
            key_der: Arc::clone(&self.key_der),
        }
    }

    /// Another certificate with the same key, which says what `spec` says. With the specification of the first one it differs
    /// from it in its signature only.
    ///
    /// # Errors
    ///
    /// As [`Identity::from_spec`].
    pub fn reissued(&self, spec: &CertificateSpec) -> Result<Self, IdentityError> {
        let key = KeyPair::try_from(self.key_der.secret_pkcs8_der())?;
        let certificate = spec.params()?.self_signed(&key)?;
        Self::assemble(vec![certificate.der().clone()], self.key_der.clone_key())
    }

    /// This identity with the certificate of `other` sent as a second one of the chain; members
    /// send exactly one.
    #[must_use]
    pub fn with_extra_certificate(&self, other: &Self) -> Self {
        let mut chain = self.certified.cert.clone();
        chain.extend(other.certified.cert.iter().take(1).cloned());
        Self {
            certified: Arc::new(CertifiedKey::new(chain, Arc::clone(&self.certified.key))),
            key_der: Arc::clone(&self.key_der),
        }
    }

    /// An identity from its PEM texts, as [`Identity::certificate_pem`] and [`Identity::key_pem`]
    /// write them.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if a text is damaged or the key is of an unknown kind.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let certificate = CertificateDer::from(pem::parse(certificate)?.into_contents());
        let key = PrivatePkcs8KeyDer::from(pem::parse(key)?.into_contents());
        Self::assemble(vec![certificate], key)
    }

    fn assemble(
        chain: Vec<CertificateDer<'static>>,
        key_der: PrivatePkcs8KeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let key: Arc<dyn SigningKey> = rustls::crypto::aws_lc_rs::sign::any_supported_type(
            &PrivateKeyDer::Pkcs8(key_der.clone_key()),
        )?;
        Ok(Self { certified: Arc::new(CertifiedKey::new(chain, key)), key_der: Arc::new(key_der) })
    }

    /// DER encoding of the certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |der| der.as_ref())
    }

    /// The certificate as PEM text with lines of 64 characters and LF, as a member sends it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        to_pem("CERTIFICATE", self.der())
    }

    /// The private key as PEM text (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> String {
        to_pem("PRIVATE KEY", self.key_der.secret_pkcs8_der())
    }

    /// Fingerprint of the certificate, see [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.der())
    }

    /// Certificate and key in the form that rustls takes, for client and server sides of tests.
    #[must_use]
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

    #[test]
    fn a_generated_certificate_says_what_lxd_writes() {
        let identity = Identity::generate("lyon-a01").unwrap();
        let (rest, certificate) = X509Certificate::from_der(identity.der()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(certificate.subject().to_string(), "O=LXD, CN=root@lyon-a01");
        assert_eq!(certificate.issuer(), certificate.subject());
        assert_eq!(certificate.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.3");
        assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert_eq!(usage.flags, 0b101, "digitalSignature and keyEncipherment, nothing else");
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && !extended.client_auth && extended.other.is_empty());
        let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(matches!(names.as_slice(), [GeneralName::DNSName("unspecified")]), "{names:?}");
        let validity = certificate.validity();
        assert_eq!(validity.not_after.timestamp() - validity.not_before.timestamp(), 315_360_000);
        assert!(validity.is_valid());
    }

    #[test]
    fn an_identity_survives_being_stored_as_pem() {
        let identity = Identity::generate("quito-b02").unwrap();
        let stored = (identity.certificate_pem(), identity.key_pem());
        let read = Identity::from_pem(&stored.0, &stored.1).unwrap();
        assert_eq!(read.der(), identity.der());
        assert_eq!((read.certificate_pem(), read.key_pem()), stored);
        assert!(stored.0.starts_with("-----BEGIN CERTIFICATE-----\n"), "{}", stored.0);
        assert!(stored.0.lines().all(|line| line.len() <= 64) && !stored.0.contains('\r'));
    }

    #[test]
    fn odd_identities_are_odd_in_the_one_way_they_name() {
        let valid = |identity: &Identity| {
            X509Certificate::from_der(identity.der()).unwrap().1.validity().is_valid()
        };
        assert!(!valid(&Identity::expired("a").unwrap()));
        assert!(!valid(&Identity::not_yet_valid("a").unwrap()));
        let (first, second) = (Identity::generate("a").unwrap(), Identity::generate("b").unwrap());
        let stolen = first.with_key_of(&second);
        assert_eq!(stolen.fingerprint(), first.fingerprint());
        assert_eq!(stolen.key_pem(), second.key_pem());
        assert!(stolen.certified_key().keys_match().is_err());
        assert_eq!(first.with_extra_certificate(&second).certified_key().cert.len(), 2);
        let spec = CertificateSpec::lxd("d");
        let original = Identity::from_spec(&spec).unwrap();
        let copy = original.reissued(&spec).unwrap();
        let signed = |identity: &Identity| {
            X509Certificate::from_der(identity.der()).unwrap().1.tbs_certificate.as_ref().to_vec()
        };
        assert_eq!((copy.key_pem(), signed(&copy)), (original.key_pem(), signed(&original)));
        assert_ne!(copy.fingerprint(), original.fingerprint());
        for key in [KeyKind::P256, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa2048] {
            let spec = CertificateSpec { key, ..CertificateSpec::lxd("c") };
            let identity = Identity::from_spec(&spec).unwrap();
            identity.certified_key().keys_match().unwrap();
        }
    }

    #[test]
    fn the_fingerprint_is_the_sha256_of_the_der_bytes() {
        assert_eq!(
            fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
