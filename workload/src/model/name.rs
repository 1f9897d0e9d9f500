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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn join_11_any_text_is_a_name_exactly_when_it_follows_the_rule(
            text in prop_oneof![
                any::<String>(),
                // Near the rule: what it allows, with something foreign now and then.
                "[a-zA-Z0-9_.-]{0,65}",
                "[a-z0-9]{0,3}[-_.\\PC\u{0}-\u{20}\u{202a}-\u{202e}\u{2066}-\u{2069}ａ-ｚа-я]?[a-z0-9]{0,61}",
            ]
        ) {
            let characters: Vec<char> = text.chars().collect();
            let is_good = |c: &char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9');
            let follows = (1..=63).contains(&characters.len())
                && characters.first().is_some_and(is_good)
                && characters.last().is_some_and(is_good)
                && characters.iter().all(|c| is_good(c) || "-_.".contains(*c));
            let parsed = ClusterName::parse(&text);
            prop_assert_eq!(parsed.is_ok(), follows);
            if let Ok(name) = parsed {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }

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
