//! Cluster certificates: PEM text with DER inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_manager::model::{ClusterCertificate, Fingerprint};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use time::macros::datetime;

use super::ensure;
use crate::{Target, Verdict};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// A moment within the validity of the certificates of the corpus.
const NOW: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);

pub(super) fn target() -> Target {
    Target {
        name: "certificate",
        dictionary: &[
            "-----BEGIN CERTIFICATE-----\n",
            "-----END CERTIFICATE-----\n",
            "\u{85}",
            "\u{2003}",
            "-----BEGIN PUBLIC KEY-----",
            "\n",
            "\r\n",
            "=",
            "MII",
            "AAAA",
            "//8=",
            " ",
        ],
        max_bytes: 20 << 10,
        changes: 4000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    // The same bytes as PEM text and, so that changes reach the inside, as DER.
    let inside = [BEGIN, &STANDARD.encode(input), END].join("\n");
    let text = str::from_utf8(input).map_or_else(|_| Ok("not text".into()), judge)?;
    Ok(format!("{text}; {}", judge(&inside)?))
}

fn judge(text: &str) -> Verdict {
    let certificate = match ClusterCertificate::from_pem(text, NOW) {
        Ok(certificate) => certificate,
        Err(error) => return Ok(format!("{error:?}")),
    };
    ensure!(text.len() <= 16 << 10, "a text of {} bytes is accepted", text.len());
    let der = second_opinion(text).ok_or("another reader of PEM refuses it")?;
    ParsedCertificate::try_from(&der)
        .map_err(|error| format!("another reader of X.509 refuses it: {error}"))?;
    ensure!(certificate.fingerprint() == Fingerprint::of(&der), "the fingerprints differ");
    ensure!(is_strong(&der) == Some(true), "its version or its key must not be accepted");
    ensure!(
        certificate.not_before() - time::Duration::minutes(5) <= NOW
            && NOW <= certificate.not_after(),
        "it is not valid now"
    );
    let canonical = certificate.to_pem();
    let again = ClusterCertificate::from_pem(&canonical, NOW)
        .map_err(|error| format!("the canonical form is refused: {error}"))?;
    ensure!(again.to_pem() == canonical, "the canonical form is not canonical");
    ensure!(again.fingerprint() == certificate.fingerprint(), "the canonical form is another");
    Ok("accepted".into())
}

/// What JOIN-10 asks for, read without a library: version 3, and a key of RSA with 2048 bits or more, of the curves P-256, P-384 and
/// P-521, or Ed25519. `None`: it is no certificate.
fn is_strong(der: &[u8]) -> Option<bool> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    const CURVES: [&[u8]; 3] = [
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], // P-256
        &[0x2b, 0x81, 4, 0, 0x22],                // P-384
        &[0x2b, 0x81, 4, 0, 0x23],                // P-521
    ];
    // RFC 5280, section 4.1: version, serial number, signature, issuer, validity, subject, key.
    let mut fields = element(element(der)?.1)?.1;
    let mut next = || {
        let (_, content, rest) = element(fields)?;
        fields = rest;
        Some(content)
    };
    let version = element(next()?)?.1;
    for _ in 0..5 {
        next()?;
    }
    let (_, algorithm, key) = element(next()?)?;
    let (_, kind, parameters) = element(algorithm)?;
    let key = element(key)?.1.get(1..)?; // after the number of unused bits
    let strong = match kind {
        RSA => {
            // RFC 8017, appendix A.1.1; DER has no more than one zero in front.
            let modulus = element(element(key)?.1)?.1;
            let bytes = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            bytes.len() > 256 || (bytes.len() == 256 && bytes.first()? & 0x80 != 0)
        }
        EC => CURVES.contains(&element(parameters)?.1),
        ED25519 => key.len() == 32,
        _ => false,
    };
    Some(strong && version == [2])
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..0x80 => (usize::from(*first), rest),
        more => {
            let (digits, rest) = rest.split_at_checked(usize::from(more & 0x7f))?;
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// What stands between the two lines, without what RFC 7468 (section 3) calls white space.
fn second_opinion(text: &str) -> Option<CertificateDer<'static>> {
    let inside = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let digits: String = inside.chars().filter(|c| !" \t\r\n\x0b\x0c".contains(*c)).collect();
    Some(STANDARD.decode(digits).ok()?.into())
}
