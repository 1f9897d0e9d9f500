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

/// What stands between the two lines, without what RFC 7468 (section 3) calls white space.
fn second_opinion(text: &str) -> Option<CertificateDer<'static>> {
    let inside = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let digits: String = inside.chars().filter(|c| !" \t\r\n\x0b\x0c".contains(*c)).collect();
    Some(STANDARD.decode(digits).ok()?.into())
}
