//! What a heartbeat writes: its columns of table `remote_cluster_details` and the minute's row of `cluster_history`.

use deadpool_postgres::GenericClient;
use tokio_postgres::types::Json;

use super::StoreError;
use super::statement::query;
use crate::model::{Fingerprint, Heartbeat, StatusCount, UiUrl};

/// A heartbeat that is ready to be stored.
#[derive(Debug)]
pub struct Report {
    /// Whose heartbeat it is.
    pub fingerprint: Fingerprint,
    /// What it says; its limits were checked.
    pub heartbeat: Heartbeat,
    /// The link that operators may click.
    pub ui_url: UiUrl,
}

/// Stores heartbeats in one statement, which also authenticates: each changes the row of the cluster that owns its
/// certificate, within the certificate's validity (five minutes of tolerance at its beginning). Of several heartbeats of one
/// cluster the last one counts. The minute's point in the history is part of the same statement. The answer has the name of each report's cluster, `None` where there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails: then nothing was stored.
#[tracing::instrument(name = "store.heartbeat.store", skip_all, fields(reports = reports.len()))]
pub async fn store(
    db: &impl GenericClient,
    reports: &[Report],
) -> Result<Vec<Option<String>>, StoreError> {
    // The rows are joined in the order of their ids, so that two batches lock them in the same order. The average follows a
    // changed interval within a few heartbeats, and one long silence does not spoil it. The history follows the row: a cluster
    // that is being removed gets none. Each parameter is in a subquery of its own: that hides the lengths of the arrays, from which PostgreSQL would make a new plan for each call, at more than the
    // price of running it.
    const SQL: &str = "
        WITH report AS (
            SELECT *
              FROM unnest((SELECT $1::bytea[]), (SELECT $2::bigint[]), (SELECT $3::jsonb[]), (SELECT $4::bigint[]),
                          (SELECT $5::text[]), (SELECT $6::text[]), (SELECT $7::text[]), (SELECT $8::bigint[]),
                          (SELECT $9::bigint[]), (SELECT $10::jsonb[]), (SELECT $11::bigint[]), (SELECT $12::jsonb[]),
                          (SELECT $13::bigint[]), (SELECT $14::jsonb[]), (SELECT $15::text[]), (SELECT $16::real[]),
                          (SELECT $17::json[]))
                   WITH ORDINALITY
                AS report (fingerprint, ceph_count, ceph_statuses, cpu_total_count, cpu_load_1, cpu_load_5, cpu_load_15,
                           memory_total_amount, memory_usage, storage_pool_usages, member_count, member_statuses,
                           instance_count, instance_statuses, ui_url, load, pools, n)
        ), known AS (
            SELECT cluster.id, cluster.name, report.*
              FROM report JOIN remote_clusters AS cluster USING (fingerprint)
             WHERE now() BETWEEN cluster.certificate_not_before - interval '5 min' AND cluster.certificate_not_after
        ), last AS (
            SELECT DISTINCT ON (id) * FROM known ORDER BY id, n DESC
        ), stored AS (
            UPDATE remote_cluster_details AS details
               SET ceph_count = last.ceph_count, ceph_statuses = last.ceph_statuses,
                   cpu_total_count = last.cpu_total_count, cpu_load_1 = last.cpu_load_1, cpu_load_5 = last.cpu_load_5,
                   cpu_load_15 = last.cpu_load_15, memory_total_amount = last.memory_total_amount,
                   memory_usage = last.memory_usage, storage_pool_usages = last.storage_pool_usages,
                   member_count = last.member_count, member_statuses = last.member_statuses,
                   instance_count = last.instance_count, instance_statuses = last.instance_statuses,
                   ui_url = last.ui_url, last_heartbeat_at = now(),
                   heartbeat_interval_seconds = CASE WHEN last_heartbeat_at IS NULL THEN heartbeat_interval_seconds
                       ELSE greatest(5, least(86400, 0.7 * heartbeat_interval_seconds + 0.3 * least(
                           extract(epoch FROM now() - last_heartbeat_at), 4 * heartbeat_interval_seconds))) END
              FROM last
             WHERE details.remote_cluster_id = last.id
         RETURNING details.remote_cluster_id AS id
        ), minute AS (
            INSERT INTO cluster_history AS history
                        (remote_cluster_id, at, step_seconds, slot, heartbeats, memory_avg, memory_max, memory_total,
                         load_avg, load_max, members_avg, members_max, instances_avg, instances_max, pools)
                 SELECT last.id, date_trunc('minute', now()), series.step_seconds,
                        mod(floor(extract(epoch FROM now()) / series.step_seconds)::bigint, series.slots), 1,
                        last.memory_usage, last.memory_usage, last.memory_total_amount, last.load, last.load,
                        last.member_count, last.member_count, last.instance_count, last.instance_count, last.pools
                   FROM last JOIN stored USING (id) JOIN cluster_history_series AS series ON series.step_seconds = 60
            ON CONFLICT (step_seconds, slot, remote_cluster_id) DO UPDATE
                    SET (at, heartbeats, memory_avg, memory_max, memory_total, load_avg, load_max, members_avg, members_max,
                         instances_avg, instances_max, pools) = (
                 SELECT excluded.at, least(n + 1, 32767),
                        (history.memory_avg * n + excluded.memory_avg) / (n + 1),
                        greatest(CASE WHEN n > 0 THEN history.memory_max END, excluded.memory_max),
                        excluded.memory_total,
                        (coalesce(history.load_avg, excluded.load_avg) * n + excluded.load_avg) / (n + 1),
                        greatest(CASE WHEN n > 0 THEN history.load_max END, excluded.load_max),
                        (history.members_avg * n + excluded.members_avg) / (n + 1),
                        greatest(CASE WHEN n > 0 THEN history.members_max END, excluded.members_max),
                        (history.instances_avg * n + excluded.instances_avg) / (n + 1),
                        greatest(CASE WHEN n > 0 THEN history.instances_max END, excluded.instances_max),
                        excluded.pools
                   FROM (SELECT CASE WHEN history.at = excluded.at THEN history.heartbeats::integer ELSE 0 END AS n) AS earlier)
        )
        SELECT n, name FROM known JOIN stored USING (id)";
    macro_rules! column {
        ($value:expr) => {
            reports.iter().map($value).collect::<Vec<_>>()
        };
    }
    let rows = query(
        db,
        "storing heartbeats",
        SQL,
        &[
            &column!(|r| r.fingerprint.as_bytes()),
            &column!(|r| StatusCount::sum(&r.heartbeat.ceph_statuses)),
            &column!(|r| Json(&r.heartbeat.ceph_statuses)),
            &column!(|r| r.heartbeat.cpu_total_count),
            &column!(|r| &r.heartbeat.cpu_load_1),
            &column!(|r| &r.heartbeat.cpu_load_5),
            &column!(|r| &r.heartbeat.cpu_load_15),
            &column!(|r| r.heartbeat.memory_total_amount),
            &column!(|r| r.heartbeat.memory_usage),
            &column!(|r| Json(&r.heartbeat.storage_pool_usages)),
            &column!(|r| StatusCount::sum(&r.heartbeat.member_statuses)),
            &column!(|r| Json(&r.heartbeat.member_statuses)),
            &column!(|r| StatusCount::sum(&r.heartbeat.instance_statuses)),
            &column!(|r| Json(&r.heartbeat.instance_statuses)),
            &column!(|r| r.ui_url.as_str()),
            &column!(|r| r.heartbeat.load()),
            &column!(|r| Json(r.heartbeat.pool_percentages())),
        ],
    )
    .await?;
    let corrupt = |column| StoreError::Corrupt { table: "remote_clusters", column };
    let mut names = vec![None; reports.len()];
    for row in &rows {
        let n: i64 = row.try_get("n").map_err(|_| corrupt("n"))?;
        let name =
            usize::try_from(n - 1).ok().and_then(|n| names.get_mut(n)).ok_or(corrupt("n"))?;
        *name = Some(row.try_get("name").map_err(|_| corrupt("name"))?);
    }
    Ok(names)
}
