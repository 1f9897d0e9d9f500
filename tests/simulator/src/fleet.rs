//! Many clusters in one process: they join a few at a time and then report at an interval, each at
//! a moment of its own.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::ClientError;
use crate::counters::{Counters, Tally};
use crate::failure::Failure;
use crate::identity::{Identity, IdentityError};
use crate::lxd::{Lxd, Trusts};
use crate::member::{ClientOptions, Member, Pin};
use crate::model::ClusterModel;
use crate::random::{mix, mix_text, unit};
use crate::state::{StateDir, StateError, StoredCluster};
use crate::token::{InvalidToken, JoinToken};
use crate::tunnel::TunnelManner;

/// How often a member looks whether its tunnel is open.
const TUNNEL_INTERVAL: Duration = Duration::from_secs(10);

/// How a fleet behaves.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Time between two heartbeats of one cluster.
    pub interval: Duration,
    /// Seed of the clusters' states and of their moments within the interval.
    pub seed: u64,
    /// What is wrong with which cluster, see [`crate::FailureShares::assign`].
    pub failures: HashMap<String, Failure>,
    /// Send the first heartbeat right after the join instead of at the cluster's next moment.
    pub first_heartbeat_at_once: bool,
    /// Put LXD's metrics into the heartbeats.
    pub metrics: bool,
    /// Joins at the same time.
    pub concurrency: usize,
    /// How often a join is tried when the manager is not there or busy (429, 5xx), as an operator
    /// would repeat the command; members have no retry of their own.
    pub join_attempts: u32,
    /// Choices of every cluster's client.
    pub client: ClientOptions,
    /// Give every cluster an address of its own from 127.64.0.0/10, for managers on this machine
    /// that limit the rate per address.
    pub distinct_sources: bool,
    /// Where identities and joins are kept; nowhere if `None`.
    pub state: Option<StateDir>,
    /// Clusters that open a tunnel.
    pub tunnels: HashSet<String>,
    /// How they behave behind it.
    pub tunnel_manner: TunnelManner,
}

impl Default for FleetOptions {
    /// As members are by themselves: a heartbeat a minute, with metrics, nothing wrong.
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            seed: 1,
            failures: HashMap::new(),
            first_heartbeat_at_once: false,
            metrics: true,
            concurrency: 8,
            join_attempts: 8,
            client: ClientOptions::default(),
            distinct_sources: false,
            state: None,
            tunnels: HashSet::new(),
            tunnel_manner: TunnelManner::default(),
        }
    }
}

/// Why a cluster did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token is none.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The token is for another cluster.
    #[error("the token is for the cluster {0}")]
    OtherName(String),
    /// No certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state directory failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The manager refused or was not there.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The fleet was stopped first.
    #[error("stopped before the join was done")]
    Stopped,
}

/// The outcome of one join, for progress reports.
#[derive(Debug)]
pub struct Joined {
    /// Name of the cluster.
    pub name: String,
    /// Whether it joined.
    pub result: Result<(), JoinError>,
}

/// A running fleet.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: FleetOptions,
    stop: CancellationToken,
    tasks: TaskTracker,
    tally: Tally,
    started: Instant,
    sources: AtomicU32,
}

impl Fleet {
    /// A fleet without clusters that runs until `stop` is cancelled.
    #[must_use]
    pub fn new(options: FleetOptions, stop: CancellationToken) -> Self {
        let shared = Shared {
            options,
            stop,
            tasks: TaskTracker::new(),
            tally: Tally::default(),
            started: Instant::now(),
            sources: AtomicU32::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Joins clusters by name and token, some at a time, and calls `progress` after each. Clusters
    /// start to report as soon as they joined. One that is stored as joined goes on as it is, its
    /// token is not used. Ends early, with clusters left over, when the fleet is stopped.
    pub async fn enrol(
        &self,
        tokens: impl IntoIterator<Item = (String, String)>,
        mut progress: impl FnMut(&Joined),
    ) {
        let mut tokens = tokens.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < self.shared.options.concurrency.max(1)
                && !self.shared.stop.is_cancelled()
            {
                let Some((name, token)) = tokens.next() else { break };
                let shared = Arc::clone(&self.shared);
                running.spawn(async move {
                    let stop = shared.stop.clone();
                    let result = tokio::select! {
                        () = stop.cancelled() => Err(JoinError::Stopped),
                        result = shared.enrol_one(&name, &token) => result,
                    };
                    Joined { name, result }
                });
            }
            let Some(finished) = running.join_next().await else { return };
            let joined = match finished {
                Ok(joined) => joined,
                Err(e) => {
                    self.shared.tally.join_failed(format!("a join ended unexpectedly: {e}"));
                    continue;
                }
            };
            match &joined.result {
                Ok(()) => self.shared.tally.joined(),
                Err(JoinError::Stopped) => {}
                Err(e) => self.shared.tally.join_failed(format!("{}: {e}", joined.name)),
            }
            progress(&joined);
        }
    }

    /// Goes on with a cluster that joined earlier. One without a manager is left out.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if its stored certificate or key is damaged.
    pub fn resume(&self, cluster: &StoredCluster) -> Result<(), IdentityError> {
        if let Some(pin) = &cluster.pin {
            self.shared.start(&cluster.name, cluster.identity()?, pin.clone());
            self.shared.tally.joined();
        }
        Ok(())
    }

    /// What the fleet has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    /// Waits until the fleet is stopped and every cluster is quiet. Requests on their way are cut
    /// off, as when a member is switched off.
    pub async fn finished(&self) {
        self.shared.stop.cancelled().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    async fn enrol_one(self: &Arc<Self>, name: &str, token: &str) -> Result<(), JoinError> {
        let state = self.options.state.as_ref();
        let stored = state.map_or(Ok(None), |state| state.load(name))?;
        if let Some(StoredCluster { pin: Some(pin), .. }) = &stored {
            let identity = stored.as_ref().map(StoredCluster::identity);
            if let Some(identity) = identity {
                self.start(name, identity?, pin.clone());
            }
            return Ok(());
        }
        let token = JoinToken::decode(token)?;
        if token.body().server_name != name {
            return Err(JoinError::OtherName(token.body().server_name.clone()));
        }
        let identity = match &stored {
            Some(stored) => stored.identity()?,
            None => Identity::generate(&ClusterModel::new(self.options.seed, name).first_host())?,
        };
        let mut cluster = StoredCluster::new(name, &identity);
        if let Some(state) = state {
            state.save(&cluster)?;
        }
        let pin = Pin::of(&token);
        let member = self.member(identity.clone(), pin.clone());
        self.join_with_patience(name, &member, &token).await?;
        if let Some(state) = state {
            cluster.pin = Some(pin.clone());
            state.save(&cluster)?;
        }
        self.spawn_heartbeats(name, member);
        Ok(())
    }

    async fn join_with_patience(
        &self,
        name: &str,
        member: &Member,
        token: &JoinToken,
    ) -> Result<(), ClientError> {
        let mut wait = Duration::from_millis(250);
        for attempt in 1.. {
            let Err(error) = member.join(token).await else { return Ok(()) };
            if attempt >= self.options.join_attempts || !is_passing(&error) {
                return Err(error);
            }
            tracing::debug!("join of {name} failed, trying again in {wait:?}: {error}");
            let jitter = unit(mix(mix_text(self.options.seed, name), u64::from(attempt)));
            tokio::time::sleep(asked_to_wait(&error).max(wait).mul_f64(0.75 + jitter / 2.0)).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        Ok(())
    }

    fn member(&self, identity: Identity, pin: Pin) -> Member {
        let mut options = self.options.client.clone();
        if self.options.distinct_sources {
            let number = self.sources.fetch_add(1, Ordering::Relaxed) % 0x003f_fffe;
            options.source = Some(IpAddr::V4(Ipv4Addr::from(0x7f40_0001 + number)));
        }
        Member::new(identity, pin).with_options(options)
    }

    fn start(self: &Arc<Self>, name: &str, identity: Identity, pin: Pin) {
        let member = self.member(identity, pin);
        self.spawn_heartbeats(name, member);
    }

    fn spawn_heartbeats(self: &Arc<Self>, name: &str, member: Member) {
        let model = ClusterModel::new(self.options.seed, name)
            .with_failure(self.options.failures.get(name).copied())
            .with_metrics(self.options.metrics);
        if self.options.tunnels.contains(name) {
            self.spawn_tunnel(Lxd::new(model.clone(), Trusts::Anybody), member.clone());
        }
        let shared = Arc::clone(self);
        let name: Arc<str> = name.into();
        self.tasks.spawn(async move {
            let stop = shared.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = shared.report(&name, &member, &model) => {}
            }
        });
    }

    fn spawn_tunnel(&self, lxd: Lxd, member: Member) {
        let (stop, manner) = (self.stop.clone(), self.options.tunnel_manner);
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = member.keep_tunnel(lxd, manner, TUNNEL_INTERVAL) => {}
            }
        });
    }

    /// Sends heartbeats for ever, or until a silent cluster falls silent.
    async fn report(&self, name: &str, member: &Member, model: &ClusterModel) {
        let limit = match model.failure() {
            Some(Failure::Silent { after_heartbeats }) => after_heartbeats,
            _ => u64::MAX,
        };
        let first = self.started + phase(self.options.seed, name, self.options.interval);
        let mut healthy = true;
        for number in 0..limit {
            if number > 0 || !self.options.first_heartbeat_at_once {
                let now = Instant::now();
                tokio::time::sleep_until(next_tick(first, self.options.interval, now)).await;
            }
            // On the heap, so that thousands of sleeping clusters do not each hold the room that
            // a request needs.
            healthy = Box::pin(self.heartbeat(name, member, model, healthy)).await;
        }
    }

    async fn heartbeat(
        &self,
        name: &str,
        member: &Member,
        model: &ClusterModel,
        healthy: bool,
    ) -> bool {
        let started = Instant::now();
        let result = member.heartbeat(&model.status(OffsetDateTime::now_utc())).await;
        match result {
            Ok(_) => {
                self.tally.heartbeat_ok(started.elapsed());
                if !healthy {
                    tracing::info!(cluster.name = name, "{name} reports again");
                }
                true
            }
            Err(e) => {
                if healthy {
                    tracing::warn!(cluster.name = name, "a heartbeat of {name} failed: {e}");
                }
                self.tally.heartbeat_failed(format!("{name}: {e}"));
                false
            }
        }
    }
}

/// When within the interval a cluster reports.
fn phase(seed: u64, name: &str, interval: Duration) -> Duration {
    interval.mul_f64(unit(mix_text(seed, name)))
}

/// The first moment after `now` that lies a whole number of intervals after `first`; like a
/// ticker that drops the ticks nobody waited for.
fn next_tick(first: Instant, interval: Duration, now: Instant) -> Instant {
    let Some(past) = now.checked_duration_since(first) else { return first };
    let ticks = past.as_nanos() / interval.as_nanos().max(1) + 1;
    let ahead = ticks.saturating_mul(interval.as_nanos().max(1)) - past.as_nanos();
    now + Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX))
}

/// Whether trying again may help.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Connect(_) | ClientError::NoAnswer { .. } | ClientError::Timeout(_) => true,
        ClientError::Refused(answer) => answer.status == 429 || answer.status >= 500,
        ClientError::Fingerprint { .. } | ClientError::Request(_) | ClientError::NoAddress => false,
    }
}

/// What a `Retry-After` header in seconds asks for, at most a minute.
fn asked_to_wait(error: &ClientError) -> Duration {
    let ClientError::Refused(answer) = error else { return Duration::ZERO };
    let seconds = answer.header("Retry-After").and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    Duration::from_secs(seconds.min(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_spread_evenly_over_the_interval() {
        let mut tenths = [0; 10];
        for site in crate::Site::first(1000) {
            let phase = phase(1, &site.name, Duration::from_secs(10));
            assert_eq!(phase, super::phase(1, &site.name, Duration::from_secs(10)));
            tenths[usize::try_from(phase.as_secs()).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|clusters| (70..=130).contains(clusters)), "{tenths:?}");
    }

    #[tokio::test]
    async fn ticks_keep_their_phase_and_missed_ones_are_dropped() {
        let (first, interval) = (Instant::now() + Duration::from_secs(7), Duration::from_mins(1));
        let after = |s: u64| next_tick(first, interval, first + Duration::from_secs(s));
        assert_eq!(next_tick(first, interval, first - Duration::from_secs(3)), first);
        assert_eq!(after(0), first + Duration::from_mins(1));
        assert_eq!(after(59), first + Duration::from_mins(1));
        assert_eq!(after(60), first + Duration::from_mins(2));
        assert_eq!(after(200), first + Duration::from_mins(4));
    }
}
