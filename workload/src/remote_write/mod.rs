//! Forwards the metrics that clusters send in their heartbeats to Prometheus or another receiver of remote write.
//!
//! A heartbeat hands its texts over and is answered; everything else happens here, off the request's path: a bounded
//! queue, workers that read the texts and compress them, delivery with retries. Each receiver has all of that for itself, so
//! that one that is away holds nobody back; the texts that wait are shared. Invariants:
//!
//! - [`RemoteWrite::enqueue`] never waits, never fails and never reads a text.
//! - Memory is bounded, for each receiver: by bytes and age while metrics wait as text, by one heartbeat per worker while they
//!   are delivered.
//! - A series' name and the labels `job`, `cluster`, `member` and [`Options::labels`] are the manager's to give,
//!   never a cluster's.
//! - The times of a cluster's samples only rise. A cluster's metrics go through one worker of each
//!   receiver, in order.
//! - Everything that is dropped is counted, by receiver and reason, in [`Stats`].
//! - Of a receiver's address nothing but host and port is shown: the rest may hold a secret.
//!
//! What waits is in memory only: it is lost when the server is killed, or when the receiver does not take it in the time
//! that a stop allows.

mod batch;
mod budget;
mod encoder;
pub mod exposition;
mod labels;
mod queue;
mod receiver;
mod stats;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use self::exposition::SampleLimits;
use self::queue::{Heartbeat, Queue};
use self::receiver::{HttpReceiver, Receiver};
use self::worker::Worker;

pub use self::batch::{Batch, Batcher, LeftOut};
pub use self::encoder::Part;
pub use self::stats::{Count, Stats};
pub use crate::model::MemberMetrics;

/// The one service whose metrics are forwarded.
const SERVICE: &str = "LXD";

/// The most that is taken from one heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Texts; what follows is dropped.
    pub texts: usize,
    /// Bytes of one text; a longer one is dropped.
    pub text_bytes: usize,
    /// Bytes of a member's name; its text is dropped if the name is longer.
    pub member_bytes: usize,
    /// Samples; what follows is dropped.
    pub samples: usize,
    /// Different series of one cluster within an hour of the clock, for each worker; further ones are dropped.
    pub series: usize,
    /// One sample; one that exceeds them is dropped.
    pub sample: SampleLimits,
}

impl From<&workload_config::Limits> for Limits {
    fn from(limits: &workload_config::Limits) -> Self {
        let workload_config::Limits { heartbeat, samples, .. } = limits;
        Self {
            texts: heartbeat.metrics,
            text_bytes: heartbeat.metrics_bytes,
            member_bytes: heartbeat.text_bytes,
            samples: samples.samples,
            series: samples.series,
            sample: SampleLimits {
                labels: samples.labels,
                name_bytes: samples.name_bytes,
                value_bytes: samples.value_bytes,
            },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&workload_config::Limits::default())
    }
}

/// How metrics are forwarded. The default is right for most deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Beginnings of the names of metrics that are forwarded.
    pub prefixes: Vec<String>,
    /// Labels of every sample, besides those that say where it comes from: where it went through. They must not have the names
    /// `cluster`, `job` and `member`, nor begin with `__`.
    pub labels: BTreeMap<String, String>,
    /// The most that is taken from one heartbeat.
    pub limits: Limits,
    /// Bytes of heartbeats that wait; the oldest go when there are more.
    pub queue_bytes: usize,
    /// How long metrics may wait and be retried before they are dropped.
    pub max_age: Duration,
    /// Longest message of one request before compression, in bytes.
    pub part_bytes: usize,
    /// Requests that may be under way at the same time.
    pub workers: NonZeroUsize,
    /// How long a request may take.
    pub request_time: Duration,
    /// Shortest and longest wait between attempts; it doubles with each failure and has jitter.
    pub wait: (Duration, Duration),
    /// How long a stop may take to deliver what waits.
    pub flush_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefixes: vec!["lxd_".into()],
            labels: BTreeMap::new(),
            limits: Limits::default(),
            queue_bytes: 64 << 20,
            max_age: Duration::from_mins(5),
            part_bytes: 5 << 20,
            workers: NonZeroUsize::MIN.saturating_add(1),
            request_time: Duration::from_secs(10),
            wait: (Duration::from_millis(100), Duration::from_secs(30)),
            flush_time: Duration::from_secs(3),
        }
    }
}

/// The way of metrics from heartbeats to the receivers. A clone is the same way.
#[derive(Clone)]
pub struct RemoteWrite(Arc<Inner>);

struct Inner {
    limits: Limits,
    ways: Vec<Way>,
}

/// The way to one receiver.
struct Way {
    name: String,
    receiver: Arc<HttpReceiver>,
    shared: Arc<Shared>,
}

/// A cluster has brought more different series within an hour than [`Limits::series`]: new ones are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverBudget {
    /// Its name.
    pub cluster: String,
    /// Samples of its heartbeat that were dropped for that.
    pub samples: u64,
    /// The most series that it may bring.
    pub series: usize,
}

/// What workers and the handle have in common.
struct Shared {
    options: Options,
    queue: Queue,
    stats: Arc<Stats>,
    /// Who wants to know of clusters over their budget.
    over_budget: OnceLock<mpsc::Sender<OverBudget>>,
    /// Deliver what is there, then end.
    finish: CancellationToken,
    /// End now.
    abort: CancellationToken,
    workers: TaskTracker,
}

impl RemoteWrite {
    /// `urls` are the receivers' complete addresses, for Prometheus with the path `/api/v1/write`; they may hold a user and a
    /// password. `options` are for each of them. Nothing is sent before [`Self::run`].
    ///
    /// # Errors
    ///
    /// What `reqwest` says when `tls` cannot be used.
    pub fn new(
        urls: &[Url],
        tls: &rustls::ClientConfig,
        options: &Options,
    ) -> Result<Self, reqwest::Error> {
        let mut ways = Vec::new();
        for (n, url) in urls.iter().enumerate() {
            let same = urls.iter().take(n).filter(|other| host(other) == host(url)).count();
            ways.push(Way {
                name: if same == 0 { host(url) } else { format!("{}#{}", host(url), same + 1) },
                receiver: Arc::new(HttpReceiver::new(url.clone(), tls.clone())?),
                shared: Arc::new(Shared::new(options.clone())),
            });
        }
        Ok(Self(Arc::new(Inner { limits: options.limits, ways })))
    }

    /// Uses other authorities for all receivers, from their next requests on.
    ///
    /// # Errors
    ///
    /// What `reqwest` says when `tls` cannot be used.
    pub fn trust(&self, tls: &rustls::ClientConfig) -> Result<(), reqwest::Error> {
        self.0.ways.iter().try_for_each(|way| way.receiver.replace(tls.clone()))
    }

    /// Tells of a cluster over its budget, about once an hour and receiver. What `to` has no room for is not told: the counts are
    /// in [`Stats`] all the same. To be called once.
    pub fn tell_over_budget(&self, to: &mpsc::Sender<OverBudget>) {
        for way in &self.0.ways {
            way.shared.over_budget.get_or_init(|| to.clone());
        }
    }

    /// Takes over the metrics of a heartbeat that `cluster` sent and that arrived at `received_at`.
    pub fn enqueue(&self, cluster: &str, received_at: OffsetDateTime, texts: Vec<MemberMetrics>) {
        let selected = Selected::new(texts, &self.0.limits);
        for way in &self.0.ways {
            way.shared.enqueue(cluster, received_at, &selected);
        }
    }

    /// What has been done so far, for each receiver: its host and port, with a number where several have the same.
    pub fn receivers(&self) -> impl Iterator<Item = (&str, &Stats)> {
        self.0.ways.iter().map(|way| (way.name.as_str(), &*way.shared.stats))
    }

    /// Starts the workers. When `complete` is cancelled, because no more heartbeats come, they deliver what waits for as long as
    /// [`Options::flush_time`] allows, and end; `tasks` waits for that.
    pub fn run(&self, complete: &CancellationToken, tasks: &TaskTracker) {
        for way in &self.0.ways {
            way.shared.spawn_workers(&way.name, &way.receiver);
            let (shared, complete) = (Arc::clone(&way.shared), complete.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = complete.cancelled() => shared.shutdown(shared.options.flush_time).await,
                    () = shared.finish.cancelled() => {}
                }
                shared.workers.wait().await;
            });
        }
    }

    /// Stops without waiting for the token of [`Self::run`]: delivers what waits for as long as `deadline` allows, drops
    /// the rest and whatever comes later. Returns when the workers have ended.
    pub async fn shutdown(&self, deadline: Duration) {
        join_all(self.0.ways.iter().map(|way| way.shared.shutdown(deadline))).await;
    }
}

impl fmt::Debug for RemoteWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.receivers()).finish()
    }
}

/// Host and port: what may be shown of a receiver's address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The texts of a heartbeat that are for the receivers, and how many are not.
struct Selected {
    texts: Arc<[MemberMetrics]>,
    of_other_services: u64,
    over_limit: u64,
}

impl Selected {
    fn new(mut texts: Vec<MemberMetrics>, limits: &Limits) -> Self {
        let all = texts.len();
        texts.retain(|text| text.service == SERVICE);
        let of_service = texts.len();
        texts.truncate(limits.texts);
        texts.retain(|text| {
            text.metrics.len() <= limits.text_bytes && text.member.len() <= limits.member_bytes
        });
        Self {
            of_other_services: (all - of_service) as u64,
            over_limit: (of_service - texts.len()) as u64,
            texts: texts.into(),
        }
    }
}

impl Shared {
    fn new(options: Options) -> Self {
        let stats = Arc::new(Stats::default());
        let queue = Queue::new(
            options.workers.get(),
            options.queue_bytes,
            options.max_age,
            Arc::clone(&stats),
        );
        Self {
            options,
            queue,
            stats,
            over_budget: OnceLock::new(),
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
            workers: TaskTracker::new(),
        }
    }

    fn enqueue(&self, cluster: &str, received_at: OffsetDateTime, selected: &Selected) {
        let Selected { texts, of_other_services, over_limit } = selected;
        let all = texts.len() as u64 + of_other_services + over_limit;
        if all == 0 {
            return;
        }
        self.stats.heartbeats.add(1);
        self.stats.texts.add(all);
        self.stats.texts_dropped_service.add(*of_other_services);
        self.stats.texts_dropped_over_limit.add(*over_limit);
        if !texts.is_empty() {
            let (queued_at, texts) = (Instant::now(), Arc::clone(texts));
            self.queue.push(Heartbeat { cluster: cluster.into(), received_at, queued_at, texts });
        }
    }

    fn tell(&self, cluster: &str, samples: u64) {
        if let Some(to) = self.over_budget.get() {
            let series = self.options.limits.series;
            drop(to.try_send(OverBudget { cluster: cluster.to_owned(), samples, series }));
        }
    }

    /// `name` is what the log calls the receiver.
    fn spawn_workers(self: &Arc<Self>, name: &str, receiver: &Arc<impl Receiver>) {
        for line in 0..self.options.workers.get() {
            let worker = Worker::new(line, name, Arc::clone(self), Arc::clone(receiver));
            self.workers.spawn(worker.run());
        }
        self.workers.close();
    }

    async fn shutdown(&self, deadline: Duration) {
        self.finish.cancel();
        if tokio::time::timeout(deadline, self.workers.wait()).await.is_err() {
            self.abort.cancel();
            self.workers.wait().await;
        }
        let dropped = self.queue.close();
        if dropped > 0 {
            tracing::warn!(
                heartbeats = dropped,
                "dropped the metrics of {dropped} heartbeats, because the server stops"
            );
        }
    }
}
