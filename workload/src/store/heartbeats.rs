//! What a heartbeat writes: its columns of table `remote_cluster_details` and the minute's row of `cluster_history`.

use deadpool_postgres::GenericClient;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::StoreError;
use super::statement::query;
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

/// What [`store`] runs.
///
/// The rows are joined in the order of their ids, so that two batches lock them in the same order. The average follows a changed
/// interval within a few heartbeats, and one long silence does not spoil it. The history follows the row: a cluster that is being
/// removed gets none. The parameters are in a subquery that stays one (`OFFSET 0`): that hides the lengths of the arrays, from
/// which PostgreSQL would make a new plan for each call, at more than the price of running it. Reports come with their age, so
/// that the time of their receipt is one of the database's clock. A row that was received between then and now has a newer report
/// in it and stays; one that claims to be from the future says that this clock was put back, and is overwritten.
const STORE: &str = "
    WITH last AS (
        SELECT DISTINCT ON (cluster.id)
               cluster.id, cluster.name, now() - make_interval(secs => report.age) AS received_at, report.*
          FROM (SELECT $1::bytea[] AS c1, $2::bigint[] AS c2, $3::jsonb[] AS c3, $4::bigint[] AS c4, $5::text[] AS c5,
                       $6::text[] AS c6, $7::text[] AS c7, $8::bigint[] AS c8, $9::bigint[] AS c9, $10::jsonb[] AS c10,
                       $11::bigint[] AS c11, $12::jsonb[] AS c12, $13::bigint[] AS c13, $14::jsonb[] AS c14,
                       $15::text[] AS c15, $16::real[] AS c16, $17::json[] AS c17, $18::double precision[] AS c18 OFFSET 0) AS given
    CROSS JOIN unnest(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18) WITH ORDINALITY
            AS report (fingerprint, ceph_count, ceph_statuses, cpu_total_count, cpu_load_1, cpu_load_5, cpu_load_15,
                       memory_total_amount, memory_usage, storage_pool_usages, member_count, member_statuses,
                       instance_count, instance_statuses, ui_url, load, pools, age, n)
          JOIN remote_clusters AS cluster USING (fingerprint)
         WHERE now() BETWEEN cluster.certificate_not_before - interval '5 min' AND cluster.certificate_not_after
      ORDER BY cluster.id, report.n DESC
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
                       date_part('epoch', last.received_at - last_heartbeat_at), 4 * heartbeat_interval_seconds))) END
          FROM last
         WHERE details.remote_cluster_id = last.id
           AND (details.last_heartbeat_at BETWEEN last.received_at AND clock_timestamp()) IS NOT TRUE
     RETURNING last.n, last.name, last.id, last.memory_usage, last.memory_total_amount, last.load, last.member_count,
               last.instance_count, last.pools
    ), slot AS MATERIALIZED (
        SELECT date_trunc('minute', now()) AS at, step_seconds,
               mod(floor(extract(epoch FROM now()) / step_seconds)::bigint, slots) AS slot
          FROM cluster_history_series WHERE step_seconds = 60
    ), minute AS (
        INSERT INTO cluster_history AS history
                    (remote_cluster_id, at, step_seconds, slot, heartbeats, memory_avg, memory_max, memory_total,
                     load_avg, load_max, members_avg, members_max, instances_avg, instances_max, pools)
             SELECT id, at, step_seconds, slot, 1, memory_usage, memory_usage, memory_total_amount, load, load,
                    member_count, member_count, instance_count, instance_count, pools
               FROM stored CROSS JOIN slot
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
    SELECT n, name FROM stored";

/// Stores heartbeats in one statement, which also authenticates: each changes the row of the cluster that owns its certificate,
/// within the certificate's validity (five minutes of tolerance at its beginning). Of several heartbeats of one cluster the one that
/// was received last counts, whichever unit it came to. The minute's point in the history is part of the same statement. The
/// answer has the name of each report's cluster, `None` where there is none.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails: then nothing was stored.
#[tracing::instrument(name = "store.heartbeat.store", skip_all, fields(reports = reports.len()))]
pub async fn store(
    db: &impl GenericClient,
    reports: &[Report],
) -> Result<Vec<Option<String>>, StoreError> {
    macro_rules! column {
        ($value:expr) => {
            reports.iter().map($value).collect::<Vec<_>>()
        };
    }
    let rows = query(
        db,
        "storing heartbeats",
        STORE,
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
    let mut names = vec![None; reports.len()];
    fill_in(&mut names, &rows)?;
    // A row that stayed has a newer report in it, of this batch or of another one, or went with its cluster meanwhile.
    if names.contains(&None) {
        fill_in(&mut names, &names_of(db, reports).await?)?;
    }
    Ok(names)
}

/// Writes each name to its place.
fn fill_in(names: &mut [Option<String>], rows: &[Row]) -> Result<(), StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "remote_clusters", column };
    for row in rows {
        let n: i64 = row.try_get("n").map_err(|_| corrupt("n"))?; // it counts from one
        let place = usize::try_from(n - 1).ok().and_then(|n| names.get_mut(n));
        *place.ok_or(corrupt("n"))? = Some(row.try_get("name").map_err(|_| corrupt("name"))?);
    }
    Ok(())
}

/// The names of the enrolled clusters that own the certificates, within the certificates' validity.
async fn names_of(db: &impl GenericClient, reports: &[Report]) -> Result<Vec<Row>, StoreError> {
    const SQL: &str = "
        SELECT report.n, cluster.name
          FROM unnest((SELECT $1::bytea[])) WITH ORDINALITY AS report (fingerprint, n)
          JOIN remote_clusters AS cluster USING (fingerprint)
         WHERE now() BETWEEN cluster.certificate_not_before - interval '5 min' AND cluster.certificate_not_after";
    let fingerprints: Vec<_> = reports.iter().map(|report| report.fingerprint.as_bytes()).collect();
    query(db, "looking up clusters whose heartbeats were not written", SQL, &[&fingerprints]).await
}
