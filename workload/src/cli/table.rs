//! Texts for a terminal: tables whose columns line up, and values that cannot disturb it.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthStr;

/// Columns under headings, two spaces apart, as wide as their widest value.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with headings and no rows.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    /// A table of names and values, without headings.
    pub(super) fn pairs() -> Self {
        Self { rows: Vec::new() }
    }

    /// Whether there is nothing below the headings.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Adds a row. Values are made printable here; nobody else need do it.
    pub(super) fn row<const N: usize>(&mut self, values: [&str; N]) {
        self.rows.push(values.iter().map(|value| printable(value)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let values = self.rows.iter().filter_map(|row| row.get(column));
            values.map(|value| value.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (value, width) in row.iter().zip(&widths) {
                // Padding by hand: `{:<width$}` counts characters, and a terminal counts columns.
                write!(line, "{value}{}", " ".repeat(width + 2 - value.width()))?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text with every character escaped that does not print: control characters, line breaks, invisible ones and those that
/// change the direction of text. A backslash is doubled, so that the result is unambiguous. Taken-over names may have any.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for part in text.split_inclusive(['\'', '"']) {
        // `escape_debug` knows what prints; it would also escape quotes, which are harmless here.
        let quote = part.chars().last().filter(|c| matches!(c, '\'' | '"'));
        let body = part.strip_suffix(['\'', '"']).unwrap_or(part);
        printable.extend(body.escape_debug());
        printable.extend(quote);
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["lyon-edge", "online"]);
        table.row(["東京", "stale"]);
        table.row(["Zürich", "waiting"]);
        table.row(["Zu\u{308}rich", "never"]);
        table.row(["", "offline"]);
        let expected = "\
NAME       STATE
lyon-edge  online
東京       stale
Zürich     waiting
Zu\u{308}rich     never
           offline
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn join_11_names_that_break_the_rule_are_shown_escaped() {
        for (name, shown) in [
            ("oslo/core 1", "oslo/core 1"),
            ("a\nb", "a\\nb"),
            ("a\tb", "a\\tb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("lyon\u{202e}egde", "lyon\\u{202e}egde"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("C:\\x", "C:\\\\x"),
            ("it's \"quoted\"", "it's \"quoted\""),
            ("'", "'"),
            ("", ""),
        ] {
            assert_eq!(printable(name), shown);
        }
    }
}
