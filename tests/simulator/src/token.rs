//! Join tokens as a member reads them: base64 of a small JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a join token says; the keys serialise in the order that the manager writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    /// 64 lower-case hexadecimal digits; proves the right to join.
    #[serde(default)]
    pub secret: String,
    /// RFC 3339. A member does not look at it.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// `host:port` of the Cluster Connector, tried in order.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The name that the cluster will have at the manager.
    #[serde(default)]
    pub server_name: String,
    /// SHA-256 of the connector's leaf certificate in hexadecimal digits of either case.
    #[serde(default)]
    pub fingerprint: String,
}

impl TokenBody {
    /// The token text of this body, as the manager would hand it out.
    #[must_use]
    pub fn encode(&self) -> String {
        // A struct of strings always serialises; an empty text would be refused by every reader.
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A decoded join token together with the text it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    text: String,
    body: TokenBody,
}

/// Why a member refuses a token before it opens any connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// The text is not standard, padded base64.
    #[error("the join token is not valid base64: {0}")]
    Base64(String),
    /// The decoded bytes are not the JSON object of a token.
    #[error("the join token does not hold a token: {0}")]
    Json(String),
    /// A field that a member needs is missing or empty.
    #[error("the join token has no {0}")]
    Missing(&'static str),
}

impl JoinToken {
    /// Decodes a token the way a member does: standard alphabet, padding required, line breaks
    /// (CR, LF) skipped wherever they are, any other character refused.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if the text is no token or a field that a member needs is empty.
    pub fn decode(text: &str) -> Result<Self, InvalidToken> {
        let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let json = STANDARD.decode(compact).map_err(|e| InvalidToken::Base64(e.to_string()))?;
        let body: TokenBody =
            serde_json::from_slice(&json).map_err(|e| InvalidToken::Json(e.to_string()))?;
        for (value, field) in [
            (&body.server_name, "server_name"),
            (&body.secret, "secret"),
            (&body.fingerprint, "fingerprint"),
        ] {
            if value.is_empty() {
                return Err(InvalidToken::Missing(field));
            }
        }
        if body.addresses.is_empty() {
            return Err(InvalidToken::Missing("addresses"));
        }
        Ok(Self { text: text.to_owned(), body })
    }

    /// The text exactly as it was typed, line breaks included: this is what a member sends.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the token says.
    #[must_use]
    pub fn body(&self) -> &TokenBody {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &str = include_str!("../../examples/join-token-create-response.json");
    const BODY: &str = include_str!("../../examples/join-token-body.json");

    fn example_text() -> String {
        let response: serde_json::Value = serde_json::from_str(RESPONSE).unwrap();
        response["metadata"]["token"].as_str().unwrap().to_owned()
    }

    fn example_body() -> TokenBody {
        serde_json::from_str(BODY).unwrap()
    }

    #[test]
    fn the_published_token_decodes_to_the_published_body_and_back() {
        let token = JoinToken::decode(&example_text()).unwrap();
        assert_eq!(token.body(), &example_body());
        assert_eq!(token.body().server_name, "lyon-edge");
        assert_eq!(token.body().encode(), example_text());
    }

    #[test]
    fn line_breaks_are_skipped_but_kept_in_the_text_that_is_sent() {
        let mut typed = example_text();
        typed.insert_str(76, "\r\n");
        typed.push('\n');
        let token = JoinToken::decode(&typed).unwrap();
        assert_eq!(token.body(), &example_body());
        assert_eq!(token.text(), typed);
    }

    #[test]
    fn other_alphabets_blanks_and_missing_padding_are_refused() {
        let padded = TokenBody { secret: "???>>>~~".into(), ..example_body() }.encode();
        assert!(padded.ends_with('=') && padded.contains('/'), "{padded}");
        assert!(JoinToken::decode(&padded).is_ok());
        for bad in [
            padded.trim_end_matches('=').to_owned(),
            padded.replace('/', "_"),
            format!(" {padded}"),
            format!("{padded}\t"),
            "%%%%".to_owned(),
        ] {
            let refused = JoinToken::decode(&bad).unwrap_err();
            assert!(matches!(refused, InvalidToken::Base64(_)), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_token_without_a_field_that_the_member_needs_is_refused_with_its_name() {
        let cases = [
            ("server_name", TokenBody { server_name: String::new(), ..example_body() }),
            ("secret", TokenBody { secret: String::new(), ..example_body() }),
            ("fingerprint", TokenBody { fingerprint: String::new(), ..example_body() }),
            ("addresses", TokenBody { addresses: Vec::new(), ..example_body() }),
        ];
        for (field, body) in cases {
            let refused = JoinToken::decode(&body.encode()).unwrap_err();
            assert_eq!(refused.to_string(), format!("the join token has no {field}"));
        }
    }

    #[test]
    fn text_that_is_no_json_and_a_past_expiry_are_told_apart() {
        let refused = JoinToken::decode(&STANDARD.encode("not json")).unwrap_err();
        assert!(refused.to_string().starts_with("the join token does not hold a token: "));
        let past = TokenBody { expires_at: Some("2001-01-01T00:00:00Z".into()), ..example_body() };
        assert!(JoinToken::decode(&past.encode()).is_ok(), "a member does not look at the expiry");
    }
}
