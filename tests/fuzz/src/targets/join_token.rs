//! Join tokens: what the server hashes, what it writes, and how members read it.

use cluster_manager::model::{ClusterName, Description, Fingerprint, JoinTokenText, NewJoinToken};
use cluster_simulator::JoinToken;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::ensure;
use crate::{Target, Verdict};

pub(super) fn target() -> Target {
    Target {
        name: "join_token",
        dictionary: &["\r", "\n", "=", "==", "eyJ", "\"secret\":", "+", "/", "-", "_", "e30="],
        max_bytes: 4096,
        changes: 4000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(input) else { return Ok("not text".into()) };
    let one_line: Vec<u8> =
        input.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let hash = JoinTokenText::received(text.to_owned()).hash();
    ensure!(
        hash.as_bytes() == Sha256::digest(&one_line).as_slice(),
        "the hash forgives more or less than line breaks"
    );
    let read = match JoinToken::decode(text) {
        Ok(token) => {
            let again = JoinToken::decode(&token.body().encode()).map_err(|e| e.to_string())?;
            ensure!(again.body() == token.body(), "a token changes when it is written again");
            "token".to_owned()
        }
        Err(error) => error.to_string().chars().take(60).filter(|c| !c.is_ascii_digit()).collect(),
    };
    Ok(format!("{read}, {}", written(text)?))
}

/// The server writes a token for a cluster of that name, and a member reads it.
fn written(name: &str) -> Verdict {
    let Ok(cluster_name) = ClusterName::parse(name) else { return Ok("no name".into()) };
    let new = NewJoinToken {
        cluster_name,
        description: Description::default(),
        expires_at: OffsetDateTime::UNIX_EPOCH,
    };
    let pin = Fingerprint::of(name.as_bytes());
    let (text, secret) = JoinTokenText::generate(&new, "connector.example.net:443", pin)?;
    let read = JoinToken::decode(text.expose()).map_err(|e| e.to_string())?;
    let body = read.body();
    ensure!(body.server_name == name, "the name arrives as {}", body.server_name);
    ensure!(body.addresses == ["connector.example.net:443"], "the address is another");
    ensure!(body.fingerprint == pin.to_string(), "the fingerprint is another");
    ensure!(body.secret.as_bytes() == secret.as_bytes(), "the secret is another");
    ensure!(body.encode() == text.expose(), "a member would write it otherwise");
    let (start, end) = text.expose().split_at(name.len().min(text.expose().len()));
    let pasted = JoinTokenText::received(format!("{start}\r\n{end}\n"));
    ensure!(pasted.hash().matches(&text.hash()), "line breaks of a pasted token matter");
    Ok("name".into())
}
