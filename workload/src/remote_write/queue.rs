//! The metrics that wait: bounded by bytes and by age, in order within each cluster.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::MemberMetrics;
use super::stats::Stats;

/// The metrics of one heartbeat.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) cluster: Box<str>,
    pub(super) received_at: OffsetDateTime,
    /// What its age counts from.
    pub(super) queued_at: Instant,
    /// The receivers' queues share them.
    pub(super) texts: Arc<[MemberMetrics]>,
}

impl Heartbeat {
    /// Memory that it holds, in bytes.
    fn bytes(&self) -> usize {
        let texts: usize = self
            .texts
            .iter()
            .map(|text| {
                size_of::<MemberMetrics>()
                    + text.member.capacity()
                    + text.service.capacity()
                    + text.metrics.capacity()
            })
            .sum();
        size_of::<Self>() + self.cluster.len() + texts
    }
}

/// One line per worker; a cluster always stands in the same one.
#[derive(Debug)]
pub(super) struct Queue {
    lines: Mutex<Lines>,
    wake: Vec<Notify>,
    max_bytes: usize,
    max_age: Duration,
    keys: RandomState,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Lines {
    waiting: Vec<VecDeque<Heartbeat>>,
    bytes: usize,
    closed: bool,
}

impl Lines {
    /// Takes the heartbeat that has waited for longest.
    fn take_oldest(&mut self) -> Option<Heartbeat> {
        let fronts = self.waiting.iter_mut().filter(|line| !line.is_empty());
        let line = fronts.min_by_key(|line| line.front().map(|heartbeat| heartbeat.queued_at))?;
        let heartbeat = line.pop_front()?;
        self.bytes -= heartbeat.bytes();
        Some(heartbeat)
    }

    fn take_expired(&mut self, line: usize, max_age: Duration) -> Vec<Heartbeat> {
        let mut expired = Vec::new();
        if let Some(line) = self.waiting.get_mut(line) {
            while let Some(old) = line.pop_front_if(|front| front.queued_at.elapsed() >= max_age) {
                self.bytes -= old.bytes();
                expired.push(old);
            }
        }
        expired
    }
}

impl Queue {
    pub(super) fn new(
        lines: usize,
        max_bytes: usize,
        max_age: Duration,
        stats: Arc<Stats>,
    ) -> Self {
        let waiting = (0..lines).map(|_| VecDeque::new()).collect();
        Self {
            lines: Mutex::new(Lines { waiting, bytes: 0, closed: false }),
            wake: (0..lines).map(|_| Notify::new()).collect(),
            max_bytes,
            max_age,
            keys: RandomState::new(),
            stats,
        }
    }

    /// Adds a heartbeat and drops the oldest ones for which there is no room any more. It takes no time worth the name:
    /// what is dropped was as long as what comes.
    pub(super) fn push(&self, heartbeat: Heartbeat) {
        let bytes = heartbeat.bytes();
        let hash = self.keys.hash_one(&heartbeat.cluster);
        let line = usize::try_from(hash % self.wake.len() as u64).unwrap_or_default();
        let mut lines = self.lock();
        if lines.closed || bytes > self.max_bytes {
            let count = if lines.closed {
                &self.stats.heartbeats_dropped_stopped
            } else {
                &self.stats.heartbeats_dropped_queue_full
            };
            return count.add(1);
        }
        let mut dropped = Vec::new();
        while lines.bytes + bytes > self.max_bytes {
            let Some(oldest) = lines.take_oldest() else { break };
            dropped.push(oldest);
        }
        lines.bytes += bytes;
        if let Some(line) = lines.waiting.get_mut(line) {
            line.push_back(heartbeat);
        }
        self.publish(&lines);
        drop(lines);
        self.stats.heartbeats_dropped_queue_full.add(dropped.len() as u64);
        if let Some(wake) = self.wake.get(line) {
            wake.notify_one();
        }
    }

    /// The oldest heartbeat of a line; those that are too old are dropped. The one that a worker holds is older than any that
    /// wait in its line, so nothing becomes too old while nobody looks.
    pub(super) fn pop(&self, line: usize) -> Option<Heartbeat> {
        let mut lines = self.lock();
        let expired = lines.take_expired(line, self.max_age);
        let heartbeat = lines.waiting.get_mut(line).and_then(VecDeque::pop_front);
        lines.bytes -= heartbeat.as_ref().map_or(0, Heartbeat::bytes);
        self.publish(&lines);
        drop(lines);
        self.stats.heartbeats_dropped_too_old.add(expired.len() as u64);
        heartbeat
    }

    /// Waits until something may have come into a line.
    pub(super) async fn arrival(&self, line: usize) {
        match self.wake.get(line) {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Drops everything, now and from now on. Returns how many heartbeats are dropped now.
    pub(super) fn close(&self) -> usize {
        let mut lines = self.lock();
        lines.closed = true;
        let dropped: Vec<_> = std::iter::from_fn(|| lines.take_oldest()).collect();
        self.publish(&lines);
        drop(lines);
        self.stats.heartbeats_dropped_stopped.add(dropped.len() as u64);
        dropped.len()
    }

    fn publish(&self, lines: &Lines) {
        self.stats.queue_bytes.set(lines.bytes as u64);
        self.stats.queue_heartbeats.set(lines.waiting.iter().map(|line| line.len() as u64).sum());
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
