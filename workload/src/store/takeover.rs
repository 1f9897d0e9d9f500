//! The tables of the earlier Cluster Manager in the PostgreSQL schema `public`, which are only read, and tables `takeovers` and
//! `takeover_rows`.
//!
//! Rows of the earlier product are read as JSON: its schema has variants, and a column that a variant lacks is simply absent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::{FromSql, Json, ToSql};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::StoreError;
use crate::model::{Fingerprint, TokenHash};

/// Names of tables with the names of their columns.
pub type Tables = BTreeMap<String, BTreeSet<String>>;

/// Tables that exist, and who else but us may have made them.
#[derive(Debug, Default)]
pub struct Found {
    /// The tables with their columns.
    pub tables: Tables,
    /// A role that owns one of them and that this program does not act for: neither its own role, nor one that it is a
    /// member of, nor the database's owner, nor a superuser.
    pub foreign_owner: Option<String>,
}

/// The tables of the earlier product that exist, whatever this role may do with them.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn source_tables(db: &Transaction<'_>) -> Result<Found, StoreError> {
    const NAMES: [&str; 7] = [
        "goose_db_version",
        "identities",
        "remote_cluster_config",
        "remote_cluster_details",
        "remote_cluster_tokens",
        "remote_clusters",
        "sessions",
    ];
    tables(db, "public", &NAMES).await
}

/// Our own tables that exist: all or none of those that a takeover writes, unless the schema is an older one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn own_tables(db: &Transaction<'_>) -> Result<Tables, StoreError> {
    const NAMES: [&str; 3] = ["join_tokens", "remote_clusters", "takeover_rows"];
    Ok(tables(db, "cluster_manager", &NAMES).await?.tables)
}

async fn tables(
    db: &Transaction<'_>,
    schema: &'static str,
    names: &[&str],
) -> Result<Found, StoreError> {
    // The catalogue can be read without any right on the tables.
    const SQL: &str = "
        SELECT class.relname::text AS name, attribute.attname::text AS attname, role.rolname::text AS owner,
               role.rolsuper OR role.oid = database.datdba OR pg_has_role(role.oid, 'USAGE') AS trusted
          FROM pg_catalog.pg_namespace AS namespace
          JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid
          JOIN pg_catalog.pg_roles AS role ON role.oid = class.relowner
          JOIN pg_catalog.pg_database AS database ON database.datname = current_database()
          JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
         WHERE namespace.nspname::text = $1 AND class.relkind IN ('r', 'p') AND class.relname::text = ANY ($2)
           AND attribute.attnum > 0 AND NOT attribute.attisdropped";
    let mut found = Found::default();
    for row in query(db, "looking for tables", SQL, &[&schema, &names]).await? {
        let columns = found.tables.entry(column(&row, "name")?).or_default();
        columns.insert(column(&row, "attname")?);
        if !column::<bool>(&row, "trusted")? {
            found.foreign_owner = Some(column(&row, "owner")?);
        }
    }
    Ok(found)
}

/// The schema version that the earlier product recorded; `None` if it recorded none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn source_version(db: &Transaction<'_>) -> Result<Option<i64>, StoreError> {
    const SQL: &str =
        "SELECT max(version_id) AS version FROM public.goose_db_version WHERE is_applied";
    let rows = query(db, "reading the schema version of the earlier product", SQL, &[]).await?;
    rows.first().map_or(Ok(None), |row| column(row, "version"))
}

/// A row of `public.remote_clusters`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SourceCluster {
    /// Identifies the row.
    pub id: i64,
    /// The name, byte for byte.
    pub name: String,
    /// What operators wrote about it.
    pub description: Option<String>,
    /// `ACTIVE`, or in early versions `PENDING_APPROVAL`.
    pub status: Option<String>,
    /// The certificate as text.
    pub cluster_certificate: String,
    /// ISO 8601 text. It moves with each heartbeat.
    pub joined_at: Option<String>,
    /// ISO 8601 text, in year 1 for clusters that joined over the network.
    pub created_at: Option<String>,
    /// Percent; for a few days of 2025 thresholds stood here.
    pub disk_threshold: Option<i64>,
    /// Percent, likewise.
    pub memory_threshold: Option<i64>,
}

/// All enrolled clusters of the earlier product.
///
/// # Errors
///
/// [`StoreError`] if PostgreSQL fails or a row has another shape.
pub async fn source_clusters(db: &Transaction<'_>) -> Result<Vec<SourceCluster>, StoreError> {
    const SQL: &str =
        "SELECT to_jsonb(source) AS source FROM public.remote_clusters AS source ORDER BY id";
    json_rows(db, "reading the clusters of the earlier product", "public.remote_clusters", SQL)
        .await
}

/// What the last heartbeat of each cluster said, by the id of the cluster, as a JSON object.
///
/// # Errors
///
/// [`StoreError`] if PostgreSQL fails or a row has another shape.
pub async fn source_details(db: &Transaction<'_>) -> Result<HashMap<i64, Value>, StoreError> {
    const SQL: &str =
        "SELECT to_jsonb(source) AS source FROM public.remote_cluster_details AS source";
    let rows: Vec<Value> = json_rows(
        db,
        "reading the details of the earlier product",
        "public.remote_cluster_details",
        SQL,
    )
    .await?;
    let id = |row: &Value| row.get("remote_cluster_id").and_then(Value::as_i64);
    Ok(rows.into_iter().filter_map(|row| Some((id(&row)?, row))).collect())
}

/// A row of `public.remote_cluster_config`.
#[derive(Debug, Clone, Deserialize)]
pub struct SourceSetting {
    /// The cluster.
    pub remote_cluster_id: i64,
    /// `disk_threshold` or `memory_threshold`.
    pub key: String,
    /// Decimal text.
    pub value: String,
}

/// All settings of clusters.
///
/// # Errors
///
/// [`StoreError`] if PostgreSQL fails or a row has another shape.
pub async fn source_settings(db: &Transaction<'_>) -> Result<Vec<SourceSetting>, StoreError> {
    const SQL: &str =
        "SELECT to_jsonb(source) AS source FROM public.remote_cluster_config AS source ORDER BY id";
    json_rows(db, "reading the settings of clusters", "public.remote_cluster_config", SQL).await
}

/// A row of `public.remote_cluster_tokens`. It has no `Debug`: it holds a secret.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct SourceToken {
    /// Identifies the row.
    pub id: i64,
    /// The cluster that the token will enrol.
    pub cluster_name: String,
    /// The readable token; absent before March 2025.
    pub encoded_token: Option<String>,
    /// ISO 8601 text.
    pub expiry: Option<String>,
    /// What the cluster will be described as.
    pub description: Option<String>,
    /// ISO 8601 text.
    pub created_at: Option<String>,
}

/// All pending tokens, expired ones included.
///
/// # Errors
///
/// [`StoreError`] if PostgreSQL fails or a row has another shape.
pub async fn source_tokens(db: &Transaction<'_>) -> Result<Vec<SourceToken>, StoreError> {
    const SQL: &str =
        "SELECT to_jsonb(source) AS source FROM public.remote_cluster_tokens AS source ORDER BY id";
    json_rows(
        db,
        "reading the join tokens of the earlier product",
        "public.remote_cluster_tokens",
        SQL,
    )
    .await
}

/// How many people were logged in.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn count_source_sessions(db: &Transaction<'_>) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT count(*) AS count FROM public.sessions";
    let rows = query(db, "counting the sessions of the earlier product", SQL, &[]).await?;
    rows.first().map_or(Ok(0), |row| column(row, "count"))
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

/// Names for which a token is pending here, folded as the index on them folds.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn pending_names(db: &Transaction<'_>) -> Result<BTreeSet<String>, StoreError> {
    const SQL: &str =
        "SELECT folded_name FROM cluster_manager.join_tokens WHERE consumed_at IS NULL";
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

/// Inserts a pending token with a sealed secret.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, also when a token is pending for a similar name.
pub async fn insert_token(
    db: &Transaction<'_>,
    id: Uuid,
    source: &SourceToken,
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
    hash: &TokenHash,
    secret_sealed: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO cluster_manager.join_tokens
                    (id, cluster_name, description, token_hash, expires_at, created_at, secret_sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let description = source.description.as_deref().unwrap_or_default();
    execute(
        db,
        "inserting a join token",
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

async fn json_rows<T: DeserializeOwned>(
    db: &Transaction<'_>,
    doing: &'static str,
    table: &'static str,
    sql: &'static str,
) -> Result<Vec<T>, StoreError> {
    let rows = query(db, doing, sql, &[]).await?;
    let parse = |row: &Row| {
        let parsed: Result<Json<T>, _> = row.try_get("source");
        parsed.map(|Json(value)| value).map_err(|_| StoreError::Corrupt { table, column: "source" })
    };
    rows.iter().map(parse).collect()
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
