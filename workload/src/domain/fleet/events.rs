//! Telling those who look on what has changed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::broadcast::{self, error::RecvError};

use super::state::News;

/// Events that are kept for those who come back.
const KEPT: usize = 256;
/// Most names in an event: beyond it everything is to be loaded again.
const MAX_NAMES: usize = 100;

/// Something has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    /// Grows with every event of a unit; another unit has other numbers.
    pub id: u64,
    /// Clusters that were added, removed or changed; `None`: everything may have.
    pub clusters: Option<Vec<String>>,
    /// Whether the list of join tokens changed.
    pub tokens: bool,
}

pub(super) struct Events {
    sender: broadcast::Sender<Arc<FleetEvent>>,
    kept: Mutex<Kept>,
}

struct Kept {
    /// The number of the newest event; the first one has the next number.
    newest: u64,
    events: VecDeque<Arc<FleetEvent>>,
}

impl Events {
    /// The numbers begin with the time of the start, so that units do not share them.
    pub(super) fn new(started: OffsetDateTime) -> Self {
        let micros = started.unix_timestamp_nanos() / 1000;
        let newest = u64::try_from(micros).unwrap_or(0);
        let kept = Mutex::new(Kept { newest, events: VecDeque::new() });
        Self { sender: broadcast::Sender::new(KEPT), kept }
    }

    pub(super) fn followers(&self) -> usize {
        self.sender.receiver_count()
    }

    pub(super) fn publish(&self, News { clusters, tokens }: News) {
        if clusters.is_empty() && !tokens {
            return;
        }
        let clusters = (clusters.len() <= MAX_NAMES).then(|| clusters.into_iter().collect());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.newest += 1;
        let event = Arc::new(FleetEvent { id: kept.newest, clusters, tokens });
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&event));
        // Under the lock: the events arrive in the order of their numbers. Without followers nobody receives it.
        drop(self.sender.send(event));
    }

    pub(super) fn subscribe(&self, last: Option<u64>) -> Subscription {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let missed = last.and_then(|last| kept.after(last));
        Subscription { receiver, missed, newest: kept.newest }
    }
}

impl Kept {
    /// All events after `last` in one; `None`: there were none.
    fn after(&self, last: u64) -> Option<FleetEvent> {
        if last == self.newest {
            return None;
        }
        let everything = FleetEvent { id: self.newest, clusters: None, tokens: true };
        let oldest = self.events.front().map_or(u64::MAX, |event| event.id);
        if last.saturating_add(1) < oldest || last > self.newest {
            return Some(everything);
        }
        let mut names = std::collections::BTreeSet::new();
        let mut tokens = false;
        for event in self.events.iter().filter(|event| event.id > last) {
            let Some(clusters) = &event.clusters else { return Some(everything) };
            names.extend(clusters.iter().cloned());
            tokens |= event.tokens;
        }
        let clusters = (names.len() <= MAX_NAMES).then(|| names.into_iter().collect());
        Some(FleetEvent { id: self.newest, clusters, tokens })
    }
}

/// Events as they happen.
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<FleetEvent>>,
    missed: Option<FleetEvent>,
    newest: u64,
}

impl Subscription {
    /// The next event; first of all what was missed. `None`: there will be no more.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        if let Some(missed) = self.missed.take() {
            return Some(missed);
        }
        loop {
            match self.receiver.recv().await {
                Ok(event) if event.id > self.newest => {
                    self.newest = event.id;
                    return Some((*event).clone());
                }
                Ok(_) => {}
                // Too slow: whatever was lost is in everything.
                Err(RecvError::Lagged(_)) => {
                    return Some(FleetEvent { id: self.newest, clusters: None, tokens: true });
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(names: &[&str], tokens: bool) -> News {
        News { clusters: names.iter().map(|name| (*name).to_owned()).collect(), tokens }
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_was_missed_or_everything() {
        let events = Events::new(OffsetDateTime::UNIX_EPOCH);
        events.publish(News::default());
        events.publish(news(&["lyon"], false));
        events.publish(news(&["oslo", "lyon"], true));
        let names = |list: &[&str]| Some(list.iter().map(|name| (*name).to_owned()).collect());
        let both = FleetEvent { id: 2, clusters: names(&["lyon", "oslo"]), tokens: true };
        assert_eq!(events.subscribe(Some(0)).next().await, Some(both.clone()));
        assert_eq!(events.subscribe(Some(1)).next().await, Some(both));
        let everything = FleetEvent { id: 2, clusters: None, tokens: true };
        assert_eq!(events.subscribe(Some(99)).next().await, Some(everything));
        let mut current = events.subscribe(Some(2));
        let mut fresh = events.subscribe(None);
        events.publish(news(&["rome"], false));
        let rome = FleetEvent { id: 3, clusters: names(&["rome"]), tokens: false };
        assert_eq!(current.next().await, Some(rome.clone()));
        assert_eq!(fresh.next().await, Some(rome));
        let many: Vec<String> = (0..=MAX_NAMES).map(|n| n.to_string()).collect();
        events.publish(news(&many.iter().map(String::as_str).collect::<Vec<_>>(), false));
        assert_eq!(current.next().await.unwrap().clusters, None);
        for n in 0..KEPT {
            events.publish(news(&[&n.to_string()], false));
        }
        assert_eq!(events.subscribe(Some(3)).next().await.unwrap().clusters, None, "forgotten");
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_to_load_everything() {
        let events = Events::new(OffsetDateTime::UNIX_EPOCH);
        let mut slow = events.subscribe(None);
        for n in 0..KEPT + 10 {
            events.publish(news(&[&n.to_string()], false));
        }
        assert_eq!(slow.next().await.unwrap().clusters, None);
    }
}
