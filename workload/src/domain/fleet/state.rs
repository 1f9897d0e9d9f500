//! How a unit keeps its view of the fleet up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::entry::{Entry, StandingSince};
use super::snapshot::Snapshot;
use crate::domain::Error;
use crate::model::RemoteCluster;
use crate::store::cluster_warnings::{self, StandingWarning};
use crate::store::fleet::{self, Heard, Listener};
use crate::store::{Connection, Pool};

/// How old figures of heartbeats may be.
const HEARTBEAT_AGE: Duration = Duration::from_secs(1);
/// How often everything is read anew, whatever was heard.
const COMPLETE_AGE: Duration = Duration::from_mins(1);
/// A heartbeat is dated by the beginning of its transaction and seen from its end: those that began so long before the last look
/// are looked at again. A statement may take five seconds.
const OVERLAP: time::Duration = time::Duration::seconds(10);

/// The view and what is needed to keep it.
#[derive(Default)]
pub(super) struct State {
    listener: Option<Listener>,
    clusters: BTreeMap<String, Arc<Entry>>,
    names: HashMap<i64, String>,
    snapshot: Option<Arc<Snapshot>>,
    /// The database's clock at the last look for heartbeats.
    seen_until: Option<OffsetDateTime>,
    looked: Option<Instant>,
    complete: Option<Instant>,
    news: News,
}

/// What people who look on have not been told yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Clusters that were added, removed or changed.
    pub(super) clusters: BTreeSet<String>,
    /// Whether the list of join tokens changed.
    pub(super) tokens: bool,
}

impl State {
    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        let empty = || Arc::new(Snapshot::new(0, OffsetDateTime::UNIX_EPOCH, Vec::new()));
        self.snapshot.clone().unwrap_or_else(empty)
    }

    /// The database's clock, as of the last look for heartbeats.
    pub(super) fn now(&self) -> OffsetDateTime {
        let passed = self.looked.map(|looked| looked.elapsed()).unwrap_or_default();
        self.seen_until.unwrap_or(OffsetDateTime::UNIX_EPOCH) + passed
    }

    /// What happened since the last call.
    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Reads what has changed: heartbeats when the last look is a second ago, everything else as it is heard of.
    pub(super) async fn bring_up_to_date(&mut self, pool: &Pool) -> Result<(), Error> {
        let heard = self.hear(pool).await?;
        self.news.tokens |= heard.tokens;
        let is_older =
            |since: Option<Instant>, age| since.is_none_or(|since| since.elapsed() >= age);
        let complete = is_older(self.complete, COMPLETE_AGE);
        let heartbeats = complete || is_older(self.looked, HEARTBEAT_AGE);
        if heard.clusters.is_empty() && !heartbeats {
            return Ok(());
        }
        // What was heard is not heard again: until it has been read nothing counts as read, also when whoever asks goes away
        // meanwhile and nobody goes on here.
        let before = self.complete.take();
        let result = self.read(pool, heard.clusters, heartbeats, complete).await;
        self.complete = if result.is_ok() { self.complete.or(before) } else { None };
        result
    }

    /// What was heard. Whoever was deaf for a while reads everything.
    async fn hear(&mut self, pool: &Pool) -> Result<Heard, Error> {
        if let Some(listener) = &self.listener {
            match listener.heard().await {
                Ok(heard) => return Ok(heard),
                Err(error) => {
                    tracing::warn!(error = %crate::Chain(&error), "the connection that hears of changes is lost");
                    self.listener = None;
                }
            }
        }
        self.complete = None;
        self.listener = Some(Listener::start(pool).await?);
        Ok(Heard { tokens: true, ..Heard::default() })
    }

    async fn read(
        &mut self,
        pool: &Pool,
        ids: BTreeSet<i64>,
        heartbeats: bool,
        complete: bool,
    ) -> Result<(), Error> {
        let db = pool.get().await?;
        let asked = Instant::now();
        let mut standing = None;
        let mut changed = Vec::new();
        let mut gone: BTreeSet<i64> = BTreeSet::new();
        if complete {
            standing = Some(standing_since(cluster_warnings::all(&db).await?));
            let (clusters, now) = fleet::all(&db).await?;
            let there: BTreeSet<i64> = clusters.iter().map(|cluster| cluster.id).collect();
            gone.extend(self.names.keys().filter(|id| !there.contains(id)));
            (changed, self.seen_until) = (clusters, Some(now));
            (self.complete, self.looked) = (Some(asked), Some(asked));
        } else {
            if heartbeats && let Some(seen_until) = self.seen_until {
                let (clusters, now) = fleet::heard_since(&db, seen_until - OVERLAP).await?;
                (changed, self.seen_until, self.looked) = (clusters, Some(now), Some(asked));
            }
            if !ids.is_empty() {
                let list: Vec<i64> = ids.iter().copied().collect();
                let clusters = fleet::numbered(&db, &list).await?;
                let there: BTreeSet<i64> = clusters.iter().map(|cluster| cluster.id).collect();
                gone.extend(ids.difference(&there));
                // The same cluster may be in both lists; the later look counts.
                changed.extend(clusters);
            }
        }
        let update = self.apply(changed, &gone, standing.as_ref());
        note(&db, update).await
    }

    /// Takes clusters into the view, judges those again that time has changed, and makes a new snapshot if there is anything
    /// new. `standing` has what the database knows of the beginnings of warnings, where that was read.
    fn apply(
        &mut self,
        clusters: Vec<RemoteCluster>,
        gone: &BTreeSet<i64>,
        standing: Option<&HashMap<i64, StandingSince>>,
    ) -> Update {
        let now = self.now();
        let (mut update, mut is_new) = (Update::default(), self.snapshot.is_none());
        for (id, name) in gone.iter().filter_map(|id| Some((id, self.names.remove(id)?))) {
            // A new cluster may have the name already.
            if self.clusters.get(&name).is_some_and(|entry| entry.cluster.id == *id) {
                self.clusters.remove(&name);
                self.news.clusters.insert(name);
                is_new = true;
            }
        }
        for cluster in clusters {
            let known = self.names.get(&cluster.id).and_then(|name| self.clusters.get(name));
            let known_since = known.map(|known| known.since.clone()).unwrap_or_default();
            let stored = match standing {
                Some(standing) => standing.get(&cluster.id).cloned().unwrap_or_default(),
                None => known_since.clone(),
            };
            if known.is_some_and(|known| known.cluster == cluster) && stored == known_since {
                continue;
            }
            let mut since = known_since;
            since.extend(stored.clone());
            self.put(cluster, &since, &stored, now, &mut update);
            is_new = true;
        }
        let outdated: Vec<_> =
            self.clusters.values().filter(|entry| entry.is_outdated(now)).cloned().collect();
        for entry in outdated {
            self.put(entry.cluster.clone(), &entry.since, &entry.since, now, &mut update);
            is_new = true;
        }
        if is_new {
            let version = self.snapshot.as_ref().map_or(1, |snapshot| snapshot.version + 1);
            let entries = self.clusters.values().cloned().collect();
            self.snapshot = Some(Arc::new(Snapshot::new(version, now, entries)));
        }
        update
    }

    /// Puts a cluster in its place. `since` is what is known of the beginnings of its warnings, `stored` what the database knows.
    fn put(
        &mut self,
        cluster: RemoteCluster,
        since: &StandingSince,
        stored: &StandingSince,
        now: OffsetDateTime,
        update: &mut Update,
    ) {
        let entry = Entry::new(cluster, Some(since), now);
        let (id, name) = (entry.cluster.id, entry.cluster.name.clone());
        let row =
            |((kind, subject), since): (&(String, String), &OffsetDateTime)| StandingWarning {
                cluster_id: id,
                kind: kind.clone(),
                subject: subject.clone(),
                since: *since,
            };
        update
            .begun
            .extend(entry.since.iter().filter(|(key, _)| !stored.contains_key(*key)).map(row));
        update
            .ended
            .extend(stored.iter().filter(|(key, _)| !entry.since.contains_key(*key)).map(row));
        let old = self.clusters.get(&name);
        if old.is_none_or(|old| old.cluster.id != id || entry.differs_from(old)) {
            self.news.clusters.insert(name.clone());
        }
        self.names.insert(id, name.clone());
        self.clusters.insert(name, Arc::new(entry));
    }
}

/// What the database should know about the beginnings of warnings.
#[derive(Debug, Default)]
struct Update {
    begun: Vec<StandingWarning>,
    ended: Vec<StandingWarning>,
}

async fn note(db: &Connection, update: Update) -> Result<(), Error> {
    if !update.begun.is_empty() {
        cluster_warnings::begin(db, &update.begun).await?;
    }
    if !update.ended.is_empty() {
        cluster_warnings::end(db, &update.ended).await?;
    }
    Ok(())
}

fn standing_since(rows: Vec<StandingWarning>) -> HashMap<i64, StandingSince> {
    let mut standing: HashMap<i64, StandingSince> = HashMap::new();
    for StandingWarning { cluster_id, kind, subject, since } in rows {
        standing.entry(cluster_id).or_default().insert((kind, subject), since);
    }
    standing
}
