//! Heartbeats: what enrolled clusters do all day.
//!
//! Heartbeats that arrive while others are being written, or within some milliseconds of them, are written together, in one
//! statement and one commit: the more arrive, the less each one costs. A heartbeat that arrives alone is written at once.
//! What is acknowledged is committed.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::domain::Error;
use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::metrics::Metrics;
use crate::model::{Fingerprint, Heartbeat, UiUrl};
use crate::remote_write::RemoteWrite;
use crate::store::heartbeats::{self, Report};
use crate::store::{Pool, StoreError};

/// Most heartbeats in one statement.
const BATCH: usize = 256;
/// Statements under way at a time: while one commits, the next one is prepared.
const WRITERS: usize = 2;
/// Most heartbeats that wait: as many as there may be connections. Beyond it the service is overloaded and says so.
const WAITING: usize = 30_000;
/// Least time between the beginnings of two statements, unless [`ENOUGH`] heartbeats wait. A statement costs PostgreSQL as much as
/// ten more rows in it; members send once a minute and do not notice the wait.
const PACE: Duration = Duration::from_millis(25);
/// So many heartbeats are worth a statement of their own: more would make it hardly cheaper for each.
const ENOUGH: usize = 32;
/// Longest time from the complete request to its answer.
const PATIENCE: Duration = Duration::from_secs(10);

struct Job {
    report: Report,
    answer: oneshot::Sender<Stored>,
}

/// The name of the heartbeat's cluster, `None` where no cluster owns the certificate.
type Stored = Result<Option<String>, StoreError>;

/// Takes heartbeats, stores them, and passes their metrics on. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct HeartbeatWriter {
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
    forward: Option<RemoteWrite>,
}

impl HeartbeatWriter {
    /// Starts the writers as tasks of `tasks`; they end when nobody can send any more and nothing waits.
    #[must_use]
    pub fn start(
        pool: &Pool,
        tasks: &TaskTracker,
        metrics: &Metrics,
        forward: Option<RemoteWrite>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let queue = Arc::new(Mutex::new(Queue { jobs: receiver, next: Instant::now() }));
        for _ in 0..WRITERS {
            tasks.spawn(write(pool.clone(), Arc::clone(&queue), metrics.clone()));
        }
        Self { jobs: sender, metrics: metrics.clone(), forward }
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
        let received_at = OffsetDateTime::now_utc();
        let texts = std::mem::take(&mut heartbeat.server_metrics);
        let ui_url = UiUrl::sanitise(&heartbeat.ui_url, own_hosts);
        let accepted = match heartbeat.check() {
            Ok(()) => self.write(Report { fingerprint, heartbeat, ui_url }).await,
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
        self.jobs.try_send(Job { report, answer }).map_err(full)?;
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

/// The heartbeats that wait, for whichever writer is free.
struct Queue {
    jobs: mpsc::Receiver<Job>,
    /// When the next statement may begin.
    next: Instant,
}

impl Queue {
    /// Waits for heartbeats, and for the pace unless there are enough of them. Nothing means that nobody can send any more.
    async fn take(&mut self, batch: &mut Vec<Job>) {
        self.jobs.recv_many(batch, BATCH).await;
        while (1..ENOUGH).contains(&batch.len()) {
            let room = BATCH.saturating_sub(batch.len());
            match tokio::time::timeout_at(self.next, self.jobs.recv_many(batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.next = Instant::now() + PACE;
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
            Err(error) if reports.len() > 1 && !matches!(error, StoreError::Connect(_)) => {
                tracing::warn!(error = %crate::Chain(&error), "heartbeats could not be stored together");
                for (report, answer) in reports.iter().zip(answers) {
                    let alone = store(&pool, std::slice::from_ref(report)).await;
                    drop(answer.send(alone.map(|names| names.into_iter().next().flatten())));
                }
            }
            Err(error) => refuse(answers, error),
        }
    }
}

async fn store(pool: &Pool, reports: &[Report]) -> Result<Vec<Option<String>>, StoreError> {
    settle(|| async { heartbeats::store(&pool.get().await?, reports).await }).await
}

fn refuse(answers: Vec<oneshot::Sender<Stored>>, error: StoreError) {
    let reason = crate::Chain(&error).to_string();
    let mut error = Some(error);
    for answer in answers {
        let error = error.take().unwrap_or_else(|| StoreError::Connect(reason.clone().into()));
        drop(answer.send(Err(error)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answers = Vec<oneshot::Receiver<Stored>>;

    fn send(sender: &mpsc::Sender<Job>, count: usize) -> Answers {
        let jobs = (0..count).map(|_| {
            let (answer, answered) = oneshot::channel();
            let fingerprint = Fingerprint::of(b"");
            let heartbeat = Heartbeat::default();
            let ui_url = UiUrl::sanitise("", &[]);
            let report = Report { fingerprint, heartbeat, ui_url };
            assert!(sender.try_send(Job { report, answer }).is_ok());
            answered
        });
        jobs.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_alone_is_taken_at_once_and_those_that_follow_it_together() {
        let (sender, jobs) = mpsc::channel(WAITING);
        let begin = Instant::now();
        let mut queue = Queue { jobs, next: begin };
        let mut batch = Vec::new();
        let mut answers = send(&sender, 1);
        queue.take(&mut batch).await;
        assert_eq!((batch.len(), begin.elapsed()), (1, Duration::ZERO));

        // Those that come within the pace go together.
        batch.clear();
        answers.extend(send(&sender, 1));
        let later = async {
            tokio::time::sleep(PACE / 5).await;
            send(&sender, ENOUGH - 2)
        };
        let ((), more) = tokio::join!(queue.take(&mut batch), later);
        answers.extend(more);
        assert_eq!((batch.len(), begin.elapsed()), (ENOUGH - 1, PACE));

        // Enough of them do not wait for it.
        batch.clear();
        answers.extend(send(&sender, 1));
        let later = async {
            tokio::time::sleep(PACE / 5).await;
            send(&sender, BATCH)
        };
        let ((), more) = tokio::join!(queue.take(&mut batch), later);
        answers.extend(more);
        let passed = PACE + PACE / 5;
        assert_eq!((batch.len(), begin.elapsed()), (BATCH, passed), "never more than a batch");

        batch.clear();
        drop(sender);
        queue.take(&mut batch).await;
        assert_eq!(batch.len(), 1, "what was left over");
        batch.clear();
        queue.take(&mut batch).await;
        assert!(batch.is_empty(), "nobody can send any more");
    }
}
