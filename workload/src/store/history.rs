//! Tables `history_series` and `remote_cluster_history`. The finest series is written by the heartbeats' own statement.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json};

use super::StoreError;
use super::statement::{execute, execute_long, query, query_opt};
use crate::model::{HistoryPoint, HistorySeries};

/// An interval of a series that can be made from the next finer series.
#[derive(Debug, Clone, Copy)]
pub struct DueInterval {
    step_seconds: i16,
    fine_step_seconds: i16,
    begin: OffsetDateTime,
}

/// Gives work on the history of the whole fleet the time that it needs; only within a transaction.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn take_time(db: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "SET LOCAL statement_timeout = '5min'";
    db.batch_execute(sql).await.map_err(StoreError::query("preparing the history"))
}

/// Makes the series with intervals of `step_seconds` keep `slots` of them; points that still fit are kept. `false`: it did so
/// already.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.fit", skip(db))]
pub async fn fit(
    db: &impl GenericClient,
    step_seconds: i16,
    slots: i16,
) -> Result<bool, StoreError> {
    const FIT: &str =
        "UPDATE history_series SET slots = $2 WHERE step_seconds = $1 AND slots <> $2";
    // The sort makes the deletion complete before the first row goes in again.
    const MOVE: &str = "
        WITH old AS (DELETE FROM remote_cluster_history WHERE step_seconds = $1 RETURNING *)
        INSERT INTO remote_cluster_history
             SELECT remote_cluster_id, at, step_seconds, mod(floor(extract(epoch FROM at) / $1::smallint)::bigint, $2::smallint),
                    heartbeats, memory_avg, memory_max, memory_total, load_avg, load_max, members_avg, members_max,
                    instances_avg, instances_max, pools
               FROM old
              WHERE at > now() - make_interval(secs => $1::smallint) * $2::smallint
           ORDER BY at DESC
        ON CONFLICT DO NOTHING";
    // Heartbeats that ran meanwhile may have used a slot that no longer exists.
    const STRAY: &str = "DELETE FROM remote_cluster_history WHERE step_seconds = $1 AND slot >= $2";
    let doing = "fitting the history";
    let changed = execute(db, doing, FIT, &[&step_seconds, &slots]).await? == 1;
    if changed {
        execute_long(db, doing, MOVE, &[&step_seconds, &slots]).await?;
    }
    execute_long(db, doing, STRAY, &[&step_seconds, &slots]).await?;
    Ok(changed)
}

/// The next interval that is over and not yet in its series; it stays reserved for this transaction. `None`: nothing to do, or
/// another process does it.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
pub async fn next_due(db: &impl GenericClient) -> Result<Option<DueInterval>, StoreError> {
    // A heartbeat's statement takes five seconds at most: after fifteen, the minute it belongs to is complete. What is complete
    // until a time to come was so by a clock that was ahead: the last interval that is really over is made again.
    const SQL: &str = "
        WITH series AS (
            SELECT step_seconds, slots, make_interval(secs => step_seconds) AS step,
                   CASE WHEN complete_until > current THEN current - make_interval(secs => step_seconds)
                        ELSE complete_until END AS complete_until
              FROM history_series, date_bin(make_interval(secs => step_seconds), now(), 'epoch') AS current
        )
        SELECT coarse.step_seconds, fine.step_seconds AS fine_step_seconds,
               greatest(done.complete_until, date_bin(done.step, now() - fine.step * fine.slots, 'epoch')) AS begin
          FROM history_series AS coarse
          JOIN series AS done USING (step_seconds)
          JOIN LATERAL (SELECT step_seconds, slots, step,
                               CASE step_seconds WHEN 60 THEN now() - interval '15 s' ELSE complete_until END AS complete_until
                          FROM series WHERE step_seconds < coarse.step_seconds
                      ORDER BY step_seconds DESC LIMIT 1) AS fine ON true
         WHERE fine.complete_until >= done.complete_until + done.step
      ORDER BY coarse.step_seconds LIMIT 1
           FOR UPDATE OF coarse SKIP LOCKED";
    let row = query_opt(db, "looking for history to sum up", SQL, &[]).await?;
    row.map(|row| {
        Ok(DueInterval {
            step_seconds: column(&row, "step_seconds")?,
            fine_step_seconds: column(&row, "fine_step_seconds")?,
            begin: column(&row, "begin")?,
        })
    })
    .transpose()
}

/// Makes one interval of a series from the next finer one, for all clusters, and clears slots in which the ring found nothing new.
/// The answer is the number of clusters.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.sum_up", skip(db))]
pub async fn sum_up(db: &impl GenericClient, due: DueInterval) -> Result<u64, StoreError> {
    const SUM_UP: &str = "
        WITH fine AS (
            SELECT *
              FROM remote_cluster_history
             WHERE step_seconds = $2 AND at >= $3 AND at < $3 + make_interval(secs => $1::smallint)
               AND slot = ANY (ARRAY(
                   SELECT mod(floor(extract(epoch FROM $3::timestamptz) / step_seconds)::bigint + n, slots)::smallint
                     FROM history_series, generate_series(0, $1::smallint / $2::smallint - 1) AS n
                    WHERE step_seconds = $2))
        ), pool AS (
            SELECT remote_cluster_id, key AS name, round(avg((value->>0)::numeric), 1) AS average,
                   max((value->>1)::numeric) AS fullest
              FROM fine CROSS JOIN LATERAL json_each(pools)
          GROUP BY remote_cluster_id, key
        ), storage AS (
            SELECT remote_cluster_id, json_object_agg(name, json_build_array(average, fullest)) AS pools
              FROM pool GROUP BY remote_cluster_id
        ), point AS (
            SELECT remote_cluster_id, sum(heartbeats) AS heartbeats,
                   sum(memory_avg::float8 * heartbeats) / sum(heartbeats) AS memory_avg, max(memory_max) AS memory_max,
                   max(memory_total) AS memory_total,
                   sum(load_avg::float8 * heartbeats) / sum(heartbeats) FILTER (WHERE load_avg IS NOT NULL) AS load_avg,
                   max(load_max) AS load_max,
                   sum(members_avg::float8 * heartbeats) / sum(heartbeats) AS members_avg, max(members_max) AS members_max,
                   sum(instances_avg::float8 * heartbeats) / sum(heartbeats) AS instances_avg,
                   max(instances_max) AS instances_max
              FROM fine GROUP BY remote_cluster_id
        )
        INSERT INTO remote_cluster_history
             SELECT remote_cluster_id, $3, $1,
                    (SELECT mod(floor(extract(epoch FROM $3::timestamptz) / step_seconds)::bigint, slots)
                       FROM history_series WHERE step_seconds = $1),
                    least(heartbeats, 32767), memory_avg, memory_max, memory_total, load_avg, load_max, members_avg,
                    members_max, instances_avg, instances_max, coalesce(storage.pools, '{}')
               FROM point LEFT JOIN storage USING (remote_cluster_id)
              WHERE EXISTS (SELECT FROM remote_clusters WHERE id = remote_cluster_id)
        ON CONFLICT (step_seconds, slot, remote_cluster_id) DO UPDATE
                SET at = excluded.at, heartbeats = excluded.heartbeats, memory_avg = excluded.memory_avg,
                    memory_max = excluded.memory_max, memory_total = excluded.memory_total, load_avg = excluded.load_avg,
                    load_max = excluded.load_max, members_avg = excluded.members_avg, members_max = excluded.members_max,
                    instances_avg = excluded.instances_avg, instances_max = excluded.instances_max, pools = excluded.pools";
    const CLEAR: &str = "
        DELETE FROM remote_cluster_history AS history
              USING history_series AS series, generate_series(0, $1::smallint - 1) AS second
              WHERE second % series.step_seconds = 0 AND history.step_seconds = series.step_seconds
                AND series.step_seconds <= $1
                AND history.slot = mod(floor((extract(epoch FROM $2::timestamptz) + second) / series.step_seconds)::bigint,
                                       series.slots)
                AND history.at < $2";
    const DONE: &str = "
        UPDATE history_series SET complete_until = $2::timestamptz + make_interval(secs => step_seconds) WHERE step_seconds = $1";
    let DueInterval { step_seconds, fine_step_seconds, begin } = due;
    let doing = "summing up the history";
    let clusters =
        execute_long(db, doing, SUM_UP, &[&step_seconds, &fine_step_seconds, &begin]).await?;
    execute_long(db, doing, CLEAR, &[&step_seconds, &begin]).await?;
    execute(db, doing, DONE, &[&step_seconds, &begin]).await?;
    Ok(clusters)
}

/// All series, the finest first, and the database's clock.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
pub async fn series(
    db: &impl GenericClient,
) -> Result<(Vec<HistorySeries>, OffsetDateTime), StoreError> {
    const SQL: &str = "
        SELECT step_seconds, slots, CASE step_seconds WHEN 60 THEN now() ELSE complete_until END AS complete_until, now() AS now
          FROM history_series ORDER BY step_seconds";
    let rows = query(db, "looking at the series of the history", SQL, &[]).await?;
    let now = rows.first().map_or(Ok(OffsetDateTime::UNIX_EPOCH), |row| column(row, "now"))?;
    let all = rows.iter().map(|row| {
        Ok(HistorySeries {
            step: Duration::from_secs(unsigned(row, "step_seconds")?.into()),
            slots: unsigned(row, "slots")?,
            complete_until: column(row, "complete_until")?,
        })
    });
    Ok((all.collect::<Result<_, StoreError>>()?, now))
}

/// The points of one cluster whose intervals begin within `[from, to)`, in order. Looks up each interval by its slot: the cost is
/// that of the answer, however many clusters there are.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.history.points", skip_all, fields(cluster.name = name))]
pub async fn points(
    db: &impl GenericClient,
    name: &str,
    step: Duration,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<HistoryPoint>, StoreError> {
    const SQL: &str = "
        SELECT point.*
          FROM remote_clusters AS cluster
          JOIN history_series AS series ON series.step_seconds = $2::smallint
    CROSS JOIN LATERAL generate_series(
                   date_bin(make_interval(secs => series.step_seconds),
                            greatest($3, now() - make_interval(secs => series.step_seconds) * series.slots), 'epoch'),
                   least($4, now()), make_interval(secs => series.step_seconds)) AS beginning
    CROSS JOIN LATERAL (
            SELECT * FROM remote_cluster_history AS history
             WHERE history.step_seconds = series.step_seconds
               AND history.slot = mod(floor(extract(epoch FROM beginning) / series.step_seconds)::bigint, series.slots)
               AND history.remote_cluster_id = cluster.id AND history.at = beginning
             LIMIT 1) AS point
         WHERE cluster.name = $1 AND beginning >= $3 AND beginning < $4
      ORDER BY beginning";
    let step = i16::try_from(step.as_secs()).unwrap_or(i16::MAX);
    let rows =
        query(db, "reading the history of a cluster", SQL, &[&name, &step, &from, &to]).await?;
    rows.iter().map(point).collect()
}

fn point(row: &Row) -> Result<HistoryPoint, StoreError> {
    let pair =
        |average, highest| Ok::<_, StoreError>([column(row, average)?, column(row, highest)?]);
    let load: (Option<f32>, Option<f32>) = (column(row, "load_avg")?, column(row, "load_max")?);
    let Json(pools): Json<BTreeMap<String, [f32; 2]>> = column(row, "pools")?;
    Ok(HistoryPoint {
        at: column(row, "at")?,
        heartbeats: unsigned(row, "heartbeats")?,
        memory: pair("memory_avg", "memory_max")?,
        memory_total: column(row, "memory_total")?,
        load: load.0.zip(load.1).map(|(average, highest)| [average, highest]),
        members: pair("members_avg", "members_max")?,
        instances: pair("instances_avg", "instances_max")?,
        pools,
    })
}

fn unsigned(row: &Row, name: &'static str) -> Result<u32, StoreError> {
    let corrupt = StoreError::Corrupt { table: "remote_cluster_history", column: name };
    u32::try_from(column::<i16>(row, name)?).map_err(|_| corrupt)
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "remote_cluster_history", name)
}
