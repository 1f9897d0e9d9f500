//! The whole fleet at once, for lists, summaries and events.
//!
//! Each unit of the Management API keeps all clusters in memory, with what the manager concludes from their data. Figures of
//! heartbeats are at most a second old there; what operators change, and clusters that join or leave, show at once, on every
//! unit. However many people look on, a unit asks the database for heartbeats once a second at most, and every ten seconds while
//! nobody does.

mod actions;
mod entry;
mod events;
mod history;
mod query;
mod row;
mod snapshot;
mod state;
mod summary;
mod watch;

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use actions::{Action, MAX_NAMES, Outcome, act};
pub use entry::{Entry, StandingSince};
pub use events::{FleetEvent, Subscription};
pub use history::{FleetHistory, history};
pub use query::Query;
pub use row::{CompactRow, CompactValues, FullestPool};
pub use snapshot::Snapshot;
pub use summary::{
    Cpu, FullPool, Instances, Members, States, Summary, Top, TopMemory, TopSilent, TopWarnings,
    Usage,
};

use self::events::Events;
use self::state::State;
use crate::domain::Error;
use crate::store::Pool;

/// The view of the fleet. Cloning is cheap.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    pool: Pool,
    state: Mutex<State>,
    events: Events,
    /// Somebody began to follow the events.
    followed: Notify,
    stop: CancellationToken,
}

impl Fleet {
    /// Watches the fleet as a task of `tasks`, from `ready` to `stop`.
    #[must_use]
    pub fn start(
        pool: &Pool,
        tasks: &TaskTracker,
        ready: &CancellationToken,
        stop: &CancellationToken,
    ) -> Self {
        let fleet = Self(Arc::new(Inner {
            pool: pool.clone(),
            state: Mutex::default(),
            events: Events::new(OffsetDateTime::now_utc()),
            followed: Notify::new(),
            stop: stop.clone(),
        }));
        tasks.spawn(watch::watch(fleet.clone(), ready.clone()));
        fleet
    }

    /// The fleet as it is now: everything that an operator changed before this call is in it, heartbeats of the last second may
    /// not be. The time is the database's.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    #[tracing::instrument(name = "domain.fleet.now", skip_all)]
    pub async fn now(&self) -> Result<(Arc<Snapshot>, OffsetDateTime), Error> {
        let mut state = self.0.state.lock().await;
        state.bring_up_to_date(&self.0.pool).await?;
        Ok((state.snapshot(), state.now()))
    }

    /// Follows the events, from the one after `last` if it is known.
    #[must_use]
    pub fn follow(&self, last: Option<u64>) -> Subscription {
        let subscription = self.0.events.subscribe(last);
        self.0.followed.notify_one();
        subscription
    }

    /// Cancelled when the service stops: answers that have no end must find one.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }
}
