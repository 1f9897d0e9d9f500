//! Reads Prometheus's text format, line by line, without copying.
//!
//! Source: "Prometheus exposition formats", text version 0.0.4. More lenient where LXD and others need it: lines may be
//! indented, `# EOF` may close the text, a type may be in upper case, and a backslash that escapes
//! nothing stands for itself, because LXD does not escape label values.

use std::borrow::Cow;

/// Most labels of one sample, and the longest name and value in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    /// Labels as they stand in the text, those without a value included.
    pub labels: usize,
    /// Bytes of a metric's or label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value, its escapes resolved.
    pub value_bytes: usize,
}

/// One label of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label<'t> {
    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    pub name: &'t str,
    /// Any text; borrowed unless it has an escape.
    pub value: Cow<'t, str>,
}

/// A line that holds a value.
#[derive(Debug, PartialEq)]
pub enum Item<'p, 't> {
    /// A sample within the limits. Counters, gauges and the parts of histograms and summaries look alike.
    Sample {
        /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
        name: &'t str,
        /// In the order of the text, names possibly twice. The buffer is reused for the next line.
        labels: &'p mut Vec<Label<'t>>,
        /// May be infinite or not a number.
        value: f64,
    },
    /// A well-formed sample that exceeds [`SampleLimits`].
    OverLimit,
    /// A well-formed sample of a family whose type is not known.
    UnknownFamily,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {reason}")]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it; the sentence's predicate.
    pub reason: &'static str,
}

/// A text that is being read. Time is linear in its length, memory is one line's labels.
#[derive(Debug)]
pub struct Exposition<'t> {
    rest: &'t str,
    line: usize,
    limits: SampleLimits,
    /// The family that is skipped at present.
    unknown_family: Option<&'t str>,
    labels: Vec<Label<'t>>,
}

type Parsed<T> = Result<T, &'static str>;

impl<'t> Exposition<'t> {
    /// Starts at the first line of `text`.
    #[must_use]
    pub fn new(text: &'t str, limits: SampleLimits) -> Self {
        Self { rest: text, line: 0, limits, unknown_family: None, labels: Vec::new() }
    }

    /// The next sample, or `None` at the end of the text.
    ///
    /// # Errors
    ///
    /// [`LineError`] names the first line that is neither a sample nor a comment. Nothing may be used of such a text:
    /// it was cut or mixed up on its way.
    pub fn next_item(&mut self) -> Result<Option<Item<'_, 't>>, LineError> {
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let at = |reason| LineError { line: self.line, reason };
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((family, known)) = family_type(comment).map_err(at)? {
                    self.unknown_family = (!known).then_some(family);
                }
                continue;
            }
            let sample = sample(line, self.limits, &mut self.labels).map_err(at)?;
            return Ok(Some(if self.unknown_family.is_some_and(|f| belongs(sample.name, f)) {
                Item::UnknownFamily
            } else if sample.over_limit {
                Item::OverLimit
            } else {
                let Sample { name, value, .. } = sample;
                Item::Sample { name, labels: &mut self.labels, value }
            }));
        }
        Ok(None)
    }
}

/// The family that a `# TYPE` line is about, and whether its type is one that is forwarded.
fn family_type(comment: &str) -> Parsed<Option<(&str, bool)>> {
    let mut words = comment.split_ascii_whitespace();
    if words.next() != Some("TYPE") {
        return Ok(None);
    }
    let (Some(family), Some(kind), None) = (words.next(), words.next(), words.next()) else {
        return Err("must have a name and a type after # TYPE");
    };
    if take_name(family, is_metric_byte).is_none_or(|(_, rest)| !rest.is_empty()) {
        return Err("has a malformed name after # TYPE");
    }
    let known = ["counter", "gauge", "untyped", "unknown", "histogram", "summary"];
    Ok(Some((family, known.iter().any(|known| kind.eq_ignore_ascii_case(known)))))
}

/// Whether `name` is a sample of `family`: the family itself or one of its parts.
fn belongs(name: &str, family: &str) -> bool {
    const PARTS: [&str; 9] =
        ["", "_bucket", "_sum", "_count", "_total", "_created", "_gsum", "_gcount", "_info"];
    name.strip_prefix(family).is_some_and(|part| PARTS.contains(&part))
}

struct Sample<'t> {
    name: &'t str,
    value: f64,
    over_limit: bool,
}

/// Reads `name{label="value",...} number [timestamp]`; `labels` is emptied first.
fn sample<'t>(
    line: &'t str,
    limits: SampleLimits,
    labels: &mut Vec<Label<'t>>,
) -> Parsed<Sample<'t>> {
    labels.clear();
    let (name, rest) = take_name(line, is_metric_byte).ok_or("does not start with a name")?;
    let mut over_limit = name.len() > limits.name_bytes;
    let mut rest = rest.trim_ascii_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_ascii_start();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = label(rest)?;
            if label.name.len() > limits.name_bytes || label.value.len() > limits.value_bytes {
                over_limit = true;
            }
            if labels.len() < limits.labels {
                labels.push(label);
            } else {
                over_limit = true;
            }
            let after = after.trim_ascii_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_ascii_start(),
                None if after.starts_with('}') => after,
                None => return Err("has a label that neither a comma nor a brace follows"),
            };
        }
    } else if rest.len() + name.len() == line.len() {
        return Err("has no value after the name");
    }
    let rest = rest.trim_ascii_start();
    let (number, time) = match rest.bytes().position(|byte| byte == b' ' || byte == b'\t') {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let value = number.parse().map_err(|_| "has a value that is not a number")?;
    let time = time.trim_ascii_start();
    // The sender's clock is not asked: samples carry the time at which they were received.
    if !time.is_empty() && time.parse::<i64>().is_err() {
        return Err("has a timestamp that is not a whole number");
    }
    Ok(Sample { name, value, over_limit })
}

fn label(text: &str) -> Parsed<(Label<'_>, &str)> {
    const OPEN: &str = "has a label value without an end";
    let (name, rest) = take_name(text, is_label_byte).ok_or("has a malformed label name")?;
    let rest = rest.trim_ascii_start().strip_prefix('=').ok_or("has a label without a value")?;
    let rest = rest.trim_ascii_start().strip_prefix('"').ok_or("has an unquoted label value")?;
    let end = rest.bytes().position(|byte| byte == b'"' || byte == b'\\').ok_or(OPEN)?;
    let (plain, stopped) = rest.split_at(end);
    if let Some(after) = stopped.strip_prefix('"') {
        return Ok((Label { name, value: Cow::Borrowed(plain) }, after));
    }
    let mut value = String::from(plain);
    let mut characters = stopped.chars();
    loop {
        match characters.next().ok_or(OPEN)? {
            '"' => break,
            '\\' => match characters.next().ok_or(OPEN)? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    Ok((Label { name, value: Cow::Owned(value) }, characters.as_str()))
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_metric_byte(byte: u8) -> bool {
    is_label_byte(byte) || byte == b':'
}

/// Splits off a name, which is not empty and does not start with a digit.
fn take_name(text: &str, belongs: fn(u8) -> bool) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len());
    let starts = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    (starts && end > 0).then(|| text.split_at(end))
}
