//! Taking over: tables `takeovers` and `takeover_rows`, what is written into our own tables, and in module `source` the tables of the
//! earlier Cluster Manager.

mod source;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::{FromSql, Json, ToSql};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

pub use self::source::{
    Found, SourceCluster, SourceSetting, SourceToken, Tables, count_source_sessions,
    source_clusters, source_details, source_settings, source_tables, source_tokens, source_version,
};
use super::StoreError;
use crate::model::{Fingerprint, TokenHash};

/// Our own tables that exist: all or none of those that a takeover writes, unless the schema is an older one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn own_tables(db: &Transaction<'_>) -> Result<Tables, StoreError> {
    const NAMES: [&str; 3] = ["join_tokens", "remote_clusters", "takeover_rows"];
    Ok(source::tables(db, "cluster_manager", &NAMES).await?.tables)
}

/// Whether the earlier product has a cluster that was not looked at yet.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn has_new_clusters(db: &Transaction<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT EXISTS (SELECT FROM public.remote_clusters AS source
                        WHERE NOT EXISTS (SELECT FROM cluster_manager.takeover_rows AS done
                                           WHERE done.kind = 'cluster' AND done.source_id = source.id))";
    exists(db, SQL).await
}

/// Whether the earlier product has a join token that was not looked at yet.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn has_new_tokens(db: &Transaction<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT EXISTS (SELECT FROM public.remote_cluster_tokens AS source
                        WHERE NOT EXISTS (SELECT FROM cluster_manager.takeover_rows AS done
                                           WHERE done.kind = 'token' AND done.source_id = source.id))";
    exists(db, SQL).await
}

/// Whether a takeover was recorded.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn has_record(db: &Transaction<'_>) -> Result<bool, StoreError> {
    exists(db, "SELECT EXISTS (SELECT FROM cluster_manager.takeovers)").await
}

async fn exists(db: &Transaction<'_>, sql: &'static str) -> Result<bool, StoreError> {
    let rows = query(db, "comparing with the earlier product", sql, &[]).await?;
    rows.first().map_or(Ok(false), |row| column(row, "exists"))
}

/// What became of the rows that were looked at: by kind and id, the outcome.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn handled(db: &Transaction<'_>) -> Result<HashMap<(String, i64), String>, StoreError> {
    const SQL: &str = "SELECT kind, source_id, outcome FROM cluster_manager.takeover_rows";
    let rows = query(db, "reading the record of takeovers", SQL, &[]).await?;
    rows.iter()
        .map(|row| Ok(((column(row, "kind")?, column(row, "source_id")?), column(row, "outcome")?)))
        .collect()
}

/// Names and fingerprints of the clusters that are enrolled here.
///
/// # Errors
///
/// [`StoreError`] if PostgreSQL fails or a row does not parse.
pub async fn enrolled(db: &Transaction<'_>) -> Result<Vec<(String, Fingerprint)>, StoreError> {
    const SQL: &str = "SELECT name, fingerprint FROM cluster_manager.remote_clusters";
    let rows = query(db, "reading the enrolled clusters", SQL, &[]).await?;
    rows.iter()
        .map(|row| {
            let corrupt = StoreError::Corrupt { table: "remote_clusters", column: "fingerprint" };
            let fingerprint =
                Fingerprint::from_bytes(column(row, "fingerprint")?).ok_or(corrupt)?;
            Ok((column(row, "name")?, fingerprint))
        })
        .collect()
}

/// Names for which a token is pending here that has not expired, folded as the index on them folds.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn pending_names(db: &Transaction<'_>) -> Result<BTreeSet<String>, StoreError> {
    const SQL: &str = "
        SELECT folded_name FROM cluster_manager.join_tokens WHERE consumed_at IS NULL AND expires_at > now()";
    let rows = query(db, "reading the pending join tokens", SQL, &[]).await?;
    rows.iter().map(|row| column(row, "folded_name")).collect()
}

/// The database's clock.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn clock(db: &Transaction<'_>) -> Result<OffsetDateTime, StoreError> {
    let rows = query(db, "reading the database's clock", "SELECT now() AS now", &[]).await?;
    rows.first().map_or(Ok(OffsetDateTime::UNIX_EPOCH), |row| column(row, "now"))
}

/// A cluster as it is written here; the names of the fields are those of the columns.
#[derive(Debug, Clone, Serialize)]
pub struct NewCluster {
    /// Name, byte for byte.
    pub name: String,
    /// Description.
    pub description: String,
    /// Canonical PEM.
    pub certificate: String,
    /// SHA-256 of the certificate in hexadecimal digits.
    pub fingerprint: String,
    /// Beginning of the certificate's validity.
    #[serde(with = "time::serde::rfc3339")]
    pub certificate_not_before: OffsetDateTime,
    /// End of the certificate's validity.
    #[serde(with = "time::serde::rfc3339")]
    pub certificate_not_after: OffsetDateTime,
    /// Percent, 0 to 100.
    pub disk_threshold: i16,
    /// Percent, 0 to 100.
    pub memory_threshold: i16,
    /// When it enrolled.
    #[serde(with = "time::serde::rfc3339")]
    pub joined_at: OffsetDateTime,
    /// When it was last heard of.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_heartbeat_at: Option<OffsetDateTime>,
    /// What its last heartbeat said: the columns of that name.
    pub status: Value,
}

/// Inserts clusters with their details, all in one statement.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, also when a name or a certificate is taken.
#[tracing::instrument(name = "store.takeover.insert_clusters", skip_all, fields(clusters = clusters.len()))]
pub async fn insert_clusters(
    db: &Transaction<'_>,
    clusters: &[NewCluster],
) -> Result<u64, StoreError> {
    const SQL: &str = "
        WITH source AS (
            SELECT * FROM json_to_recordset($1::json) AS source (
                name text, description text, certificate text, fingerprint text, certificate_not_before timestamptz,
                certificate_not_after timestamptz, disk_threshold smallint, memory_threshold smallint, joined_at timestamptz,
                last_heartbeat_at timestamptz, status jsonb)
        ), cluster AS (
            INSERT INTO cluster_manager.remote_clusters
                        (name, description, certificate, fingerprint, certificate_not_before, certificate_not_after,
                         disk_threshold, memory_threshold, joined_at)
                 SELECT name, description, certificate, decode(fingerprint, 'hex'), certificate_not_before,
                        certificate_not_after, disk_threshold, memory_threshold, joined_at
                   FROM source
              RETURNING id, fingerprint
        ), forgotten AS (
            DELETE FROM cluster_manager.removed_clusters WHERE fingerprint IN (SELECT fingerprint FROM cluster)
        )
        INSERT INTO cluster_manager.remote_cluster_details
                    (remote_cluster_id, last_heartbeat_at, ceph_count, ceph_statuses, cpu_total_count, cpu_load_1, cpu_load_5,
                     cpu_load_15, memory_total_amount, memory_usage, storage_pool_usages, member_count, member_statuses,
                     instance_count, instance_statuses, ui_url)
             SELECT cluster.id, source.last_heartbeat_at, status.ceph_count, status.ceph_statuses, status.cpu_total_count,
                    status.cpu_load_1, status.cpu_load_5, status.cpu_load_15, status.memory_total_amount,
                    status.memory_usage, status.storage_pool_usages, status.member_count, status.member_statuses,
                    status.instance_count, status.instance_statuses, status.ui_url
               FROM source JOIN cluster ON cluster.fingerprint = decode(source.fingerprint, 'hex'),
                    jsonb_to_record(source.status) AS status (
                        ceph_count bigint, ceph_statuses jsonb, cpu_total_count bigint, cpu_load_1 text, cpu_load_5 text,
                        cpu_load_15 text, memory_total_amount bigint, memory_usage bigint, storage_pool_usages jsonb,
                        member_count bigint, member_statuses jsonb, instance_count bigint, instance_statuses jsonb,
                        ui_url text)";
    execute(db, "inserting clusters", SQL, &[&Json(clusters)]).await
}

/// Inserts a pending token with a sealed secret, in place of an expired one for the same or a similar name.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, also when another token is pending for such a name.
pub async fn insert_token(
    db: &Transaction<'_>,
    id: Uuid,
    source: &SourceToken,
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
    hash: &TokenHash,
    secret_sealed: &[u8],
) -> Result<(), StoreError> {
    const EXPIRED: &str = "
        DELETE FROM cluster_manager.join_tokens
              WHERE folded_name = translate(lower($1::text COLLATE \"C\"), '-', '_') AND consumed_at IS NULL AND expires_at <= now()";
    const SQL: &str = "
        INSERT INTO cluster_manager.join_tokens
                    (id, cluster_name, description, token_hash, expires_at, created_at, secret_sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
    const DOING: &str = "inserting a join token";
    execute(db, DOING, EXPIRED, &[&source.cluster_name]).await?;
    let description = source.description.as_deref().unwrap_or_default();
    execute(
        db,
        DOING,
        SQL,
        &[
            &id,
            &source.cluster_name,
            &description,
            &hash.as_bytes(),
            &expires_at,
            &created_at,
            &secret_sealed,
        ],
    )
    .await?;
    Ok(())
}

/// A row for the record.
#[derive(Debug, Clone, Serialize)]
pub struct HandledRow<'a> {
    /// `cluster` or `token`.
    pub kind: &'static str,
    /// Id in the earlier product's table.
    pub source_id: i64,
    /// Name of the cluster.
    pub name: &'a str,
    /// `copied`, `left` or `refused`.
    pub outcome: &'static str,
    /// Why it was not copied.
    pub reason: Option<&'a str>,
}

/// Records a takeover and the rows that it looked at.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn record(
    db: &Transaction<'_>,
    schema_version: Option<i64>,
    report: &Value,
    rows: &[HandledRow<'_>],
) -> Result<(), StoreError> {
    const SQL: &str = "
        WITH takeover AS (
            INSERT INTO cluster_manager.takeovers (program_version, schema_version, report) VALUES ($1, $2, $3) RETURNING id
        )
        INSERT INTO cluster_manager.takeover_rows (kind, source_id, takeover_id, name, outcome, reason)
             SELECT item.kind, item.source_id, takeover.id, item.name, item.outcome, item.reason
               FROM takeover, json_to_recordset($4::json) AS item (
                        kind text, source_id bigint, name text, outcome text, reason text)
        ON CONFLICT (kind, source_id) DO UPDATE
                SET takeover_id = excluded.takeover_id, name = excluded.name, outcome = excluded.outcome,
                    reason = excluded.reason";
    let version = env!("CARGO_PKG_VERSION");
    execute(
        db,
        "recording a takeover",
        SQL,
        &[&version, &schema_version, &Json(report), &Json(rows)],
    )
    .await?;
    Ok(())
}

/// Lets the transaction wait for locks up to a minute.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn prepare(db: &Transaction<'_>) -> Result<(), StoreError> {
    db.batch_execute("SET LOCAL lock_timeout = '60s'")
        .await
        .map_err(StoreError::query("preparing a takeover"))
}

async fn query(
    db: &Transaction<'_>,
    doing: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    db.query(sql, params).await.map_err(StoreError::query(doing))
}

async fn execute(
    db: &Transaction<'_>,
    doing: &'static str,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<u64, StoreError> {
    db.execute(sql, params).await.map_err(StoreError::query(doing))
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "takeover_rows", name)
}
