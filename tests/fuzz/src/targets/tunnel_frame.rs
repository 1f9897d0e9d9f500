//! Messages through a tunnel: what a cluster sends, and what it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_manager::tunnel::frame::{self, Answer};
use cluster_manager::tunnel::{Request, TunnelPath};
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ensure;
use super::json::{may_hold_half_a_character, with_readable_numbers};
use crate::{Target, Verdict};

pub(super) fn target() -> Target {
    Target {
        name: "tunnel_frame",
        dictionary: &[
            "\"uuid\":",
            "\"status\":",
            "\"headers\":",
            "\"cookies\":",
            "\"body\":",
            "\"Name\":",
            "\"Value\":",
            "\"session\"",
            "\"Content-Type\"",
            "\"ETag\"",
            "null",
            "200",
            "302",
            "[",
            "]",
            "{",
            "}",
            "e30=",
            "\\u0000",
        ],
        max_bytes: 16 << 10,
        changes: 6000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    sent(input)?;
    let Ok(text) = str::from_utf8(input) else { return Ok("not text".into()) };
    let Some(received) = frame::read(text) else { return Ok("no answer".into()) };
    // What the server understands, a reader without its short cuts understands as well, and to the same end.
    let value: Value = match serde_json::from_str(&with_readable_numbers(text)) {
        Ok(value) => value,
        Err(_) if may_hold_half_a_character(input) => return Ok("half a character".into()),
        Err(error) => return Err(format!("no JSON: {error}")),
    };
    let id = value["uuid"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    ensure!(id == Some(received.id), "the id is another");
    let Some(answer) = received.answer else { return Ok("an answer that is kept back".into()) };
    let status = u64::from(answer.status.as_u16());
    ensure!(value["status"].as_u64() == Some(status), "the status is another");
    ensure!((200..300).contains(&status) || (400..600).contains(&status), "status {status}");
    let body = value["body"].as_str().map(|body| STANDARD.decode(body));
    let body = body.transpose().map_err(|error| format!("a body that is no base64: {error}"))?;
    ensure!(body.unwrap_or_default() == answer.body, "the body is another");
    headers(&value, &answer)?;
    let session = answer.session.as_ref().map(|session| session.expose_secret().to_owned());
    if let Some(session) = &session {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        ensure!(session.bytes().all(plain), "a session that is no cookie");
    }
    Ok(format!(
        "{status}, type {}, tag {}, session {}, body {}",
        answer.content_type.is_some(),
        answer.etag.is_some(),
        session.is_some(),
        super::size(answer.body.len())
    ))
}

/// A header of the answer is one that the cluster gave under that name, whatever its case.
fn headers(value: &Value, answer: &Answer) -> Result<(), String> {
    for (name, header) in [("content-type", &answer.content_type), ("etag", &answer.etag)] {
        let Some(header) = header else { continue };
        ensure!(
            !header.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "a line break"
        );
        let given = value["headers"].as_object().into_iter().flatten();
        let mut firsts = given
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .filter_map(|(_, list)| list.get(0)?.as_str());
        ensure!(firsts.any(|first| first.as_bytes() == header.as_bytes()), "{name} of nowhere");
    }
    Ok(())
}

/// Whatever an operator sends as a body, a cluster gets as it is, and nothing else with it.
fn sent(body: &[u8]) -> Result<(), String> {
    let id = Uuid::from_u128(7);
    let token = SecretString::from("canary");
    let request = Request {
        method: Method::PUT,
        path: TunnelPath::parse("/1.0/instances", None).map_err(|error| error.to_string())?,
        access_token: Some(token),
        session: None,
        body: body.to_vec().into(),
    };
    let text = frame::write(id, &request).ok_or("a request cannot be written")?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let expected = json!({
        "uuid": id.to_string(),
        "method": "PUT",
        "path": "/1.0/instances",
        "headers": {"Authorization": ["Bearer canary"]},
        "body": (!body.is_empty()).then(|| STANDARD.encode(body)),
    });
    ensure!(value == expected, "a request arrives as {value}");
    Ok(())
}
