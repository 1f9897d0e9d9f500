//! The live tunnels of this unit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use workload_config::TunnelLimits;

use super::budget::Budget;
use super::connection::{self, Closing, Command, Ended, Job, Waiter};
use super::{Answer, Request, RequestError};
use crate::metrics::TunnelMetrics;
use crate::model::Lease;

/// Most tunnels of one unit.
pub const MAX_TUNNELS: usize = 20_000;
/// What messages that are not complete yet may take, all tunnels together.
const BUDGET_BYTES: usize = 256 << 20;

/// All tunnels of this unit by cluster, at most one each. Cloning is cheap.
#[derive(Clone)]
pub struct Tunnels(Arc<Inner>);

struct Inner {
    by_cluster: Mutex<HashMap<i64, Arc<Tunnel>>>,
    room: Arc<Semaphore>,
    budget: Arc<Budget>,
    limits: TunnelLimits,
    metrics: TunnelMetrics,
}

/// A live tunnel.
pub(super) struct Tunnel {
    lease: Lease,
    /// One request at a time, in the order of their coming.
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    commands: mpsc::UnboundedSender<Command>,
}

/// The room that one tunnel takes at this unit.
pub struct Room(
    #[expect(dead_code, reason = "it is given back when dropped")] OwnedSemaphorePermit,
);

impl Tunnels {
    /// No tunnel yet.
    #[must_use]
    pub fn new(limits: TunnelLimits, metrics: &TunnelMetrics) -> Self {
        Self::with_budget(limits, metrics, BUDGET_BYTES)
    }

    /// The same with another limit for messages that are not complete yet.
    pub(super) fn with_budget(limits: TunnelLimits, metrics: &TunnelMetrics, bytes: usize) -> Self {
        Self(Arc::new(Inner {
            by_cluster: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_TUNNELS)),
            budget: Budget::new(bytes),
            limits,
            metrics: metrics.clone(),
        }))
    }

    /// Room for one more tunnel; `None` when this unit is full.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        Arc::clone(&self.0.room).try_acquire_owned().ok().map(Room)
    }

    /// Serves the tunnel with this lease over `stream`, which has been upgraded to a web socket, until it ends. An older tunnel of
    /// the cluster is closed; if a newer one is there already, this one is.
    pub(super) async fn serve<S>(&self, lease: Lease, stream: S) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (commands, receiver) = mpsc::unbounded_channel();
        let registered = self.register(Tunnel::new(lease, commands));
        let (budget, metrics) = (Arc::clone(&self.0.budget), self.0.metrics.clone());
        let max_bytes = self.0.limits.message_bytes;
        let ended = connection::run(stream, max_bytes, receiver, budget, metrics).await;
        drop(registered);
        self.0.metrics.closed.with_label_values(&[ended.as_str()]).inc();
        ended
    }

    fn register(&self, tunnel: Tunnel) -> Registered {
        let lease = tunnel.lease;
        let mut all = self.lock();
        let newer = all
            .get(&lease.cluster_id)
            .is_some_and(|known| known.lease.generation > lease.generation);
        let replaced = if newer {
            Some(Arc::new(tunnel))
        } else {
            all.insert(lease.cluster_id, Arc::new(tunnel))
        };
        self.count(&all);
        drop(all);
        if let Some(old) = replaced {
            old.close(Closing::Replaced);
        }
        Registered { tunnels: self.clone(), lease }
    }

    /// The leases of all tunnels that are open.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        self.lock().values().map(|tunnel| tunnel.lease).collect()
    }

    /// The lease of the cluster's tunnel, if there is one here.
    #[must_use]
    pub fn lease(&self, cluster_id: i64) -> Option<Lease> {
        self.find(cluster_id).map(|tunnel| tunnel.lease)
    }

    /// Closes the tunnel with this very lease.
    pub fn close(&self, lease: &Lease, reason: Closing) {
        if let Some(tunnel) = self.find(lease.cluster_id).filter(|tunnel| tunnel.lease == *lease) {
            tunnel.close(reason);
        }
    }

    /// Closes all tunnels; requests that are under way are finished.
    pub fn stop(&self) {
        for tunnel in self.lock().values() {
            tunnel.close(Closing::Stopping);
        }
    }

    /// Sends a request to a cluster and waits for its answer: first for its turn, then, if `still_valid` says that the lease
    /// counts, for the answer. A caller that stops waiting takes its request away.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says why there is no answer.
    pub async fn request(
        &self,
        cluster_id: i64,
        request: Request,
        still_valid: impl AsyncFnOnce(Lease) -> Result<bool, RequestError>,
    ) -> Result<Answer, RequestError> {
        let mut outcome = Outcome::new(&self.0.metrics);
        let answer = self.request_uncounted(cluster_id, request, still_valid).await;
        outcome.word = answer.as_ref().map_or_else(|error| error.code(), |_| "answered");
        answer
    }

    async fn request_uncounted(
        &self,
        cluster_id: i64,
        request: Request,
        still_valid: impl AsyncFnOnce(Lease) -> Result<bool, RequestError>,
    ) -> Result<Answer, RequestError> {
        let tunnel = self.find(cluster_id).ok_or(RequestError::NoTunnel)?;
        let turn = tunnel.turn(&self.0.limits).await?;
        if !still_valid(tunnel.lease).await? {
            tunnel.close(Closing::Revoked);
            return Err(RequestError::NoTunnel);
        }
        let (answer, mut answered) = oneshot::channel();
        let job = Box::new(Job { request, waiter: Waiter { answer, turn } });
        tunnel.commands.send(Command::Request(job)).map_err(|_| RequestError::Broken)?;
        tokio::select! {
            biased;
            answer = &mut answered => answer.unwrap_or(Err(RequestError::Broken)),
            // What is sent in the very moment of the end may stay in the channel, which nobody reads any more.
            () = tunnel.commands.closed() => answered.try_recv().unwrap_or(Err(RequestError::Broken)),
        }
    }

    fn find(&self, cluster_id: i64) -> Option<Arc<Tunnel>> {
        self.lock().get(&cluster_id).cloned()
    }

    fn count(&self, all: &HashMap<i64, Arc<Tunnel>>) {
        self.0.metrics.open.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Tunnel>>> {
        self.0.by_cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tunnel {
    fn new(lease: Lease, commands: mpsc::UnboundedSender<Command>) -> Self {
        let (turns, waiting) = (Arc::new(Semaphore::new(1)), AtomicUsize::new(0));
        Self { lease, turns, waiting, commands }
    }

    fn close(&self, reason: Closing) {
        // A task that has ended needs no command.
        drop(self.commands.send(Command::Close(reason)));
    }

    /// Waits for a turn, unless too many wait already.
    async fn turn(&self, limits: &TunnelLimits) -> Result<OwnedSemaphorePermit, RequestError> {
        let turns = Arc::clone(&self.turns);
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = Place::take(&self.waiting, limits.waiting).ok_or(RequestError::Busy)?;
        tokio::select! {
            turn = timeout(limits.waiting_time, turns.acquire_owned()) => match turn {
                Ok(turn) => turn.map_err(|_| RequestError::Broken),
                Err(_) => Err(RequestError::Waited),
            },
            // Whose turn it was may never give it back.
            () = self.commands.closed() => Err(RequestError::Broken),
        }
    }
}

/// A place in the queue of a tunnel; it is free again when dropped, also when the caller goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < most).then_some(waiting + 1);
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a request when it is over, also when its caller went away.
struct Outcome<'a> {
    metrics: &'a TunnelMetrics,
    begin: Instant,
    word: &'static str,
}

impl<'a> Outcome<'a> {
    fn new(metrics: &'a TunnelMetrics) -> Self {
        Self { metrics, begin: Instant::now(), word: "abandoned" }
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        self.metrics.requests.with_label_values(&[self.word]).inc();
        self.metrics.request_seconds.observe(self.begin.elapsed().as_secs_f64());
    }
}

/// A tunnel's entry, until it is dropped.
struct Registered {
    tunnels: Tunnels,
    lease: Lease,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut all = self.tunnels.lock();
        if all.get(&self.lease.cluster_id).is_some_and(|tunnel| tunnel.lease == self.lease) {
            all.remove(&self.lease.cluster_id);
        }
        self.tunnels.count(&all);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lease, limits, request};
    use super::*;
    use crate::metrics::Metrics;

    /// Stress of the channel alone, with both ends busy, leaves one in thirty thousand commands that meet the end unread.
    #[tokio::test(start_paused = true)]
    async fn tun_07_a_request_that_the_end_of_the_tunnel_leaves_unread_is_over_at_once() {
        let tunnels = Tunnels::new(limits(), &Metrics::new("test").unwrap().tunnels);
        let (commands, mut receiver) = mpsc::unbounded_channel();
        let _registered = tunnels.register(Tunnel::new(lease(1, 1), commands));
        let ask = |path: &str| {
            let (tunnels, request) = (tunnels.clone(), request(path, Vec::new()));
            tokio::spawn(async move { tunnels.request(1, request, async |_| Ok(true)).await })
        };
        let (first, second) = (ask("/1.0/first"), ask("/1.0/second"));
        while receiver.is_empty() {
            tokio::task::yield_now().await;
        }
        let begin = Instant::now();
        receiver.close(); // and nobody reads what is in it
        for asked in [first, second] {
            // On a paused clock an hour is over at once.
            let ended = timeout(std::time::Duration::from_hours(1), asked).await;
            let error = ended.expect("it ends").unwrap().map(drop).unwrap_err();
            assert_eq!(error, RequestError::Broken);
        }
        assert_eq!(begin.elapsed().as_secs(), 0);
    }
}
