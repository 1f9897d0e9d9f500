use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{ClusterName, Description, Fingerprint};

/// What an operator asks for when creating a join token.
#[derive(Debug, Clone)]
pub struct NewJoinToken {
    /// The cluster that the token will enrol.
    pub cluster_name: ClusterName,
    /// Its description.
    pub description: Description,
    /// End of the token's life, in the offset that the operator used.
    pub expires_at: OffsetDateTime,
}

/// A join token that nobody used yet, as listed to operators. The token text itself cannot be had again.
#[derive(Debug, Clone)]
pub struct PendingJoinToken {
    /// Identifies the token in logs and records, in place of its text.
    pub id: Uuid,
    /// The cluster that the token will enrol.
    pub cluster_name: String,
    /// Its description.
    pub description: String,
    /// End of the token's life.
    pub expires_at: OffsetDateTime,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// Whether its life has ended, by the database's clock.
    pub expired: bool,
    /// Whether it gives an enrolled cluster another certificate.
    pub rotation: bool,
}

/// The text of a join token: standard base64 of a JSON object. It is handed out once and never stored.
#[derive(Debug)]
pub struct JoinTokenText(SecretString);

/// The decoded token. The keys stand in the order in which members and scripts know them.
#[derive(Serialize)]
struct TokenBody<'a> {
    secret: &'a str,
    expires_at: &'a str,
    addresses: [&'a str; 1],
    server_name: &'a str,
    fingerprint: String,
}

impl JoinTokenText {
    /// Draws a secret and writes the token; both are returned. `address` is `host:port` of the Cluster Connector, `pin` the fingerprint of
    /// the certificate that it presents.
    ///
    /// # Errors
    ///
    /// A text for the log when the system's random generator or the formatting of the date fails.
    pub fn generate(
        token: &NewJoinToken,
        address: &str,
        pin: Fingerprint,
    ) -> Result<(Self, JoinSecret), &'static str> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "the random generator failed")?;
        let secret = SecretString::from(hex::encode(bytes));
        let body = TokenBody {
            secret: secret.expose_secret(),
            expires_at: &token
                .expires_at
                .format(&Rfc3339)
                .map_err(|_| "a date could not be written")?,
            addresses: [address],
            server_name: token.cluster_name.as_str(),
            fingerprint: pin.to_string(),
        };
        let json = serde_json::to_vec(&body).map_err(|_| "a token could not be written")?;
        Ok((Self(STANDARD.encode(json).into()), JoinSecret(secret)))
    }

    /// A token as a cluster sent it.
    #[must_use]
    pub fn received(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for the one answer that creates it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The form in which the token is stored and compared: SHA-256 of the text without CR and LF, which people bring in
    /// by pasting; nothing else is forgiven.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let mut hasher = Sha256::new();
        for line in self.expose().split(['\r', '\n']) {
            hasher.update(line.as_bytes());
        }
        TokenHash(hasher.finalize().into())
    }
}

/// The secret inside a join token: 64 hexadecimal digits. A join may be signed with it.
#[derive(Debug)]
pub struct JoinSecret(SecretString);

impl JoinSecret {
    /// The secret that was kept sealed.
    #[must_use]
    pub fn opened(text: String) -> Self {
        Self(text.into())
    }

    /// Its digits as bytes: the key of a signature, and what is sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// The signature of a join: `Authorization: ClusterManager-1.0 <HMAC-SHA-256 over the body, in hexadecimal digits>`
/// (HMAC as in FIPS 198-1; the key is the text of the secret, not the bytes that its digits stand for).
pub struct JoinSignature {
    mac: [u8; 32],
    body: Vec<u8>,
}

impl JoinSignature {
    /// The signature in a header, for the body exactly as received. `None` for any other scheme, version or length.
    #[must_use]
    pub fn parse(header: &[u8], body: &[u8]) -> Option<Self> {
        let digits = header.strip_prefix(b"ClusterManager-1.0 ")?;
        let mut mac = [0; 32];
        hex::decode_to_slice(digits, &mut mac).ok()?;
        Some(Self { mac, body: body.to_vec() })
    }

    /// Whether it was made with `secret`, in constant time.
    #[must_use]
    pub fn verifies(&self, secret: &JoinSecret) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(&self.body);
        mac.verify_slice(&self.mac).is_ok()
    }
}

/// SHA-256 of a join token's text.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Compared with where there is no token, so that the work is the same.
    pub const DUMMY: Self = Self([0; 32]);

    /// The hash from the database; `None` unless it has 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use time::macros::datetime;

    use super::*;

    fn token(expires_at: OffsetDateTime) -> JoinTokenText {
        let new = NewJoinToken {
            cluster_name: ClusterName::parse("lyon-edge").unwrap(),
            description: Description::default(),
            expires_at,
        };
        JoinTokenText::generate(&new, "cluster-connector.example.net:443", Fingerprint::of(b"leaf"))
            .unwrap()
            .0
    }

    #[test]
    fn a_token_has_the_documented_form() {
        let text = token(datetime!(2026-11-30 18:00:00 +1));
        let json = String::from_utf8(STANDARD.decode(text.expose()).unwrap()).unwrap();
        let rest = json.strip_prefix(r#"{"secret":""#).unwrap();
        let (secret, rest) = rest.split_at(64);
        assert!(secret.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert_eq!(
            rest,
            format!(
                r#"","expires_at":"2026-11-30T18:00:00+01:00","addresses":["cluster-connector.example.net:443"],"server_name":"lyon-edge","fingerprint":"{}"}}"#,
                Fingerprint::of(b"leaf")
            )
        );
    }

    #[test]
    fn join_01_secrets_are_distinct_and_balanced() {
        let mut seen = HashSet::new();
        let mut ones = [0_u32; 256];
        for _ in 0..10_000 {
            let json = STANDARD.decode(token(datetime!(2027-01-01 0:00 UTC)).expose()).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let secret = hex::decode(body["secret"].as_str().unwrap()).unwrap();
            for (n, count) in ones.iter_mut().enumerate() {
                *count += u32::from(secret[n / 8] >> (n % 8) & 1);
            }
            assert!(seen.insert(secret));
        }
        // 4 sigma of a fair coin thrown 10,000 times is 200; with 256 bits 5 sigma keeps a sound generator from failing.
        assert!(ones.iter().all(|&count| count.abs_diff(5000) <= 250), "{ones:?}");
    }

    #[test]
    fn join_03_only_line_breaks_are_forgiven() {
        let text = token(datetime!(2027-01-01 0:00 UTC));
        let hash = text.hash();
        let received = |text: String| JoinTokenText::received(text).hash();
        let plain = text.expose().to_owned();
        let (head, tail) = plain.split_at(20);
        assert!(received(format!("{head}\r\n{tail}\n")).matches(&hash));
        for (n, byte) in plain.bytes().enumerate().filter(|(_, b)| b.is_ascii_alphabetic()) {
            let mut changed = plain.clone().into_bytes();
            changed[n] = byte ^ 0x20;
            assert!(!received(String::from_utf8(changed).unwrap()).matches(&hash), "position {n}");
        }
        // What looks the same to people or to other decoders is another text.
        let url_safe = STANDARD.encode([0xfb, 0xff, 0xbf]).replace('+', "-").replace('/', "_");
        assert!(
            !received(url_safe).matches(&received(STANDARD.encode([0xfb, 0xff, 0xbf]))),
            "the alphabet of URLs"
        );
        for changed in [
            plain.replacen('e', "\u{435}", 1),
            plain.replacen('y', "\u{ff59}", 1),
            format!("{plain}\u{200b}"),
            format!("\u{feff}{plain}"),
            format!("{head} {tail}"),
            format!(" {plain}"),
            format!("{plain}="),
            plain.trim_end_matches('=').to_owned() + "A",
            plain[..plain.len() - 1].to_owned(),
            String::new(),
        ] {
            assert!(!received(changed).matches(&hash));
        }
    }

    #[test]
    fn join_04_the_published_signature_verifies_and_nothing_near_it_does() {
        let example: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/examples/join-request-hmac.json"))
                .unwrap();
        let text = |key: &str| example[key].as_str().unwrap().to_owned();
        let header = example["headers"]["Authorization"].as_str().unwrap().to_owned();
        let (secret, body) = (JoinSecret::opened(text("secret")), text("body_text"));
        let verifies = |header: &str, body: &str, secret: &JoinSecret| {
            JoinSignature::parse(header.as_bytes(), body.as_bytes())
                .is_some_and(|signature| signature.verifies(secret))
        };
        assert!(verifies(&header, &body, &secret));
        assert!(verifies(
            &header.to_ascii_uppercase().replace("CLUSTERMANAGER", "ClusterManager"),
            &body,
            &secret
        ));
        assert!(!verifies(&header, &body.replace(':', ": "), &secret), "other spacing");
        assert!(!verifies(
            &header,
            &body,
            &JoinSecret::opened(text("secret").to_ascii_uppercase())
        ));
        for (n, byte) in body.bytes().enumerate().step_by(7) {
            let mut changed = body.clone().into_bytes();
            changed[n] = byte ^ 1;
            assert!(!JoinSignature::parse(header.as_bytes(), &changed).unwrap().verifies(&secret));
        }
        let mac = header.split(' ').nth(1).unwrap();
        for bad in [
            mac.to_owned(),
            format!("ClusterManager-2.0 {mac}"),
            format!("clustermanager-1.0 {mac}"),
            format!("ClusterManager-1.0  {mac}"),
            format!("ClusterManager-1.0 {mac}00"),
            format!("ClusterManager-1.0 {}", &mac[2..]),
            format!("ClusterManager-1.0 0011:{mac}"),
            format!("Bearer {mac}"),
            String::new(),
        ] {
            assert!(JoinSignature::parse(bad.as_bytes(), b"").is_none(), "{bad}");
        }
    }

    #[test]
    fn join_15_a_token_does_not_show_in_debug_output() {
        let text = token(datetime!(2027-01-01 0:00 UTC));
        assert!(!format!("{text:?}").contains(text.expose()));
    }
}
