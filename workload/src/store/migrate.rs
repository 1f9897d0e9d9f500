//! Bringing the schema up to date.

use std::time::Duration;

use tokio_postgres::types::Json;

use super::{Pool, StoreError};
use crate::model::Event;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock that one migrating process holds: `MCMigrat` in ASCII.
const LOCK: i64 = 0x4d43_4d69_6772_6174;

/// How long a process waits for another one that migrates.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// Creates our PostgreSQL schema and applies the migrations that are missing. Processes that start together take turns
/// (refinery itself takes no lock); the answer is the number of migrations that this call applied.
///
/// # Errors
///
/// [`StoreError::Connect`] without a database, [`StoreError::Migrate`] when a migration fails, when an applied one was
/// edited, when the schema is newer than this program, or when another process migrates for more than a minute.
#[tracing::instrument(name = "store.migrate", skip_all)]
pub async fn migrate(pool: &Pool) -> Result<usize, StoreError> {
    const RECORD: &str = "
        INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
             VALUES ('system', '', '', '', $1, '', 'success', '', $2)";
    let failed = |error: tokio_postgres::Error| StoreError::Migrate(error.into());
    let mut db = pool.dedicated().await?;
    db.batch_execute("SET statement_timeout = 0").await.map_err(failed)?;
    let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
    // Polling keeps the wait bounded whatever the server's lock_timeout is; the lock goes with the connection.
    loop {
        let row =
            db.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
        if row.try_get(0).map_err(failed)? {
            break;
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(StoreError::Migrate(
                "another process has been migrating for a minute".into(),
            ));
        }
        tracing::info!("another process migrates the database: waiting");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    db.batch_execute("CREATE SCHEMA IF NOT EXISTS cluster_manager").await.map_err(failed)?;
    let report = embedded::migrations::runner()
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .run_async(&mut db)
        .await
        .map_err(|error| StoreError::Migrate(error.into()))?;
    let applied = report.applied_migrations();
    for migration in applied {
        tracing::info!(migration = %migration, "applied {migration}");
    }
    if !applied.is_empty() {
        let versions: Vec<String> = applied.iter().map(ToString::to_string).collect();
        let details = serde_json::json!({"migrations": versions});
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&Event::SchemaMigrated.as_str(), &Json(&details)];
        db.execute(RECORD, values).await.map_err(failed)?;
    }
    Ok(applied.len())
}
