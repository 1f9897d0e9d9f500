//! Signed joins: the first line is the header, the rest the body.

use cluster_manager::model::{JoinSecret, JoinSignature};
use cluster_simulator::sign_join;

use super::ensure;
use crate::{Target, Verdict};

const SECRET: &str = "5f5e100a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526";
const SCHEME: &str = "ClusterManager-1.0 ";

pub(super) fn target() -> Target {
    Target {
        name: "join_signature",
        dictionary: &[SCHEME, "ClusterManager-1.1 ", "Bearer ", "\n", " ", ":", "00", "aF", "0x"],
        max_bytes: 1024,
        changes: 4000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let secret = JoinSecret::opened(SECRET.into());
    let signed = sign_join(SECRET, body);
    let accepts = |header: &[u8], body: &[u8]| {
        JoinSignature::parse(header, body).map(|signature| signature.verifies(&secret))
    };

    let ours = accepts(header, body);
    let digits = header.strip_prefix(SCHEME.as_bytes());
    let well_formed = digits.is_some_and(|d| d.len() == 64 && d.iter().all(u8::is_ascii_hexdigit));
    ensure!(ours.is_some() == well_formed, "the form of the header is judged wrongly");
    let right = header.eq_ignore_ascii_case(signed.as_bytes());
    ensure!(ours.unwrap_or_default() == (well_formed && right), "the signature is judged wrongly");

    // The right signature, in either case; and the same with one bit changed, in the signature, the body or the secret.
    let digits = &signed[SCHEME.len()..];
    for form in [digits.to_owned(), digits.to_uppercase()] {
        let header = format!("{SCHEME}{form}");
        ensure!(accepts(header.as_bytes(), body) == Some(true), "a right signature is refused");
    }
    let place = input.first().copied().map_or(0, usize::from);
    let mut forged = signed.clone().into_bytes();
    let digit = &mut forged[SCHEME.len() + place % 64];
    *digit = if *digit == b'0' { b'1' } else { b'0' };
    ensure!(accepts(&forged, body) == Some(false), "a changed signature is accepted");
    let mut other = body.to_vec();
    other.push(b' ');
    ensure!(accepts(signed.as_bytes(), &other) == Some(false), "a longer body is accepted");
    if !body.is_empty() {
        other.truncate(body.len());
        other[place % body.len()] ^= 1;
        ensure!(accepts(signed.as_bytes(), &other) == Some(false), "a changed body is accepted");
    }
    let form = header.strip_prefix(SCHEME.as_bytes()).map(|digits| super::size(digits.len()));
    Ok(format!("{ours:?}, {form:?}, {}", super::size(body.len())))
}
