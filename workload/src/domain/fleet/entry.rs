//! One cluster in the view of the fleet.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::row::CompactRow;
use crate::domain::freshness::Freshness;
use crate::domain::warnings::{self, Warning};
use crate::model::RemoteCluster;

/// Most warnings of a cluster whose beginning is kept: what a cluster reports must not fill the database.
const MAX_STANDING: usize = 32;

/// Since when the warnings of a cluster stand, by kind and subject.
pub type StandingSince = BTreeMap<(String, String), OffsetDateTime>;

/// A cluster and what the manager concludes from its data.
#[derive(Debug)]
pub struct Entry {
    /// The cluster.
    pub cluster: RemoteCluster,
    /// Whether it is alive.
    pub freshness: Freshness,
    /// Kinds of its warnings, each once, in the order in which they are shown.
    pub kinds: Vec<&'static str>,
    /// How many warnings it has.
    pub warnings: usize,
    /// What its certificate said when it was judged.
    by_time: (Option<i64>, bool),
    /// Since when.
    pub since: StandingSince,
    /// The cluster in few figures.
    pub row: CompactRow,
    /// Its values as JSON, without the keys.
    pub values: Box<str>,
}

impl Entry {
    /// Judges a cluster at `now`. Warnings that stood before keep their beginning.
    pub(super) fn new(
        cluster: RemoteCluster,
        before: Option<&StandingSince>,
        now: OffsetDateTime,
    ) -> Self {
        let freshness = Freshness::of(&cluster.pulse, now);
        let warnings = warnings::of(&cluster, freshness, now);
        let mut since = StandingSince::new();
        // Pools and states that a cluster makes up do not hide what it has one of.
        let single = warnings.iter().filter(|warning| !warning.is_one_of_many());
        let many = warnings.iter().filter(|warning| warning.is_one_of_many());
        for warning in single.chain(many).take(MAX_STANDING) {
            let key = (warning.kind().to_owned(), warning.subject());
            let began = before.and_then(|before| before.get(&key)).copied();
            since.insert(key, began.unwrap_or_else(|| beginning(warning, &cluster, now)));
        }
        let mut kinds: Vec<_> = warnings.iter().map(Warning::kind).collect();
        let row = CompactRow::new(&cluster, freshness, &kinds);
        kinds.dedup();
        let values = serde_json::to_string(&row.values()).unwrap_or_else(|_| "[]".to_owned());
        let values = values.into();
        let (warnings, by_time) = (warnings.len(), warnings::by_time(&cluster, now));
        Self { cluster, freshness, kinds, warnings, by_time, since, row, values }
    }

    /// Whether time alone has changed what is to be said about the cluster.
    pub(super) fn is_outdated(&self, now: OffsetDateTime) -> bool {
        Freshness::of(&self.cluster.pulse, now) != self.freshness
            || warnings::by_time(&self.cluster, now) != self.by_time
    }

    /// Whether people who look on should hear that `self` took the place of `before`: anything but figures that move all the time.
    pub(super) fn differs_from(&self, before: &Self) -> bool {
        let (new, old) = (&self.row, &before.row);
        self.freshness != before.freshness
            || self.kinds != before.kinds
            || self.warnings != before.warnings
            || new.members != old.members
            || new.instances != old.instances
            || new.description != old.description
            || new.tunnel != old.tunnel
            || self.cluster.updated_at != before.cluster.updated_at
            || self.cluster.fingerprint != before.cluster.fingerprint
            || self.cluster.ui_link() != before.cluster.ui_link()
    }

    /// The warnings with their beginnings, at `now`.
    #[must_use]
    pub fn warnings_at(&self, now: OffsetDateTime) -> Vec<(Warning, OffsetDateTime)> {
        let all = warnings::of(&self.cluster, self.freshness, now);
        all.into_iter()
            .map(|warning| {
                let key = (warning.kind().to_owned(), warning.subject());
                let known = self.since.get(&key).copied();
                let since = known.unwrap_or_else(|| beginning(&warning, &self.cluster, now));
                (warning, since)
            })
            .collect()
    }
}

/// When a warning that was not there before began: what it follows from was reported or written then.
fn beginning(warning: &Warning, cluster: &RemoteCluster, now: OffsetDateTime) -> OffsetDateTime {
    let reported = cluster.pulse.last_heartbeat_at;
    match warning {
        Warning::Heartbeat { .. } => reported.unwrap_or(cluster.pulse.joined_at),
        Warning::Certificate { within, .. } => {
            let [not_before, not_after] = cluster.certificate_validity;
            warnings::notice_of(not_after, *within).max(not_before).min(now)
        }
        _ => reported.unwrap_or(cluster.pulse.joined_at).max(cluster.updated_at).min(now),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::Duration;

    use super::*;
    use crate::domain::freshness::tests::{NOW, cluster};

    pub(crate) fn named(name: &str, id: i64) -> RemoteCluster {
        let mut named = cluster(Some(Duration::seconds(20)), 60.0);
        (named.name, named.id) = (name.into(), id);
        (named.memory_total_amount, named.memory_usage) = (1000, 900);
        named
    }

    #[test]
    fn a_warning_keeps_its_beginning_until_it_ends() {
        let first = Entry::new(named("lyon", 1), None, NOW);
        let memory = ("memory".to_owned(), String::new());
        assert_eq!(first.since[&memory], NOW - Duration::seconds(20));
        let mut later = named("lyon", 1);
        later.pulse.last_heartbeat_at = Some(NOW + Duration::MINUTE);
        let second = Entry::new(later, Some(&first.since), NOW + Duration::MINUTE);
        assert_eq!(second.since[&memory], NOW - Duration::seconds(20));
        assert!(!second.differs_from(&first), "a heartbeat alone is no news");
        let mut healthy = named("lyon", 1);
        healthy.memory_usage = 1;
        let third = Entry::new(healthy, Some(&second.since), NOW);
        assert!(third.since.is_empty() && third.differs_from(&second));
    }

    #[test]
    fn time_alone_makes_a_cluster_silent_and_its_certificate_old() {
        let entry = Entry::new(named("lyon", 1), None, NOW);
        assert!(!entry.is_outdated(NOW + Duration::minutes(2)));
        assert!(entry.is_outdated(NOW + Duration::minutes(3)));
        let mut ending = named("lyon", 1);
        ending.certificate_validity[1] = NOW + Duration::days(30) + Duration::minutes(1);
        let entry = Entry::new(ending, None, NOW);
        assert!(!entry.is_outdated(NOW + Duration::seconds(59)));
        assert!(entry.is_outdated(NOW + Duration::minutes(2)));
        let mut urgent = named("lyon", 1);
        urgent.pulse.heartbeat_interval_seconds = 3600.0;
        urgent.certificate_validity[1] = NOW + Duration::days(14) + Duration::minutes(1);
        let entry = Entry::new(urgent.clone(), None, NOW);
        let key = |within: &str| ("certificate".to_owned(), within.to_owned());
        assert_eq!(entry.since[&key("30")], NOW - Duration::days(1), "not before the certificate");
        assert!(!entry.is_outdated(NOW + Duration::seconds(59)));
        assert!(entry.is_outdated(NOW + Duration::minutes(2)));
        let later = Entry::new(urgent, Some(&entry.since), NOW + Duration::minutes(2));
        assert_eq!(later.since[&key("14")], NOW + Duration::MINUTE);
        assert!(!later.since.contains_key(&key("30")));
        let silent = Entry::new(named("lyon", 1), None, NOW + Duration::hours(1));
        let [(memory, _), (heartbeat, since)] = &silent.warnings_at(NOW + Duration::hours(1))[..]
        else {
            panic!("{silent:?}")
        };
        assert_eq!((memory.kind(), heartbeat.kind()), ("memory", "heartbeat"));
        assert_eq!(*since, NOW - Duration::seconds(20));
    }

    #[test]
    fn what_a_cluster_reports_does_not_fill_the_database() {
        let mut odd = named("lyon", 1);
        let entry = |n| crate::model::StatusCount { status: format!("state {n}"), count: 1 };
        odd.ceph_statuses = (0..4000).map(entry).collect();
        odd.certificate_validity[1] = NOW + Duration::days(1);
        let odd = Entry::new(odd, None, NOW);
        assert_eq!((odd.since.len(), odd.warnings), (MAX_STANDING, 4002));
        assert_eq!(odd.kinds, ["memory", "ceph", "certificate"]);
        assert!(odd.since.contains_key(&("certificate".to_owned(), "3".to_owned())));
    }
}
