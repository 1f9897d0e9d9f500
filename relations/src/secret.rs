//! Juju secrets as they appear in a bag: a URI, never the content.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Content of a secret as `secret-get` returns it. Values do not show in `Debug`.
pub type SecretContent = BTreeMap<String, SecretString>;

/// Reference to a Juju secret, kept exactly as it was written: `secret:<id>`, or
/// `secret://<model uuid>/<id>` when the owner lives in another model.
///
/// The reference itself is not confidential: reading the content needs a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretUri(String);

impl SecretUri {
    /// Reads a URI. `None` if it has neither of the two forms with an id of 20 characters out of
    /// `a` to `z` and `0` to `9`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("secret:")?;
        let id = match rest.strip_prefix("//") {
            Some(long) => {
                let (model, id) = long.split_once('/')?;
                let is_uuid =
                    model.len() == 36 && model.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
                is_uuid.then_some(id)?
            }
            None => rest,
        };
        let is_id =
            id.len() == 20 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        is_id.then(|| Self(text.to_owned()))
    }

    /// The URI as it was written, the form to give to `secret-get`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A non-empty value of a secret's content.
pub(crate) fn value<'a>(content: &'a SecretContent, key: &str) -> Option<&'a SecretString> {
    content.get(key).filter(|value| !value.expose_secret().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_secret_uri_are_kept_verbatim() {
        for text in [
            "secret:d0a2aa5mp25c7f0f2b00",
            "secret://6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4/d0a1kq5mp25c7f0f1u10",
        ] {
            assert_eq!(SecretUri::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_no_secret_uri() {
        for text in [
            "",
            "d0a2aa5mp25c7f0f2b00",
            "secret:",
            "secret:d0a2aa5mp25c7f0f2b0",
            "secret:D0A2AA5MP25C7F0F2B00",
            "secret://d0a2aa5mp25c7f0f2b00",
            "secret://not-a-uuid/d0a2aa5mp25c7f0f2b00",
            "secret:d0a2aa5mp25c7f0f2b00 --refresh",
        ] {
            assert_eq!(SecretUri::parse(text), None, "{text:?}");
        }
    }
}
