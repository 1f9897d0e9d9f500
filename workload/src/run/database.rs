//! The database, from its schema at the start to old rows while the service runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use workload_config::{Config, Takeover};

use super::{StartError, connector_identities, master_key};
use crate::domain::takeover::{self, NewerSchema};
use crate::model::Origin;
use crate::store::{MigrationLock, Pool, StoreError, Terms, purge};
use crate::tls::{Identities, TlsError};

/// Time between two looks for rows whose time is over.
const PURGE_INTERVAL: Duration = Duration::from_mins(10);
/// Time between two attempts to reach a database that is away at start.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Brings the schema up to date and returns how many migrations that took.
///
/// # Errors
///
/// [`StartError`] when there is no database or a migration fails.
pub async fn migrate(config: &Config, origin: &Origin) -> Result<usize, StartError> {
    let mut lock = MigrationLock::acquire(&Pool::new(&config.database)?).await?;
    Ok(lock.migrate(&terms(config), origin).await?)
}

/// What the settings say to the owner of the schema.
fn terms(config: &Config) -> Terms<'_> {
    let Config { database, management, .. } = config;
    Terms { role: database.role.as_deref(), audit_retention: management.audit_retention }
}

/// What a service would take over at its next start.
///
/// # Errors
///
/// [`StartError`] without an answer from the database.
pub async fn waiting_takeover(config: &Config) -> Result<takeover::Report, StartError> {
    let pool = Pool::new(&config.database)?;
    Ok(takeover::check(&pool, &circumstances(config)?, NewerSchema::Refused).await?)
}

/// What a takeover of the earlier product's database would do.
///
/// # Errors
///
/// [`StartError`] without an answer from the database.
pub async fn check_takeover(
    config: &Config,
    newer: NewerSchema,
) -> Result<takeover::Report, StartError> {
    let circumstances = takeover::Circumstances { retry: true, ..circumstances(config)? };
    Ok(takeover::check(&Pool::new(&config.database)?, &circumstances, newer).await?)
}

/// Brings the schema up to date and takes over the earlier product's database, rows included that were refused before.
///
/// # Errors
///
/// [`StartError`]; then nothing was taken over.
pub async fn apply_takeover(
    config: &Config,
    newer: NewerSchema,
    origin: &Origin,
) -> Result<takeover::Report, StartError> {
    let circumstances = takeover::Circumstances { retry: true, ..circumstances(config)? };
    let key = master_key(config)?;
    let mut lock = MigrationLock::acquire(&Pool::new(&config.database)?).await?;
    lock.migrate(&terms(config), origin).await?;
    Ok(takeover::apply(&mut lock, &circumstances, newer, &key, origin).await?)
}

/// What a takeover needs to know. Looking makes no certificate.
fn circumstances(config: &Config) -> Result<takeover::Circumstances, TlsError> {
    let own = config.data_dir.join("connector.pem");
    let identities = match &config.connector.tls_path {
        Some(path) => Some(Identities::from_directory(path)?),
        None if own.exists() => Some(connector_identities(config)?),
        None => None,
    };
    Ok(takeover::Circumstances {
        own_hosts: config.own_hosts(),
        connector_pins: identities.map(|all| all.fingerprints()).unwrap_or_default(),
        retry: false,
        heartbeat_limits: config.limits.heartbeat,
    })
}

/// A database that is away at start is waited for; one that refuses the migration or the takeover is not.
pub(super) async fn prepare(pool: &Pool, config: &Config) -> Result<(), StartError> {
    loop {
        match try_to_prepare(pool, config).await {
            Ok(()) => return Ok(()),
            Err(error) if is_worth_waiting(&error) => {
                tracing::warn!(error = %crate::Chain(&error), "the database is not available yet");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_worth_waiting(error: &StartError) -> bool {
    match error {
        StartError::Store(error) => matches!(error, StoreError::Connect(_)),
        StartError::Takeover(error) => error.is_transient(),
        _ => false,
    }
}

/// Brings the schema up to date, and takes over what an earlier product left in the database.
async fn try_to_prepare(pool: &Pool, config: &Config) -> Result<(), StartError> {
    let mut lock = MigrationLock::acquire(pool).await?;
    lock.migrate(&terms(config), &Origin::SYSTEM).await?;
    drop(pool.get().await?); // as the role of the services, which others may have forgotten to grant
    if config.takeover == Takeover::Off {
        return Ok(());
    }
    let key = master_key(config)?;
    let circumstances = circumstances(config)?;
    let (newer, origin) = (NewerSchema::Refused, &Origin::SYSTEM);
    let report = takeover::apply(&mut lock, &circumstances, newer, &key, origin).await?;
    report.log();
    Ok(())
}

/// Deletes what is old, every ten minutes until `stop`.
pub(super) async fn purge_regularly(pool: Pool, session_idle: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(PURGE_INTERVAL)).await.is_some() {
        let purged = match pool.get().await {
            Ok(db) => purge::purge(&db, session_idle).await,
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
