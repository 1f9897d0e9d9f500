//! What the forwarding of the clusters' metrics does.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::remote_write::{RemoteWrite, Stats};

/// Reads the counts of the forwarding when Prometheus asks.
pub(super) struct Forwarding {
    forward: RemoteWrite,
    counters: [IntCounterVec; 6],
    gauges: [IntGaugeVec; 2],
}

impl Forwarding {
    pub(super) fn new(forward: RemoteWrite) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| {
            Opts::new(format!("cluster_manager_remote_write_{name}"), help)
        };
        let counter = |name: &str, help: &str, label: &[&str]| {
            IntCounterVec::new(opts(name, help), &[&["receiver"], label].concat())
        };
        let gauge = |name: &str, help: &str| IntGaugeVec::new(opts(name, help), &["receiver"]);
        Ok(Self {
            forward,
            counters: [
                counter(
                    "samples_sent_total",
                    "Samples of clusters that the receiver has stored.",
                    &[],
                )?,
                counter(
                    "samples_dropped_total",
                    "Samples of clusters that were not forwarded.",
                    &["reason"],
                )?,
                counter(
                    "texts_dropped_total",
                    "Texts of members that were not read.",
                    &["reason"],
                )?,
                counter(
                    "heartbeats_dropped_total",
                    "Heartbeats whose metrics were not forwarded.",
                    &["reason"],
                )?,
                counter("requests_total", "Requests to the receiver.", &["result"])?,
                counter("bytes_sent_total", "Bytes of stored requests, compressed.", &[])?,
            ],
            gauges: [
                gauge("queue_heartbeats", "Heartbeats whose metrics wait.")?,
                gauge("queue_bytes", "Bytes of metrics that wait.")?,
            ],
        })
    }

    fn show(&self, receiver: &str, stats: &Stats) {
        let requests = [
            ("stored", stats.requests.get()),
            ("refused", stats.requests_refused.get()),
            ("retried", stats.retries.get()),
        ];
        let [samples_sent, samples, texts, heartbeats, outcome, bytes_sent] = &self.counters;
        let raise = |counter: &IntCounterVec, labels: &[&str], value: u64| {
            let counter = counter.with_label_values(labels);
            counter.inc_by(value.saturating_sub(counter.get()));
        };
        raise(samples_sent, &[receiver], stats.samples_sent.get());
        raise(bytes_sent, &[receiver], stats.bytes_sent.get());
        for (counter, counts) in [
            (samples, stats.samples_dropped().as_slice()),
            (texts, &stats.texts_dropped()),
            (heartbeats, &stats.heartbeats_dropped()),
            (outcome, &requests),
        ] {
            for (label, count) in counts {
                raise(counter, &[receiver, label], *count);
            }
        }
        for (gauge, value) in
            self.gauges.iter().zip([stats.queue_heartbeats.get(), stats.queue_bytes.get()])
        {
            gauge.with_label_values(&[receiver]).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}

impl Collector for Forwarding {
    fn desc(&self) -> Vec<&Desc> {
        let counters = self.counters.iter().flat_map(Collector::desc);
        counters.chain(self.gauges.iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (receiver, stats) in self.forward.receivers() {
            self.show(receiver, stats);
        }
        let counters = self.counters.iter().flat_map(Collector::collect);
        counters.chain(self.gauges.iter().flat_map(Collector::collect)).collect()
    }
}
