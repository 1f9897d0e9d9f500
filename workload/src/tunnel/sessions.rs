//! Sessions that LXD gave to operators.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

/// Most sessions that are kept; the one that was used the longest ago gives way.
const MOST: usize = 1000;
/// How long a session is kept.
const LIFETIME: Duration = Duration::from_hours(1);

/// The hash of an operator's session here, and the number of the cluster.
type Key = ([u8; 32], i64);

/// Which session LXD gave to which operator at which cluster, in memory only. Values are wiped when they are dropped. Cloning is
/// cheap.
#[derive(Clone, Default)]
pub struct LxdSessions(Arc<Mutex<HashMap<Key, Kept>>>);

struct Kept {
    value: SecretString,
    since: Instant,
    used: Instant,
}

impl LxdSessions {
    /// The session of this operator at this cluster.
    #[must_use]
    pub fn find(&self, operator: [u8; 32], cluster_id: i64) -> Option<SecretString> {
        let now = Instant::now();
        let mut all = self.lock();
        let kept = all.get_mut(&(operator, cluster_id))?;
        if now.duration_since(kept.since) >= LIFETIME {
            all.remove(&(operator, cluster_id));
            return None;
        }
        kept.used = now;
        Some(kept.value.clone())
    }

    /// Keeps what LXD gave.
    pub fn keep(&self, operator: [u8; 32], cluster_id: i64, value: SecretString) {
        let now = Instant::now();
        let mut all = self.lock();
        if all.len() >= MOST && !all.contains_key(&(operator, cluster_id)) {
            all.retain(|_, kept| now.duration_since(kept.since) < LIFETIME);
            let oldest = all.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
            if let Some(oldest) = oldest.filter(|_| all.len() >= MOST) {
                all.remove(&oldest);
            }
        }
        all.insert((operator, cluster_id), Kept { value, since: now, used: now });
    }

    /// Forgets the session of this operator at this cluster.
    pub fn forget(&self, operator: [u8; 32], cluster_id: i64) {
        self.lock().remove(&(operator, cluster_id));
    }

    /// Forgets all sessions of an operator who logs out.
    pub fn forget_operator(&self, operator: [u8; 32]) {
        self.lock().retain(|(of, _), _| *of != operator);
    }

    /// Forgets all sessions at a cluster that was removed or lost its tunnel.
    pub fn forget_cluster(&self, cluster_id: i64) {
        self.lock().retain(|(_, at), _| *at != cluster_id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const ADA: [u8; 32] = [1; 32];
    const BOB: [u8; 32] = [2; 32];

    fn find(sessions: &LxdSessions, operator: [u8; 32], cluster: i64) -> Option<String> {
        sessions.find(operator, cluster).map(|value| value.expose_secret().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn tun_14_sessions_of_lxd_belong_to_one_operator_at_one_cluster_for_an_hour() {
        let sessions = LxdSessions::default();
        sessions.keep(ADA, 1, "ada-1".into());
        sessions.keep(ADA, 2, "ada-2".into());
        sessions.keep(BOB, 1, "bob-1".into());
        assert_eq!(find(&sessions, ADA, 1).as_deref(), Some("ada-1"));
        assert_eq!(find(&sessions, BOB, 2), None);
        tokio::time::advance(Duration::from_secs(3599)).await;
        assert_eq!(find(&sessions, ADA, 2).as_deref(), Some("ada-2"));
        sessions.keep(ADA, 2, "ada-2b".into());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(find(&sessions, ADA, 1), None);
        assert_eq!(find(&sessions, ADA, 2).as_deref(), Some("ada-2b"));
    }

    #[test]
    fn tun_14_logout_removal_and_refusal_forget_sessions() {
        let sessions = LxdSessions::default();
        let fill = || {
            for (operator, cluster) in [(ADA, 1), (ADA, 2), (BOB, 1), (BOB, 2)] {
                sessions.keep(operator, cluster, "x".into());
            }
        };
        let left = || {
            [(ADA, 1), (ADA, 2), (BOB, 1), (BOB, 2)]
                .map(|(operator, cluster)| find(&sessions, operator, cluster).is_some())
        };
        fill();
        sessions.forget_operator(ADA);
        assert_eq!(left(), [false, false, true, true]);
        fill();
        sessions.forget_cluster(1);
        assert_eq!(left(), [false, true, false, true]);
        fill();
        sessions.forget(BOB, 2);
        assert_eq!(left(), [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn tun_14_a_thousand_sessions_are_kept_and_the_least_used_gives_way() {
        let sessions = LxdSessions::default();
        for cluster in 0..1000 {
            sessions.keep(ADA, cluster, "x".into());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(find(&sessions, ADA, 0).is_some());
        sessions.keep(BOB, 0, "x".into());
        assert!(find(&sessions, ADA, 0).is_some() && find(&sessions, ADA, 1).is_none());
        assert_eq!(sessions.lock().len(), MOST);
    }
}
