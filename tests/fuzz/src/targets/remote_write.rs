//! From the texts of a heartbeat to requests of remote write, which an independent decoder opens. The input is the texts of
//! several members with a NUL between them.

use std::collections::HashSet;

use cluster_manager::remote_write::{Batch, Batcher, LeftOut, Limits, MemberMetrics, Options};
use prost::Message;
use time::OffsetDateTime;

use super::exposition::DICTIONARY;
use super::{ensure, reference};
use crate::{Target, Verdict};

const CLUSTER: &str = "oslo-north";
/// Small enough that inputs of the corpus make several parts.
const PART_BYTES: usize = 2000;
const MOST_SAMPLES: usize = 500;
/// 2027-01-01, in milliseconds since 1970.
const MOMENT: i64 = 1_798_761_600_000;

/// The messages of remote write 1.0.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

pub(super) fn target() -> Target {
    Target {
        name: "remote_write",
        dictionary: DICTIONARY,
        max_bytes: 64 << 10,
        changes: 4000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(input) else { return Ok("not text".into()) };
    let texts: Vec<_> = text
        .split('\0')
        .zip(["n1", "n2", "", "n1", "né\"\\"].into_iter().cycle())
        .map(|(metrics, member)| MemberMetrics {
            member: member.into(),
            service: "LXD".into(),
            metrics: metrics.into(),
        })
        .collect();
    let options = Options {
        part_bytes: PART_BYTES,
        limits: Limits { samples: MOST_SAMPLES, ..Limits::default() },
        ..Options::default()
    };
    let now = OffsetDateTime::from_unix_timestamp(MOMENT / 1000).map_err(|e| e.to_string())?;
    let batch = Batcher::new(&options).encode(CLUSTER, now, now, &texts);
    let series = follows_the_rules(&batch)?;

    // What the reference reads and no rule leaves out is there, and nothing else.
    let read: Vec<_> = texts.iter().map(|text| reference::read(&text.metrics)).collect();
    let rejected = read.iter().filter(|samples| samples.is_err()).count();
    ensure!(batch.texts_rejected == u64::try_from(rejected).unwrap(), "other texts are rejected");
    let LeftOut { foreign, unknown_family, over_limit, too_many, duplicate, over_budget } =
        batch.left_out;
    let left_out = foreign + unknown_family + over_limit + too_many + duplicate + over_budget;
    ensure!(batch.samples == series + left_out, "the counts do not come to the samples");
    let known: usize = read.iter().flatten().map(Vec::len).sum();
    ensure!(
        batch.samples - unknown_family == u64::try_from(known).unwrap(),
        "{} samples are counted, not {known}",
        batch.samples - unknown_family
    );
    let left_out = [foreign, unknown_family, over_limit, too_many, duplicate].map(|n| n > 0);
    let parts = super::size(batch.parts.len());
    Ok(format!("{parts} parts, rejected {}, left out {left_out:?}", rejected > 0))
}

/// What remote write 1.0 demands, and what the manager promises on top; the answer is the number of series.
fn follows_the_rules(batch: &Batch) -> Result<u64, String> {
    let mut seen = HashSet::new();
    for part in &batch.parts {
        let message = snap::raw::Decoder::new()
            .decompress_vec(&part.body)
            .map_err(|error| format!("Snappy: {error}"))?;
        let request = WriteRequest::decode(message.as_slice())
            .map_err(|error| format!("Protocol Buffers: {error}"))?;
        let series = request.timeseries;
        ensure!(part.samples == series.len() as u64 && part.samples > 0, "a part's count is wrong");
        ensure!(message.len() <= PART_BYTES || series.len() == 1, "a part is too long");
        for series in series {
            follows_the_rules_of_series(&series)?;
            let labels: Vec<_> = series.labels.into_iter().map(|l| (l.name, l.value)).collect();
            ensure!(seen.insert(labels.clone()), "{labels:?} stands twice");
        }
    }
    Ok(seen.len() as u64)
}

fn follows_the_rules_of_series(series: &TimeSeries) -> Result<(), String> {
    let names: Vec<_> = series.labels.iter().map(|label| label.name.as_str()).collect();
    ensure!(names.is_sorted_by(|a, b| a < b), "{names:?} are not sorted and unique");
    let value = |name: &str| {
        series.labels.iter().find(|label| label.name == name).map(|label| label.value.as_str())
    };
    for Label { name, value } in &series.labels {
        let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        ensure!(is_word && begins, "{name:?} is no name of a label");
        ensure!(name == "__name__" || !name.starts_with("__"), "{name:?} is reserved");
        ensure!(!value.is_empty(), "{name} has no value");
        ensure!(value.len() <= 1024, "the value of {name} has {} bytes", value.len());
    }
    ensure!(value("__name__").is_some_and(|name| name.starts_with("lxd_")), "a foreign name");
    ensure!(value("cluster") == Some(CLUSTER), "the label cluster is not the manager's");
    ensure!(value("job") == Some("oslo_north"), "the label job is not the manager's");
    let member = value("member");
    ensure!(
        [None, Some("n1"), Some("n2"), Some("né\"\\")].contains(&member),
        "the label member is not the manager's: {member:?}"
    );
    let times: Vec<_> = series.samples.iter().map(|sample| sample.timestamp).collect();
    ensure!(times == [MOMENT], "the times are {times:?}");
    Ok(())
}
