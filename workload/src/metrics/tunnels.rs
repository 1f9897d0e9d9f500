//! What tunnels tell about themselves.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

/// Metrics of tunnels. Clones count together.
#[derive(Clone, Debug)]
pub struct TunnelMetrics {
    /// Tunnels that are open at this unit.
    pub open: IntGauge,
    /// Tunnels that ended, by reason.
    pub closed: IntCounterVec,
    /// Requests to clusters by outcome.
    pub requests: IntCounterVec,
    /// Time from a request's arrival at the unit with the tunnel to its answer.
    pub request_seconds: Histogram,
    /// Messages of clusters that answer nothing.
    pub strays: IntCounter,
}

/// Why tunnels end, and how requests do: they are shown from the start, as 0.
const CLOSED: [&str; 8] =
    ["abuse", "gone", "replaced", "revoked", "silent", "stopping", "stuck", "unavailable"];
const OUTCOMES: [&str; 9] = [
    "abandoned",
    "answered",
    "broken",
    "busy",
    "no_answer",
    "no_tunnel",
    "nonsense",
    "unavailable",
    "waited",
];

/// Bucket bounds of request times in seconds: up to a turn's waiting time and an answer's together.
const SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0];

impl TunnelMetrics {
    /// All at zero.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let name = |name: &str| format!("cluster_manager_{name}");
        let metrics = Self {
            open: IntGauge::new(name("tunnels"), "Open tunnels of clusters at this unit.")?,
            closed: IntCounterVec::new(
                Opts::new(name("tunnels_closed_total"), "Tunnels that ended, by reason."),
                &["reason"],
            )?,
            requests: IntCounterVec::new(
                Opts::new(name("tunnel_requests_total"), "Requests through tunnels by outcome."),
                &["outcome"],
            )?,
            request_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    name("tunnel_request_duration_seconds"),
                    "Time of a request through a tunnel, waiting included.",
                )
                .buckets(SECONDS.to_vec()),
            )?,
            strays: IntCounter::new(
                name("tunnel_stray_answers_total"),
                "Messages of clusters that answer no request under way.",
            )?,
        };
        for reason in CLOSED {
            metrics.closed.with_label_values(&[reason]);
        }
        for outcome in OUTCOMES {
            metrics.requests.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.open.clone()),
            Box::new(self.closed.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.strays.clone()),
        ]
    }
}
