use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Fingerprint, JoinSecret, JoinTokenText, TokenHash};

/// What is kept of a join token whose text another product stored readably.
pub struct ImportedToken {
    /// Hash of the text, by which a join is checked.
    pub hash: TokenHash,
    /// The secret inside, with which a join may be signed.
    pub secret: JoinSecret,
    /// The certificate that its holder expects the Cluster Connector to present.
    pub pin: Fingerprint,
}

/// A text that no member would take for a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not base64 of the JSON object of a token, or with a secret that could be guessed.
    #[error("its text is not that of a join token")]
    Text,
    /// A token that enrols under another name than the one it is stored for.
    #[error("its text enrols another cluster than the one it is kept for")]
    OtherName,
}

#[derive(Deserialize)]
struct Body {
    secret: String,
    server_name: String,
    fingerprint: String,
}

impl ImportedToken {
    /// Parses the text of a token that is stored for `cluster_name`, as strictly as members do, and besides only with a secret
    /// of 64 hexadecimal digits: nothing that was never drawn at random enrols anybody.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`], never with the text.
    pub fn parse(text: String, cluster_name: &str) -> Result<Self, InvalidToken> {
        let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let json = STANDARD.decode(compact).map_err(|_| InvalidToken::Text)?;
        let body: Body = serde_json::from_slice(&json).map_err(|_| InvalidToken::Text)?;
        let is_digest = |text: &str| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes).is_ok().then_some(bytes)
        };
        let pin = is_digest(&body.fingerprint).and_then(|pin| Fingerprint::from_bytes(&pin));
        let (Some(_), Some(pin)) = (is_digest(&body.secret), pin) else {
            return Err(InvalidToken::Text);
        };
        if body.server_name != cluster_name {
            return Err(InvalidToken::OtherName);
        }
        Ok(Self {
            hash: JoinTokenText::received(text).hash(),
            secret: JoinSecret::opened(body.secret),
            pin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../tests/examples/join-token-create-response.json");

    fn example() -> String {
        let response: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
        response["metadata"]["token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_published_token_keeps_its_hash_secret_and_pin() {
        let token = ImportedToken::parse(example(), "lyon-edge").unwrap();
        assert!(token.hash.matches(&JoinTokenText::received(example()).hash()));
        assert_eq!(
            token.secret.as_bytes(),
            b"ab7720aa74b2d07307ec2af5ce9935fcdc106abde24f24e443f9914232c848cf"
        );
        assert_eq!(
            token.pin.to_string(),
            "f684588c5cfb2cccb6f6f436c30dc0acb86f730e6236cd5a6caecbc28276e8dc"
        );
        let mut broken = example();
        broken.insert_str(76, "\r\n");
        assert!(ImportedToken::parse(broken, "lyon-edge").unwrap().hash.matches(&token.hash));
    }

    #[test]
    fn join_02_what_could_be_guessed_is_no_token() {
        let with = |from: &str, to: &str| {
            let json = String::from_utf8(STANDARD.decode(example()).unwrap()).unwrap();
            assert!(json.contains(from));
            STANDARD.encode(json.replace(from, to))
        };
        let secret = "ab7720aa74b2d07307ec2af5ce9935fcdc106abde24f24e443f9914232c848cf";
        for text in [
            String::new(),
            "encoded-token-01".into(),
            STANDARD.encode("encoded-token-01"),
            with(secret, ""),
            with(secret, "short"),
            with(secret, &"z".repeat(64)),
            with("fingerprint", "other"),
            format!("{}=", example()),
            format!(" {}", example()),
        ] {
            assert_eq!(
                ImportedToken::parse(text.clone(), "lyon-edge").err(),
                Some(InvalidToken::Text),
                "{text}"
            );
        }
        assert_eq!(
            ImportedToken::parse(example(), "Lyon-edge").err(),
            Some(InvalidToken::OtherName)
        );
    }
}
