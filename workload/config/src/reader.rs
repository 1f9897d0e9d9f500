//! Reading single settings and collecting what is wrong with them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

/// One setting that cannot be used: its name and what is expected, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be {expected}")]
pub struct InvalidSetting {
    /// Name of the environment variable.
    pub name: String,
    /// What a right value looks like.
    pub expected: String,
}

/// All settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(pub Vec<InvalidSetting>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, setting) in self.0.iter().enumerate() {
            write!(f, "{}{setting}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}

/// Reads settings one by one and remembers the bad ones.
pub struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    invalid: Vec<InvalidSetting>,
}

impl<'a> Reader<'a> {
    /// A reader on top of `get`.
    pub fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get, invalid: Vec::new() }
    }

    /// The text of a setting; `None` when it is unset or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    /// A setting that `FromStr` understands.
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        let Some(text) = self.text(name) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.refuse(name, expected);
            default
        })
    }

    /// A text setting that must pass `check`.
    pub fn checked(
        &mut self,
        name: &str,
        default: &str,
        check: impl Fn(&str) -> bool,
        expected: &str,
    ) -> String {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        if !check(&text) {
            self.refuse(name, expected);
        }
        text
    }

    /// A whole number of seconds within `range`.
    pub fn seconds(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        let expected = format!("a whole number of seconds, {} to {}", range.start(), range.end());
        let seconds = self.parsed(name, default, &expected);
        if !range.contains(&seconds) {
            self.refuse(name, &expected);
        }
        Duration::from_secs(seconds)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, default, "true or false")
    }

    /// A secret: from `name`, or from the file that `<name>_FILE` names (one trailing line end is dropped).
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file_name = format!("{name}_FILE");
        match (self.text(name), self.text(&file_name)) {
            (Some(_), Some(_)) => {
                self.refuse(name, &format!("unset when {file_name} is set"));
                None
            }
            (Some(value), None) => Some(value.into()),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(content) => {
                    Some(content.strip_suffix('\n').unwrap_or(&content).to_owned().into())
                }
                Err(error) => {
                    self.refuse(&file_name, &format!("a readable file ({})", error.kind()));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Remembers that `name` is bad.
    pub fn refuse(&mut self, name: &str, expected: &str) {
        let setting = InvalidSetting { name: name.to_owned(), expected: expected.to_owned() };
        if !self.invalid.contains(&setting) {
            self.invalid.push(setting);
        }
    }

    /// `value`, or everything that was wrong.
    ///
    /// # Errors
    ///
    /// All refused settings, in the order in which they were read.
    pub fn finish<T>(self, value: T) -> Result<T, InvalidSettings> {
        if self.invalid.is_empty() { Ok(value) } else { Err(InvalidSettings(self.invalid)) }
    }
}
