//! Table `cluster_warnings`.

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;

use super::StoreError;
use super::statement::{execute, query};
use crate::model::Event;

/// Since when a warning stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingWarning {
    /// Number of the cluster.
    pub cluster_id: i64,
    /// Kind of the warning.
    pub kind: String,
    /// What it is about within its kind.
    pub subject: String,
    /// Since when.
    pub since: OffsetDateTime,
}

/// All rows.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
pub async fn all(db: &impl GenericClient) -> Result<Vec<StandingWarning>, StoreError> {
    const SQL: &str = "SELECT remote_cluster_id, kind, subject, since FROM cluster_warnings";
    let rows = query(db, "reading since when warnings stand", SQL, &[]).await?;
    let column = |row, name| super::statement::column(row, "cluster_warnings", name);
    rows.iter()
        .map(|row| {
            Ok(StandingWarning {
                cluster_id: super::statement::column(row, "cluster_warnings", "remote_cluster_id")?,
                kind: column(row, "kind")?,
                subject: column(row, "subject")?,
                since: super::statement::column(row, "cluster_warnings", "since")?,
            })
        })
        .collect()
}

/// How many clusters have a warning of each kind; a kind without a cluster is absent.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
pub async fn count_clusters(db: &impl GenericClient) -> Result<Vec<(String, i64)>, StoreError> {
    const SQL: &str = "
        SELECT kind, count(DISTINCT remote_cluster_id) AS clusters
          FROM cluster_warnings
      GROUP BY kind";
    let rows = query(db, "counting clusters with warnings", SQL, &[]).await?;
    rows.iter()
        .map(|row| {
            let kind = super::statement::column(row, "cluster_warnings", "kind")?;
            Ok((kind, super::statement::column(row, "cluster_warnings", "clusters")?))
        })
        .collect()
}

/// The end of a statement that has noted warnings: records silent clusters, but not those that never sent a heartbeat.
macro_rules! record_silence {
    ($event:literal) => {
        concat!(
            "
            INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
                 SELECT 'system', '', '', '', ",
            $event,
            ", name, 'success', '',
                        jsonb_build_object('last_heartbeat_at', to_char(since AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))
                   FROM noted JOIN remote_clusters ON id = remote_cluster_id
                  WHERE kind = 'heartbeat' AND since <> joined_at
               ORDER BY id"
        )
    };
}

/// Notes new warnings; those that another unit noted before keep their time, and clusters that are gone are left out. The one
/// unit that notes it records in the audit log that a cluster went offline, and that the end of its certificate has become more
/// urgent: that once for each certificate, whatever clocks do and whichever release other units have.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster_warnings.begin", skip_all, fields(warnings = new.len()))]
pub async fn begin(db: &impl GenericClient, new: &[StandingWarning]) -> Result<(), StoreError> {
    const SQL: &str = concat!(
        "WITH noted AS (
            INSERT INTO cluster_warnings (remote_cluster_id, kind, subject, since)
                 SELECT cluster_id, kind, subject, since
                   FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[])
                     AS new (cluster_id, kind, subject, since)
                   JOIN remote_clusters ON id = cluster_id
               ORDER BY cluster_id, kind, subject
            ON CONFLICT DO NOTHING
              RETURNING remote_cluster_id, kind, subject, since),
        ending AS (
                 SELECT id, name, jsonb_build_object('fingerprint', encode(fingerprint, 'hex'), 'within_days', subject::bigint,
                            'not_after', to_char(certificate_not_after AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) AS details
                   FROM noted JOIN remote_clusters ON id = remote_cluster_id
                  WHERE kind = 'certificate'),
        recorded AS (
            INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
                 SELECT 'system', '', '', '', $6, name, 'success', '', details
                   FROM ending
                  WHERE NOT EXISTS (SELECT FROM audit_events AS known
                                     WHERE known.object = name AND known.event = $6 AND known.details = ending.details)
               ORDER BY id)",
        record_silence!("$5"),
    );
    let (ids, kinds, subjects) = keys(new);
    let since: Vec<_> = new.iter().map(|row| row.since).collect();
    let (offline, ending) = (Event::ClusterWentOffline.as_str(), Event::CertificateEnding.as_str());
    execute(db, "noting new warnings", SQL, &[&ids, &kinds, &subjects, &since, &offline, &ending])
        .await?;
    Ok(())
}

/// Forgets warnings that no longer stand. The one unit that does records in the audit log that a cluster came back.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.cluster_warnings.end", skip_all, fields(warnings = gone.len()))]
pub async fn end(db: &impl GenericClient, gone: &[StandingWarning]) -> Result<(), StoreError> {
    const SQL: &str = concat!(
        "WITH noted AS (
            DELETE FROM cluster_warnings AS standing
                  USING unnest($1::bigint[], $2::text[], $3::text[]) AS gone (cluster_id, kind, subject)
                  WHERE standing.remote_cluster_id = gone.cluster_id AND standing.kind = gone.kind
                    AND standing.subject = gone.subject
              RETURNING standing.remote_cluster_id, standing.kind, standing.since)",
        record_silence!("$4"),
    );
    let (ids, kinds, subjects) = keys(gone);
    let event = Event::ClusterCameBack.as_str();
    execute(db, "forgetting past warnings", SQL, &[&ids, &kinds, &subjects, &event]).await?;
    Ok(())
}

fn keys(rows: &[StandingWarning]) -> (Vec<i64>, Vec<&str>, Vec<&str>) {
    (
        rows.iter().map(|row| row.cluster_id).collect(),
        rows.iter().map(|row| row.kind.as_str()).collect(),
        rows.iter().map(|row| row.subject.as_str()).collect(),
    )
}
