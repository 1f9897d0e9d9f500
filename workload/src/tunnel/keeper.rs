//! The leases of this unit's tunnels: taken, renewed, checked and cleared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Closing, Ended};
use super::{RequestError, Tunnels};
use crate::Chain;
use crate::domain::Error;
use crate::domain::tunnels::{OpenTunnel, Unit};
use crate::model::{Fingerprint, Lease, Origin};
use crate::store::Pool;
use crate::store::notifications::{self, Heard};

/// Time between two renewals; a unit that misses three is taken for dead.
const RENEWAL: Duration = Duration::from_secs(10);
/// Time between two attempts to listen to the database.
const RETRY: Duration = Duration::from_secs(1);
/// Tunnels that ask the database at the same time. After an outage thousands of clusters come back at once: they wait for each other
/// here, and heartbeats find connections meanwhile.
const AT_ONCE: usize = 4;
/// Longest time that a cluster waits for that, before its connection is upgraded and after it.
const PATIENCE: Duration = Duration::from_secs(10);
const LEASE_PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for the last word to the database: the tunnels wait for it to be closed in order.
const RETIREMENT: Duration = Duration::from_secs(3);
/// Least time between two records of the audit log about the opening of one cluster's tunnel.
const OPENINGS_APART: Duration = Duration::from_mins(1);
/// How many openings are remembered before those that are older are forgotten.
const OPENINGS_KEPT: usize = 4096;

/// Keeps what the database says about this unit's tunnels and the tunnels themselves the same. Cloning is cheap.
#[derive(Clone)]
pub struct Keeper {
    pool: Pool,
    unit: Unit,
    tunnels: Tunnels,
    turns: Arc<Semaphore>,
    openings: Arc<Openings>,
    stop: CancellationToken,
}

impl Keeper {
    /// A keeper for `unit` until `stop`.
    #[must_use]
    pub fn new(pool: Pool, unit: Unit, tunnels: Tunnels, stop: CancellationToken) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { pool, unit, tunnels, turns, openings: Arc::default(), stop }
    }

    /// The tunnels.
    #[must_use]
    pub fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// Whether an enrolled cluster owns the certificate.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database, [`Error::Overloaded`] when too many clusters ask at the same time.
    pub async fn is_authorised(&self, fingerprint: Fingerprint) -> Result<bool, Error> {
        let _turn = self.turn(PATIENCE).await?;
        crate::domain::tunnels::is_authorised(&self.pool, fingerprint).await
    }

    async fn turn(&self, patience: Duration) -> Result<Option<SemaphorePermit<'_>>, Error> {
        match timeout(patience, self.turns.acquire()).await {
            Ok(turn) => Ok(turn.ok()),
            Err(_) => Err(Error::Overloaded("too many clusters open tunnels at the same time")),
        }
    }

    async fn open(
        &self,
        fingerprint: Fingerprint,
        origin: &Origin,
    ) -> Result<Option<OpenTunnel>, Error> {
        let _turn = self.turn(LEASE_PATIENCE).await?;
        let is_told = self.openings.turn(fingerprint, Instant::now());
        self.unit.open(&self.pool, fingerprint, is_told.then_some(origin)).await
    }

    /// Serves an upgraded web socket of the cluster that owns the certificate until it ends: takes the lease, and clears it
    /// afterwards unless somebody else has it by then.
    pub async fn serve<S>(&self, fingerprint: Fingerprint, origin: &Origin, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.stop.is_cancelled() {
            return;
        }
        // On the heap: the room that they need is not held for as long as the tunnel lives.
        let open = match Box::pin(self.open(fingerprint, origin)).await {
            Ok(Some(open)) => open,
            Ok(None) => {
                tracing::info!(cluster.fingerprint = %fingerprint, "a cluster was removed while it opened a tunnel");
                return;
            }
            // The connection is dropped, and the cluster tries again.
            Err(error) => {
                tracing::warn!(error = %Chain(&error), cluster.fingerprint = %fingerprint, "a tunnel got no lease");
                return;
            }
        };
        if self.stop.is_cancelled() {
            return; // the lease goes with the unit's row
        }
        let lease = open.lease;
        tracing::info!(cluster.id = lease.cluster_id, cluster.fingerprint = %fingerprint, "a tunnel opened");
        let ended = self.tunnels.serve(lease, stream).await;
        tracing::info!(cluster.id = lease.cluster_id, reason = ended.as_str(), "a tunnel ended");
        if ended != Ended::Closed(Closing::Stopping) {
            Box::pin(self.clear(&open, ended)).await;
        }
    }

    async fn clear(&self, open: &OpenTunnel, ended: Ended) {
        let cleared = match self.turn(LEASE_PATIENCE).await {
            Ok(_turn) => self.unit.close(&self.pool, open, ended.as_str()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = cleared {
            tracing::warn!(error = %Chain(&error), "a tunnel's lease could not be cleared: the next renewal does it");
        }
    }

    /// Whether the lease counts at this moment.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unavailable`] without an answer from the database.
    pub async fn still_valid(&self, lease: Lease) -> Result<bool, RequestError> {
        match self.unit.lost(&self.pool, &[lease]).await {
            Ok(lost) => Ok(lost.is_empty()),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a tunnel's lease could not be checked");
                Err(RequestError::Unavailable)
            }
        }
    }

    /// Writes this unit's row for the first time; the renewals do it if it fails here.
    pub async fn announce(&self) {
        self.renew().await;
    }

    /// Starts the keeper's tasks. They end after `stop`: the unit's row goes first, so that nobody is sent here any more, then
    /// the tunnels are closed.
    pub fn start(&self, tasks: &TaskTracker) {
        let (heard, notices) = mpsc::channel(1024);
        tasks.spawn(self.clone().listen(heard));
        tasks.spawn(self.clone().keep(notices));
    }

    async fn listen(self, heard: mpsc::Sender<Heard>) {
        let listening = async {
            loop {
                if let Err(error) = notifications::tunnels(&self.pool, heard.clone()).await {
                    tracing::warn!(error = %Chain(&error), "notifications about tunnels are not heard");
                }
                sleep(RETRY).await;
            }
        };
        let _: Option<()> = self.stop.run_until_cancelled(listening).await;
    }

    async fn keep(self, mut notices: mpsc::Receiver<Heard>) {
        let mut renewals = interval_at(Instant::now() + RENEWAL, RENEWAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                _ = renewals.tick() => self.renew().await,
                received = notices.recv_many(&mut batch, 1024) => {
                    // The sender lives as long as the listener, which ends with `stop`.
                    if received == 0 {
                        break;
                    }
                    let began = batch.contains(&Heard::Listening);
                    let held: Vec<Lease> = if began {
                        self.tunnels.leases() // what changed before was not heard
                    } else {
                        batch.iter().filter_map(|heard| self.held(*heard)).collect()
                    };
                    batch.clear();
                    self.close_lost(&held).await;
                }
            }
        }
        match timeout(RETIREMENT, self.unit.retire(&self.pool)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "this unit could not be retired: its tunnels count for up to 30 s");
            }
            Err(_) => {
                tracing::warn!(
                    "the database does not let this unit retire: its tunnels count for up to 30 s"
                );
            }
        }
        self.tunnels.stop();
    }

    fn held(&self, heard: Heard) -> Option<Lease> {
        match heard {
            Heard::Listening => None,
            Heard::Cluster(id) => self.tunnels.lease(id),
        }
    }

    async fn renew(&self) {
        let held = self.tunnels.leases();
        match self.unit.renew(&self.pool, &held).await {
            Ok(()) => self.close_lost(&held).await,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "tunnels' leases could not be renewed");
            }
        }
    }

    /// Closes those tunnels whose lease does not count any more.
    async fn close_lost(&self, held: &[Lease]) {
        if held.is_empty() {
            return;
        }
        match self.unit.lost(&self.pool, held).await {
            Ok(lost) => {
                for lease in lost {
                    self.tunnels.close(&lease, Closing::Revoked);
                }
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "tunnels' leases could not be checked");
            }
        }
    }
}

/// Which tunnels the audit log hears of: a cluster whose tunnel comes and goes must not fill it.
#[derive(Debug, Default)]
struct Openings(Mutex<HashMap<Fingerprint, Instant>>);

impl Openings {
    /// Whether the opening of this cluster's tunnel is recorded, and with it the end.
    fn turn(&self, fingerprint: Fingerprint, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.duration_since(*at) < OPENINGS_APART;
        if told.get(&fingerprint).is_some_and(is_recent) {
            return false;
        }
        if told.len() >= OPENINGS_KEPT {
            told.retain(|_, at| is_recent(at));
        }
        told.insert(fingerprint, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aud_01_a_tunnel_that_comes_and_goes_is_recorded_once_a_minute() {
        let (openings, now) = (Openings::default(), Instant::now());
        let [lyon, quito] = [Fingerprint::of(b"lyon"), Fingerprint::of(b"quito")];
        assert!(openings.turn(lyon, now) && openings.turn(quito, now));
        assert!(!openings.turn(lyon, now + OPENINGS_APART - Duration::from_nanos(1)));
        assert!(openings.turn(lyon, now + OPENINGS_APART));
        for n in 0..2 * OPENINGS_KEPT {
            assert!(openings.turn(Fingerprint::of(&n.to_be_bytes()), now + 3 * OPENINGS_APART));
        }
        assert!(
            openings.0.lock().unwrap().len() <= 2 * OPENINGS_KEPT,
            "clusters of the last minute"
        );
        let later = now + 5 * OPENINGS_APART;
        assert!(openings.turn(lyon, later));
        assert_eq!(openings.0.lock().unwrap().len(), 1, "the others are forgotten");
    }
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn an_idle_tunnel_holds_little_memory() {
        let config = workload_config::Config::parse(|name| {
            (name == "DB_DISABLE_TLS").then(|| "true".to_owned())
        });
        let pool = Pool::new(&config.unwrap().database).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let key = crate::seal::MasterKey::read_or_create(&directory.path().join("key")).unwrap();
        let unit = Unit::new(&key.unit_addresses().unwrap(), "127.0.0.1:1".parse().unwrap());
        let tunnels = Tunnels::new(
            workload_config::Limits::default().tunnel,
            &Metrics::new("test").unwrap().tunnels,
        );
        let keeper = Keeper::new(pool, unit, tunnels, CancellationToken::new());
        let (stream, _) = tokio::io::duplex(1);
        let origin = Origin::SYSTEM;
        let task = keeper.serve(Fingerprint::of(b""), &origin, stream);
        let bytes = size_of_val(&task);
        assert!(bytes <= 4096, "{bytes} bytes, buffers of the socket aside");
    }
}
