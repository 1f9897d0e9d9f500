//! What about a cluster needs an operator's eye. The rules stand here once; clients only put them into words.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::domain::freshness::Freshness;
use crate::model::{RemoteCluster, StatusCount};

/// One reason to look at a cluster. Percentages are rounded up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
    /// The certificate that the cluster presents ends soon or has ended: then its heartbeats are refused.
    Certificate {
        /// Whole days that are left, rounded down; below 0 when it has ended.
        days: i64,
        /// How urgent it is: it ends within so many days, 30, 14 or 3. Each of them is a warning of its own.
        within: i64,
    },
    /// The cluster's clock is ahead of ours: its certificate is not valid yet.
    Clock {
        /// By how much at least.
        seconds: i64,
    },
}

/// The kinds, in the order in which they are shown.
pub const KINDS: [&str; 8] =
    ["pool", "memory", "members", "instances", "heartbeat", "ceph", "certificate", "clock"];

/// How many days before the end of a certificate a warning appears and gives way to a more urgent one, the most urgent first.
const CERTIFICATE_NOTICES: [i64; 3] = [3, 14, 30];

impl Warning {
    /// The kind as it is written in answers.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pool { .. } => "pool",
            Self::Memory { .. } => "memory",
            Self::Members { .. } => "members",
            Self::Instances { .. } => "instances",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Ceph { .. } => "ceph",
            Self::Certificate { .. } => "certificate",
            Self::Clock { .. } => "clock",
        }
    }

    /// What it is about among the warnings of its kind; empty where a cluster has one at most.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            // No name of a pool or a member has a slash in LXD.
            Self::Pool { name, member, .. } => format!("{name}/{member}"),
            Self::Ceph { status, .. } => status.clone(),
            Self::Certificate { within, .. } => within.to_string(),
            _ => String::new(),
        }
    }

    /// Whether a cluster may have any number of this kind.
    #[must_use]
    pub fn is_one_of_many(&self) -> bool {
        matches!(self, Self::Pool { .. } | Self::Ceph { .. })
    }
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
    let [not_before, not_after] = cluster.certificate_validity;
    let (notice, ahead) = by_time(cluster, now);
    if let Some(within) = notice {
        let seconds = (not_after - now).whole_seconds();
        warnings.push(Warning::Certificate { days: seconds.div_euclid(24 * 60 * 60), within });
    }
    if ahead {
        warnings.push(Warning::Clock { seconds: (not_before - now).whole_seconds() });
    }
    warnings
}

/// What the certificate's end and its beginning say at `now`, which time alone can change: how urgent its end is, and whether the
/// cluster's clock is ahead.
#[must_use]
pub fn by_time(cluster: &RemoteCluster, now: OffsetDateTime) -> (Option<i64>, bool) {
    let [not_before, not_after] = cluster.certificate_validity;
    let notice =
        CERTIFICATE_NOTICES.into_iter().find(|days| not_after - now < Duration::days(*days));
    (notice, not_before > now)
}

/// When time alone makes these warnings of a cluster say something else; `None`: never. A warning that appears or goes is another
/// matter: see [`by_time`] and [`Freshness`].
#[must_use]
pub fn constant_until(cluster: &RemoteCluster, warnings: &[Warning]) -> Option<OffsetDateTime> {
    let changes = warnings.iter().filter_map(|warning| match warning {
        Warning::Heartbeat { minutes } => {
            let since = cluster.pulse.last_heartbeat_at.unwrap_or(cluster.pulse.joined_at);
            since.checked_add(Duration::minutes(minutes.saturating_add(1)))
        }
        Warning::Certificate { days, .. } => {
            cluster.certificate_validity[1].checked_sub(Duration::days(*days))
        }
        Warning::Clock { seconds } => {
            cluster.certificate_validity[0].checked_sub(Duration::seconds(*seconds))
        }
        _ => None,
    });
    changes.min()
}

/// When the warning begins that a certificate, which ends at `not_after`, does so within these days.
#[must_use]
pub fn notice_of(not_after: OffsetDateTime, within: i64) -> OffsetDateTime {
    not_after.checked_sub(Duration::days(within)).unwrap_or(not_after)
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
        ill.certificate_validity = [NOW + Duration::seconds(90), NOW + Duration::hours(71)];
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
                Warning::Certificate { days: 2, within: 3 },
                Warning::Clock { seconds: 90 },
            ]
        );
        let kinds: Vec<_> = of(&ill, Freshness::Offline, NOW).iter().map(Warning::kind).collect();
        assert_eq!(kinds[1..], KINDS);
        for warning in of(&ill, Freshness::Offline, NOW) {
            assert_eq!(serde_json::to_value(&warning).unwrap()["kind"], warning.kind());
        }
    }

    #[test]
    fn mtls_08_a_certificate_that_ends_within_30_14_and_3_days_is_a_warning() {
        let left = |left| {
            let mut ending = cluster(Some(Duration::seconds(1)), 60.0);
            ending.certificate_validity[1] = NOW + left;
            of(&ending, Freshness::Online, NOW)
        };
        let ends = |days, within| [Warning::Certificate { days, within }];
        assert_eq!(left(Duration::days(30)), []);
        assert_eq!(left(Duration::days(30) - Duration::SECOND), ends(29, 30));
        assert_eq!(left(Duration::days(14)), ends(14, 30));
        assert_eq!(left(Duration::days(14) - Duration::SECOND), ends(13, 14));
        assert_eq!(left(Duration::days(3)), ends(3, 14));
        assert_eq!(left(Duration::days(3) - Duration::SECOND), ends(2, 3));
        assert_eq!(left(Duration::ZERO), ends(0, 3));
        assert_eq!(left(-Duration::SECOND), ends(-1, 3));
    }

    #[test]
    fn what_warnings_say_stays_until_the_moment_that_is_named() {
        let at = |cluster: &RemoteCluster, now| {
            let warnings = of(cluster, Freshness::of(&cluster.pulse, now), now);
            let until = constant_until(cluster, &warnings);
            (warnings, until)
        };
        let mut silent = cluster(Some(Duration::minutes(26)), 60.0);
        assert_eq!(at(&silent, NOW).1, Some(NOW + Duration::MINUTE));
        silent.certificate_validity[1] = NOW + Duration::hours(71);
        let mut ahead = cluster(Some(Duration::seconds(1)), 60.0);
        assert_eq!(at(&ahead, NOW).1, None);
        ahead.certificate_validity[0] = NOW + Duration::milliseconds(90_500);
        let mut ending = cluster(Some(Duration::seconds(1)), 86_400.0);
        ending.certificate_validity[1] = NOW + Duration::hours(71);
        for cluster in [silent, ahead, ending] {
            let (before, until) = at(&cluster, NOW);
            let until = until.unwrap();
            assert!(until > NOW);
            assert_eq!(at(&cluster, until - Duration::MILLISECOND).0, before);
            assert_ne!(at(&cluster, until + Duration::SECOND).0, before);
        }
    }

    #[test]
    fn a_threshold_of_zero_is_switched_off() {
        let mut full = cluster(Some(Duration::seconds(1)), 60.0);
        (full.memory_total_amount, full.memory_usage, full.memory_threshold) = (100, 100, 0);
        assert_eq!(of(&full, Freshness::Online, NOW), []);
    }
}
