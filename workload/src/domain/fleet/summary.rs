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

/// What a load average can be: clusters send text.
const PLAUSIBLE_LOAD: std::ops::RangeInclusive<f64> = 0.0..=1e9;

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
    /// Load of the processors.
    pub cpu: Cpu,
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
    /// Offline.
    pub offline: i64,
    /// Evacuated.
    pub evacuated: i64,
    /// Blocked.
    pub blocked: i64,
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
    /// Frozen.
    pub frozen: i64,
    /// In an error state.
    pub error: i64,
    /// In any other state.
    pub other: i64,
}

/// Load averages over one minute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Cpu {
    /// Sum of all members of all clusters.
    pub load: f64,
    /// The part of it in clusters that tell how many cores they have.
    pub load_of_cores: f64,
    /// Cores of these clusters.
    pub cores: i64,
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
            cpu: Cpu::default(),
            memory: Usage::default(),
            storage: Usage::default(),
            top: Top::of(entries),
            at,
        };
        for entry in entries {
            summary.add(entry);
        }
        for load in [&mut summary.cpu.load, &mut summary.cpu.load_of_cores] {
            *load = (*load * 100.0).round() / 100.0;
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
        self.members.add(row.members);
        self.instances.add(row.instances);
        self.cpu.add(&row.load, cluster.cpu_total_count);
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

fn add(sum: &mut i64, count: i64) {
    *sum = sum.saturating_add(count);
}

impl Members {
    fn add(&mut self, [total, not_online, offline, evacuated, blocked]: [i64; 5]) {
        add(&mut self.total, total);
        add(&mut self.not_online, not_online);
        add(&mut self.offline, offline);
        add(&mut self.evacuated, evacuated);
        add(&mut self.blocked, blocked);
    }
}

impl Instances {
    fn add(&mut self, [total, running, error, stopped, frozen]: [i64; 5]) {
        let known = [running, error, stopped, frozen];
        add(&mut self.total, total);
        add(&mut self.running, running);
        add(&mut self.error, error);
        add(&mut self.stopped, stopped);
        add(&mut self.frozen, frozen);
        add(&mut self.other, known.into_iter().fold(total, i64::saturating_sub).max(0));
    }
}

impl Cpu {
    /// A cluster that tells its number of cores has divided its load by it; one that does not tells the sum of its members.
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many cores")]
    fn add(&mut self, load: &str, cores: i64) {
        let Some(load) = load.parse().ok().filter(|load| PLAUSIBLE_LOAD.contains(load)) else {
            return;
        };
        if cores > 0 {
            let whole = load * cores as f64;
            (self.load, self.load_of_cores) = (self.load + whole, self.load_of_cores + whole);
            add(&mut self.cores, cores);
        } else {
            self.load += load;
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
                cluster.instance_count = 10;
                cluster.instance_statuses = vec![
                    count("Running", 4),
                    count("Ready", 1),
                    count("Stopped", 2),
                    count("Frozen", 1),
                    count("Error", 1),
                    count("Starting", 1),
                ];
                let (load, cores) = match n % 4 {
                    0 => ("0.50", 16),
                    1 => ("3.25", 0),
                    2 => ("", 8),
                    _ => ("NaN", 8),
                };
                (cluster.cpu_load[0], cluster.cpu_total_count) = (load.into(), cores);
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
        let members = Members { total: 24, not_online: 8, offline: 8, evacuated: 0, blocked: 0 };
        assert_eq!(summary.members, members);
        assert_eq!(summary.cpu, Cpu { load: 22.5, load_of_cores: 16.0, cores: 32 });
        let instances =
            Instances { total: 80, running: 40, stopped: 16, frozen: 8, error: 8, other: 8 };
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
