//! Heartbeats: what enrolled clusters do all day.
//!
//! Heartbeats that arrive while others are being written, or within some milliseconds of them, are written together, in one
//! statement and one commit: the more arrive, the less each one costs. A heartbeat that arrives alone is written at once.
//! What is acknowledged is committed.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use workload_config::HeartbeatLimits;

use self::queue::{BATCH, Job, Jobs, Queue, Stored};
use crate::domain::Error;
use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::metrics::Metrics;
use crate::model::{Fingerprint, Heartbeat, UiUrl};
use crate::remote_write::RemoteWrite;
use crate::store::heartbeats::{self, Report};
use crate::store::{Pool, StoreError};

/// Statements under way at a time: while one commits, the next one is prepared.
const WRITERS: usize = 2;
/// Longest wait for the database: the answer leaves within ten seconds.
const PATIENCE: Duration = Duration::from_secs(9);

/// Takes heartbeats, stores them, and passes their metrics on. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct HeartbeatWriter {
    jobs: Jobs,
    metrics: Metrics,
    forward: Option<RemoteWrite>,
    limits: HeartbeatLimits,
}

impl HeartbeatWriter {
    /// Starts the writers as tasks of `tasks`; they end when nobody can send any more and nothing waits.
    #[must_use]
    pub fn start(
        pool: &Pool,
        tasks: &TaskTracker,
        metrics: &Metrics,
        forward: Option<RemoteWrite>,
        limits: HeartbeatLimits,
    ) -> Self {
        let (jobs, queue) = queue::new();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..WRITERS {
            tasks.spawn(write(pool.clone(), Arc::clone(&queue), metrics.clone()));
        }
        Self { jobs, metrics: metrics.clone(), forward, limits }
    }

    /// Stores the heartbeat of the cluster that owns the certificate. When this returns, it is committed; its metrics are on
    /// their way.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] when no enrolled cluster owns the certificate, [`Error::Invalid`] when the heartbeat breaks a limit,
    /// [`Error::Overloaded`] when too many heartbeats wait or the database is too slow, [`Error::Store`] without an answer from
    /// it.
    #[tracing::instrument(name = "domain.heartbeat.accept", skip_all)]
    pub async fn accept(
        &self,
        fingerprint: Fingerprint,
        mut heartbeat: Heartbeat,
        own_hosts: &[String],
    ) -> Result<(), Error> {
        let (received, received_at) = (Instant::now(), OffsetDateTime::now_utc());
        let texts = std::mem::take(&mut heartbeat.server_metrics);
        let ui_url = UiUrl::sanitise(&heartbeat.ui_url, own_hosts);
        let accepted = match heartbeat.check(&self.limits) {
            Ok(()) => self.write(Report { fingerprint, received, heartbeat, ui_url }).await,
            Err(error) => Err(Error::Invalid(error.to_string())),
        };
        if let (Some(forward), Ok(cluster)) = (&self.forward, &accepted) {
            forward.enqueue(cluster, received_at, texts);
        }
        let result = match &accepted {
            Ok(_) => "stored",
            Err(Error::Forbidden(_)) => "unknown",
            Err(Error::Invalid(_)) => "invalid",
            Err(Error::Overloaded(_)) => "overloaded",
            Err(_) => "failed",
        };
        self.metrics.heartbeats.with_label_values(&[result]).inc();
        accepted.map(drop)
    }

    /// Counts the heartbeat of a certificate that no enrolled cluster owns, and that was refused before it was read.
    pub fn refused(&self) {
        self.metrics.heartbeats.with_label_values(&["unknown"]).inc();
    }

    /// The name of the cluster.
    async fn write(&self, report: Report) -> Result<String, Error> {
        let (answer, answered) = oneshot::channel();
        let full = |_| Error::Overloaded("too many heartbeats are waiting");
        self.jobs.send(Job { report, answer }).map_err(full)?;
        self.metrics.heartbeat_queue.inc();
        let slow = Error::Overloaded("a heartbeat waited too long for the database");
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(Some(cluster)))) => Ok(cluster),
            Ok(Ok(Ok(None))) => Err(FORBIDDEN),
            Ok(Ok(Err(error))) => Err(error.into()),
            Ok(Err(_)) | Err(_) => Err(slow),
        }
    }
}

async fn write(pool: Pool, queue: Arc<Mutex<Queue>>, metrics: Metrics) {
    // Kept over the rounds: with room for a full batch it is too large to be allocated for each.
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        queue.lock().await.take(&mut batch).await;
        if batch.is_empty() {
            return;
        }
        metrics.heartbeat_queue.sub(i64::try_from(batch.len()).unwrap_or(i64::MAX));
        // Who has left was told that it failed, and may have sent a newer one since.
        batch.retain(|job| !job.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        metrics.heartbeat_batch.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        let (reports, answers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|job| (job.report, job.answer)).unzip();
        match store(&pool, &reports).await {
            Ok(names) => {
                for (answer, name) in answers.into_iter().zip(names) {
                    drop(answer.send(Ok(name)));
                }
            }
            // One bad value must not fail its neighbours.
            Err(error) if reports.len() > 1 && error.is_of_some_rows() => {
                tracing::warn!(error = %crate::Chain(&error), "heartbeats could not be stored together");
                let store = |report| {
                    let pool = pool.clone();
                    async move { store(&pool, &[report]).await }
                };
                one_by_one(reports.into_iter().zip(answers), store).await;
            }
            // Who waits for a database that is away is told now, not when the turn comes. A queue that is in use is being emptied.
            Err(error @ StoreError::Connect(_)) => {
                let waiting: Vec<_> =
                    queue.try_lock().map_or_else(|_| Vec::new(), |mut q| q.answers().collect());
                metrics.heartbeat_queue.sub(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
                refuse(answers.into_iter().chain(waiting), error);
            }
            Err(error) => refuse(answers, error),
        }
    }
}

/// Stores heartbeats each by itself, as long as the database is there to take them.
async fn one_by_one<A>(
    mut jobs: impl Iterator<Item = (Report, oneshot::Sender<Stored>)>,
    store: impl Fn(Report) -> A,
) where
    A: Future<Output = Result<Vec<Option<String>>, StoreError>>,
{
    while let Some((report, answer)) = jobs.next() {
        if answer.is_closed() {
            continue;
        }
        match store(report).await {
            Err(error) if !error.is_of_some_rows() => {
                refuse(std::iter::once(answer).chain(jobs.map(|job| job.1)), error);
                return;
            }
            alone => drop(answer.send(alone.map(|names| names.into_iter().next().flatten()))),
        }
    }
}

async fn store(pool: &Pool, reports: &[Report]) -> Result<Vec<Option<String>>, StoreError> {
    let stored = settle(|| async { heartbeats::store(&pool.get().await?, reports).await });
    tokio::select! {
        stored = stored => stored,
        silence = pool.silence() => Err(silence),
    }
}

fn refuse(answers: impl IntoIterator<Item = oneshot::Sender<Stored>>, error: StoreError) {
    let reason = crate::Chain(&error).to_string();
    let mut error = Some(error);
    for answer in answers {
        let error = error.take().unwrap_or_else(|| StoreError::Connect(reason.clone().into()));
        drop(answer.send(Err(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::queue::tests::send;
    use super::*;

    fn pool(port: u16) -> Pool {
        let config = workload_config::Config::parse(|name| match name {
            "DB_HOST" => Some("127.0.0.1".into()),
            "DB_PORT" => Some(port.to_string()),
            "DB_DISABLE_TLS" => Some("true".into()),
            _ => None,
        });
        Pool::new(&config.unwrap().database).unwrap()
    }

    #[tokio::test]
    async fn rel_03_heartbeats_whose_senders_have_left_are_not_stored() {
        let database = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        database.set_nonblocking(true).unwrap();
        let pool = pool(database.local_addr().unwrap().port());
        let (jobs, queue) = queue::new();
        drop(send(&jobs, 3));
        drop(jobs);
        let queue = Arc::new(Mutex::new(queue));
        write(pool, queue, Metrics::new("test").unwrap()).await;
        let asked = database.accept().unwrap_err();
        assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock, "the database is not asked");
    }

    #[tokio::test]
    async fn rel_03_heartbeats_are_not_tried_one_by_one_without_a_database() {
        let (jobs, mut queue) = queue::new();
        let mut answers = send(&jobs, 5);
        drop(answers.remove(1));
        let mut batch = Vec::new();
        queue.take(&mut batch).await;
        let jobs = batch.into_iter().map(|job| (job.report, job.answer));
        let asked = std::cell::Cell::new(0);
        one_by_one(jobs, |_| {
            asked.set(asked.get() + 1);
            let lost = asked.get() == 2;
            async move {
                if lost { Err(StoreError::Connect("it is away".into())) } else { Ok(vec![None]) }
            }
        })
        .await;
        let mut stored = Vec::new();
        for answer in answers {
            stored.push(answer.await.unwrap().is_ok());
        }
        assert_eq!((asked.get(), stored), (2, vec![true, false, false, false]));
    }

    #[tokio::test(start_paused = true)]
    async fn rel_03_all_who_wait_are_refused_when_the_database_is_away() {
        // A port on which nobody listens.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (jobs, queue) = queue::new();
        let answers = send(&jobs, 3 * BATCH);
        let queue = Arc::new(Mutex::new(queue));
        let metrics = Metrics::new("test").unwrap();
        let mut batches = 0;
        let writing = tokio::spawn(write(pool(closed.port()), Arc::clone(&queue), metrics.clone()));
        for answer in answers {
            let refused = matches!(answer.await.unwrap(), Err(StoreError::Connect(_)));
            assert!(refused);
            batches = metrics.heartbeat_batch.get_sample_count();
        }
        assert_eq!(batches, 1, "nobody waits for the next batch");
        drop(jobs);
        writing.await.unwrap();
    }
}
