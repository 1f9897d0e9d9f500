use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

/// One of the series of every cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySeries {
    /// Length of its intervals.
    pub step: Duration,
    /// How many intervals it keeps.
    pub keep: u32,
    /// Length of its blocks of intervals.
    pub block: Duration,
    /// The intervals that ended by then are there; of the finest series, all.
    pub complete_until: OffsetDateTime,
    /// The blocks that ended by then are packed; later intervals have a row each.
    pub packed_until: OffsetDateTime,
}

impl HistorySeries {
    /// How far the series reaches back.
    #[must_use]
    pub fn reach(&self) -> Duration {
        self.step * self.keep
    }
}

/// What a cluster reported within one interval: averages over its heartbeats, and the highest values.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPoint {
    /// Beginning of the interval.
    pub at: OffsetDateTime,
    /// Heartbeats within it, at least 1.
    pub heartbeats: u32,
    /// Used memory in bytes: average and maximum.
    pub memory: [f32; 2],
    /// Memory in bytes.
    pub memory_total: f32,
    /// Load average over one minute, summed over the members: average and maximum.
    pub load: Option<[f32; 2]>,
    /// Cluster members: average and maximum.
    pub members: [f32; 2],
    /// Instances: average and maximum.
    pub instances: [f32; 2],
    /// Storage by pool name: used percent of the whole pool, and of its fullest member at its highest.
    pub pools: BTreeMap<String, [f32; 2]>,
}

impl HistoryPoint {
    /// Takes a later point into this one, as if both had been one interval.
    #[expect(clippy::cast_precision_loss, reason = "weights of an average")]
    pub fn absorb(&mut self, later: &Self) {
        let (own, others) = (self.heartbeats as f32, later.heartbeats as f32);
        let all = (own + others).max(1.0);
        let join = |[average, highest]: [f32; 2], [later_average, later_highest]: [f32; 2]| {
            [(average * own + later_average * others) / all, highest.max(later_highest)]
        };
        self.memory = join(self.memory, later.memory);
        self.memory_total = self.memory_total.max(later.memory_total);
        self.members = join(self.members, later.members);
        self.instances = join(self.instances, later.instances);
        self.load = match (self.load, later.load) {
            (Some(load), Some(later)) => Some(join(load, later)),
            (load, later) => load.or(later),
        };
        for (name, later) in &later.pools {
            let pool = self.pools.entry(name.clone()).or_insert(*later);
            *pool = join(*pool, *later);
        }
        self.heartbeats = self.heartbeats.saturating_add(later.heartbeats);
    }
}
