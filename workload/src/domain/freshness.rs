//! Whether a cluster is alive: the one rule for lists, details, metrics and the UI.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::model::Pulse;

/// How a cluster stands, judged by the age of its last heartbeat against its own interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// A heartbeat came within three minutes, or three intervals if that is longer.
    Online,
    /// Later than that, but within five minutes, or five intervals if that is longer.
    Stale,
    /// Silent for longer.
    Offline,
    /// Joined within the last five minutes and did not send a heartbeat yet.
    Waiting,
    /// Joined longer ago and never sent a heartbeat.
    Never,
}

impl Freshness {
    /// Every state, in the order of worry.
    pub const ALL: [Self; 5] =
        [Self::Online, Self::Waiting, Self::Stale, Self::Never, Self::Offline];

    /// The state as it is written in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stale => "stale",
            Self::Offline => "offline",
            Self::Waiting => "waiting",
            Self::Never => "never",
        }
    }

    /// Judges `cluster` at `now`, the database's clock.
    #[must_use]
    pub fn of(cluster: &Pulse, now: OffsetDateTime) -> Self {
        let Some(last) = cluster.last_heartbeat_at else {
            let waiting = now - cluster.joined_at < Duration::minutes(5);
            return if waiting { Self::Waiting } else { Self::Never };
        };
        let age = now - last;
        let interval =
            Duration::seconds_f32(cluster.heartbeat_interval_seconds.clamp(0.0, 86_400.0));
        if age < Duration::minutes(3).max(interval * 3) {
            Self::Online
        } else if age < Duration::minutes(5).max(interval * 5) {
            Self::Stale
        } else {
            Self::Offline
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::model::{Fingerprint, RemoteCluster};

    pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    pub(crate) fn cluster(last_heartbeat: Option<Duration>, interval: f32) -> RemoteCluster {
        RemoteCluster {
            id: 1,
            name: "lyon-edge".into(),
            description: String::new(),
            certificate: String::new(),
            fingerprint: Fingerprint::of(b""),
            certificate_validity: [NOW - Duration::days(1), NOW + Duration::days(3650)],
            disk_threshold: 80,
            memory_threshold: 80,
            pulse: Pulse {
                joined_at: NOW - Duration::hours(1),
                last_heartbeat_at: last_heartbeat.map(|age| NOW - age),
                heartbeat_interval_seconds: interval,
            },
            ceph_count: 0,
            ceph_statuses: Vec::new(),
            cpu_total_count: 0,
            cpu_load: Default::default(),
            memory_total_amount: 0,
            memory_usage: 0,
            storage_pool_usages: Vec::new(),
            member_count: 0,
            member_statuses: Vec::new(),
            instance_count: 0,
            instance_statuses: Vec::new(),
            ui_url: String::new(),
            ui_url_override: String::new(),
            updated_at: NOW - Duration::hours(1),
            tunnel_registered: false,
        }
    }

    #[test]
    fn age_is_judged_against_the_interval_of_the_cluster() {
        let state = |seconds, interval| {
            Freshness::of(&cluster(Some(Duration::seconds(seconds)), interval).pulse, NOW)
        };
        assert_eq!(state(0, 60.0), Freshness::Online);
        assert_eq!(state(179, 60.0), Freshness::Online);
        assert_eq!(state(180, 60.0), Freshness::Stale);
        assert_eq!(state(299, 60.0), Freshness::Stale);
        assert_eq!(state(300, 60.0), Freshness::Offline);
        assert_eq!(state(179, 10.0), Freshness::Online);
        assert_eq!(state(1799, 600.0), Freshness::Online);
        assert_eq!(state(2999, 600.0), Freshness::Stale);
        assert_eq!(state(3000, 600.0), Freshness::Offline);
        // A clock that jumped back makes nobody offline.
        assert_eq!(state(-30, 60.0), Freshness::Online);
    }

    #[test]
    fn a_cluster_without_heartbeat_waits_for_five_minutes() {
        let mut new = cluster(None, 60.0).pulse;
        assert_eq!(Freshness::of(&new, NOW), Freshness::Never);
        new.joined_at = NOW - Duration::seconds(299);
        assert_eq!(Freshness::of(&new, NOW), Freshness::Waiting);
    }
}
