//! Wiring: from settings to running services. No logic of its own.

use std::sync::Arc;
use std::time::Duration;

use salvo::Service;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workload_config::{Config, PublicUrl};

use crate::domain::heartbeat::HeartbeatWriter;
use crate::domain::join_tokens::JoinTokenPolicy;
use crate::edge::{Limits, Listener};
use crate::metrics::Metrics;
use crate::oidc::Provider;
use crate::seal::{MasterKey, MasterKeyError};
use crate::store::{Pool, StoreError};
use crate::tls::{self, ClientCertificates, ServerIdentity, TlsError};
use crate::{cluster_connector, lifecycle, management_api, status_listener, store};

/// Time between two looks for rows whose time is over.
const PURGE_INTERVAL: Duration = Duration::from_mins(10);
/// Time between two attempts to reach a database that is away at start.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that this service needs is missing.
    #[error("{0}")]
    Setting(&'static str),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The metrics cannot be set up.
    #[error("the metrics could not be set up")]
    Metrics(#[source] prometheus::Error),
    /// The system refused something else.
    #[error("the system refused a service")]
    Io(#[from] std::io::Error),
}

/// Runs the Cluster Connector until a signal.
///
/// # Errors
///
/// [`StartError`] when it cannot start.
pub async fn cluster_connector(config: Config) -> Result<(), StartError> {
    let identity = connector_identity(&config)?;
    let tls = tls::server_config(&identity, ClientCertificates::Requested)?;
    let pool = Pool::new(&config.database)?;
    let tasks = TaskTracker::new();
    let metrics = metrics(&config, &identity)?;
    let heartbeats = HeartbeatWriter::start(&pool, &tasks, &metrics);
    let app = Arc::new(cluster_connector::App::new(&config, pool.clone(), heartbeats));
    tracing::info!(
        fingerprint = %identity.fingerprint(),
        address = app.public_address,
        "clusters reach the Cluster Connector at {} and pin {}",
        app.public_address,
        identity.fingerprint()
    );
    let service = cluster_connector::service(app, &metrics);
    serve(&config, pool, tls, cluster_connector::LIMITS, service, tasks, metrics).await
}

/// Runs the Management API until a signal.
///
/// # Errors
///
/// [`StartError`] when it cannot start.
pub async fn management_api(config: Config) -> Result<(), StartError> {
    let path = config.management.tls_path.as_deref();
    let path = path.ok_or(StartError::Setting(
        "MANAGEMENT_API_TLS_PATH must be set: a directory with tls.crt and tls.key",
    ))?;
    let identity = ServerIdentity::from_directory(path)?;
    let tls = tls::server_config(&identity, ClientCertificates::NotRequested)?;
    let public_url = config.management.public_url.clone().or_else(|| {
        identity.dns_names().first().and_then(|name| PublicUrl::parse(&format!("https://{name}")))
    });
    let public_url = public_url.ok_or(StartError::Setting(
        "MANAGEMENT_API_URL must be set: the https address that browsers use (the certificate names no host)",
    ))?;
    let oidc = config.oidc.clone();
    let oidc = oidc.ok_or(StartError::Setting(
        "OIDC_ISSUER and OIDC_CLIENT_ID must be set: people log in there",
    ))?;
    let master_key = match &config.management.master_key_file {
        Some(path) => MasterKey::read(path)?,
        None => MasterKey::read_or_create(&config.data_dir.join("master.key"))?,
    };
    let pool = Pool::new(&config.database)?;
    let metrics = metrics(&config, &identity)?;
    let app = management_api::App {
        pool: pool.clone(),
        admin_groups: oidc.admin_groups.clone(),
        provider: Provider::new(oidc, public_url.clone())?,
        master_key,
        public_url,
        join_tokens: join_token_policy(&config)?,
        config: config.clone(),
    };
    tracing::info!(
        url = app.public_url.origin(),
        "operators reach the Management API at {}",
        app.public_url.origin()
    );
    let service = management_api::service(Arc::new(app), &metrics);
    serve(&config, pool, tls, management_api::LIMITS, service, TaskTracker::new(), metrics).await
}

/// Brings the schema up to date and returns how many migrations that took.
///
/// # Errors
///
/// [`StartError`] when there is no database or a migration fails.
pub async fn migrate(config: &Config) -> Result<usize, StartError> {
    Ok(store::migrate(&Pool::new(&config.database)?).await?)
}

/// What join tokens of this deployment say.
///
/// # Errors
///
/// [`StartError::Tls`] when the connector's certificate cannot be used.
pub fn join_token_policy(config: &Config) -> Result<JoinTokenPolicy, StartError> {
    Ok(JoinTokenPolicy {
        connector_address: config.connector.address(),
        connector_pin: connector_identity(config)?.fingerprint(),
        max_life: config.management.join_token_max_life,
    })
}

fn connector_identity(config: &Config) -> Result<ServerIdentity, TlsError> {
    if let Some(path) = &config.connector.tls_path {
        return ServerIdentity::from_directory(path);
    }
    let path = config.data_dir.join("connector.pem");
    ServerIdentity::read_or_create(&path, &config.connector.domain, OffsetDateTime::now_utc())
}

fn metrics(config: &Config, identity: &ServerIdentity) -> Result<Metrics, StartError> {
    let metrics = Metrics::new(&config.version).map_err(StartError::Metrics)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
    metrics.certificate_expiry.set(identity.not_after() as f64);
    Ok(metrics)
}

/// Opens the probes at once and the API as soon as the schema is up to date, then waits for a signal. `tasks` may have work
/// already that the service needs.
async fn serve(
    config: &Config,
    pool: Pool,
    tls: rustls::ServerConfig,
    limits: Limits,
    service: Service,
    tasks: TaskTracker,
    metrics: Metrics,
) -> Result<(), StartError> {
    let bind = |address, tls, limits| {
        Listener::bind(address, tls, limits).map_err(|e| StartError::Listen(address, e))
    };
    let stop = CancellationToken::new();
    let grace = config.shutdown_grace;
    let api = bind(config.listen, Some(tls), limits)?;
    let probes = bind(config.status_listen, None, status_listener::LIMITS)?;
    let ready = CancellationToken::new();
    let probe_service =
        status_listener::service(pool.clone(), metrics, ready.clone(), stop.clone());
    // The probes stay until everything else has ended.
    let probes_stop = CancellationToken::new();
    let probe_tasks = TaskTracker::new();
    let status_address =
        probes.serve(probe_service, &probe_tasks, probes_stop.clone(), Duration::ZERO)?;

    tokio::select! {
        migrated = migrate_when_possible(&pool) => migrated?,
        stopped = lifecycle::until_stopped(stop.clone(), tasks.clone(), Duration::ZERO) => return Ok(stopped?),
    }
    let address = api.serve(service, &tasks, stop.clone(), grace)?;
    tasks.spawn(purge_regularly(pool, stop.clone()));
    ready.cancel();
    tracing::info!(%address, %status_address, "listening on {address}");
    lifecycle::until_stopped(stop, tasks, grace + Duration::from_secs(1)).await?;
    probes_stop.cancel();
    Ok(())
}

/// A database that is away at start is waited for; one that refuses the migration is not.
async fn migrate_when_possible(pool: &Pool) -> Result<(), StoreError> {
    loop {
        match store::migrate(pool).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Connect(error)) => {
                tracing::warn!(error = %crate::Chain(&*error), "the database is not available yet");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn purge_regularly(pool: Pool, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(PURGE_INTERVAL)).await.is_some() {
        let purged = match pool.get().await {
            Ok(db) => store::purge::purge(&db).await,
            Err(error) => Err(error),
        };
        match purged {
            Ok(rows) => tracing::debug!(rows, "deleted old rows"),
            Err(error) => {
                tracing::warn!(error = %crate::Chain(&error), "old rows could not be deleted");
            }
        }
    }
}
