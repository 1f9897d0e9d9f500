//! Tables `remote_clusters`, `remote_cluster_details` and `removed_clusters`.

use deadpool_postgres::GenericClient;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json};

use super::StoreError;
use super::statement::{execute, query, query_one, query_opt};
use crate::model::{
    ClusterCertificate, ClusterChanges, Description, Fingerprint, Pulse, RemoteCluster, Threshold,
    UiUrl,
};

/// What came of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolled {
    /// The cluster is in.
    Now,
    /// Another cluster has the name.
    NameTaken,
    /// Another cluster has the certificate.
    CertificateTaken,
}

/// Inserts a cluster with an empty detail row. Nothing is inserted when its name or its certificate is taken.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster.insert", skip_all, fields(cluster.name = name))]
pub async fn insert(
    db: &impl GenericClient,
    name: &str,
    description: &str,
    certificate: &ClusterCertificate,
) -> Result<Enrolled, StoreError> {
    const INSERT: &str = "
        WITH cluster AS (
            INSERT INTO remote_clusters
                        (name, description, certificate, fingerprint, certificate_not_before, certificate_not_after)
                 VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
              RETURNING id
        ), forgotten AS (
            DELETE FROM removed_clusters WHERE fingerprint = $4 AND EXISTS (SELECT FROM cluster)
        )
        INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM cluster";
    const NAME_TAKEN: &str = "SELECT EXISTS (SELECT FROM remote_clusters WHERE name = $1)";
    let inserted = execute(
        db,
        "inserting a cluster",
        INSERT,
        &[
            &name,
            &description,
            &certificate.to_pem(),
            &certificate.fingerprint().as_bytes(),
            &certificate.not_before(),
            &certificate.not_after(),
        ],
    )
    .await?;
    if inserted == 1 {
        return Ok(Enrolled::Now);
    }
    let row = query_one(db, "inserting a cluster", NAME_TAKEN, &[&name]).await?;
    Ok(if column(&row, "exists")? { Enrolled::NameTaken } else { Enrolled::CertificateTaken })
}

/// The number of the cluster `name`; nobody removes the cluster before the transaction ends.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn keep(db: &impl GenericClient, name: &str) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT id FROM remote_clusters WHERE name = $1 FOR KEY SHARE";
    let row = query_opt(db, "looking up a cluster", SQL, &[&name]).await?;
    row.map(|row| column(&row, "id")).transpose()
}

/// Gives a cluster another certificate; everything else about it stays. The answer is the fingerprint of the one before; `None`:
/// another cluster has the certificate, or the cluster is gone.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster.replace_certificate", skip_all)]
pub async fn replace_certificate(
    db: &impl GenericClient,
    id: i64,
    certificate: &ClusterCertificate,
) -> Result<Option<Fingerprint>, StoreError> {
    const SQL: &str = "
        WITH replaced AS (
            UPDATE remote_clusters AS cluster
               SET certificate = $2, fingerprint = $3, certificate_not_before = $4, certificate_not_after = $5,
                   updated_at = now()
              FROM remote_clusters AS before
             WHERE cluster.id = $1 AND before.id = $1
               AND NOT EXISTS (SELECT FROM remote_clusters WHERE fingerprint = $3 AND id <> $1)
         RETURNING cluster.fingerprint, before.fingerprint AS old
        ), forgotten AS (
            DELETE FROM removed_clusters USING replaced WHERE removed_clusters.fingerprint = replaced.fingerprint
        )
        SELECT old FROM replaced";
    let row = query_opt(
        db,
        "replacing the certificate of a cluster",
        SQL,
        &[
            &id,
            &certificate.to_pem(),
            &certificate.fingerprint().as_bytes(),
            &certificate.not_before(),
            &certificate.not_after(),
        ],
    )
    .await;
    let row = match row {
        Ok(row) => row,
        // Of racing joins with one certificate the other one was first.
        Err(error) if error.is_duplicate() => return Ok(None),
        Err(error) => return Err(error),
    };
    row.map(|row| {
        let old: &[u8] = column(&row, "old")?;
        let corrupt = StoreError::Corrupt { table: "remote_clusters", column: "fingerprint" };
        Fingerprint::from_bytes(old).ok_or(corrupt)
    })
    .transpose()
}

/// Whether the cluster `name` is enrolled with this very certificate.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn is_enrolled(
    db: &impl GenericClient,
    name: &str,
    fingerprint: Fingerprint,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "SELECT EXISTS (SELECT FROM remote_clusters WHERE name = $1 AND fingerprint = $2)";
    let row =
        query_one(db, "looking for an enrolled cluster", SQL, &[&name, &fingerprint.as_bytes()])
            .await?;
    column(&row, "exists")
}

/// The fingerprints of enrolled clusters, at most so many.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.cluster.fingerprints", skip_all)]
pub async fn fingerprints(
    db: &impl GenericClient,
    most: i64,
) -> Result<Vec<Fingerprint>, StoreError> {
    const SQL: &str = "SELECT fingerprint FROM remote_clusters LIMIT $1";
    let rows = query(db, "listing the certificates of clusters", SQL, &[&most]).await?;
    rows.iter()
        .map(|row| {
            let corrupt = StoreError::Corrupt { table: "remote_clusters", column: "fingerprint" };
            Fingerprint::from_bytes(column(row, "fingerprint")?).ok_or(corrupt)
        })
        .collect()
}

/// Why the certificate of an enrolled cluster is not accepted now: it is not valid yet (five minutes of tolerance), or no more.
/// `None`: it is valid, or no cluster's.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn lapse(
    db: &impl GenericClient,
    fingerprint: Fingerprint,
) -> Result<Option<Lapse>, StoreError> {
    const SQL: &str = "
        SELECT now() > certificate_not_after AS is_over
          FROM remote_clusters
         WHERE fingerprint = $1
           AND now() NOT BETWEEN certificate_not_before - interval '5 min' AND certificate_not_after";
    let row = query_opt(db, "looking at a certificate's validity", SQL, &[&fingerprint.as_bytes()])
        .await?;
    row.map(|row| Ok(if column(&row, "is_over")? { Lapse::Over } else { Lapse::NotYet }))
        .transpose()
}

/// On which side of its validity a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// Before.
    NotYet,
    /// After.
    Over,
}

/// Whether a cluster exists whose name people or metrics cannot tell from `name`.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn has_similar_name(db: &impl GenericClient, name: &str) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT EXISTS (SELECT FROM remote_clusters WHERE folded_name = translate(lower($1 COLLATE \"C\"), '-', '_'))";
    let row = query_one(db, "looking for a similar cluster name", SQL, &[&name]).await?;
    column(&row, "exists")
}

/// What came of a leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The cluster of this name was removed.
    Now(String),
    /// It had been removed before.
    Before,
    /// The certificate is unknown, or not valid now.
    Unknown,
}

/// Removes the cluster that owns a certificate, within the certificate's validity (five minutes of tolerance at its beginning), and
/// remembers the certificate; a certificate that is remembered already counts as removed.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster.leave", skip_all)]
pub async fn leave(db: &impl GenericClient, fingerprint: Fingerprint) -> Result<Left, StoreError> {
    const REMOVE: &str = "
        WITH removed AS (
            DELETE FROM remote_clusters
             WHERE fingerprint = $1
               AND now() BETWEEN certificate_not_before - interval '5 min' AND certificate_not_after
         RETURNING name, fingerprint
        )
        INSERT INTO removed_clusters (fingerprint, name) SELECT fingerprint, name FROM removed
        ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, removed_at = now()
        RETURNING name";
    // A statement of its own: the first may have waited for another transaction that removed the cluster, and does not see what that
    // one remembered.
    const REMEMBERED: &str = "SELECT FROM removed_clusters WHERE fingerprint = $1";
    let certificate = fingerprint.as_bytes();
    let doing = "removing a cluster that leaves";
    if let Some(row) = query_opt(db, doing, REMOVE, &[&certificate]).await? {
        return Ok(Left::Now(column(&row, "name")?));
    }
    let remembered =
        query_opt(db, "looking for a cluster that left", REMEMBERED, &[&certificate]).await?;
    Ok(if remembered.is_some() { Left::Before } else { Left::Unknown })
}

/// Removes the cluster `name` and remembers its certificate. `false`: no such cluster.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster.remove", skip_all, fields(cluster.name = name))]
pub async fn remove(db: &impl GenericClient, name: &str) -> Result<bool, StoreError> {
    const SQL: &str = "
        WITH removed AS (DELETE FROM remote_clusters WHERE name = $1 RETURNING name, fingerprint)
        INSERT INTO removed_clusters (fingerprint, name) SELECT fingerprint, name FROM removed
        ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, removed_at = now()";
    Ok(execute(db, "removing a cluster", SQL, &[&name]).await? == 1)
}

/// What operators say about a cluster, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The description.
    pub description: String,
    /// Percent of a pool's capacity.
    pub disk_threshold: i16,
    /// Percent of the memory.
    pub memory_threshold: i16,
    /// Where the link to the cluster's own UI leads instead; empty: nowhere else.
    pub ui_url_override: String,
}

/// What operators say about a cluster, locked until the transaction ends. `None`: no such cluster.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
pub async fn lock(db: &impl GenericClient, name: &str) -> Result<Option<Said>, StoreError> {
    const SQL: &str = "
        SELECT description, disk_threshold, memory_threshold, ui_url_override
          FROM remote_clusters WHERE name = $1 FOR UPDATE";
    let row = query_opt(db, "locking a cluster", SQL, &[&name]).await?;
    row.map(|row| {
        Ok(Said {
            description: column(&row, "description")?,
            disk_threshold: column(&row, "disk_threshold")?,
            memory_threshold: column(&row, "memory_threshold")?,
            ui_url_override: column(&row, "ui_url_override")?,
        })
    })
    .transpose()
}

/// Changes what an operator may change. `false`: no such cluster.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster.change", skip_all, fields(cluster.name = name))]
pub async fn change(
    db: &impl GenericClient,
    name: &str,
    changes: &ClusterChanges,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        UPDATE remote_clusters
           SET description = coalesce($2, description), disk_threshold = coalesce($3, disk_threshold),
               memory_threshold = coalesce($4, memory_threshold),
               ui_url_override = coalesce($5, ui_url_override), updated_at = now()
         WHERE name = $1";
    let rows = execute(
        db,
        "changing a cluster",
        SQL,
        &[
            &name,
            &changes.description.as_ref().map(Description::as_str),
            &changes.disk_threshold.map(Threshold::percent),
            &changes.memory_threshold.map(Threshold::percent),
            &changes.ui_url_override.as_ref().map(UiUrl::as_str),
        ],
    )
    .await?;
    Ok(rows == 1)
}

/// Some clusters and the database's clock, by which their age is told.
pub type AtTime<T> = (T, OffsetDateTime);

/// All clusters in the byte order of their names.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.cluster.list", skip_all)]
pub async fn list(db: &impl GenericClient) -> Result<AtTime<Vec<RemoteCluster>>, StoreError> {
    const SQL: &str = "
        SELECT cluster.*, details.*, tunnel.remote_cluster_id IS NOT NULL AS tunnel_registered, now() AS now
          FROM remote_clusters AS cluster JOIN remote_cluster_details AS details ON details.remote_cluster_id = cluster.id
          LEFT JOIN (SELECT held.remote_cluster_id FROM tunnels AS held JOIN units ON units.id = held.unit_id
                      WHERE units.expires_at > now()) AS tunnel ON tunnel.remote_cluster_id = cluster.id
      ORDER BY cluster.name";
    let rows = query(db, "listing clusters", SQL, &[]).await?;
    let now = rows.first().map_or(Ok(OffsetDateTime::UNIX_EPOCH), |row| column(row, "now"))?;
    Ok((rows.iter().map(remote_cluster).collect::<Result<_, _>>()?, now))
}

/// One cluster by its name.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.cluster.find", skip_all, fields(cluster.name = name))]
pub async fn find(
    db: &impl GenericClient,
    name: &str,
) -> Result<Option<AtTime<RemoteCluster>>, StoreError> {
    const SQL: &str = "
        SELECT cluster.*, details.*, tunnel.remote_cluster_id IS NOT NULL AS tunnel_registered, now() AS now
          FROM remote_clusters AS cluster JOIN remote_cluster_details AS details ON details.remote_cluster_id = cluster.id
          LEFT JOIN (SELECT held.remote_cluster_id FROM tunnels AS held JOIN units ON units.id = held.unit_id
                      WHERE units.expires_at > now()) AS tunnel ON tunnel.remote_cluster_id = cluster.id
         WHERE cluster.name = $1";
    let row = query_opt(db, "looking up a cluster", SQL, &[&name]).await?;
    row.map(|row| Ok((remote_cluster(&row)?, column(&row, "now")?))).transpose()
}

/// What decides of each cluster whether it is alive, and nothing else.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.cluster.pulses", skip_all)]
pub async fn pulses(db: &impl GenericClient) -> Result<AtTime<Vec<Pulse>>, StoreError> {
    const SQL: &str = "
        SELECT joined_at, last_heartbeat_at, heartbeat_interval_seconds, now() AS now
          FROM remote_clusters AS cluster JOIN remote_cluster_details AS details ON details.remote_cluster_id = cluster.id";
    let rows = query(db, "looking at the clusters' last heartbeats", SQL, &[]).await?;
    let now = rows.first().map_or(Ok(OffsetDateTime::UNIX_EPOCH), |row| column(row, "now"))?;
    Ok((rows.iter().map(pulse).collect::<Result<_, _>>()?, now))
}

/// Seconds until the first certificate ends, by the database's clock; `None` without a cluster.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.cluster.first_certificate_end", skip_all)]
pub async fn first_certificate_end(db: &impl GenericClient) -> Result<Option<f64>, StoreError> {
    const SQL: &str = "
        SELECT extract(epoch FROM min(certificate_not_after) - now())::double precision AS seconds FROM remote_clusters";
    let row = query_one(db, "looking for the first certificate to end", SQL, &[]).await?;
    column(&row, "seconds")
}

pub(super) fn remote_cluster(row: &Row) -> Result<RemoteCluster, StoreError> {
    let fingerprint: &[u8] = column(row, "fingerprint")?;
    Ok(RemoteCluster {
        id: column(row, "id")?,
        name: column(row, "name")?,
        description: column(row, "description")?,
        certificate: column(row, "certificate")?,
        fingerprint: Fingerprint::from_bytes(fingerprint)
            .ok_or(StoreError::Corrupt { table: "remote_clusters", column: "fingerprint" })?,
        certificate_validity: [
            column(row, "certificate_not_before")?,
            column(row, "certificate_not_after")?,
        ],
        disk_threshold: column(row, "disk_threshold")?,
        memory_threshold: column(row, "memory_threshold")?,
        pulse: pulse(row)?,
        ceph_count: column(row, "ceph_count")?,
        ceph_statuses: json(row, "ceph_statuses")?,
        cpu_total_count: column(row, "cpu_total_count")?,
        cpu_load: [
            column(row, "cpu_load_1")?,
            column(row, "cpu_load_5")?,
            column(row, "cpu_load_15")?,
        ],
        memory_total_amount: column(row, "memory_total_amount")?,
        memory_usage: column(row, "memory_usage")?,
        storage_pool_usages: json(row, "storage_pool_usages")?,
        member_count: column(row, "member_count")?,
        member_statuses: json(row, "member_statuses")?,
        instance_count: column(row, "instance_count")?,
        instance_statuses: json(row, "instance_statuses")?,
        ui_url: column(row, "ui_url")?,
        ui_url_override: column(row, "ui_url_override")?,
        updated_at: column(row, "updated_at")?,
        tunnel_registered: column(row, "tunnel_registered")?,
    })
}

fn pulse(row: &Row) -> Result<Pulse, StoreError> {
    Ok(Pulse {
        joined_at: column(row, "joined_at")?,
        last_heartbeat_at: column(row, "last_heartbeat_at")?,
        heartbeat_interval_seconds: column(row, "heartbeat_interval_seconds")?,
    })
}

fn json<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<T, StoreError> {
    column::<Json<T>>(row, name).map(|Json(value)| value)
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "remote_clusters", name)
}
