//! What a heartbeat writes: its columns of table `remote_cluster_details` and the minute's row of `cluster_history`.

use deadpool_postgres::GenericClient;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::statement::query;
use super::{StoreError, tunnels};
use crate::model::{Fingerprint, Heartbeat, StatusCount, UiUrl};

/// A heartbeat that is ready to be stored.
#[derive(Debug)]
pub struct Report {
    /// Whose heartbeat it is.
    pub fingerprint: Fingerprint,
    /// When it was complete.
    pub received: Instant,
    /// What it says; its limits were checked.
    pub heartbeat: Heartbeat,
    /// The link that operators may click.
    pub ui_url: UiUrl,
}

/// Stores heartbeats in one statement, which also authenticates: each changes the row of the cluster that owns its
/// certificate, within the certificate's validity (five minutes of tolerance at its beginning). Of several heartbeats of one
/// cluster the one that was received last counts, whichever unit it came to. The minute's point in the history is part of the same statement. The answer has the name of each report's cluster, `None` where there is none.
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
    // price of running it. Reports come with their age, so that the time of their receipt is one of the database's clock. A row that
    // was received between then and now has a newer report in it and stays; one that claims to be from the future says that this clock
    // was put back, and is overwritten.
    const SQL: &str = "
        WITH report AS (
            SELECT *
              FROM unnest((SELECT $1::bytea[]), (SELECT $2::bigint[]), (SELECT $3::jsonb[]), (SELECT $4::bigint[]),
                          (SELECT $5::text[]), (SELECT $6::text[]), (SELECT $7::text[]), (SELECT $8::bigint[]),
                          (SELECT $9::bigint[]), (SELECT $10::jsonb[]), (SELECT $11::bigint[]), (SELECT $12::jsonb[]),
                          (SELECT $13::bigint[]), (SELECT $14::jsonb[]), (SELECT $15::text[]), (SELECT $16::real[]),
                          (SELECT $17::json[]), (SELECT $18::double precision[]))
                   WITH ORDINALITY
                AS report (fingerprint, ceph_count, ceph_statuses, cpu_total_count, cpu_load_1, cpu_load_5, cpu_load_15,
                           memory_total_amount, memory_usage, storage_pool_usages, member_count, member_statuses,
                           instance_count, instance_statuses, ui_url, load, pools, age, n)
        ), known AS (
            SELECT cluster.id, cluster.name, report.*, now() - make_interval(secs => report.age) AS received_at
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
                   ui_url = last.ui_url, last_heartbeat_at = last.received_at,
                   heartbeat_interval_seconds = CASE WHEN last_heartbeat_at IS NULL THEN heartbeat_interval_seconds
                       ELSE greatest(5, least(86400, 0.7 * heartbeat_interval_seconds + 0.3 * least(
                           extract(epoch FROM last.received_at - last_heartbeat_at), 4 * heartbeat_interval_seconds))) END
              FROM last
             WHERE details.remote_cluster_id = last.id
               AND (details.last_heartbeat_at BETWEEN last.received_at AND clock_timestamp()) IS NOT TRUE
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
        SELECT n, name, stored.id IS NOT NULL AS written FROM known LEFT JOIN stored USING (id)";
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
            &column!(|r| r.received.elapsed().as_secs_f64()),
        ],
    )
    .await?;
    names(db, reports, &rows).await
}

/// The names of the clusters whose reports count.
async fn names(
    db: &impl GenericClient,
    reports: &[Report],
    rows: &[Row],
) -> Result<Vec<Option<String>>, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "remote_clusters", column };
    let mut names = vec![None; reports.len()];
    for row in rows {
        let n: i64 = row.try_get("n").map_err(|_| corrupt("n"))?;
        let n = usize::try_from(n - 1).map_err(|_| corrupt("n"))?;
        let (report, name) = reports.get(n).zip(names.get_mut(n)).ok_or(corrupt("n"))?;
        // A row that stayed has a newer report in it, or went with its cluster meanwhile.
        let written: bool = row.try_get("written").map_err(|_| corrupt("written"))?;
        if written || tunnels::is_authorised(db, report.fingerprint).await? {
            *name = Some(row.try_get("name").map_err(|_| corrupt("name"))?);
        }
    }
    Ok(names)
}
