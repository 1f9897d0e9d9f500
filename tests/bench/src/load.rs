//! Making the load and measuring what it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cluster_simulator::{ClientError, Member, STATUS_PATH};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Error;
use crate::connector::Connector;
use crate::database::Database;
use crate::kept::KeptConnection;

/// Before a measurement counts, so that caches, connections to PostgreSQL and the allocator are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// How often members report unless they are told otherwise.
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// How heartbeats come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// As members send them: an anonymous preflight and a mutual connection, both new.
    Fresh,
    /// One connection per sender, for all of its heartbeats.
    Kept,
}

/// A load of heartbeats: each sender sends one after the other, as fast as they are answered.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    /// Senders.
    pub(crate) at_a_time: u32,
    /// How long it lasts.
    pub(crate) length: Duration,
    pub(crate) database: &'a Database,
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// Acknowledged heartbeats.
    pub(crate) heartbeats: usize,
    /// Heartbeats that had another answer than 200, or none.
    pub(crate) failed: usize,
    /// What the last failure was.
    pub(crate) failure: Option<String>,
    pub(crate) elapsed: Duration,
    /// From the first connection to the complete answer, sorted.
    latencies: Vec<Duration>,
    /// CPU time of all heartbeats together.
    connector: Duration,
    postgres: Duration,
}

impl Done {
    pub(crate) fn per_second(&self) -> f64 {
        count(self.heartbeats) / self.elapsed.as_secs_f64()
    }

    /// The time within which `share` (0 to 1) of the heartbeats were answered.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place within the list"
        )]
        let place = (count(last) * share).round() as usize;
        self.latencies.get(place).copied().unwrap_or_default()
    }

    /// CPU time of one heartbeat: connector and PostgreSQL.
    pub(crate) fn cpu(&self) -> (Duration, Duration) {
        let each = |time: Duration| time.div_f64(count(self.heartbeats.max(1)));
        (each(self.connector), each(self.postgres))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

/// What the senders of one load share.
struct Shared {
    members: Vec<Member>,
    next: AtomicUsize,
    body: Vec<u8>,
}

impl Shared {
    /// The clusters take turns.
    fn member(&self) -> Option<&Member> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.members.get(n % self.members.len().max(1))
    }
}

impl Load<'_> {
    /// Measures fresh connections of clusters whose heartbeats the connector has taken before: it looks up those that it does not
    /// know, and the first heartbeat after a join makes the cluster's row longer.
    pub(crate) async fn fresh(
        self,
        connector: &Connector,
        members: Vec<Member>,
        body: &[u8],
    ) -> Result<Done, Error> {
        self.each_once(members.clone(), body).await?;
        self.run(connector, members, Pattern::Fresh, body).await
    }

    /// Warms up, then measures.
    pub(crate) async fn run(
        self,
        connector: &Connector,
        members: Vec<Member>,
        pattern: Pattern,
        body: &[u8],
    ) -> Result<Done, Error> {
        let shared = Arc::new(Shared { members, next: AtomicUsize::new(0), body: body.to_vec() });
        self.send(&shared, pattern, WARM_UP.min(self.length)).await?;
        let meter = Meter::start(connector, self.database)?;
        let (times, failed) = self.send(&shared, pattern, self.length).await?;
        meter.stop(times, failed, None)
    }

    /// Times of the acknowledged heartbeats, and how many failed.
    async fn send(
        self,
        shared: &Arc<Shared>,
        pattern: Pattern,
        length: Duration,
    ) -> Result<(Vec<Duration>, usize), Error> {
        let end = Instant::now() + length;
        let mut senders = JoinSet::new();
        for _ in 0..self.at_a_time {
            let shared = Arc::clone(shared);
            senders.spawn(async move {
                match pattern {
                    Pattern::Fresh => fresh(&shared, end).await,
                    Pattern::Kept => kept(&shared, end).await,
                }
            });
        }
        let (mut times, mut failed) = (Vec::new(), 0);
        while let Some(sent) = senders.join_next().await {
            let sent = sent?;
            times.extend(sent.times);
            failed += sent.failed;
            if let (Some(error), true) = (sent.last_error, times.is_empty()) {
                return Err(format!("heartbeats fail: {error}").into());
            }
        }
        Ok((times, failed))
    }

    /// Clusters take turns so that each would have one within a minute, whether the one before was answered or not. The connector
    /// has taken a heartbeat of each before.
    pub(crate) async fn once_a_minute(
        self,
        connector: &Connector,
        members: Vec<Member>,
        body: &[u8],
    ) -> Result<Done, Error> {
        self.each_once(members.clone(), body).await?;
        let mut turn = tokio::time::interval(MINUTE.div_f64(count(members.len().max(1))));
        let meter = Meter::start(connector, self.database)?;
        let mut senders = JoinSet::new();
        for member in members.into_iter().cycle() {
            turn.tick().await;
            if meter.begin.elapsed() >= self.length {
                break;
            }
            let body = body.to_vec();
            senders.spawn(async move { heartbeat(&member, &body).await });
        }
        meter.stop_after(senders).await
    }

    /// Every cluster sends one heartbeat with fresh connections; the answer is how long that took.
    pub(crate) async fn each_once(
        self,
        members: Vec<Member>,
        body: &[u8],
    ) -> Result<Duration, Error> {
        let begin = Instant::now();
        let total = members.len();
        let shared = Arc::new(Shared { members, next: AtomicUsize::new(0), body: body.to_vec() });
        let mut senders = JoinSet::new();
        for _ in 0..self.at_a_time {
            let shared = Arc::clone(&shared);
            senders.spawn(async move {
                loop {
                    let n = shared.next.fetch_add(1, Ordering::Relaxed);
                    let Some(member) = shared.members.get(n).filter(|_| n < total) else {
                        return Ok::<(), ClientError>(());
                    };
                    heartbeat(member, &shared.body).await?;
                }
            });
        }
        while let Some(sent) = senders.join_next().await {
            sent??;
        }
        Ok(begin.elapsed())
    }

    /// Every cluster sends one heartbeat with fresh connections, so many of them at a time.
    pub(crate) async fn herd(
        self,
        connector: &Connector,
        members: Vec<Member>,
        body: &[u8],
        at_a_time: usize,
    ) -> Result<Done, Error> {
        let meter = Meter::start(connector, self.database)?;
        let places = Arc::new(Semaphore::new(at_a_time));
        let mut senders = JoinSet::new();
        for member in members {
            let (body, places) = (body.to_vec(), Arc::clone(&places));
            senders.spawn(async move {
                let _place = places.acquire().await;
                heartbeat(&member, &body).await
            });
        }
        meter.stop_after(senders).await
    }
}

/// What was used when a load began.
struct Meter<'a> {
    connector: &'a Connector,
    database: &'a Database,
    /// CPU time of the connector and of PostgreSQL.
    used: (Duration, Duration),
    begin: Instant,
}

impl<'a> Meter<'a> {
    fn start(connector: &'a Connector, database: &'a Database) -> Result<Self, Error> {
        let used = (connector.cpu()?, database.cpu()?);
        Ok(Self { connector, database, used, begin: Instant::now() })
    }

    fn stop(
        self,
        mut latencies: Vec<Duration>,
        failed: usize,
        failure: Option<String>,
    ) -> Result<Done, Error> {
        let elapsed = self.begin.elapsed();
        latencies.sort_unstable();
        Ok(Done {
            heartbeats: latencies.len(),
            failed,
            failure,
            elapsed,
            latencies,
            connector: self.connector.cpu()?.saturating_sub(self.used.0),
            postgres: self.database.cpu()?.saturating_sub(self.used.1),
        })
    }

    /// Once all senders have ended.
    async fn stop_after(
        self,
        mut senders: JoinSet<Result<Duration, ClientError>>,
    ) -> Result<Done, Error> {
        let (mut times, mut failed, mut failure) = (Vec::new(), 0, None);
        while let Some(sent) = senders.join_next().await {
            match sent? {
                Ok(time) => times.push(time),
                Err(error) => {
                    failed += 1;
                    failure = Some(error.to_string());
                }
            }
        }
        self.stop(times, failed, failure)
    }
}

/// Sends a heartbeat with fresh connections; the answer is how long it took until it was acknowledged.
async fn heartbeat(member: &Member, body: &[u8]) -> Result<Duration, ClientError> {
    let begin = Instant::now();
    member.request("POST", STATUS_PATH, body.to_vec()).await?.success()?;
    Ok(begin.elapsed())
}

#[derive(Default)]
struct Sent {
    times: Vec<Duration>,
    failed: usize,
    last_error: Option<Error>,
}

impl Sent {
    fn note(&mut self, result: Result<Duration, Error>) {
        match result {
            Ok(time) => self.times.push(time),
            Err(error) => {
                self.failed += 1;
                self.last_error = Some(error);
            }
        }
    }
}

async fn fresh(shared: &Shared, end: Instant) -> Sent {
    let mut sent = Sent::default();
    while Instant::now() < end {
        let Some(member) = shared.member() else { break };
        sent.note(heartbeat(member, &shared.body).await.map_err(Error::from));
    }
    sent
}

async fn kept(shared: &Shared, end: Instant) -> Sent {
    let mut sent = Sent::default();
    'connection: while Instant::now() < end {
        let Some(member) = shared.member() else { break };
        let mut connection = match KeptConnection::open(member, &shared.body).await {
            Ok(connection) => connection,
            Err(error) => {
                sent.note(Err(error));
                continue;
            }
        };
        while Instant::now() < end {
            let begin = Instant::now();
            let result = connection.send().await;
            let broken = result.is_err();
            sent.note(result.map(|()| begin.elapsed()));
            if broken {
                continue 'connection;
            }
        }
    }
    sent
}
