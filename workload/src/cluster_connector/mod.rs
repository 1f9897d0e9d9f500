//! The Cluster Connector: what clusters talk to, over mutual TLS.
//!
//! Invariants: a cluster is identified by the certificate of its TLS connection and by nothing it says; `GET /` never touches the
//! database, because every member calls it before each operation, and its limit is a generous one of its own.

mod handlers;
pub mod hop;
pub mod openapi;
mod tunnel;
mod wire;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use salvo::{Router, Service, affix_state};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use workload_config::{Config, Limits};

use crate::domain::audit::Sampler;
use crate::domain::heartbeat::HeartbeatWriter;
use crate::edge::rate_limit::{
    Anonymous, Clusters, Joined, Limit, MonotonicClock, Newcomers, Peers,
};
use crate::edge::{self, AnswerTime, BodyRoom, BodyRules, SampledLog};
use crate::metrics::Metrics;
use crate::model::Fingerprint;
use crate::seal::MasterKey;
use crate::store::Pool;
use crate::tunnel::Keeper;

pub use self::wire::JoinBody;

/// Lookups under way at a time of callers that may be enrolled or not: less than half of the usual connections to the database.
const LOOKUPS: usize = 4;

/// Long bodies that are parsed at a time.
const LONG_BODIES: usize = 2;

/// How often clients may ask.
#[derive(Clone)]
pub struct RateLimits {
    /// What anyone may ask for, and every member does before each call.
    preflight: Anonymous,
    joins: Anonymous,
    clusters: Clusters,
    /// Of connections.
    pub newcomers: Newcomers,
}

impl RateLimits {
    /// The limits of the settings, all buckets full.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (settings, clock) = (&config.rate_limit, &MonotonicClock);
        let peers = &Peers::new(&config.balancer);
        let newcomers = Newcomers::new(peers, settings);
        Self {
            preflight: Anonymous::new("preflights", settings.preflight, peers, settings, clock),
            joins: Anonymous::new("joins", settings.join, peers, settings, clock),
            clusters: Clusters::new(peers, &newcomers, settings, clock),
            newcomers,
        }
    }

    /// Lets these clusters be no strangers from the start.
    pub fn know(&self, enrolled: Vec<Fingerprint>) {
        for cluster in enrolled {
            self.clusters.remember(cluster);
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<dyn Limit>> {
        let Self { preflight, joins, clusters, newcomers } = self.clone();
        vec![Arc::new(preflight), Arc::new(joins), Arc::new(clusters), Arc::new(newcomers)]
    }
}

/// What the handlers share.
pub struct App {
    /// The database.
    pub pool: Pool,
    /// Opens the secrets of pending tokens.
    pub master_key: Arc<MasterKey>,
    /// Which refused joins the audit log gets.
    pub refused_joins: Sampler,
    /// Where heartbeats go.
    pub heartbeats: HeartbeatWriter,
    /// The tunnels of clusters.
    pub tunnels: Keeper,
    /// Work that ends before the process does.
    pub tasks: TaskTracker,
    /// `host:port` that clusters use.
    pub public_address: String,
    /// What the answer to a heartbeat recommends.
    pub heartbeat_interval: Duration,
    /// One of so many heartbeats that are stored is logged at level info.
    pub log_heartbeats_every: NonZeroU64,
    /// What requests may be.
    pub limits: Limits,
    /// Turns of [`LOOKUPS`].
    lookups: Semaphore,
    /// Turns of [`LONG_BODIES`].
    long_bodies: Arc<Semaphore>,
    /// Host names and addresses of the manager itself: no cluster may point its UI link at them.
    pub own_hosts: Vec<String>,
}

impl App {
    /// Takes what the handlers need out of the settings.
    #[must_use]
    pub fn new(
        config: &Config,
        pool: Pool,
        master_key: Arc<MasterKey>,
        heartbeats: HeartbeatWriter,
        tunnels: Keeper,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            pool,
            master_key,
            refused_joins: Sampler::default(),
            heartbeats,
            tunnels,
            tasks,
            public_address: config.connector.address(),
            heartbeat_interval: config.connector.heartbeat_interval,
            log_heartbeats_every: config.connector.log_heartbeats_every,
            limits: config.limits.clone(),
            lookups: Semaphore::new(LOOKUPS),
            long_bodies: Arc::new(Semaphore::new(LONG_BODIES)),
            own_hosts: config.own_hosts(),
        }
    }
}

/// The routes.
#[must_use]
pub fn service(app: Arc<App>, limits: RateLimits, metrics: &Metrics) -> Service {
    let RateLimits { preflight, joins, clusters, newcomers: _ } = limits;
    // A cluster's longest heartbeat must fit, and four clusters together may keep the others out, but no single one.
    let Limits { connector, body, heartbeat, .. } = &app.limits;
    let bodies = BodyRoom::new(BodyRules {
        bytes: connector.bodies_bytes,
        share: Some((connector.bodies_bytes / 4).max(heartbeat.bytes)),
        time: connector.body_time,
        rate: body.rate,
    });
    let answer_time = AnswerTime(connector.answer_time);
    let join = Router::new().hoop(joins).hoop(Joined(clusters.clone())).post(handlers::join);
    let heartbeat_log = SampledLog::new(app.log_heartbeats_every);
    let enrolled = Router::new()
        .hoop(clusters)
        .delete(handlers::leave)
        .push(Router::with_path("status").hoop(heartbeat_log).post(handlers::heartbeat))
        .push(Router::with_path("ws").get(tunnel::open));
    let status = Router::with_path("status").hoop(preflight.clone());
    let router = Router::new()
        .hoop(affix_state::inject(app))
        .push(Router::new().hoop(preflight).goal(handlers::root))
        .push(
            Router::with_path("1.0")
                .push(status.get(handlers::status).head(handlers::status))
                .push(Router::with_path("remote-cluster").push(join).push(enrolled)),
        );
    edge::service(router, bodies, metrics).hoop(edge::CloseAfterAnswer).hoop(answer_time)
}
