use std::fmt;

/// The name of a cluster: 1 to 63 ASCII letters, digits, `-`, `_` and `.`, the first and the last a letter or a digit.
///
/// Only new names are parsed. Names that came with an imported database may break the rule; they are looked up as plain
/// text and stay usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(String);

/// A text that cannot be the name of a new cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No name was given.
    #[error("cluster name is required")]
    Missing,
    /// The name is too long.
    #[error("cluster name must have at most 63 characters")]
    TooLong,
    /// The name has a character that is not allowed, or not allowed at its place.
    #[error(
        "cluster name must begin and end with a letter or a digit and have only letters, digits, '-', '_' and '.' between"
    )]
    Characters,
}

impl ClusterName {
    /// Parses the name of a cluster that is to be enrolled.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(InvalidName::Missing);
        };
        if bytes.len() > 63 {
            return Err(InvalidName::TooLong);
        }
        let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !first.is_ascii_alphanumeric()
            || !last.is_ascii_alphanumeric()
            || !bytes.iter().all(inner)
        {
            return Err(InvalidName::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_11_names_follow_the_rule() {
        for good in ["a", "7", "lyon-edge", "rack_4.lab", "A-b.C_d", &"x".repeat(63)] {
            assert_eq!(ClusterName::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(ClusterName::parse(""), Err(InvalidName::Missing));
        assert_eq!(ClusterName::parse(&"x".repeat(64)), Err(InvalidName::TooLong));
        for bad in [
            ".",
            "..",
            "-a",
            "a-",
            "a b",
            "a/b",
            "../a",
            "a\0b",
            "a\nb",
            "é",
            "a%b",
            "\u{202e}a",
            "'a'",
            "a,b",
        ] {
            assert_eq!(ClusterName::parse(bad), Err(InvalidName::Characters), "{bad:?}");
        }
    }
}
