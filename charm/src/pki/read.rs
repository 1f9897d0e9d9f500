//! What keys, requests and certificates say.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use time::OffsetDateTime;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longest chain that is served: it becomes part of a secret, which Juju bounds.
const MAX_CHAIN: usize = 8;
const MAX_CHAIN_BYTES: usize = 32 * 1024;

/// Facts about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 over the DER form, in lower-case hexadecimal digits: what clusters pin.
    pub fingerprint: String,
    /// Begin of its validity.
    pub not_before: OffsetDateTime,
    /// End of its validity.
    pub not_after: OffsetDateTime,
    /// Subject public key info (DER).
    pub public_key: Vec<u8>,
    /// Host names in lower case and addresses that it is good for.
    pub names: BTreeSet<String>,
    /// It may sign others.
    pub is_ca: bool,
}

impl Leaf {
    /// Reads the first certificate of a PEM text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let block = pem::parse(text.as_bytes()).ok()?;
        let (_, certificate) = X509Certificate::from_der(block.contents()).ok()?;
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.map(|names| text_of(&names.value.general_names)).unwrap_or_default();
        Some(Self {
            fingerprint: fingerprint(block.contents()),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
            public_key: certificate.public_key().raw.to_vec(),
            names,
            is_ca: certificate.is_ca(),
        })
    }

    /// Whether the private key `key_pem` belongs to it.
    #[must_use]
    pub fn has_key(&self, key_pem: &str) -> bool {
        public_key_of(key_pem).is_some_and(|key| key == self.public_key)
    }

    /// When nine tenths of its life are over: time to ask for the next one.
    #[must_use]
    pub fn renewal(&self) -> OffsetDateTime {
        self.not_before + (self.not_after - self.not_before) * 9 / 10
    }
}

/// SHA-256 of `der` in lower-case hexadecimal digits.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(digest(&SHA256, der))
}

/// The subject public key info (DER) that belongs to a private key.
#[must_use]
pub fn public_key_of(key_pem: &str) -> Option<Vec<u8>> {
    Some(KeyPair::from_pem(key_pem).ok()?.subject_public_key_info())
}

/// Whether a private key is one for P-256, as we make them ourselves.
#[must_use]
pub fn is_p256(key_pem: &str) -> bool {
    KeyPair::from_pem(key_pem).is_ok_and(|key| key.algorithm() == &PKCS_ECDSA_P256_SHA256)
}

/// The names in a signing request.
#[must_use]
pub fn request_names(csr_pem: &str) -> Option<BTreeSet<String>> {
    let block = pem::parse(csr_pem.as_bytes()).ok()?;
    let (_, request) = X509CertificationRequest::from_der(block.contents()).ok()?;
    let extensions = request.requested_extensions().into_iter().flatten();
    let names = extensions.filter_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(text_of(&names.general_names)),
        _ => None,
    });
    Some(names.flatten().collect())
}

fn text_of(names: &[GeneralName<'_>]) -> BTreeSet<String> {
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

/// The file for a server: the leaf, then its issuers as far as they are known, without the root, which
/// clients have themselves. Providers differ in what they send and in which order. `None`: there is no
/// leaf, or there are more issuers than anybody has.
#[must_use]
pub fn chain_of(leaf: &str, others: &[String]) -> Option<String> {
    let blocks = |text: &str| pem::parse_many(text.as_bytes()).unwrap_or_default();
    let mut pool: Vec<pem::Pem> = others.iter().flat_map(|text| blocks(text)).collect();
    let mut chain = vec![blocks(leaf).into_iter().next()?];
    while let Some(issuer) = chain.last().and_then(|last| issuer_in(last, &mut pool)) {
        chain.push(issuer);
        if chain.len() > MAX_CHAIN {
            return None;
        }
    }
    let text = pem::encode_many_config(&chain, lines());
    (text.len() <= MAX_CHAIN_BYTES).then_some(text)
}

/// The certificates in a PEM text, each as a text of its own. `None` if there is none, or if a part of it is
/// damaged or no certificate: a service that reads such a text does not start.
#[must_use]
pub fn certificates(text: &str) -> Option<Vec<String>> {
    let blocks = pem::parse_many(text.as_bytes()).ok()?;
    // The reader passes over what it does not understand.
    if text.matches("-----BEGIN ").count() != blocks.len() {
        return None;
    }
    let certificates = blocks.iter().filter(|block| block.tag() == "CERTIFICATE");
    let written = certificates.map(|block| {
        let (rest, _) = X509Certificate::from_der(block.contents()).ok()?;
        rest.is_empty().then(|| pem::encode_config(block, lines()))
    });
    written.collect::<Option<Vec<String>>>().filter(|all| !all.is_empty())
}

fn lines() -> pem::EncodeConfig {
    pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)
}

/// Takes the issuer of `child` out of `pool`, unless it is a root.
fn issuer_in(child: &pem::Pem, pool: &mut Vec<pem::Pem>) -> Option<pem::Pem> {
    let (_, certificate) = X509Certificate::from_der(child.contents()).ok()?;
    let found = pool.iter().position(|candidate| {
        X509Certificate::from_der(candidate.contents()).is_ok_and(|(_, issuer)| {
            issuer.subject().as_raw() == certificate.issuer().as_raw()
                && issuer.subject().as_raw() != issuer.issuer().as_raw()
                && candidate.contents() != child.contents()
        })
    })?;
    Some(pool.swap_remove(found))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa};
    use time::Duration;

    use super::*;
    use crate::pki::{Mint, RealMint, connector_certificate, signing_request};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_connectors_certificate_lasts_ten_years_and_names_hosts_and_addresses() {
        let key = RealMint.p256_key().unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let wanted = names(&["clusters.example.com", "10.0.0.1", "fd00::1"]);
        let leaf = Leaf::parse(&connector_certificate(&key, &wanted, now).unwrap()).unwrap();
        assert_eq!(leaf.names, wanted.into_iter().collect());
        assert!(leaf.not_after - now >= Duration::days(3650) && leaf.not_before < now);
        assert!(leaf.has_key(&key) && !leaf.has_key(&RealMint.p256_key().unwrap()));
        assert!(!leaf.is_ca);
    }

    #[test]
    fn two_requests_with_one_key_differ_and_say_the_same_names() {
        let key = RealMint.rsa_key().unwrap();
        let wanted = names(&["manager.example.com", "10.0.0.1", "manager.example.com"]);
        let one = signing_request(&key, &wanted).unwrap();
        let two = signing_request(&key, &wanted).unwrap();
        assert_ne!(one, two);
        assert_eq!(request_names(&one), Some(wanted.into_iter().collect()));
        assert_eq!(request_names(&one), request_names(&two));
        // A name that does not fit into the common name is left out of it only.
        let long = names(&[&format!("{}.example.com", "x".repeat(60))]);
        assert_eq!(request_names(&signing_request(&key, &long).unwrap()).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for text in ["", "x", "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----"] {
            assert_eq!(Leaf::parse(text), None);
            assert_eq!(request_names(text), None);
            assert_eq!(public_key_of(text), None);
            assert!(chain_of(text, &[text.to_owned()]).is_none_or(|chain| chain.len() < 80));
        }
    }

    #[test]
    fn charm_04_only_whole_certificates_are_handed_on() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let certificate = |name: &str| {
            let key = RealMint.p256_key().unwrap();
            connector_certificate(&key, &names(&[name]), now).unwrap()
        };
        let (one, two) = (certificate("one.example"), certificate("two.example"));
        let both = [one.clone(), two.clone()];
        assert_eq!(
            certificates(&format!("# a\r\n{}{two}", one.replace('\n', "\r\n"))).unwrap(),
            both
        );
        for nothing in ["", " \n", "text", "-----BEGIN X-----\nAQID\n-----END X-----\n"] {
            assert_eq!(certificates(nothing), None, "{nothing}");
        }
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        for damaged in [&one[..one.len() / 2], &one.replace('A', "*"), no_certificate] {
            assert_eq!(certificates(damaged), None, "{damaged}");
            assert_eq!(certificates(&format!("{one}{damaged}")), None, "{damaged}");
        }
    }

    #[test]
    fn charm_04_a_chain_has_a_bound() {
        let authority = |name: &str, issuer: Option<&CertifiedIssuer<'static, KeyPair>>| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            match issuer {
                None => CertifiedIssuer::self_signed(params, key).unwrap(),
                Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).unwrap(),
            }
        };
        let mut authorities = vec![authority("root", None)];
        for number in 0..9 {
            authorities.push(authority(&format!("number {number}"), authorities.last()));
        }
        let texts: Vec<String> = authorities.iter().map(CertifiedIssuer::pem).collect();
        let chain = |leaf: usize| chain_of(&texts[leaf], &texts);
        assert_eq!(chain(8).unwrap().matches("BEGIN").count(), 8, "the root is left out");
        assert_eq!(chain(9), None);
        let long = pem::encode(&pem::Pem::new("CERTIFICATE", vec![0; MAX_CHAIN_BYTES]));
        assert_eq!(chain_of(&long, &[]), None);
    }
}
