//! What a fleet has done so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A reading of a fleet's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Clusters that joined or went on from stored state.
    pub joined: u64,
    /// Clusters that could not join.
    pub join_failures: u64,
    /// Heartbeats answered with 200.
    pub heartbeats_ok: u64,
    /// Heartbeats refused or not answered.
    pub heartbeats_failed: u64,
    /// Time from the start of the preflight to the answer, summed over accepted heartbeats.
    pub heartbeat_time: Duration,
    /// The longest of these times.
    pub slowest_heartbeat: Duration,
    /// The newest error, with the name of its cluster.
    pub last_error: Option<String>,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    joined: AtomicU64,
    join_failures: AtomicU64,
    heartbeats_ok: AtomicU64,
    heartbeats_failed: AtomicU64,
    heartbeat_us: AtomicU64,
    slowest_us: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Tally {
    pub(crate) fn joined(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn join_failed(&self, error: String) {
        self.join_failures.fetch_add(1, Ordering::Relaxed);
        self.remember(error);
    }

    pub(crate) fn heartbeat_ok(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.heartbeats_ok.fetch_add(1, Ordering::Relaxed);
        self.heartbeat_us.fetch_add(us, Ordering::Relaxed);
        self.slowest_us.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn heartbeat_failed(&self, error: String) {
        self.heartbeats_failed.fetch_add(1, Ordering::Relaxed);
        self.remember(error);
    }

    fn remember(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn read(&self) -> Counters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            joined: of(&self.joined),
            join_failures: of(&self.join_failures),
            heartbeats_ok: of(&self.heartbeats_ok),
            heartbeats_failed: of(&self.heartbeats_failed),
            heartbeat_time: Duration::from_micros(of(&self.heartbeat_us)),
            slowest_heartbeat: Duration::from_micros(of(&self.slowest_us)),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
