//! What the database says about itself and about those who use it.

use std::net::IpAddr;

use deadpool_postgres::GenericClient;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::statement::{query, query_one, query_opt};
use super::{StoreError, pool};

/// Version of the PostgreSQL server.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn postgresql_version(db: &impl GenericClient) -> Result<String, StoreError> {
    const SQL: &str = "SELECT current_setting('server_version') AS version";
    let row = query_one(db, "reading the version of PostgreSQL", SQL, &[]).await?;
    column(&row, "version")
}

/// Version of our schema; `None` where there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn schema_version(db: &impl GenericClient) -> Result<Option<i32>, StoreError> {
    const EXISTS: &str = "
        SELECT EXISTS (SELECT FROM pg_catalog.pg_tables
                        WHERE schemaname = 'cluster_manager' AND tablename = 'refinery_schema_history')";
    const VERSION: &str =
        "SELECT max(version) AS version FROM cluster_manager.refinery_schema_history";
    let doing = "reading the version of the schema";
    let row = query_one(db, doing, EXISTS, &[]).await?;
    if !column(&row, "exists")? {
        return Ok(None);
    }
    column(&query_one(db, doing, VERSION, &[]).await?, "version")
}

/// Numbers of things that are waiting or in use.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Join tokens that nobody used yet and that did not expire.
    pub pending_join_tokens: i64,
    /// Sessions of operators that did not end.
    pub sessions: i64,
}

/// Counts what is waiting or in use.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn counts(db: &impl GenericClient) -> Result<Counts, StoreError> {
    const SQL: &str = "
        SELECT (SELECT count(*) FROM join_tokens WHERE consumed_at IS NULL AND expires_at > now()) AS tokens,
               (SELECT count(*) FROM sessions WHERE expires_at > now()) AS sessions";
    let row = query_one(db, "counting tokens and sessions", SQL, &[]).await?;
    Ok(Counts { pending_join_tokens: column(&row, "tokens")?, sessions: column(&row, "sessions")? })
}

/// A service of this product that is connected to the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectedService {
    /// `management-api` or `cluster-connector`.
    pub service: String,
    /// Where it connects from; null over a local socket.
    pub address: Option<IpAddr>,
    /// How many connections it holds.
    pub connections: i64,
    /// Since when it has the oldest of them.
    #[serde(with = "time::serde::rfc3339")]
    pub connected_since: OffsetDateTime,
}

/// The services that are connected, by name and address: several processes at one address count as one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn connected_services(
    db: &impl GenericClient,
) -> Result<Vec<ConnectedService>, StoreError> {
    const SQL: &str = "
        SELECT substr(application_name, length($1) + 1) AS service, client_addr, count(*) AS connections,
               min(backend_start) AS since
          FROM pg_catalog.pg_stat_activity
         WHERE datname = current_database() AND usename = current_user AND starts_with(application_name, $1)
      GROUP BY application_name, client_addr
      ORDER BY application_name, client_addr";
    let rows = query(db, "looking for connected services", SQL, &[&pool::SERVICE_PREFIX]).await?;
    rows.iter()
        .map(|row| {
            Ok(ConnectedService {
                service: column(row, "service")?,
                address: column(row, "client_addr")?,
                connections: column(row, "connections")?,
                connected_since: column(row, "since")?,
            })
        })
        .collect()
}

/// The last takeover of an earlier product's database.
#[derive(Debug, Clone, Serialize)]
pub struct LastTakeover {
    /// When it was.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Clusters that were taken over, by this and by earlier ones.
    pub clusters: i64,
    /// Tokens that were taken over.
    pub tokens: i64,
    /// Clusters and tokens that could not be taken over.
    pub refused: i64,
}

/// The last takeover, if there was one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn last_takeover(db: &impl GenericClient) -> Result<Option<LastTakeover>, StoreError> {
    const SQL: &str = "
        SELECT at,
               (SELECT count(*) FROM takeover_rows WHERE kind = 'cluster' AND outcome = 'copied') AS clusters,
               (SELECT count(*) FROM takeover_rows WHERE kind = 'token' AND outcome = 'copied') AS tokens,
               (SELECT count(*) FROM takeover_rows WHERE outcome = 'refused') AS refused
          FROM takeovers ORDER BY id DESC LIMIT 1";
    let row = query_opt(db, "reading the record of takeovers", SQL, &[]).await?;
    row.map(|row| {
        Ok(LastTakeover {
            at: column(&row, "at")?,
            clusters: column(&row, "clusters")?,
            tokens: column(&row, "tokens")?,
            refused: column(&row, "refused")?,
        })
    })
    .transpose()
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "pg_stat_activity", name)
}
