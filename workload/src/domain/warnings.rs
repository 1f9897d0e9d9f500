//! What about a cluster needs an operator's eye. The rules stand here once; clients only put them into words.

use serde::Serialize;
use time::OffsetDateTime;

use crate::domain::freshness::Freshness;
use crate::model::{RemoteCluster, StatusCount};

/// One reason to look at a cluster. Percentages are rounded up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Warning {
    /// A storage pool is fuller than the threshold.
    Pool {
        /// The pool.
        name: String,
        /// Its member; empty for a remote pool.
        member: String,
        /// How full it is.
        percent: u64,
        /// The threshold.
        threshold: i16,
    },
    /// More memory is used than the threshold.
    Memory {
        /// How much is used.
        percent: u64,
        /// The threshold.
        threshold: i16,
    },
    /// Cluster members that are not online.
    Members {
        /// How many.
        count: i64,
    },
    /// Instances in an error state.
    Instances {
        /// How many.
        count: i64,
    },
    /// The cluster is offline.
    Heartbeat {
        /// Whole minutes since its last heartbeat, or since it joined.
        minutes: i64,
    },
    /// MicroCeph members in another state than online.
    Ceph {
        /// The state.
        status: String,
        /// How many.
        count: i64,
    },
}

/// All warnings of a cluster, in the order in which they are shown.
#[must_use]
pub fn of(cluster: &RemoteCluster, freshness: Freshness, now: OffsetDateTime) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for pool in &cluster.storage_pool_usages {
        if exceeds(pool.usage, pool.total, cluster.disk_threshold) {
            warnings.push(Warning::Pool {
                name: pool.name.clone(),
                member: pool.member.clone(),
                percent: percent(pool.usage, pool.total),
                threshold: cluster.disk_threshold,
            });
        }
    }
    let (usage, total) =
        (cluster.memory_usage.unsigned_abs(), cluster.memory_total_amount.unsigned_abs());
    if exceeds(usage, total, cluster.memory_threshold) {
        warnings.push(Warning::Memory {
            percent: percent(usage, total),
            threshold: cluster.memory_threshold,
        });
    }
    let not_online = count(&cluster.member_statuses, |status| status != "Online");
    if not_online > 0 {
        warnings.push(Warning::Members { count: not_online });
    }
    let in_error = count(&cluster.instance_statuses, |status| status == "Error");
    if in_error > 0 {
        warnings.push(Warning::Instances { count: in_error });
    }
    if matches!(freshness, Freshness::Offline | Freshness::Never) {
        let since = cluster.pulse.last_heartbeat_at.unwrap_or(cluster.pulse.joined_at);
        warnings.push(Warning::Heartbeat { minutes: (now - since).whole_minutes() });
    }
    for entry in &cluster.ceph_statuses {
        if entry.count > 0 && !entry.status.eq_ignore_ascii_case("online") {
            warnings.push(Warning::Ceph { status: entry.status.clone(), count: entry.count });
        }
    }
    warnings
}

fn count(statuses: &[StatusCount], matches: impl Fn(&str) -> bool) -> i64 {
    statuses
        .iter()
        .filter(|entry| matches(&entry.status))
        .fold(0, |sum, entry| sum.saturating_add(entry.count))
}

/// Whether `usage` is more than `threshold` percent of `total`; a threshold or a total of 0 is never exceeded.
fn exceeds(usage: u64, total: u64, threshold: i16) -> bool {
    threshold > 0
        && total > 0
        && u128::from(usage) * 100 > u128::from(total) * u128::from(threshold.unsigned_abs())
}

/// `usage` in percent of `total`, rounded up.
fn percent(usage: u64, total: u64) -> u64 {
    u64::try_from((u128::from(usage) * 100).div_ceil(u128::from(total.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::domain::freshness::tests::{NOW, cluster};
    use crate::model::StoragePoolUsage;

    fn statuses(list: &[(&str, i64)]) -> Vec<StatusCount> {
        list.iter()
            .map(|(status, count)| StatusCount { status: (*status).into(), count: *count })
            .collect()
    }

    #[test]
    fn a_healthy_cluster_has_no_warnings_at_its_thresholds() {
        let mut healthy = cluster(Some(Duration::seconds(10)), 60.0);
        healthy.memory_total_amount = 1000;
        healthy.memory_usage = 800;
        healthy.storage_pool_usages =
            vec![StoragePoolUsage { name: "local".into(), member: "a".into(), total: 0, usage: 0 }];
        healthy.member_statuses = statuses(&[("Online", 3), ("Offline", 0)]);
        healthy.ceph_statuses = statuses(&[("online", 3), ("OFFLINE", 0)]);
        assert_eq!(of(&healthy, Freshness::Online, NOW), []);
    }

    #[test]
    fn every_kind_of_warning_appears_in_its_order() {
        let mut ill = cluster(Some(Duration::minutes(26)), 60.0);
        ill.storage_pool_usages = vec![
            StoragePoolUsage { name: "local".into(), member: "a".into(), total: 1000, usage: 801 },
            StoragePoolUsage {
                name: "remote".into(),
                member: String::new(),
                total: u64::MAX,
                usage: u64::MAX,
            },
        ];
        ill.memory_total_amount = 3;
        ill.memory_usage = 5;
        ill.member_statuses = statuses(&[("Online", 3), ("Evacuated", 1), ("Offline", 1)]);
        ill.instance_statuses = statuses(&[("Running", 3), ("Error", 2)]);
        ill.ceph_statuses = statuses(&[("OFFLINE", 1)]);
        assert_eq!(
            of(&ill, Freshness::Offline, NOW),
            [
                Warning::Pool {
                    name: "local".into(),
                    member: "a".into(),
                    percent: 81,
                    threshold: 80
                },
                Warning::Pool {
                    name: "remote".into(),
                    member: String::new(),
                    percent: 100,
                    threshold: 80
                },
                Warning::Memory { percent: 167, threshold: 80 },
                Warning::Members { count: 2 },
                Warning::Instances { count: 2 },
                Warning::Heartbeat { minutes: 26 },
                Warning::Ceph { status: "OFFLINE".into(), count: 1 },
            ]
        );
    }

    #[test]
    fn a_threshold_of_zero_is_switched_off() {
        let mut full = cluster(Some(Duration::seconds(1)), 60.0);
        (full.memory_total_amount, full.memory_usage, full.memory_threshold) = (100, 100, 0);
        assert_eq!(of(&full, Freshness::Online, NOW), []);
    }
}
