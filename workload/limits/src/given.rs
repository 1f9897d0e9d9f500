//! Limits as they are written down.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;

/// Units of bytes, the largest first.
const UNITS: [(&str, u64); 3] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];

/// One limit as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The number, with its unit if it is one of bytes.
    pub value: String,
    /// What may stand there, written alike.
    pub range: String,
    /// What is limited, and what happens beyond it.
    pub description: &'static str,
}

/// A text that has no limits in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// Which entry is none, counted from 1.
    #[error(
        "name=number, with commas between them, such as connector-headers=64 (entry {0} is none)"
    )]
    NoEntry(usize),
    /// Which entry names no limit, counted from 1.
    #[error("limits by their names (entry {0} names none)")]
    NoLimit(usize),
    /// The name.
    #[error("limits, each once ({0} is there twice)")]
    Twice(String),
    /// The name and its range.
    #[error("limits within their ranges: {0} is a whole number from {1}")]
    Range(String, String),
}

/// What somebody wrote, and what was made of it.
#[derive(Default)]
pub(crate) struct Given<'a> {
    /// In their order, as long as nobody asked for them.
    written: Vec<Option<(&'a str, &'a str)>>,
    entries: Vec<Entry>,
    invalid: Option<InvalidLimits>,
}

#[derive(Clone, Copy)]
enum Unit {
    None,
    Bytes,
}

impl<'a> Given<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, InvalidLimits> {
        let parts = text.split([',', '\n']).flat_map(|part| part.split_whitespace());
        let written = parts.enumerate().map(|(n, part)| match part.split_once('=') {
            Some(entry) => Ok(Some(entry)),
            None => Err(InvalidLimits::NoEntry(n.saturating_add(1))),
        });
        Ok(Self { written: written.collect::<Result<_, _>>()?, ..Self::default() })
    }

    pub(crate) fn number(
        &mut self,
        name: impl Into<String>,
        default: u64,
        range: RangeInclusive<u64>,
        description: &'static str,
    ) -> Number {
        Number(self.take(name.into(), default, &range, description, Unit::None))
    }

    pub(crate) fn bytes(
        &mut self,
        name: impl Into<String>,
        default: u64,
        range: RangeInclusive<u64>,
        description: &'static str,
    ) -> usize {
        Number(self.take(name.into(), default, &range, description, Unit::Bytes)).count()
    }

    fn take(
        &mut self,
        name: String,
        default: u64,
        range: &RangeInclusive<u64>,
        description: &'static str,
        unit: Unit,
    ) -> u64 {
        let range_text = format!("{} to {}", unit.write(*range.start()), unit.write(*range.end()));
        let mut value = default;
        let its = |entry: &&mut Option<(&str, &str)>| entry.is_some_and(|(given, _)| given == name);
        for (n, entry) in self.written.iter_mut().filter(its).enumerate() {
            let number = entry.take().and_then(|(_, number)| unit.read(number));
            if let Some(number) = number.filter(|number| range.contains(number)) {
                value = number;
            } else {
                let wrong = InvalidLimits::Range(name.clone(), range_text.clone());
                self.invalid.get_or_insert(wrong);
            }
            if n > 0 {
                self.invalid.get_or_insert(InvalidLimits::Twice(name.clone()));
            }
        }
        self.entries.push(Entry { name, value: unit.write(value), range: range_text, description });
        value
    }

    pub(crate) fn entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// What was wrong first; entries that nobody asked for name no limit.
    pub(crate) fn finish(self) -> Result<(), InvalidLimits> {
        let stray = self.written.iter().position(Option::is_some);
        let stray = stray.map(|n| InvalidLimits::NoLimit(n.saturating_add(1)));
        self.invalid.or(stray).map_or(Ok(()), Err)
    }
}

impl Unit {
    fn read(self, text: &str) -> Option<u64> {
        let units = match self {
            Self::None => &[],
            Self::Bytes => UNITS.as_slice(),
        };
        let with_unit = |(unit, size): &(&str, u64)| Some((text.strip_suffix(unit)?, *size));
        let (number, size) = units.iter().find_map(with_unit).unwrap_or((text, 1));
        // `parse` would take a sign.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(size)
    }

    fn write(self, number: u64) -> String {
        let unit = UNITS.iter().find(|(_, size)| number > 0 && number.is_multiple_of(*size));
        match (self, unit) {
            (Self::Bytes, Some((unit, size))) => format!("{}{unit}", number / size),
            _ => number.to_string(),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// A limit's number. No range goes beyond what fits.
pub(crate) struct Number(u64);

impl Number {
    pub(crate) fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Rows of a table.
    pub(crate) fn rows(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn seconds(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Limits;

    #[test]
    fn what_is_not_named_has_its_default() {
        let limits = Limits::parse("").unwrap();
        assert_eq!(limits, Limits::default());
        let text = "heartbeat-bytes=32MiB, connector-headers=100\nsample-name-bytes=300 \
                    tunnel-waiting=0, tunnel-waiting-seconds=7,";
        let limits = Limits::parse(text).unwrap();
        assert_eq!(limits.heartbeat.bytes, 32 << 20);
        assert_eq!((limits.connector.headers, limits.management.headers), (100, 100));
        assert_eq!(limits.samples.name_bytes, 300);
        assert_eq!(
            (limits.tunnel.waiting, limits.tunnel.waiting_time),
            (0, Duration::from_secs(7))
        );
        assert_eq!(limits.connector.header_bytes, 16 << 10);
    }

    #[test]
    fn every_limit_can_be_set_within_its_range_and_is_shown_as_it_can_be_written() {
        let default = Limits::default();
        for entry in default.entries() {
            let (least, most) = entry.range.split_once(" to ").unwrap();
            for value in [least, most, &entry.value] {
                let text = format!("{}={value}", entry.name);
                let limits = Limits::parse(&text).unwrap();
                let changed: Vec<_> = limits
                    .entries()
                    .iter()
                    .zip(default.entries())
                    .filter(|(now, before)| now != before)
                    .map(|(now, _)| now.to_string())
                    .collect();
                let expected = if value == entry.value { vec![] } else { vec![text] };
                assert_eq!(changed, expected);
                // What is obeyed changes, not only what is shown.
                let obeyed = Limits { entries: default.entries.clone(), ..limits };
                assert_eq!(obeyed == default, value == entry.value, "{entry}");
            }
            for wrong in ["", "-1", "+1", "1.5", "99999999999999", "18446744073709551616", "1kB"] {
                let error = Limits::parse(&format!("{}={wrong}", entry.name)).unwrap_err();
                let expected = InvalidLimits::Range(entry.name.clone(), entry.range.clone());
                assert_eq!(error, expected, "{wrong}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_words_to_act_on() {
        for (text, error) in [
            ("connector-headers", "such as connector-headers=64 (entry 1 is none)"),
            ("json-depth=9, connector-header=64", "limits by their names (entry 2 names none)"),
            ("json-depth=9, json-depth=9", "limits, each once (json-depth is there twice)"),
            (
                "connector-header-bytes=1KiB",
                "limits within their ranges: connector-header-bytes is a whole number from 8KiB to 1MiB",
            ),
            ("connector-headers=1KiB", "connector-headers is a whole number from 16 to 1000"),
        ] {
            let told = Limits::parse(text).unwrap_err().to_string();
            assert!(told.contains(error), "{told}");
        }
    }

    /// One row of the table in `docs/settings.md` for each limit.
    #[test]
    fn the_documentation_has_every_limit_with_its_default_and_range() {
        let documentation = include_str!("../../../docs/settings.md");
        let row = |entry: &Entry| {
            let Entry { name, value, range, description } = entry;
            format!("| `{name}` | {value} | {range} | {description} |\n")
        };
        let rows: String = Limits::default().entries().iter().map(row).collect();
        assert!(documentation.contains(&rows), "docs/settings.md needs this table:\n{rows}");
    }
}
