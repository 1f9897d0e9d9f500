//! The tables of the earlier Cluster Manager in the PostgreSQL schema `public`. They are only read.
//!
//! Their rows are read as JSON: that schema has variants, and a column that a variant lacks is simply absent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::types::Json;
use tokio_postgres::{Row, Transaction};

use super::{StoreError, column, query};

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

/// Tables of a schema with their columns and owners.
pub(super) async fn tables(
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
