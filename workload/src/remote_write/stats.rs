//! What the forwarding has done so far, for the page of the server's own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only this module changes.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number at present.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// Numbers since the start of the process. All of them only rise, except the two that are called `queue_...`.
///
/// A heartbeat's metrics are counted as a heartbeat while they are text, as samples once they have been read.
#[derive(Debug, Default)]
pub struct Stats {
    /// Heartbeats with metrics that were handed over.
    pub heartbeats: Count,
    /// Heartbeats whose metrics were dropped unread, because newer ones needed the room.
    pub heartbeats_dropped_queue_full: Count,
    /// Heartbeats whose metrics were dropped unread, because they waited for too long.
    pub heartbeats_dropped_too_old: Count,
    /// Heartbeats whose metrics were dropped unread, because the server stopped.
    pub heartbeats_dropped_stopped: Count,
    /// Heartbeats that were not received later than the cluster's last one: the clock was set back, or two came at once.
    pub heartbeats_dropped_not_newer: Count,
    /// Heartbeats whose metrics were dropped, because reading them ended the thread: a defect of the server.
    pub heartbeats_dropped_failed: Count,
    /// Texts of members in all heartbeats.
    pub texts: Count,
    /// Texts of another service than LXD.
    pub texts_dropped_service: Count,
    /// Texts that were too long, too many, or of a member whose name is too long.
    pub texts_dropped_over_limit: Count,
    /// Texts with a line that is neither a sample nor a comment.
    pub texts_dropped_bad_line: Count,
    /// Samples that were read.
    pub samples: Count,
    /// Samples that the receiver has stored.
    pub samples_sent: Count,
    /// Samples of metrics whose name has no allowed prefix.
    pub samples_dropped_foreign: Count,
    /// Samples of families with a type that is not known.
    pub samples_dropped_unknown_family: Count,
    /// Samples with too many labels, or with a name or value that is too long.
    pub samples_dropped_over_limit: Count,
    /// Samples beyond the most that a heartbeat may have.
    pub samples_dropped_too_many: Count,
    /// Samples of a series that the same heartbeat had before.
    pub samples_dropped_duplicate: Count,
    /// Samples of new series of a cluster that had brought as many as it may in an hour.
    pub samples_dropped_over_budget: Count,
    /// Samples in requests that the receiver refused.
    pub samples_dropped_refused: Count,
    /// Samples that could not be delivered in time.
    pub samples_dropped_too_old: Count,
    /// Samples that were not delivered before the server stopped.
    pub samples_dropped_stopped: Count,
    /// Requests that the receiver has stored.
    pub requests: Count,
    /// Requests that the receiver refused (an answer of 4xx except 429, or one that makes no sense).
    pub requests_refused: Count,
    /// Attempts that failed and were to be repeated: no connection, no answer in time, 5xx, 429.
    pub retries: Count,
    /// Bytes of stored requests, compressed.
    pub bytes_sent: Count,
    /// Heartbeats that wait.
    pub queue_heartbeats: Count,
    /// Bytes that they hold.
    pub queue_bytes: Count,
}

impl Stats {
    /// Samples that were not forwarded, by reason (the value for a label of that name).
    #[must_use]
    pub fn samples_dropped(&self) -> [(&'static str, u64); 9] {
        [
            ("duplicate", self.samples_dropped_duplicate.get()),
            ("foreign", self.samples_dropped_foreign.get()),
            ("over_budget", self.samples_dropped_over_budget.get()),
            ("over_limit", self.samples_dropped_over_limit.get()),
            ("refused", self.samples_dropped_refused.get()),
            ("stopped", self.samples_dropped_stopped.get()),
            ("too_many", self.samples_dropped_too_many.get()),
            ("too_old", self.samples_dropped_too_old.get()),
            ("unknown_family", self.samples_dropped_unknown_family.get()),
        ]
    }

    /// Texts that were dropped before or while they were read, by reason.
    #[must_use]
    pub fn texts_dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("bad_line", self.texts_dropped_bad_line.get()),
            ("over_limit", self.texts_dropped_over_limit.get()),
            ("service", self.texts_dropped_service.get()),
        ]
    }

    /// Heartbeats whose metrics were dropped before their samples were known, by reason.
    #[must_use]
    pub fn heartbeats_dropped(&self) -> [(&'static str, u64); 5] {
        [
            ("failed", self.heartbeats_dropped_failed.get()),
            ("not_newer", self.heartbeats_dropped_not_newer.get()),
            ("queue_full", self.heartbeats_dropped_queue_full.get()),
            ("stopped", self.heartbeats_dropped_stopped.get()),
            ("too_old", self.heartbeats_dropped_too_old.get()),
        ]
    }
}
