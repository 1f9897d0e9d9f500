//! Takes heartbeats from one line of the queue, makes requests of them and delivers these.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use super::batch::{Batch, Batcher};
use super::encoder::Part;
use super::queue::Heartbeat;
use super::receiver::{Answer, Receiver};

/// At most one line of each kind goes to the log in this time, so that a broken cluster or receiver does not fill it.
const LOG_PAUSE: Duration = Duration::from_mins(1);

/// One of the tasks that deliver.
pub(super) struct Worker<R> {
    line: usize,
    /// What the log calls the receiver.
    name: String,
    shared: Arc<Shared>,
    receiver: Arc<R>,
    /// `None` only while it is at work on another thread.
    batcher: Option<Batcher>,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    /// The receiver is left in peace until then.
    not_before: Instant,
    /// Samples of the current heartbeat about which nothing has been decided.
    undecided: u64,
    logged_bad_text: Pause,
    logged_over_budget: Pause,
    logged_refusal: Pause,
}

impl<R: Receiver> Worker<R> {
    pub(super) fn new(line: usize, name: &str, shared: Arc<Shared>, receiver: Arc<R>) -> Self {
        Self {
            line,
            name: name.to_owned(),
            batcher: Some(Batcher::new(&shared.options)),
            shared,
            receiver,
            failures: 0,
            not_before: Instant::now(),
            undecided: 0,
            logged_bad_text: Pause::default(),
            logged_over_budget: Pause::default(),
            logged_refusal: Pause::default(),
        }
    }

    /// Works until it is told to finish and nothing is left, or to abort.
    pub(super) async fn run(mut self) {
        let abort = self.shared.abort.clone();
        tokio::select! {
            biased;
            () = abort.cancelled() => {}
            () = self.work() => {}
        }
        let stats = &self.shared.stats;
        stats.heartbeats_dropped_stopped.add(u64::from(self.batcher.is_none()));
        stats.samples_dropped_stopped.add(self.undecided);
    }

    async fn work(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let Some(heartbeat) = shared.queue.pop(self.line) else {
                if shared.finish.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = shared.queue.arrival(self.line) => {}
                    () = shared.finish.cancelled() => {}
                }
                continue;
            };
            let deadline = heartbeat.queued_at + shared.options.max_age;
            let parts = self.encode(heartbeat).await;
            self.undecided = parts.iter().map(|part| part.samples).sum();
            for part in parts {
                self.deliver(part, deadline).await;
            }
        }
    }

    /// Reads the texts and counts what is left out. It takes a thread of its own: a large cluster needs many milliseconds.
    async fn encode(&mut self, heartbeat: Heartbeat) -> Vec<Part> {
        let options = &self.shared.options;
        let mut batcher = self.batcher.take().unwrap_or_else(|| Batcher::new(options));
        let work = tokio::task::spawn_blocking(move || {
            let Heartbeat { cluster, received_at, texts, .. } = heartbeat;
            let now = OffsetDateTime::now_utc();
            let batch = batcher.encode(&cluster, received_at, now, &texts);
            (batcher, cluster, batch)
        });
        match work.await {
            Ok((batcher, cluster, batch)) => {
                self.batcher = Some(batcher);
                self.count(&cluster, batch)
            }
            Err(error) => {
                self.shared.stats.heartbeats_dropped_failed.add(1);
                tracing::error!(%error, "reading a heartbeat's metrics failed, they are dropped");
                self.batcher = Some(Batcher::new(&self.shared.options));
                Vec::new()
            }
        }
    }

    fn count(&mut self, cluster: &str, batch: Batch) -> Vec<Part> {
        let stats = &self.shared.stats;
        stats.heartbeats_dropped_not_newer.add(u64::from(batch.not_newer));
        stats.texts_dropped_bad_line.add(batch.texts_rejected);
        stats.samples.add(batch.samples);
        stats.samples_dropped_foreign.add(batch.left_out.foreign);
        stats.samples_dropped_unknown_family.add(batch.left_out.unknown_family);
        stats.samples_dropped_over_limit.add(batch.left_out.over_limit);
        stats.samples_dropped_too_many.add(batch.left_out.too_many);
        stats.samples_dropped_duplicate.add(batch.left_out.duplicate);
        let over_budget = batch.left_out.over_budget;
        stats.samples_dropped_over_budget.add(over_budget);
        if batch.newly_over_budget {
            self.shared.tell(cluster, over_budget);
        }
        if over_budget > 0 && self.logged_over_budget.is_over() {
            tracing::warn!(
                cluster.name = cluster,
                samples = over_budget,
                "dropped new series of {cluster}: it brings too many different ones within an hour"
            );
        }
        if let Some((member, error)) = batch.first_error
            && self.logged_bad_text.is_over()
        {
            tracing::warn!(
                cluster.name = cluster, member, %error,
                "dropped the metrics of member {member} of {cluster}: {error}"
            );
        }
        batch.parts
    }

    /// Sends a request until it is decided what becomes of it, at the latest at `deadline`.
    async fn deliver(&mut self, part: Part, deadline: Instant) {
        let mut to_send = vec![(part, true)];
        while let Some((part, whole)) = to_send.pop() {
            let shared = Arc::clone(&self.shared);
            let stats = &shared.stats;
            match self.attempt(&part, deadline).await {
                None => stats.samples_dropped_too_old.add(part.samples),
                Some(Answer::Stored) => {
                    stats.requests.add(1);
                    stats.bytes_sent.add(part.body.len() as u64);
                    stats.samples_sent.add(part.samples);
                }
                Some(Answer::Refused { bad_sample, reason }) => {
                    stats.requests_refused.add(1);
                    // The receiver may have stored the good samples, or none: the half without the bad one is safe either
                    // way, because the same sample may be sent twice.
                    if whole
                        && bad_sample
                        && let Some([first, second]) = part.halves()
                    {
                        to_send.extend([(second, false), (first, false)]);
                        continue;
                    }
                    stats.samples_dropped_refused.add(part.samples);
                    if self.logged_refusal.is_over() {
                        tracing::warn!(
                            receiver = self.name,
                            samples = part.samples,
                            reason,
                            "the metrics receiver {} refused a request, its samples are dropped",
                            self.name
                        );
                    }
                }
                // An attempt that can be repeated is, until it is too late.
                Some(Answer::Later { .. }) => {
                    to_send.push((part, whole));
                    continue;
                }
            }
            self.undecided = self.undecided.saturating_sub(part.samples);
        }
    }

    /// Sends once, as soon as the receiver is to be asked again. `None` if it is too late for that.
    async fn attempt(&mut self, part: &Part, deadline: Instant) -> Option<Answer> {
        self.turn(deadline).await;
        if Instant::now() >= deadline {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        let limit = shared.options.request_time;
        let answer = timeout(limit, self.receiver.send(part.body.clone())).await;
        let answer = answer.unwrap_or_else(|_| Answer::Later {
            after: None,
            reason: format!("no answer within {} s", limit.as_secs()),
        });
        if let Answer::Later { after, reason } = &answer {
            let wait = self.wait().max(after.unwrap_or_default()).min(shared.options.max_age);
            self.not_before = Instant::now() + wait;
            self.failures = self.failures.saturating_add(1);
            shared.stats.retries.add(1);
            if self.failures == 1 {
                let name = &self.name;
                tracing::warn!(
                    receiver = name,
                    reason,
                    "the metrics receiver {name} does not take metrics: {reason}"
                );
            }
        } else {
            if self.failures > 0 {
                let (name, failures) = (&self.name, self.failures);
                tracing::info!(
                    receiver = name,
                    failures,
                    "the metrics receiver {name} answers again"
                );
            }
            self.failures = 0;
            self.not_before = Instant::now();
        }
        Some(answer)
    }

    /// Waits until the receiver may be asked again, or `deadline`. A stop that begins meanwhile ends the wait: it is the
    /// last chance.
    async fn turn(&self, deadline: Instant) {
        let until = self.not_before.min(deadline);
        let finish = &self.shared.finish;
        if finish.is_cancelled() {
            return sleep_until(until).await;
        }
        tokio::select! {
            () = sleep_until(until) => {}
            () = finish.cancelled() => {}
        }
    }

    /// How long to wait after a failure: twice the last time, and between half and all of that at random, so that servers
    /// and workers do not all come back at once.
    fn wait(&self) -> Duration {
        let (shortest, longest) = self.shared.options.wait;
        let doubled = 2_u32.saturating_pow(self.failures.saturating_add(1));
        let full = shortest.saturating_mul(doubled).min(longest);
        // Each of these states has other keys.
        let random = RandomState::new().hash_one(self.failures) >> 32;
        full / 2
            + (full / 2)
                .mul_f64(f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX))
    }
}

/// Keeps a kind of message rare.
#[derive(Default)]
struct Pause(Option<Instant>);

impl Pause {
    /// Whether it is time for another message; if so, the next pause begins.
    fn is_over(&mut self) -> bool {
        let over = self.0.is_none_or(|last| last.elapsed() >= LOG_PAUSE);
        if over {
            self.0 = Some(Instant::now());
        }
        over
    }
}
