//! The body of a join.

use cluster_manager::cluster_connector::JoinBody;
use cluster_manager::model::{ClusterCertificate, JoinTokenText};
use time::OffsetDateTime;
use time::macros::datetime;

use super::ensure;
use super::json::{Json, may_hold_half_a_character};
use crate::{Target, Verdict};

/// A moment within the validity of the certificates of the corpus.
const NOW: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);
/// Deepest nesting of lists and objects.
const MOST_DEPTH: usize = 16;

pub(super) fn target() -> Target {
    Target {
        name: "join_body",
        dictionary: &[
            "\"cluster_name\":",
            "\"cluster_certificate\":",
            "\"token\":",
            "\"\"",
            "null",
            "[[[[[[[[",
            "]]]]]]]]",
            "{\"a\":",
            "}",
            "\\u0000",
            "\\ud800",
            ",",
        ],
        max_bytes: 24 << 10,
        changes: 4000,
        check: Box::new(check),
    }
}

struct Reference {
    name: String,
    certificate: ClusterCertificate,
    token: Option<String>,
}

/// What a join must be; one reason for all refusals.
fn reference(input: &[u8]) -> Result<Reference, ()> {
    let body = Json::read(input).filter(|body| body.depth() <= MOST_DEPTH).ok_or(())?;
    let (name, pem) = (body.text("cluster_name")?, body.text("cluster_certificate")?);
    let token = body.text("token")?.filter(|token| !token.is_empty()).map(str::to_owned);
    let usable = |text: Option<&str>| {
        text.filter(|text| !text.is_empty() && !text.contains('\0')).map(str::to_owned).ok_or(())
    };
    let (name, pem) = (usable(name)?, usable(pem)?);
    let certificate = ClusterCertificate::from_pem(&pem, NOW).map_err(drop)?;
    Ok(Reference { name, certificate, token })
}

fn check(input: &[u8]) -> Verdict {
    match (JoinBody::read(input, 16, NOW), reference(input)) {
        (Ok(ours), Ok(theirs)) => {
            ensure!(ours.cluster_name == theirs.name, "the name is another");
            ensure!(
                ours.certificate.fingerprint() == theirs.certificate.fingerprint(),
                "the certificate is another"
            );
            let hash =
                |text: &str| JoinTokenText::received(text.to_owned()).hash().as_bytes().to_vec();
            let token = ours.token.map(|token| token.hash().as_bytes().to_vec());
            ensure!(token == theirs.token.as_deref().map(hash), "the token is another");
            Ok(format!("accepted, token {}", token.is_some()))
        }
        (Err(error), Err(())) => {
            let text = error.to_string();
            ensure!(!text.is_empty(), "a refusal without a reason");
            Ok(text.chars().filter(|c| !c.is_ascii_digit()).take(80).collect())
        }
        (Ok(_), Err(())) if may_hold_half_a_character(input) => Ok("half a character".into()),
        (Ok(_), Err(())) => Err("it is accepted, and should not be".into()),
        (Err(error), Ok(_)) => Err(format!("it is refused ({error}), and should not be")),
    }
}
