//! From the texts of one heartbeat to the requests of one batch.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use time::OffsetDateTime;

use super::budget::Budgets;
use super::encoder::{Encoder, OwnLabels, Part};
use super::exposition::{Exposition, Item, LineError};
use super::labels::{self, OwnNames};
use super::{MemberMetrics, Options};

/// What a heartbeat's texts became.
#[derive(Debug, Default)]
pub struct Batch {
    /// The requests, in the order of the texts.
    pub parts: Vec<Part>,
    /// Samples in the texts that could be read, forwarded or not.
    pub samples: u64,
    /// Samples that are not forwarded.
    pub left_out: LeftOut,
    /// For the first time within the hour, some were left out because the cluster had brought too many series.
    pub newly_over_budget: bool,
    /// Texts that were given up because of a bad line.
    pub texts_rejected: u64,
    /// The first such text: its member and the line.
    pub first_error: Option<(String, LineError)>,
    /// The heartbeat was not received later than one before it, or lies in the future: nothing is forwarded.
    pub not_newer: bool,
}

/// Samples that are not forwarded, by reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// The metric's name has none of the allowed prefixes.
    pub foreign: u64,
    /// The family's type is not known.
    pub unknown_family: u64,
    /// Too many labels, a name or a value that is too long.
    pub over_limit: u64,
    /// More samples than one heartbeat may have.
    pub too_many: u64,
    /// The same series once more.
    pub duplicate: u64,
    /// A new series of a cluster that has brought as many as it may in an hour.
    pub over_budget: u64,
}

/// Makes batches. It remembers the time of each cluster's newest one, and keeps its buffers.
pub struct Batcher {
    options: Arc<Options>,
    own_names: OwnNames,
    encoder: Encoder,
    keys: RandomState,
    /// Hashes of the heartbeat's series, and those of the current text among them.
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    seen_in_text: Vec<u64>,
    newest: NewestTimes,
    budgets: Budgets,
}

impl Batcher {
    /// With the prefixes, limits and sizes of `options`.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            options: Arc::new(options.clone()),
            own_names: OwnNames::new(&options.labels),
            encoder: Encoder::new(options.part_bytes),
            keys: RandomState::new(),
            seen: HashSet::default(),
            seen_in_text: Vec::new(),
            newest: NewestTimes::default(),
            budgets: Budgets::new(options.limits.series),
        }
    }

    /// Turns the texts of one heartbeat into requests; all samples carry `received_at`.
    ///
    /// `now` is what the clock shows: should it have been set back since the heartbeat was received, `now` counts.
    pub fn encode(
        &mut self,
        cluster: &str,
        received_at: OffsetDateTime,
        now: OffsetDateTime,
        texts: &[MemberMetrics],
    ) -> Batch {
        let mut batch = Batch::default();
        let at = milliseconds(received_at.min(now));
        if !self.newest.advance(cluster, at) {
            batch.not_newer = true;
            return batch;
        }
        let options = Arc::clone(&self.options);
        for text in texts {
            self.encoder.mark();
            self.seen_in_text.clear();
            let own = OwnLabels::new(cluster, &text.member, &options.labels);
            let before = (batch.samples, batch.left_out);
            let cluster = (cluster, &own);
            if let Err(error) = self.encode_text(cluster, at, &text.metrics, &mut batch) {
                self.encoder.roll_back();
                for series in &self.seen_in_text {
                    self.seen.remove(series);
                }
                (batch.samples, batch.left_out) = before;
                batch.texts_rejected += 1;
                batch.first_error.get_or_insert_with(|| (text.member.clone(), error));
            }
        }
        if batch.left_out.over_budget > 0 {
            batch.newly_over_budget = self.budgets.of(cluster, at).tell();
        }
        self.seen.clear();
        self.seen.shrink_to(1 << 16);
        self.seen_in_text.shrink_to(1 << 16);
        batch.parts = self.encoder.finish();
        batch
    }

    fn encode_text(
        &mut self,
        (cluster, own): (&str, &OwnLabels<'_>),
        at: i64,
        text: &str,
        batch: &mut Batch,
    ) -> Result<(), LineError> {
        let mut exposition = Exposition::new(text, self.options.limits.sample);
        let mut budget = self.budgets.of(cluster, at);
        let prefixes = &self.options.prefixes;
        let allowed = |name: &str| prefixes.iter().any(|p| name.starts_with(p.as_str()));
        while let Some(item) = exposition.next_item()? {
            batch.samples += 1;
            let left_out = &mut batch.left_out;
            match item {
                Item::UnknownFamily => left_out.unknown_family += 1,
                Item::OverLimit => left_out.over_limit += 1,
                Item::Sample { name, .. } if !allowed(name) => left_out.foreign += 1,
                Item::Sample { .. } if self.seen.len() >= self.options.limits.samples => {
                    left_out.too_many += 1;
                }
                Item::Sample { name, labels, value } => {
                    labels::normalise(labels, &self.own_names);
                    let series = self.encoder.prepare(own, name, labels, &self.keys);
                    if !self.seen.insert(series) {
                        left_out.duplicate += 1;
                        continue;
                    }
                    self.seen_in_text.push(series);
                    if budget.admits(series) {
                        self.encoder.push(value, at);
                    } else {
                        left_out.over_budget += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The time of each cluster's newest batch, so that times only rise.
#[derive(Default)]
struct NewestTimes {
    by_cluster: HashMap<Box<str>, i64>,
    /// At this size, old entries go: the clusters may not exist any more.
    tidy_at: usize,
}

impl NewestTimes {
    const TIDY_AT_LEAST: usize = 1024;
    /// Only a clock that is set back by more than a day could still need an older entry.
    const KEPT_MS: i64 = 24 * 3600 * 1000;

    /// Takes note of a batch; `false` if there was one at this time or later.
    fn advance(&mut self, cluster: &str, at: i64) -> bool {
        if let Some(newest) = self.by_cluster.get_mut(cluster) {
            let newer = *newest < at;
            *newest = at.max(*newest);
            return newer;
        }
        if self.by_cluster.len() >= self.tidy_at.max(Self::TIDY_AT_LEAST) {
            self.by_cluster.retain(|_, newest| *newest > at.saturating_sub(Self::KEPT_MS));
            self.tidy_at = self.by_cluster.len() * 2;
        }
        self.by_cluster.insert(cluster.into(), at);
        true
    }
}

fn milliseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Takes a hash as it is: it was made with a secret key.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
