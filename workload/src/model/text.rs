/// What an operator wrote about a cluster: at most 512 characters, no control characters but line feed, no characters
/// that change the direction of the text around them (U+202A to U+202E, U+2066 to U+2069).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description(String);

/// A text that cannot be a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// Too long.
    #[error("description must have at most 512 characters")]
    TooLong,
    /// A character that is not allowed.
    #[error(
        "description must not have control characters or characters that change the direction of text"
    )]
    Characters,
}

impl Description {
    /// Parses a description.
    ///
    /// # Errors
    ///
    /// [`InvalidDescription`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidDescription> {
        if text.chars().count() > 512 {
            return Err(InvalidDescription::TooLong);
        }
        let refused = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if text.contains(refused) {
            return Err(InvalidDescription::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// The description as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_11_descriptions_follow_the_rule() {
        for good in ["", "Edge rack, Lyon", "two\nlines", "<b>é</b> 東京", &"é".repeat(512)] {
            assert_eq!(Description::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Description::parse(&"x".repeat(513)), Err(InvalidDescription::TooLong));
        for bad in ["a\0", "a\r\n", "\u{1b}[31m", "\u{202e}txt", "\u{2066}"] {
            assert_eq!(Description::parse(bad), Err(InvalidDescription::Characters), "{bad:?}");
        }
    }
}
