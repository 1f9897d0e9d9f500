//! JSON as a slow reference reads it: a tree that keeps keys that stand twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool,
    /// A whole number without a point or an exponent, from the smallest i64 to the largest u64.
    Whole(i128),
    /// Any other number.
    Real,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The document in `bytes`; `None` unless it is one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_str(&with_readable_numbers(str::from_utf8(bytes).ok()?)).ok()
    }

    /// Levels of lists and objects.
    pub(super) fn depth(&self) -> usize {
        let inside = match self {
            Self::List(list) => list.iter().map(Self::depth).max(),
            Self::Object(entries) => entries.iter().map(|(_, value)| value.depth()).max(),
            _ => return 0,
        };
        inside.unwrap_or(0) + 1
    }

    /// The value under `key`, which stands at most once; `Err` if it stands twice or this is no object.
    pub(super) fn get(&self, key: &str) -> Result<Option<&Self>, ()> {
        let Self::Object(entries) = self else { return Err(()) };
        let mut found = entries.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (value, None) => Ok(value.filter(|value| **value != Self::Null)),
            _ => Err(()),
        }
    }

    /// The text under `key`, if there is one; `Err` if something else stands there.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ()> {
        match self.get(key)? {
            None => Ok(None),
            Some(Self::Text(text)) => Ok(Some(text)),
            Some(_) => Err(()),
        }
    }
}

/// A document in which every number is one that the library can read: it passes over any number in a value that nobody wants, and
/// reads no number beyond the largest f64. Such a one becomes a smaller one of the same form, so that nothing becomes JSON by it that
/// was none.
pub(super) fn with_readable_numbers(text: &str) -> String {
    let (mut readable, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let is_number = matches!(first, '-' | '0'..='9');
        let length = match first {
            '"' => text_length(rest),
            _ if is_number => {
                let end = |c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
                rest.find(end).unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if is_number && token.parse::<f64>().is_ok_and(f64::is_infinite) {
            readable.push_str(&smaller(token));
        } else {
            readable.push_str(token);
        }
        rest = after;
    }
    readable
}

/// Whether half a character may stand in a text as an escape (RFC 8259, section 8.2): the library reads no such text, and passes over
/// one in a value that nobody wants.
pub(super) fn may_hold_half_a_character(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| matches!(three, b"\\ud" | b"\\uD"))
}

/// Bytes of the text at the beginning, with its quotes.
fn text_length(from: &str) -> usize {
    let mut escaped = false;
    let end = from.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(from.len(), |(at, _)| at + 1)
}

/// Sign and first digits, where a zero may stand that must not; a fraction as it is; another exponent.
fn smaller(number: &str) -> String {
    let (mantissa, exponent) = number.split_at(number.find(['e', 'E']).unwrap_or(number.len()));
    let (whole, fraction) = mantissa.split_at(mantissa.find('.').unwrap_or(mantissa.len()));
    let whole: String = whole.chars().take(3).collect();
    let sign = exponent.trim_end_matches(|c: char| c.is_ascii_digit());
    match (fraction, exponent) {
        ("", "") => format!("{whole}.0"),
        _ if sign.len() < exponent.len() => format!("{whole}{fraction}{sign}0"),
        _ => format!("{whole}{fraction}{exponent}"),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Real)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = from.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = from.next_entry()? {
            entries.push(entry);
        }
        Ok(Json::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_all_bounds_is_a_number() {
        for (text, readable) in [
            (r#"{"a":1e400,"b":"1e400"}"#, r#"{"a":1e0,"b":"1e400"}"#),
            (r#"{"\"":-12.5E+999}"#, r#"{"\"":-12.5E+0}"#),
            ("[1e308,0.5,18446744073709551616]", "[1e308,0.5,18446744073709551616]"),
            ("[01e400]", "[01e0]"),
        ] {
            assert_eq!(with_readable_numbers(text), readable);
        }
        let long = format!("[{}]", "9".repeat(400));
        assert_eq!(Json::read(long.as_bytes()), Some(Json::List(vec![Json::Real])));
        assert_eq!(Json::read(b"[01e400]"), None);
    }
}
