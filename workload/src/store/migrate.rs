//! Bringing the schema up to date.

use std::time::Duration;

use refinery::{Migration, Runner};
use tokio_postgres::{IsolationLevel, Transaction};

use super::privileges::{self, Rights, Terms};
use super::statement::within;
use super::{Pool, StoreError, audit};
use crate::model::{AuditEntry, Event, Origin};

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The key of the advisory lock that one migrating process holds: `MCMigrat` in ASCII.
const LOCK: i64 = 0x4d43_4d69_6772_6174;

/// How long a process waits for another one that migrates.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// The right to change the schema and to take over another product's data, held by one process at a time. It goes with the
/// connection, so a process that dies gives it back.
pub struct MigrationLock {
    db: tokio_postgres::Client,
}

impl MigrationLock {
    /// Waits for the right: processes that start together take turns (refinery itself takes no lock).
    ///
    /// # Errors
    ///
    /// [`StoreError::Connect`] without a database, [`StoreError::Migrate`] when another process migrates for more than a minute.
    #[tracing::instrument(name = "store.migration_lock.acquire", skip_all)]
    pub async fn acquire(pool: &Pool) -> Result<Self, StoreError> {
        let db = pool.owner().await?;
        db.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            .await
            .map_err(failed)?;
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        // Polling keeps the wait bounded whatever the server's lock_timeout is.
        loop {
            let row =
                db.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
            if row.try_get(0).map_err(failed)? {
                return Ok(Self { db });
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(StoreError::Migrate(
                    "another process has been migrating for a minute".into(),
                ));
            }
            tracing::info!("another process migrates the database: waiting");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Creates our PostgreSQL schema, applies the migrations that are missing, and sets `terms`. The answer is the number of
    /// migrations that this call applied. A role that may not change the schema can do this when it is up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Migrate`] when a migration fails, when an applied one was edited, when the schema is newer than this program, or
    /// when there is something to do and this role may not.
    #[tracing::instrument(name = "store.migrate", skip_all)]
    pub async fn migrate(
        &mut self,
        terms: &Terms<'_>,
        origin: &Origin,
    ) -> Result<usize, StoreError> {
        let db = &mut self.db;
        match privileges::rights(db).await.map_err(failed)? {
            Rights::Change => {}
            Rights::Use if is_current(db).await? => {
                privileges::compare(db, terms).await.map_err(failed)?;
                return Ok(0);
            }
            Rights::Use => return Err(StoreError::Migrate(NOT_CURRENT.into())),
            Rights::Nothing => return Err(StoreError::Migrate(NOT_GRANTED.into())),
        }
        db.batch_execute("CREATE SCHEMA IF NOT EXISTS cluster_manager").await.map_err(failed)?;
        let report = runner().run_async(db).await.map_err(not_migrated)?;
        let applied = report.applied_migrations();
        for migration in applied {
            tracing::info!(migration = %migration, "applied {migration}");
        }
        if !applied.is_empty() {
            let versions: Vec<String> = applied.iter().map(ToString::to_string).collect();
            let details = serde_json::json!({"migrations": versions});
            let entry = AuditEntry::done(Event::SchemaMigrated, "", details);
            audit::insert_unpooled(db, origin, &entry).await?;
        }
        privileges::set(db, terms).await.map_err(failed)?;
        Ok(applied.len())
    }

    /// A transaction that sees one moment of the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`] if PostgreSQL fails.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, StoreError> {
        let begin = self.db.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        within("beginning a transaction", begin.start()).await
    }
}

const NOT_CURRENT: &str = "the schema is not the one of this program, and this role may not change it: \
    run the command `migrate` of this release as the role that owns the schema";
const NOT_GRANTED: &str = "this role may not use the schema `cluster_manager`: \
    run the command `migrate` as the role that owns it, with this role as DB_ROLE";

fn runner() -> Runner {
    embedded::migrations::runner().set_abort_divergent(true).set_abort_missing(true)
}

/// Whether the schema has all of our migrations and no others.
async fn is_current(db: &mut tokio_postgres::Client) -> Result<bool, StoreError> {
    let runner = runner();
    let mut applied = runner.get_applied_migrations_async(db).await.map_err(not_migrated)?;
    let mut ours = runner.get_migrations().clone();
    applied.sort();
    ours.sort();
    Ok(applied == ours)
}

/// Version of the newest migration that this program has.
#[must_use]
pub fn newest_version() -> i32 {
    runner().get_migrations().iter().map(Migration::version).max().unwrap_or_default()
}

fn not_migrated(error: refinery::Error) -> StoreError {
    StoreError::Migrate(error.into())
}

fn failed(error: tokio_postgres::Error) -> StoreError {
    StoreError::Migrate(error.into())
}
