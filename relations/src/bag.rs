//! What all interfaces share: the map itself, reading a key, and writing only differences.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

/// One databag as Juju hands it out: every value is a string.
pub type Bag = BTreeMap<String, String>;

/// Longest value that is read, in bytes. Far above what the interfaces need, far below what would
/// hurt the charm container.
pub const MAX_VALUE_BYTES: usize = 4 * 1024 * 1024;

/// A databag that does not follow its interface.
///
/// The texts name the interface and the key and never quote the value: it may be a secret, and it
/// was written by someone else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BagError {
    /// A key without which the others make no sense is absent.
    #[error("relation interface {interface}: key \"{key}\" is missing")]
    Missing {
        /// Name of the interface, for example `tls-certificates`.
        interface: &'static str,
        /// Name of the key.
        key: &'static str,
    },
    /// The value is not what the interface says.
    #[error("relation interface {interface}: key \"{key}\" is not {expected}")]
    Malformed {
        /// Name of the interface.
        interface: &'static str,
        /// Name of the key.
        key: &'static str,
        /// What a right value looks like, to follow "is not".
        expected: &'static str,
    },
    /// The value is longer than [`MAX_VALUE_BYTES`].
    #[error("relation interface {interface}: key \"{key}\" is longer than {MAX_VALUE_BYTES} bytes")]
    TooLong {
        /// Name of the interface.
        interface: &'static str,
        /// Name of the key.
        key: &'static str,
    },
}

/// One side's part of one interface, as it stands in one databag.
pub trait Databag: Sized {
    /// Name of the interface as charm metadata spells it.
    const INTERFACE: &'static str;

    /// Every key that this type may write. Other keys of the bag belong to somebody else (Juju, an
    /// older library) and are neither read nor touched.
    const KEYS: &'static [&'static str];

    /// Reads the bag. `None` means that the writer has not filled it in yet: none of [`Self::KEYS`]
    /// is there. An empty value counts as absent, because setting a key to the empty string is
    /// how Juju removes it.
    ///
    /// # Errors
    ///
    /// [`BagError`] if a needed key is missing, malformed or too long.
    fn decode(bag: &Bag) -> Result<Option<Self>, BagError>;

    /// Writes the bag. Absent values give no key.
    fn encode(&self) -> Bag;

    /// What must be written over `current` so that it says what `self` says: only keys that
    /// differ, with the empty string for those that must go. Nothing to do gives an empty map.
    fn changes(&self, current: &Bag) -> Bag {
        let wanted = self.encode();
        Self::KEYS
            .iter()
            .filter_map(|key| {
                let want = wanted.get(*key).map_or("", String::as_str);
                let have = current.get(*key).map_or("", String::as_str);
                (want != have).then(|| ((*key).to_owned(), want.to_owned()))
            })
            .collect()
    }
}

/// Reads the keys of one bag on behalf of `T`.
pub(crate) struct Reader<'a> {
    bag: &'a Bag,
    interface: &'static str,
}

impl<'a> Reader<'a> {
    /// `None` if nobody has written any key of `T` yet.
    pub(crate) fn open<T: Databag>(bag: &'a Bag) -> Option<Self> {
        let filled = T::KEYS.iter().any(|key| bag.get(*key).is_some_and(|value| !value.is_empty()));
        filled.then_some(Self { bag, interface: T::INTERFACE })
    }

    /// The plain text of `key`.
    pub(crate) fn text(&self, key: &'static str) -> Result<Option<&'a str>, BagError> {
        match self.bag.get(key) {
            Some(value) if value.len() > MAX_VALUE_BYTES => {
                Err(BagError::TooLong { interface: self.interface, key })
            }
            Some(value) if !value.is_empty() => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// The plain text of `key` as an owned string.
    pub(crate) fn string(&self, key: &'static str) -> Result<Option<String>, BagError> {
        Ok(self.text(key)?.map(str::to_owned))
    }

    /// The value of `key` after `parse`; `expected` follows "is not" in the error.
    pub(crate) fn parsed<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BagError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        parse(text).map(Some).ok_or(self.malformed(key, expected))
    }

    /// The value of `key` read as JSON. JSON's `null` counts as absent.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, BagError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        // The source error is dropped: serde quotes the offending value in it.
        serde_json::from_str(text).map_err(|_| self.malformed(key, expected))
    }

    /// A boolean in either of the spellings that occur: `True`/`False` and `true`/`false`.
    pub(crate) fn boolean(&self, key: &'static str) -> Result<Option<bool>, BagError> {
        self.parsed(key, "True or False", boolean)
    }

    /// Turns an absent value into an error.
    pub(crate) fn need<T>(&self, key: &'static str, value: Option<T>) -> Result<T, BagError> {
        value.ok_or(BagError::Missing { interface: self.interface, key })
    }

    pub(crate) fn malformed(&self, key: &'static str, expected: &'static str) -> BagError {
        BagError::Malformed { interface: self.interface, key, expected }
    }
}

/// Reads `True`/`False` and `true`/`false`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "True" | "true" => Some(true),
        "False" | "false" => Some(false),
        _ => None,
    }
}

/// Writes a boolean in the spelling that Python charms use for plain values.
pub(crate) fn boolean_text(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

/// Collects the pairs that have a value.
pub(crate) fn bag<const N: usize>(pairs: [(&str, Option<String>); N]) -> Bag {
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.filter(|v| !v.is_empty())?)))
        .collect()
}
