//! What the service tells Prometheus about itself, at `/metrics` of the status listener.
//!
//! Names and labels follow the Prometheus conventions: a unit in the name, `_total` for counters, labels with few values. No label
//! names a person or a cluster. `docs/metrics.md` lists them all; a test holds the page against the program.

mod forwarding;
mod tunnels;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::edge::rate_limit::{Limit, Refusals, Remembered};
use crate::remote_write::RemoteWrite;
use forwarding::Forwarding;
pub use tunnels::TunnelMetrics;

/// All metrics of one service. Cloning is cheap: the clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answered requests by route, method and status.
    pub requests: IntCounterVec,
    /// Time from the complete head of a request to its answer, by route.
    pub request_seconds: HistogramVec,
    /// TLS handshakes by result: `completed`, `failed`, `timed_out`.
    pub handshakes: IntCounterVec,
    /// Time from the acceptance of a connection to the end of its handshake.
    pub handshake_seconds: Histogram,
    /// Connections that wait for the turn of their handshake.
    pub handshakes_waiting: IntGauge,
    /// Heartbeats by result: `stored`, `unknown`, `invalid`, `overloaded`, `failed`.
    pub heartbeats: IntCounterVec,
    /// Heartbeats that were written together.
    pub heartbeat_batch: Histogram,
    /// Heartbeats that wait to be written.
    pub heartbeat_queue: IntGauge,
    /// Enrolled clusters by state.
    pub clusters: IntGaugeVec,
    /// Enrolled clusters by the kinds of their warnings.
    pub clusters_with_warnings: IntGaugeVec,
    /// Seconds until the first of the clusters' certificates ends; no value without a cluster.
    pub cluster_certificate_expiry: GaugeVec,
    /// Database connections by state: `idle`, `used`.
    pub database_connections: IntGaugeVec,
    /// Finished logins by result: see [`LOGINS`].
    pub logins: IntCounterVec,
    /// Tunnels of clusters.
    pub tunnels: TunnelMetrics,
    certificate_expiry: Gauge,
    certificate_files: IntGaugeVec,
    build: GaugeVec,
}

/// Bucket bounds of request times in seconds: from a handshake's worth to the longest deadline.
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];
/// What may come of a login: it was `completed`, or that and `from_new_network`, where its person had logged in before but never from
/// there; it was `refused` by the provider or the person there, or it `failed`.
pub const LOGINS: [&str; 4] = ["completed", "from_new_network", "refused", "failed"];

/// Bucket bounds of batches.
const BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

impl Metrics {
    /// A registry with every metric at zero.
    ///
    /// # Errors
    ///
    /// When two metrics have one name: a defect.
    pub fn new(version: &str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("cluster_manager_{name}"), help);
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                opts("http_requests_total", "Answered requests."),
                &["route", "method", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::from(opts(
                    "http_request_duration_seconds",
                    "Time to answer a request.",
                ))
                .buckets(SECONDS.to_vec()),
                &["route"],
            )?,
            handshakes: IntCounterVec::new(
                opts("tls_handshakes_total", "TLS handshakes by result."),
                &["result"],
            )?,
            handshake_seconds: Histogram::with_opts(
                HistogramOpts::from(opts(
                    "tls_handshake_duration_seconds",
                    "Time from a connection to the end of its handshake.",
                ))
                .buckets(SECONDS.to_vec()),
            )?,
            handshakes_waiting: IntGauge::with_opts(opts(
                "tls_handshakes_waiting",
                "Connections that wait for the turn of their handshake.",
            ))?,
            heartbeats: IntCounterVec::new(
                opts("heartbeats_total", "Heartbeats by result."),
                &["result"],
            )?,
            heartbeat_batch: Histogram::with_opts(
                HistogramOpts::from(opts(
                    "heartbeat_batch_size",
                    "Heartbeats written in one statement.",
                ))
                .buckets(BATCHES.to_vec()),
            )?,
            heartbeat_queue: IntGauge::with_opts(opts(
                "heartbeat_queue_length",
                "Heartbeats that wait to be written.",
            ))?,
            clusters: IntGaugeVec::new(
                opts("clusters", "Enrolled clusters by state."),
                &["state"],
            )?,
            clusters_with_warnings: IntGaugeVec::new(
                opts("clusters_with_warnings", "Enrolled clusters by the kinds of their warnings."),
                &["kind"],
            )?,
            cluster_certificate_expiry: GaugeVec::new(
                opts(
                    "cluster_certificate_expiry_seconds",
                    "Seconds until the first of the clusters' certificates ends.",
                ),
                &[],
            )?,
            database_connections: IntGaugeVec::new(
                opts("database_connections", "Database connections of this process."),
                &["state"],
            )?,
            logins: IntCounterVec::new(
                opts("logins_total", "Finished logins by result."),
                &["result"],
            )?,
            tunnels: TunnelMetrics::new()?,
            certificate_files: IntGaugeVec::new(
                opts(
                    "certificate_files_not_presented",
                    "1 while the certificate's files are not what is presented.",
                ),
                &["reason"],
            )?,
            certificate_expiry: Gauge::with_opts(opts(
                "certificate_expiry_timestamp_seconds",
                "When the first of the listener's certificates ends, in seconds since 1970.",
            ))?,
            build: GaugeVec::new(
                opts("build_info", "Always 1; the label tells the version."),
                &["version"],
            )?,
        };
        for collector in metrics.collectors() {
            metrics.registry.register(collector)?;
        }
        metrics.build.with_label_values(&[version]).set(1.0);
        // The first of its kind is an increase, too.
        for result in LOGINS {
            metrics.logins.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all: Vec<Box<dyn Collector>> = vec![
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.handshakes.clone()),
            Box::new(self.handshake_seconds.clone()),
            Box::new(self.handshakes_waiting.clone()),
            Box::new(self.heartbeats.clone()),
            Box::new(self.heartbeat_batch.clone()),
            Box::new(self.heartbeat_queue.clone()),
            Box::new(self.clusters.clone()),
            Box::new(self.clusters_with_warnings.clone()),
            Box::new(self.cluster_certificate_expiry.clone()),
            Box::new(self.database_connections.clone()),
            Box::new(self.certificate_expiry.clone()),
            Box::new(self.certificate_files.clone()),
            Box::new(self.build.clone()),
            Box::new(self.logins.clone()),
        ];
        all.extend(self.tunnels.collectors());
        all
    }

    /// Counts an answered request. `route` is a pattern such as `/1.0/remote-cluster/{name}`, never a path.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.request_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// Counts a TLS handshake.
    pub fn handshaken(&self, result: &str, took: Duration) {
        self.handshakes.with_label_values(&[result]).inc();
        self.handshake_seconds.observe(took.as_secs_f64());
    }

    /// Notes whether the files of the listener's certificate are what is presented; else why not.
    pub fn certificate_files(&self, not_presented: Option<&str>) {
        for reason in ["pinned", "unusable"] {
            let applies = not_presented == Some(reason);
            self.certificate_files.with_label_values(&[reason]).set(applies.into());
        }
    }

    /// Notes when the first of the listener's certificates ends, in seconds since 1970.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
    pub fn certificate_ends(&self, not_after: i64) {
        self.certificate_expiry.set(not_after as f64);
    }

    /// Shows what the forwarding of the clusters' metrics does.
    ///
    /// # Errors
    ///
    /// When it is shown already: a defect.
    pub fn watch(&self, forward: &RemoteWrite) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(Forwarding::new(forward.clone())?))
    }

    /// Shows what the rate limits refuse, and how many clients they remember.
    ///
    /// # Errors
    ///
    /// When it is shown already: a defect.
    pub fn watch_limits(&self, limits: Vec<Arc<dyn Limit>>) -> Result<(), prometheus::Error> {
        let refused = Opts::new(
            "cluster_manager_rate_limit_refused_total",
            "Requests that were answered with 429.",
        );
        let refused = IntCounterVec::new(refused, &["limit", "scope"])?;
        let remembered = Opts::new(
            "cluster_manager_rate_limit_clients",
            "Clients that the tables of the rate limits remember.",
        );
        let remembered = IntGaugeVec::new(remembered, &["limit", "scope"])?;
        self.registry.register(Box::new(Limits { all: limits, refused, remembered }))
    }

    /// All metrics in the text exposition format, version 0.0.4.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written: a defect.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// Reads the counts of the rate limits when Prometheus asks.
struct Limits {
    all: Vec<Arc<dyn Limit>>,
    refused: IntCounterVec,
    remembered: IntGaugeVec,
}

impl Collector for Limits {
    fn desc(&self) -> Vec<&Desc> {
        [self.refused.desc(), self.remembered.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for Refusals { limit, scope, count } in self.all.iter().flat_map(|limit| limit.refusals()) {
            let counter = self.refused.with_label_values(&[limit, scope]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        for Remembered { limit, scope, count } in
            self.all.iter().flat_map(|limit| limit.remembered())
        {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.remembered.with_label_values(&[limit, scope]).set(count);
        }
        [self.refused.collect(), self.remembered.collect()].concat()
    }
}
