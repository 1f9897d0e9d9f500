use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;

use super::Fingerprint;

/// Longest PEM text of a cluster certificate, in bytes.
const MAX_PEM_BYTES: usize = 16 << 10;

/// The certificate that a cluster enrols with and presents ever after.
#[derive(Debug, Clone)]
pub struct ClusterCertificate {
    der: CertificateDer<'static>,
    fingerprint: Fingerprint,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// Why a text is not an acceptable cluster certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text is too long.
    #[error("invalid certificate: more than 16 KiB")]
    TooLong,
    /// Not exactly one PEM block labelled `CERTIFICATE`.
    #[error(
        "invalid certificate: expected exactly one PEM block of type CERTIFICATE and nothing else"
    )]
    NotOnePemBlock,
    /// No PEM block at all, where one and anything around it would do.
    #[error("invalid certificate: there is no PEM block in it")]
    NoPemBlock,
    /// The block does not hold an X.509 certificate.
    #[error("invalid certificate: the PEM block does not hold an X.509 certificate")]
    NotX509,
    /// An X.509 certificate of version 1 or 2.
    #[error("invalid certificate: only X.509 version 3 is accepted")]
    NotVersion3,
    /// A key of another kind or too weak.
    #[error(
        "invalid certificate: the key must be RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519"
    )]
    Key,
    /// The TLS library cannot read it, so that no connection with it could ever come about.
    #[error(
        "invalid certificate: TLS cannot use it, because it has an unknown critical extension or an unusual encoding"
    )]
    NotForTls,
    /// Not within its validity.
    #[error("invalid certificate: it has expired or is not valid yet")]
    NotValidNow,
}

impl ClusterCertificate {
    /// Parses the PEM text of a join request, strictly: one block, white space around it at most (RFC 7468), X.509 v3
    /// (RFC 5280), a strong key, valid at `now` with five minutes of tolerance at its beginning.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says which rule the text breaks.
    pub fn from_pem(text: &str, now: OffsetDateTime) -> Result<Self, CertificateError> {
        if text.len() > MAX_PEM_BYTES {
            return Err(CertificateError::TooLong);
        }
        let text = text.trim_ascii();
        // White space beyond ASCII is none (RFC 7468, section 3), but the library would pass over it.
        let one_block = text.is_ascii()
            && text.starts_with("-----BEGIN CERTIFICATE-----")
            && text.ends_with("-----END CERTIFICATE-----")
            && text.matches("-----BEGIN").count() == 1
            && text.matches("-----END").count() == 1;
        if !one_block {
            return Err(CertificateError::NotOnePemBlock);
        }
        let block = pem::parse(text).map_err(|_| CertificateError::NotOnePemBlock)?;
        // Older kinds of PEM had headers within the block (RFC 7468, section 2).
        if block.headers().iter().next().is_some() {
            return Err(CertificateError::NotOnePemBlock);
        }
        let certificate = Self::from_der(block.contents())?;
        if now + time::Duration::minutes(5) < certificate.not_before || now > certificate.not_after
        {
            return Err(CertificateError::NotValidNow);
        }
        Ok(certificate)
    }

    /// Parses the text of a certificate that another product accepted: the first PEM block that can be read counts, whatever its
    /// label and whatever stands around it, and it may have expired. The certificate itself must be one that a TLS handshake can
    /// prove.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says which rule the text breaks.
    pub fn from_imported_pem(text: &str) -> Result<Self, CertificateError> {
        let mut rest = text;
        while let Some((one, after)) = first_block(rest) {
            if let Ok(block) = pem::parse(one) {
                return Self::from_der(block.contents());
            }
            rest = after;
        }
        Err(CertificateError::NoPemBlock)
    }

    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::NotX509)?;
        if !rest.is_empty() {
            return Err(CertificateError::NotX509);
        }
        if parsed.version() != X509Version::V3 {
            return Err(CertificateError::NotVersion3);
        }
        let key = parsed.public_key();
        let strong = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => rsa.key_size() >= 2048,
            // Uncompressed points of P-256, P-384 and P-521 (SEC 1, section 2.3.3), the curve by its identifier: by the bytes, of
            // which those that are no DER can be written out like others.
            Ok(PublicKey::EC(_)) => {
                let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
                let curves = [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521];
                curve.is_some_and(|curve| curves.contains(&curve))
            }
            _ => {
                key.algorithm.algorithm == OID_SIG_ED25519
                    && key.subject_public_key.data.len() == 32
            }
        };
        if !strong {
            return Err(CertificateError::Key);
        }
        let tls = CertificateDer::from(der);
        ParsedCertificate::try_from(&tls).map_err(|_| CertificateError::NotForTls)?;
        Ok(Self {
            fingerprint: Fingerprint::of(der),
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// The identity of the certificate's owner.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate as canonical PEM: 64 columns, line feeds.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.as_ref()), config)
    }

    /// Beginning of the validity.
    #[must_use]
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// End of the validity.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }
}

/// What looks like the first PEM block of a text, and what follows it.
fn first_block(text: &str) -> Option<(&str, &str)> {
    const END: &str = "-----END ";
    let text = text.get(text.find("-----BEGIN ")?..)?;
    let label = text.find(END)? + END.len();
    let dashes = "-----";
    let end = label + text.get(label..)?.find(dashes)? + dashes.len();
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use time::Duration;

    use super::*;

    fn pem_with(change: impl FnOnce(&mut CertificateParams)) -> String {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["unspecified".into()]).unwrap();
        change(&mut params);
        params.self_signed(&key).unwrap().pem()
    }

    /// RFC 5280, section 4.2: who does not know a critical extension must not use the certificate.
    fn unknown_critical() -> rcgen::CustomExtension {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        extension
    }

    fn parse(text: &str) -> Result<ClusterCertificate, CertificateError> {
        ClusterCertificate::from_pem(text, OffsetDateTime::now_utc())
    }

    #[test]
    fn join_10_a_self_signed_certificate_is_accepted_and_written_canonically() {
        let text = pem_with(|_| ());
        let certificate = parse(&text).unwrap();
        let again = parse(&format!("\n  {}\r\n", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(certificate.to_pem(), again.to_pem());
        assert_eq!(certificate.fingerprint(), again.fingerprint());
        let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let params = CertificateParams::new(vec![]).unwrap();
        assert!(parse(&params.self_signed(&ed25519).unwrap().pem()).is_ok());
    }

    #[test]
    fn an_imported_certificate_may_stand_among_other_text_and_may_have_expired() {
        let now = OffsetDateTime::now_utc();
        let good = pem_with(|p| p.not_after = now - Duration::days(1));
        let canonical = ClusterCertificate::from_imported_pem(&good).unwrap();
        let other = pem_with(|_| ());
        for text in [
            format!("subject=CN = x\n\n{good}{other}"),
            good.replace("CERTIFICATE", "X509 CERTIFICATE"),
            good.replace('\n', "\r\n"),
            format!("{good}{}", other.replace('A', "*")),
            format!("{good}{}", &other[..other.len() / 2]),
            format!("{}{good}", other.replace('A', "*")),
        ] {
            let imported = ClusterCertificate::from_imported_pem(&text).unwrap();
            assert_eq!(imported.to_pem(), canonical.to_pem(), "{text}");
            assert_eq!(imported.fingerprint(), canonical.fingerprint());
        }
        let empty = pem::encode(&pem::Pem::new("CERTIFICATE", vec![1, 2, 3]));
        for (text, expected) in [
            ("", CertificateError::NoPemBlock),
            ("cert-01", CertificateError::NoPemBlock),
            (&good[..good.len() - 40], CertificateError::NoPemBlock),
            (&empty, CertificateError::NotX509),
        ] {
            assert_eq!(
                ClusterCertificate::from_imported_pem(text).unwrap_err(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn join_10_only_strong_keys_in_certificates_of_version_3_are_accepted() {
        const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/certificate");
        let now = time::macros::datetime!(2027-01-01 0:00 UTC);
        let refused = |name: &str| {
            let text = std::fs::read_to_string(format!("{KEPT}/{name}.pem")).unwrap();
            let parsed = ClusterCertificate::from_pem(&text, now);
            // What another product let in is held to the same.
            let imported = ClusterCertificate::from_imported_pem(&text);
            assert_eq!(parsed.as_ref().err(), imported.as_ref().err(), "{name}");
            parsed.err()
        };
        for strong in ["rsa2048", "p256", "p384", "p521", "ed25519"] {
            assert_eq!(refused(strong), None, "{strong}");
        }
        for weak in ["rsa1024", "p224", "secp256k1", "no-curve"] {
            assert_eq!(refused(weak), Some(CertificateError::Key), "{weak}");
        }
        assert_eq!(refused("v1"), Some(CertificateError::NotVersion3));
    }

    #[test]
    fn join_10_other_texts_are_refused_with_their_reason() {
        use CertificateError as E;
        let good = pem_with(|_| ());
        let now = OffsetDateTime::now_utc();
        let cases = [
            (String::new(), E::NotOnePemBlock),
            ("not PEM".into(), E::NotOnePemBlock),
            (format!("{good}{good}"), E::NotOnePemBlock),
            (format!("leading text\n{good}"), E::NotOnePemBlock),
            (good.replace("CERTIFICATE", "PUBLIC KEY"), E::NotOnePemBlock),
            (format!("{good}trailing text\n-----END CERTIFICATE-----\n"), E::NotOnePemBlock),
            (good.replacen('\n', "\nA: b\n\n", 1), E::NotOnePemBlock),
            (good.replacen('\n', "\n\u{2003}", 1), E::NotOnePemBlock),
            (pem::encode(&pem::Pem::new("CERTIFICATE", vec![1, 2, 3])), E::NotX509),
            (format!("{good}{}", " ".repeat(MAX_PEM_BYTES)), E::TooLong),
            (pem_with(|p| p.custom_extensions.push(unknown_critical())), E::NotForTls),
            (pem_with(|p| p.not_after = now - Duration::days(1)), E::NotValidNow),
            (pem_with(|p| p.not_before = now + Duration::hours(1)), E::NotValidNow),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(&text).unwrap_err(), expected, "{text:.80}");
        }
        let mut trailing = pem::parse(&good).unwrap().into_contents();
        trailing.push(0);
        assert_eq!(
            parse(&pem::encode(&pem::Pem::new("CERTIFICATE", trailing))).unwrap_err(),
            E::NotX509
        );
    }
}
