//! Encodes series as a remote-write request: Protocol Buffers, compressed as one Snappy block.
//!
//! Source: "Prometheus Remote-Write 1.0". Messages: `WriteRequest { repeated TimeSeries timeseries = 1 }`,
//! `TimeSeries { repeated Label labels = 1; repeated Sample samples = 2 }`, `Label { string name = 1; string value = 2 }`,
//! `Sample { double value = 1; int64 timestamp = 2 }`. They are written by hand, straight into one buffer: building
//! message objects first would cost more than reading the text.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;

use super::exposition::Label;
use super::labels;

/// Field 1 of any message here, length-delimited.
const FIRST: u8 = 0x0a;
/// Field 2 of any message here, length-delimited.
const SECOND: u8 = 0x12;
/// `Sample.value`, 64 bits.
const VALUE: u8 = 0x09;
/// `Sample.timestamp`, varint.
const TIMESTAMP: u8 = 0x10;

/// Larger buffers are given back after a heartbeat, so that one huge cluster does not cost memory for ever.
const KEPT_BYTES: usize = 1 << 20;

/// One request to the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The compressed message: the request's body.
    pub body: Bytes,
    /// How many samples it holds; each belongs to a series of its own.
    pub samples: u64,
}

/// The labels that all series of one member have, encoded.
#[derive(Debug)]
pub(super) struct OwnLabels<'a>(Vec<(&'a str, Vec<u8>)>);

impl<'a> OwnLabels<'a> {
    /// `further` are labels that all members of all clusters have.
    pub(super) fn new(cluster: &str, member: &str, further: &'a BTreeMap<String, String>) -> Self {
        let job = labels::job(cluster);
        let own = [("cluster", cluster), ("job", &job), ("member", member)];
        let further = further.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = own.into_iter().chain(further).filter(|(_, value)| !value.is_empty());
        let mut encoded: Vec<_> = all
            .map(|(name, value)| {
                let mut label = Vec::new();
                put_label(&mut label, name, value);
                (name, label)
            })
            .collect();
        encoded.sort_unstable();
        Self(encoded)
    }
}

/// Collects series and cuts them into parts of bounded size.
pub(super) struct Encoder {
    snappy: snap::raw::Encoder,
    part_bytes: usize,
    /// The labels of one series, encoded: what makes the series unique.
    series: Vec<u8>,
    message: Vec<u8>,
    samples: u64,
    compressed: Vec<u8>,
    parts: Vec<Part>,
    marked: Mark,
}

/// How much there was before a member's text.
#[derive(Default)]
struct Mark {
    parts: usize,
    message_bytes: usize,
    samples: u64,
}

impl Encoder {
    /// `part_bytes`: longest message of a part before compression; a single series that is longer stands alone.
    pub(super) fn new(part_bytes: usize) -> Self {
        Self {
            snappy: snap::raw::Encoder::new(),
            part_bytes,
            series: Vec::new(),
            message: Vec::new(),
            samples: 0,
            compressed: Vec::new(),
            parts: Vec::new(),
            marked: Mark::default(),
        }
    }

    /// Prepares a series and returns the hash of its labels. `labels` must be normalised.
    pub(super) fn prepare(
        &mut self,
        own: &OwnLabels<'_>,
        name: &str,
        labels: &[Label<'_>],
        keys: &RandomState,
    ) -> u64 {
        self.series.clear();
        let mut own = own.0.iter().peekable();
        let mut metric_name = Some(name);
        for label in labels {
            while let Some((name, encoded)) = own.next_if(|(name, _)| *name < label.name) {
                if "__name__" < *name {
                    put_metric_name(&mut self.series, &mut metric_name);
                }
                self.series.extend_from_slice(encoded);
            }
            if "__name__" < label.name {
                put_metric_name(&mut self.series, &mut metric_name);
            }
            put_label(&mut self.series, label.name, &label.value);
        }
        for (name, encoded) in own {
            if "__name__" < *name {
                put_metric_name(&mut self.series, &mut metric_name);
            }
            self.series.extend_from_slice(encoded);
        }
        put_metric_name(&mut self.series, &mut metric_name);
        keys.hash_one(self.series.as_slice())
    }

    /// Adds the prepared series with one sample; `at` is in milliseconds since 1970.
    pub(super) fn push(&mut self, value: f64, at: i64) {
        let sample_bytes = 10 + varint_bytes(at.cast_unsigned());
        let series_bytes = self.series.len() + 2 + sample_bytes;
        let record_bytes = 1 + varint_bytes(series_bytes as u64) + series_bytes;
        while !self.message.is_empty() && self.message.len() + record_bytes > self.part_bytes {
            self.cut();
        }
        let out = &mut self.message;
        out.push(FIRST);
        put_varint(out, series_bytes as u64);
        out.extend_from_slice(&self.series);
        out.push(SECOND);
        put_varint(out, sample_bytes as u64);
        out.push(VALUE);
        out.extend_from_slice(&value.to_le_bytes());
        out.push(TIMESTAMP);
        put_varint(out, at.cast_unsigned());
        self.samples += 1;
    }

    /// Remembers this state for [`Self::roll_back`].
    pub(super) fn mark(&mut self) {
        self.marked = Mark {
            parts: self.parts.len(),
            message_bytes: self.message.len(),
            samples: self.samples,
        };
    }

    /// Forgets everything since the mark.
    pub(super) fn roll_back(&mut self) {
        self.parts.truncate(self.marked.parts);
        self.message.truncate(self.marked.message_bytes);
        self.samples = self.marked.samples;
    }

    /// Ends a heartbeat: everything since the last call, compressed.
    pub(super) fn finish(&mut self) -> Vec<Part> {
        self.cut_message(self.message.len());
        self.marked = Mark::default();
        for buffer in [&mut self.series, &mut self.message, &mut self.compressed] {
            buffer.truncate(KEPT_BYTES);
            buffer.shrink_to(KEPT_BYTES);
        }
        std::mem::take(&mut self.parts)
    }

    /// Makes room. What stood before the mark goes first and alone, so that a roll-back never has to open a part.
    fn cut(&mut self) {
        if self.marked.message_bytes == 0 {
            return self.cut_message(self.message.len());
        }
        let since = self.samples - self.marked.samples;
        self.samples = self.marked.samples;
        self.cut_message(self.marked.message_bytes);
        self.samples = since;
        self.marked = Mark { parts: self.parts.len(), ..Mark::default() };
    }

    /// Makes a part of the first `bytes` of the message, which hold `self.samples`.
    fn cut_message(&mut self, bytes: usize) {
        let Some(message) = self.message.get(..bytes).filter(|message| !message.is_empty()) else {
            return;
        };
        let body = compress(&mut self.snappy, message, &mut self.compressed);
        self.parts.push(Part { body, samples: self.samples });
        self.message.drain(..bytes);
        self.samples = 0;
    }
}

impl Part {
    /// Two parts with half of the series each; `None` if there is one series only.
    #[must_use]
    pub fn halves(&self) -> Option<[Self; 2]> {
        if self.samples < 2 {
            return None;
        }
        let message = snap::raw::Decoder::new().decompress_vec(&self.body).ok()?;
        let first_samples = self.samples / 2;
        let mut rest = message.as_slice();
        for _ in 0..first_samples {
            let (_, after_tag) = rest.split_first()?;
            let (length, after_length) = take_varint(after_tag)?;
            rest = after_length.get(usize::try_from(length).ok()?..)?;
        }
        let (first, second) = message.split_at_checked(message.len() - rest.len())?;
        let mut snappy = snap::raw::Encoder::new();
        let mut half = |message, samples| Self {
            body: compress(&mut snappy, message, &mut Vec::new()),
            samples,
        };
        Some([half(first, first_samples), half(second, self.samples - first_samples)])
    }
}

fn compress(snappy: &mut snap::raw::Encoder, message: &[u8], buffer: &mut Vec<u8>) -> Bytes {
    let longest = snap::raw::max_compress_len(message.len());
    if buffer.len() < longest {
        buffer.resize(longest, 0);
    }
    // It fails only for an input above 4 GiB or a buffer that is too small; both are excluded here.
    let length = snappy.compress(message, buffer).unwrap_or_default();
    Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())
}

fn put_metric_name(out: &mut Vec<u8>, name: &mut Option<&str>) {
    if let Some(name) = name.take() {
        put_label(out, "__name__", name);
    }
}

fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let (name_bytes, value_bytes) = (name.len() as u64, value.len() as u64);
    let label_bytes =
        2 + varint_bytes(name_bytes) + name.len() + varint_bytes(value_bytes) + value.len();
    out.push(FIRST);
    put_varint(out, label_bytes as u64);
    out.push(FIRST);
    put_varint(out, name_bytes);
    out.extend_from_slice(name.as_bytes());
    out.push(SECOND);
    put_varint(out, value_bytes);
    out.extend_from_slice(value.as_bytes());
}

/// Seven bits to a byte, the lowest first; the top bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn varint_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}
