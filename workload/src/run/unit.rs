//! What both services have in common: their pool, metrics and tasks, and the way from the start to the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use salvo::Service;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workload_config::Config;

use super::{StartError, database};
use crate::domain::dropped_metrics;
use crate::edge::rate_limit::{self, Limit, Newcomers, Peers};
use crate::edge::{Limits, Listener};
use crate::lifecycle::{Lifecycle, Signals};
use crate::metrics::Metrics;
use crate::remote_write::{self, RemoteWrite};
use crate::store::Pool;
use crate::tls::{self, Identities, Presented, Renewal, TlsError};
use crate::{open_files, status_listener};

/// What a service runs with.
pub(super) struct Unit {
    pub(super) pool: Pool,
    pub(super) metrics: Metrics,
    pub(super) life: Lifecycle,
    /// Cancelled when the schema is up to date and the API listens.
    pub(super) ready: CancellationToken,
    /// Cancelled when the API has answered its last request.
    answered: CancellationToken,
}

/// What the end of a service may take beyond its running requests: their metrics have some seconds to leave. The charm allows more.
const END: Duration = Duration::from_secs(4);

impl Unit {
    pub(super) fn new(
        config: &Config,
        service: &str,
        identities: &Identities,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new(&config.version).map_err(StartError::Metrics)?;
        metrics.certificate_ends(identities.first_end());
        let pool = Pool::for_service(&config.database, service)?;
        let (ready, answered) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self { pool, metrics, life: Lifecycle::default(), ready, answered })
    }

    /// Starts the way of the clusters' metrics to Prometheus, if there is one.
    pub(super) fn forward(&self, config: &Config) -> Result<Option<RemoteWrite>, StartError> {
        let receivers = &config.remote_write.receivers;
        if receivers.is_empty() {
            return Ok(None);
        }
        let labels = config.remote_write.labels.clone();
        let limits = remote_write::Limits::from(&config.limits);
        let options = remote_write::Options { labels, limits, ..remote_write::Options::default() };
        let ca_file = config.remote_write.ca_file.clone();
        let tls = tls::client_config(ca_file.as_deref())?;
        let forward = RemoteWrite::new(receivers, &tls, &options).map_err(|_| TlsError::Runtime)?;
        self.metrics.watch(&forward).map_err(StartError::Metrics)?;
        dropped_metrics::record(&self.pool, &forward, &self.life.stop, &self.life.tasks);
        // Not at the stop: requests that are answered after it bring metrics, too.
        forward.run(&self.answered, &self.life.tasks);
        if let Some(ca_file) = ca_file {
            let (trusting, stop) = (forward.clone(), self.life.stop.clone());
            let trust = move |tls| trusting.trust(&tls);
            let follow = tls::follow_authorities(ca_file, "receivers of metrics", stop, trust);
            self.life.tasks.spawn(follow);
        }
        Ok(Some(forward))
    }

    /// Looks after the files of the certificate.
    pub(super) fn follow(&self, presented: &Arc<Presented>, path: &Path, renewal: Renewal) {
        let (metrics, stop) = (self.metrics.clone(), self.life.stop.clone());
        let follow = Arc::clone(presented).follow(path.to_owned(), renewal, metrics, stop);
        self.life.tasks.spawn(follow);
    }

    /// Keeps the tables of the rate limits small, shows what they refuse, and says whom they are about.
    pub(super) fn look_after(
        &self,
        config: &Config,
        limits: Vec<Arc<dyn Limit>>,
    ) -> Result<(), StartError> {
        self.metrics.watch_limits(limits.clone()).map_err(StartError::Metrics)?;
        let interval = config.rate_limit.cleanup_interval;
        let forget = rate_limit::forget_regularly(limits, interval, self.life.stop.clone());
        self.life.tasks.spawn(forget);
        tracing::info!("{}", Peers::new(&config.balancer));
        Ok(())
    }

    /// Opens the probes at once and the API as soon as the schema is up to date and `start` has done its work, then waits for a
    /// signal.
    pub(super) async fn serve(
        self,
        config: &Config,
        tls: rustls::ServerConfig,
        (limits, newcomers): (Limits, Newcomers),
        service: Service,
        start: impl AsyncFnOnce(&TaskTracker) -> Result<(), StartError>,
    ) -> Result<(), StartError> {
        let Self { pool, metrics, life, ready, answered } = self;
        let answered = answered.drop_guard();
        let mut signals = Signals::new()?;
        let bind = |address, tls, limits| {
            Listener::bind(address, tls, limits).map_err(|e| StartError::Listen(address, e))
        };
        let (drain, grace) = (config.shutdown_drain, config.shutdown_grace);
        let connections = open_files::connections(limits.connections, open_files::raise_limit());
        let limits = Limits { connections, ..limits };
        let api = bind(config.listen, Some((tls, metrics.clone())), limits)?
            .behind(&config.balancer)
            .limit(&newcomers);
        let probes = bind(config.status_listen, None, status_listener::LIMITS)?;
        let probe_service =
            status_listener::service(pool.clone(), metrics, ready.clone(), life.draining.clone());
        // The probes stay until everything else has ended.
        let (probes_stop, probe_tasks) = (CancellationToken::new(), TaskTracker::new());
        let status_address =
            probes.serve(probe_service, &probe_tasks, probes_stop.clone(), Duration::ZERO)?;

        tokio::select! {
            prepared = database::prepare(&pool, config) => prepared?,
            () = life.clone().until_stopped(&mut signals, Duration::ZERO, Duration::ZERO) => return Ok(()),
        }
        start(&life.tasks).await?;
        let answering = TaskTracker::new();
        let address = api.serve(service, &answering, life.stop.clone(), grace)?;
        answering.close();
        life.tasks.spawn(async move {
            answering.wait().await;
            drop(answered);
        });
        let idle = config.management.session_idle;
        life.tasks.spawn(database::purge_regularly(pool, idle, life.stop.clone()));
        ready.cancel();
        tracing::info!(%address, %status_address, "listening on {address}");
        life.until_stopped(&mut signals, drain, grace + END).await;
        probes_stop.cancel();
        Ok(())
    }
}
