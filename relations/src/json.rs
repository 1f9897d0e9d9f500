//! The JSON text that goes into a bag.
//!
//! Charm libraries on the other side, and the charm that this one takes over from, write with
//! Python's defaults: a blank after `,` and `:`, and only ASCII. Writing the same way means that
//! taking over an existing relation changes no byte, and so makes no hook run on the other side.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// `value` as JSON text in the manner described above.
#[expect(
    clippy::expect_used,
    reason = "a write to memory cannot fail, and all maps of this crate have string keys"
)]
pub(crate) fn text<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut out, PythonStyle))
        .expect("databag types serialise");
    String::from_utf8(out).expect("JSON is UTF-8")
}

struct PythonStyle;

impl Formatter for PythonStyle {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() {
                write!(out, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = serde_json::json!({"a": [1, "é", "😀", "\n\""], "b": {"c": null, "d": true}});
        assert_eq!(
            text(&value),
            r#"{"a": [1, "\u00e9", "\ud83d\ude00", "\n\""], "b": {"c": null, "d": true}}"#
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text(&value)).unwrap(), value);
    }
}
