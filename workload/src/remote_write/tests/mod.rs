//! Tests of the whole module, with decoders and a parser that share no code with it.

mod batches;
mod delivery;
mod http;
mod outage;
mod parsing;
mod prometheus;
mod reference;
mod secured;

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::receiver::{Answer, Receiver};
use super::{MemberMetrics, Options, RemoteWrite, Selected, Shared, Stats};

/// The messages of remote write 1.0, for reading only.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<PbLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<PbSample>,
}

#[derive(Clone, PartialEq, Message)]
struct PbLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct PbSample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

impl TimeSeries {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|label| label.name == name).map(|label| label.value.as_str())
    }

    /// As Prometheus prints it: `name{label="value",...}`.
    fn text(&self) -> String {
        let labels: Vec<_> = self.labels.iter().filter(|label| label.name != "__name__").collect();
        let labels: Vec<_> = labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
        format!("{}{{{}}}", self.label("__name__").unwrap(), labels.join(","))
    }
}

fn decode(body: &[u8]) -> Vec<TimeSeries> {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    WriteRequest::decode(message.as_slice()).unwrap().timeseries
}

fn text(member: &str, metrics: &str) -> MemberMetrics {
    MemberMetrics { member: member.into(), service: "LXD".into(), metrics: metrics.into() }
}

/// One sample per number, each of its own series.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("lxd_a{{n=\"{number}\"}} 1\n")).collect::<Vec<_>>().concat()
}

fn example(file: &str) -> Vec<MemberMetrics> {
    let path = format!("{}/../tests/examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut heartbeat: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(heartbeat["server_metrics"].take()).unwrap()
}

/// A moment in the past, so that it is never in the future of the clock that the workers read.
fn moment(seconds: u64) -> OffsetDateTime {
    static YESTERDAY: LazyLock<OffsetDateTime> =
        LazyLock::new(|| OffsetDateTime::now_utc() - Duration::from_hours(24));
    *YESTERDAY + Duration::from_secs(seconds)
}

/// What a fake receiver does with a request.
enum Does {
    Answer(Answer),
    Hang,
}

type Rule = Box<dyn Fn(&[TimeSeries]) -> Does + Send + Sync>;

/// A receiver in memory: it follows its script, then its rule, and notes every request.
struct Fake {
    script: Mutex<VecDeque<Does>>,
    rule: Rule,
    requests: Mutex<Vec<(Instant, Vec<TimeSeries>)>>,
}

impl Fake {
    fn new(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Self::with_rule(script, |_| Does::Answer(Answer::Stored))
    }

    fn with_rule(
        script: impl IntoIterator<Item = Does>,
        rule: impl Fn(&[TimeSeries]) -> Does + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            rule: Box::new(rule),
            requests: Mutex::default(),
        })
    }

    /// Times between the requests.
    fn gaps(&self) -> Vec<Duration> {
        let requests = self.requests.lock().unwrap();
        requests.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    /// The series of each request, as text.
    fn series(&self) -> Vec<Vec<String>> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|(_, all)| all.iter().map(TimeSeries::text).collect()).collect()
    }
}

impl Receiver for Fake {
    async fn send(&self, body: Bytes) -> Answer {
        let series = decode(&body);
        let scripted = self.script.lock().unwrap().pop_front();
        let does = scripted.unwrap_or_else(|| (self.rule)(&series));
        self.requests.lock().unwrap().push((Instant::now(), series));
        match does {
            Does::Answer(answer) => answer,
            Does::Hang => std::future::pending().await,
        }
    }
}

fn later(after: Option<u64>) -> Does {
    Does::Answer(Answer::Later { after: after.map(Duration::from_secs), reason: "busy".into() })
}

fn refused(bad_sample: bool) -> Does {
    Does::Answer(Answer::Refused { bad_sample, reason: "no".into() })
}

fn start(options: Options, receiver: &Arc<Fake>) -> Arc<Shared> {
    let shared = Arc::new(Shared::new(options));
    shared.spawn_workers("fake", receiver);
    shared
}

/// Hands a heartbeat over, as [`RemoteWrite::enqueue`] does for each receiver.
fn enqueue(shared: &Shared, cluster: &str, received_at: OffsetDateTime, texts: Vec<MemberMetrics>) {
    shared.enqueue(cluster, received_at, &Selected::new(texts, &shared.options.limits));
}

/// The counts of the one receiver.
fn stats(client: &RemoteWrite) -> &Stats {
    client.receivers().next().unwrap().1
}

fn one_worker() -> Options {
    Options { workers: std::num::NonZeroUsize::MIN, ..Options::default() }
}
