//! Heartbeats on their way to the database: who receives them puts them in, who writes them takes them out in batches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::store::StoreError;
use crate::store::heartbeats::Report;

/// Most heartbeats in one statement.
pub(super) const BATCH: usize = 256;
/// Most heartbeats that wait: as many as there may be connections. Beyond it the service is overloaded and says so.
const WAITING: usize = 30_000;
/// Least time between the beginnings of two statements, unless [`ENOUGH`] heartbeats wait. A statement costs PostgreSQL as much as
/// ten more rows in it; members send once a minute and do not notice the wait.
const PACE: Duration = Duration::from_millis(50);
/// So many heartbeats are worth a statement of their own: twice of it costs PostgreSQL a seventh less for each, but then those who send
/// on open connections wait for each other more than for the processors.
const ENOUGH: usize = 64;

/// A heartbeat and who waits for its answer.
pub(super) struct Job {
    pub(super) report: Report,
    pub(super) answer: oneshot::Sender<Stored>,
}

/// The name of the heartbeat's cluster, `None` where no cluster owns the certificate.
pub(super) type Stored = Result<Option<String>, StoreError>;

/// Where heartbeats are put in. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Jobs {
    sender: mpsc::Sender<Job>,
    enough: Arc<Notify>,
}

/// The heartbeats that wait, for whichever writer is free.
pub(super) struct Queue {
    jobs: mpsc::Receiver<Job>,
    enough: Arc<Notify>,
    /// When the next statement may begin.
    next: Instant,
}

/// An empty queue.
pub(super) fn new() -> (Jobs, Queue) {
    let (sender, jobs) = mpsc::channel(WAITING);
    let enough = Arc::<Notify>::default();
    let queue = Queue { jobs, enough: Arc::clone(&enough), next: Instant::now() };
    (Jobs { sender, enough }, queue)
}

/// Too many heartbeats wait.
#[derive(Debug)]
pub(super) struct Full;

impl Jobs {
    /// Puts a heartbeat in. A writer that waits for the pace is woken when there are enough, not by each of them.
    pub(super) fn send(&self, job: Job) -> Result<(), Full> {
        self.sender.try_send(job).map_err(|_| Full)?;
        if self.sender.max_capacity().saturating_sub(self.sender.capacity()) >= ENOUGH {
            self.enough.notify_waiters();
        }
        Ok(())
    }
}

impl Queue {
    /// Waits for a heartbeat, and then for the pace unless there are enough of them. Nothing means that nobody can send any more.
    pub(super) async fn take(&mut self, batch: &mut Vec<Job>) {
        self.jobs.recv_many(batch, BATCH).await;
        if batch.is_empty() {
            return;
        }
        let enough = self.enough.notified();
        if batch.len() + self.jobs.len() < ENOUGH {
            // Whether it was the pace or their number: those that are there go.
            drop(tokio::time::timeout_at(self.next, enough).await);
        }
        while batch.len() < BATCH
            && let Ok(job) = self.jobs.try_recv()
        {
            batch.push(job);
        }
        self.next = Instant::now() + PACE;
    }

    /// Those who wait at this moment.
    pub(super) fn answers(&mut self) -> impl Iterator<Item = oneshot::Sender<Stored>> {
        std::iter::from_fn(|| self.jobs.try_recv().ok()).map(|job| job.answer)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Fingerprint, Heartbeat, UiUrl};

    pub(in crate::domain::heartbeat) type Answers = Vec<oneshot::Receiver<Stored>>;

    pub(in crate::domain::heartbeat) fn send(jobs: &Jobs, count: usize) -> Answers {
        let answers = (0..count).map(|_| {
            let (answer, answered) = oneshot::channel();
            let fingerprint = Fingerprint::of(b"");
            let heartbeat = Heartbeat::default();
            let ui_url = UiUrl::sanitise("", &[]);
            let received = Instant::now();
            let report = Report { fingerprint, received, heartbeat, ui_url };
            jobs.send(Job { report, answer }).unwrap();
            answered
        });
        answers.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_alone_is_taken_at_once_and_those_that_follow_it_together() {
        let begin = Instant::now();
        let (jobs, mut queue) = new();
        let mut batch = Vec::new();
        let mut answers = send(&jobs, 1);
        queue.take(&mut batch).await;
        assert_eq!((batch.len(), begin.elapsed()), (1, Duration::ZERO));

        // Those that come within the pace go together.
        batch.clear();
        answers.extend(send(&jobs, 1));
        let later = async {
            tokio::time::sleep(PACE / 5).await;
            send(&jobs, ENOUGH - 2)
        };
        let ((), more) = tokio::join!(queue.take(&mut batch), later);
        answers.extend(more);
        assert_eq!((batch.len(), begin.elapsed()), (ENOUGH - 1, PACE));

        // Enough of them do not wait for it.
        batch.clear();
        answers.extend(send(&jobs, 1));
        let later = async {
            tokio::time::sleep(PACE / 5).await;
            send(&jobs, BATCH)
        };
        let ((), more) = tokio::join!(queue.take(&mut batch), later);
        answers.extend(more);
        let passed = PACE + PACE / 5;
        assert_eq!((batch.len(), begin.elapsed()), (BATCH, passed), "never more than a batch");

        batch.clear();
        drop(jobs);
        queue.take(&mut batch).await;
        let passed = passed + PACE;
        assert_eq!((batch.len(), begin.elapsed()), (1, passed), "what was left over waits again");
        batch.clear();
        queue.take(&mut batch).await;
        assert!(batch.is_empty(), "nobody can send any more");
    }
}
