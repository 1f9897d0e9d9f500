//! The fleet in few numbers.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use super::entry::Entry;
use super::row::FullestPool;
use crate::domain::freshness::Freshness;
use crate::domain::warnings::KINDS;
use crate::model::FleetSample;

/// How many clusters each list of the worst names.
const TOP: usize = 5;

/// The fleet in few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Summary {
    /// Clusters by state.
    pub clusters: States,
    /// How many clusters have a warning of each kind.
    pub warnings: BTreeMap<&'static str, u64>,
    /// Members of all clusters.
    pub members: Members,
    /// Instances of all clusters.
    pub instances: Instances,
    /// Memory in bytes.
    pub memory: Usage,
    /// Storage in bytes.
    pub storage: Usage,
    /// The worst clusters.
    pub top: Top,
    /// When this was so.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// Clusters by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct States {
    /// All.
    pub total: u64,
    /// Heard of in time.
    pub online: u64,
    /// Late.
    pub stale: u64,
    /// Silent.
    pub offline: u64,
    /// Joined a moment ago.
    pub waiting: u64,
    /// Never heard of.
    pub never: u64,
    /// With at least one warning.
    pub with_warnings: u64,
}

/// Members of all clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Members {
    /// All.
    pub total: i64,
    /// Those in another state than online.
    pub not_online: i64,
}

/// Instances of all clusters by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Instances {
    /// All.
    pub total: i64,
    /// Running, and ready, which is running.
    pub running: i64,
    /// Stopped.
    pub stopped: i64,
    /// In an error state.
    pub error: i64,
    /// In any other state.
    pub other: i64,
}

/// Bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// Used.
    pub used: u64,
    /// All.
    pub total: u64,
}

/// At most five clusters for each thing that can be wrong, the worst first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Top {
    /// The least free memory.
    pub memory: Vec<TopMemory>,
    /// The fullest storage pools.
    pub storage: Vec<FullPool>,
    /// The most warnings.
    pub warnings: Vec<TopWarnings>,
    /// Silent for the longest time.
    pub silent: Vec<TopSilent>,
}

/// A cluster and its memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TopMemory {
    /// The cluster.
    pub name: String,
    /// Used memory in percent, rounded up.
    pub percent: u64,
}

/// A cluster and its fullest storage pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FullPool {
    /// The cluster.
    pub name: String,
    /// The pool.
    pub pool: String,
    /// How full it is in percent, rounded up.
    pub percent: u64,
}

/// A cluster and its warnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TopWarnings {
    /// The cluster.
    pub name: String,
    /// How many it has.
    pub count: u64,
}

/// A cluster that is late or silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TopSilent {
    /// The cluster.
    pub name: String,
    /// Its last heartbeat; before the first one, when it joined.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl Summary {
    pub(super) fn of(entries: &[Arc<Entry>], at: OffsetDateTime) -> Self {
        let mut summary = Self {
            clusters: States::default(),
            warnings: KINDS.map(|kind| (kind, 0)).into(),
            members: Members::default(),
            instances: Instances::default(),
            memory: Usage::default(),
            storage: Usage::default(),
            top: Top::of(entries),
            at,
        };
        for entry in entries {
            summary.add(entry);
        }
        summary
    }

    fn add(&mut self, entry: &Entry) {
        let Entry { row, cluster, .. } = entry;
        let states = &mut self.clusters;
        states.total += 1;
        states.with_warnings += u64::from(!entry.kinds.is_empty());
        *match entry.freshness {
            Freshness::Online => &mut states.online,
            Freshness::Stale => &mut states.stale,
            Freshness::Offline => &mut states.offline,
            Freshness::Waiting => &mut states.waiting,
            Freshness::Never => &mut states.never,
        } += 1;
        for kind in &entry.kinds {
            *self.warnings.entry(kind).or_default() += 1;
        }
        let add = |sum: &mut i64, count: i64| *sum = sum.saturating_add(count);
        add(&mut self.members.total, row.members[0]);
        add(&mut self.members.not_online, row.members[1]);
        add(&mut self.instances.total, cluster.instance_count);
        for status in &cluster.instance_statuses {
            let sum = match status.status.as_str() {
                "Running" | "Ready" => &mut self.instances.running,
                "Stopped" => &mut self.instances.stopped,
                "Error" => &mut self.instances.error,
                _ => &mut self.instances.other,
            };
            add(sum, status.count);
        }
        self.memory.add(row.memory.map(i64::unsigned_abs));
        self.storage.add(row.storage);
    }

    /// What the history keeps.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "averages of large numbers may be rounded")]
    pub fn sample(&self) -> FleetSample {
        FleetSample {
            clusters: self.clusters.total as f64,
            online: self.clusters.online as f64,
            with_warnings: self.clusters.with_warnings as f64,
            members: self.members.total as f64,
            instances: self.instances.total as f64,
            memory_used: self.memory.used as f64,
            memory_total: self.memory.total as f64,
        }
    }
}

impl Usage {
    fn add(&mut self, [used, total]: [u64; 2]) {
        self.used = self.used.saturating_add(used);
        self.total = self.total.saturating_add(total);
    }
}

impl Top {
    fn of(entries: &[Arc<Entry>]) -> Self {
        let name = |entry: &Entry| entry.cluster.name.clone();
        let memory = worst(entries, |entry| Some(entry.row.memory_percent()).filter(|p| *p > 0));
        let pool = |entry: &Entry| entry.row.pool.as_ref().map(|FullestPool(_, percent)| *percent);
        let warnings = worst(entries, |entry| Some(entry.warnings).filter(|count| *count > 0));
        let silent = worst(entries, |entry| {
            let heard = !matches!(entry.freshness, Freshness::Online | Freshness::Waiting);
            heard.then(|| Reverse(last_sign(entry)))
        });
        Self {
            memory: memory
                .into_iter()
                .map(|(entry, percent)| TopMemory { name: name(entry), percent })
                .collect(),
            storage: worst(entries, pool)
                .into_iter()
                .filter_map(|(entry, percent)| {
                    let FullestPool(pool, _) = entry.row.pool.clone()?;
                    Some(FullPool { name: name(entry), pool, percent })
                })
                .collect(),
            warnings: warnings
                .into_iter()
                .map(|(entry, count)| TopWarnings { name: name(entry), count: count as u64 })
                .collect(),
            silent: silent
                .into_iter()
                .map(|(entry, Reverse(since))| TopSilent { name: name(entry), since })
                .collect(),
        }
    }
}

fn last_sign(entry: &Entry) -> OffsetDateTime {
    let pulse = &entry.cluster.pulse;
    pulse.last_heartbeat_at.unwrap_or(pulse.joined_at)
}

/// The clusters with the highest values, the highest first, equal ones by name.
fn worst<T: Ord + Copy>(
    entries: &[Arc<Entry>],
    value: impl Fn(&Entry) -> Option<T>,
) -> Vec<(&Entry, T)> {
    let mut worst: Vec<(&Entry, T)> = Vec::with_capacity(TOP + 1);
    for entry in entries {
        let Some(value) = value(entry) else { continue };
        let place = worst.partition_point(|(_, other)| *other >= value);
        if place < TOP {
            worst.insert(place, (entry, value));
            worst.truncate(TOP);
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::entry::tests::named;
    use super::*;
    use crate::domain::freshness::tests::NOW;
    use crate::model::StatusCount;

    #[test]
    fn the_summary_adds_up_and_names_the_five_worst() {
        let entries: Vec<_> = (0..8)
            .map(|n| {
                let mut cluster = named(&format!("c{n}"), n);
                cluster.memory_usage = 100 * (n % 4) + 500;
                cluster.member_count = 3;
                let count = |status: &str, count| StatusCount { status: status.into(), count };
                cluster.member_statuses = vec![count("Online", 2), count("Offline", 1)];
                cluster.instance_count = 9;
                cluster.instance_statuses = vec![
                    count("Running", 4),
                    count("Ready", 1),
                    count("Stopped", 2),
                    count("Frozen", 1),
                    count("Error", 1),
                ];
                if n >= 6 {
                    cluster.pulse.last_heartbeat_at = Some(NOW - Duration::hours(10 - n));
                }
                Arc::new(Entry::new(cluster, None, NOW))
            })
            .collect();
        let summary = Summary::of(&entries, NOW);
        let clusters =
            States { total: 8, online: 6, offline: 2, with_warnings: 8, ..States::default() };
        assert_eq!(summary.clusters, clusters);
        assert_eq!((summary.warnings["members"], summary.warnings["heartbeat"]), (8, 2));
        assert_eq!((summary.warnings["memory"], summary.warnings["pool"]), (0, 0));
        assert_eq!(summary.members, Members { total: 24, not_online: 8 });
        let instances = Instances { total: 72, running: 40, stopped: 16, error: 8, other: 8 };
        assert_eq!(summary.instances, instances);
        assert_eq!(summary.memory, Usage { used: 5200, total: 8000 });
        let memory: Vec<_> =
            summary.top.memory.iter().map(|top| (top.name.as_str(), top.percent)).collect();
        assert_eq!(memory, [("c3", 80), ("c7", 80), ("c2", 70), ("c6", 70), ("c1", 60)]);
        let silent: Vec<_> = summary.top.silent.iter().map(|top| top.name.as_str()).collect();
        assert_eq!(silent, ["c6", "c7"]);
        let warnings: Vec<_> =
            summary.top.warnings.iter().map(|top| (top.name.as_str(), top.count)).collect();
        assert_eq!(warnings[..3], [("c6", 3), ("c7", 3), ("c0", 2)]);
        assert_eq!(summary.sample().online.to_string(), "6");
    }
}
