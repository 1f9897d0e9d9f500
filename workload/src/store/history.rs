//! The history of clusters: rows of what is recent in `cluster_history`, packed blocks of the rest in `cluster_history_blocks`, and how
//! far each series is in `cluster_history_series`. The finest series is written by the heartbeats' own statement.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json, ToSql};

use super::StoreError;
use super::statement::{execute, execute_long, query, query_one, query_opt};
use crate::model::{HistoryPoint, HistorySeries};

mod block;

/// Clusters whose points are packed at a time, and the most blocks that are deleted at a time: locks and memory stay small.
const PACKED_TOGETHER: i64 = 256;
const DELETED_TOGETHER: i64 = 2000;

/// An interval of a series that can be made from the next finer series.
#[derive(Debug, Clone, Copy)]
pub struct DueInterval {
    step_seconds: i16,
    fine_step_seconds: i16,
    begin: OffsetDateTime,
}

/// A block whose intervals are over, and the last cluster whose points of it are packed.
#[derive(Debug, Clone, Copy)]
pub struct DueBlock {
    step_seconds: i16,
    /// Intervals in the block.
    intervals: i16,
    begin: OffsetDateTime,
    packed_cluster: i64,
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

/// Makes the series with intervals of `step_seconds` keep as many of them as `intervals`. `false`: it did so already. What is too old
/// from now on is deleted bit by bit ([`forget`]).
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.keep", skip(db))]
pub async fn keep(
    db: &impl GenericClient,
    step_seconds: i16,
    intervals: i16,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE cluster_history_series SET keep = $2 WHERE step_seconds = $1 AND keep <> $2";
    let params: [&(dyn ToSql + Sync); 2] = [&step_seconds, &intervals];
    Ok(execute(db, "setting the length of the history", SQL, &params).await? == 1)
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
            SELECT step_seconds, keep, make_interval(secs => step_seconds) AS step,
                   CASE WHEN complete_until > current THEN current - make_interval(secs => step_seconds)
                        ELSE complete_until END AS complete_until
              FROM cluster_history_series, date_bin(make_interval(secs => step_seconds), now(), 'epoch') AS current
        )
        SELECT coarse.step_seconds, fine.step_seconds AS fine_step_seconds,
               greatest(done.complete_until, date_bin(done.step, now() - fine.step * fine.keep, 'epoch')) AS begin
          FROM cluster_history_series AS coarse
          JOIN series AS done USING (step_seconds)
          JOIN LATERAL (SELECT step_seconds, keep, step,
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

/// Makes one interval of a series from the next finer one, for all clusters. The answer is their number.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.sum_up", skip(db))]
pub async fn sum_up(db: &impl GenericClient, due: DueInterval) -> Result<u64, StoreError> {
    const SUM_UP: &str = "
        WITH fine AS (
            SELECT history.*
              FROM generate_series(0, $1::smallint / $2::smallint - 1) AS n
        CROSS JOIN LATERAL (
                   SELECT * FROM cluster_history_rows
                    WHERE step_seconds = $2 AND at >= $3 AND at < $3 + make_interval(secs => $1::smallint)
                      AND slot = mod(floor(extract(epoch FROM $3::timestamptz) / $2::smallint)::bigint + n, slots)
                   OFFSET 0) AS history
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
        INSERT INTO cluster_history
             SELECT remote_cluster_id, $3, $1,
                    (SELECT mod(floor(extract(epoch FROM $3::timestamptz) / step_seconds)::bigint, slots)
                       FROM cluster_history_series WHERE step_seconds = $1),
                    least(heartbeats, 32767), memory_avg, memory_max, memory_total, load_avg, load_max, members_avg,
                    members_max, instances_avg, instances_max, coalesce(storage.pools, '{}')
               FROM point LEFT JOIN storage USING (remote_cluster_id)
              WHERE EXISTS (SELECT FROM remote_clusters WHERE id = remote_cluster_id)
        ON CONFLICT (step_seconds, slot, remote_cluster_id) DO UPDATE
                SET at = excluded.at, heartbeats = excluded.heartbeats, memory_avg = excluded.memory_avg,
                    memory_max = excluded.memory_max, memory_total = excluded.memory_total, load_avg = excluded.load_avg,
                    load_max = excluded.load_max, members_avg = excluded.members_avg, members_max = excluded.members_max,
                    instances_avg = excluded.instances_avg, instances_max = excluded.instances_max, pools = excluded.pools";
    const DONE: &str = "
        UPDATE cluster_history_series SET complete_until = $2::timestamptz + make_interval(secs => step_seconds) WHERE step_seconds = $1";
    let DueInterval { step_seconds, fine_step_seconds, begin } = due;
    let doing = "summing up the history";
    let clusters =
        execute_long(db, doing, SUM_UP, &[&step_seconds, &fine_step_seconds, &begin]).await?;
    execute(db, doing, DONE, &[&step_seconds, &begin]).await?;
    Ok(clusters)
}

/// The next block that is over and not yet packed; its series stays reserved for this transaction. `None`: nothing to do, or another
/// process does it.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
pub async fn next_block(db: &impl GenericClient) -> Result<Option<DueBlock>, StoreError> {
    // As with intervals, what is packed until a time to come was so by a clock that was ahead: the last block that is over is
    // looked at again.
    const SQL: &str = "
        SELECT series.step_seconds, series.block, begin,
               CASE begin WHEN packed_until THEN packed_cluster ELSE 0 END AS packed_cluster
          FROM cluster_history_series AS series
    CROSS JOIN LATERAL (SELECT make_interval(secs => step_seconds::integer * block) AS length) AS of_block
    CROSS JOIN LATERAL (SELECT date_bin(length, now(), 'epoch') AS current) AS this_block
    CROSS JOIN LATERAL (SELECT CASE WHEN packed_until > current THEN current - length
                                    ELSE greatest(packed_until, date_bin(length, now() - make_interval(secs => step_seconds) * keep,
                                                                         'epoch')) END AS begin) AS next_block
         WHERE begin + length <= current
           AND begin + length <= CASE step_seconds WHEN 60 THEN now() - interval '15 s' ELSE complete_until END
      ORDER BY series.step_seconds LIMIT 1
           FOR UPDATE OF series SKIP LOCKED";
    let row = query_opt(db, "looking for history to pack", SQL, &[]).await?;
    row.map(|row| {
        Ok(DueBlock {
            step_seconds: column(&row, "step_seconds")?,
            intervals: column(&row, "block")?,
            begin: column(&row, "begin")?,
            packed_cluster: column(&row, "packed_cluster")?,
        })
    })
    .transpose()
}

/// Packs the points of some clusters in a block. Their rows stay until others overwrite them; those of a cluster that fell silent a
/// round ago go. The answer is the number of clusters with points.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.history.pack", skip(db))]
pub async fn pack(db: &impl GenericClient, due: DueBlock) -> Result<u64, StoreError> {
    const CLUSTERS: &str = "
        SELECT count(*) AS clusters, coalesce(max(id), 0) AS last
          FROM (SELECT id FROM remote_clusters WHERE id > $1 ORDER BY id LIMIT $2) AS next";
    const ROWS: &str = "
        SELECT history.*
          FROM generate_series(0, $2::smallint - 1) AS n
    CROSS JOIN LATERAL (
               SELECT * FROM cluster_history_rows
                WHERE step_seconds = $1 AND remote_cluster_id > $4 AND remote_cluster_id <= $5
                  AND at = $3::timestamptz + make_interval(secs => $1::smallint) * n
                  AND slot = mod(floor(extract(epoch FROM $3::timestamptz) / $1::smallint)::bigint + n, slots)
               OFFSET 0) AS history
      ORDER BY n";
    // Who removes one of these clusters meanwhile waits for us and finds its block.
    const INSERT: &str = "
        WITH known AS (SELECT id FROM remote_clusters WHERE id = ANY ($3) ORDER BY id FOR KEY SHARE)
        INSERT INTO cluster_history_blocks (remote_cluster_id, begin, step_seconds, points)
             SELECT id, $2::timestamptz, $1::smallint, points FROM known JOIN unnest($3::bigint[], $4::bytea[]) AS block (id, points) USING (id)
           ORDER BY id
        ON CONFLICT DO NOTHING";
    // No heartbeat comes near these slots: the next round reaches them in a minute at the earliest.
    const CLEAR: &str = "
        DELETE FROM cluster_history AS history
              USING cluster_history_series AS series, generate_series(0, $2::smallint - 1) AS n
              WHERE series.step_seconds = $1 AND history.step_seconds = $1
                AND history.remote_cluster_id > $4 AND history.remote_cluster_id <= $5 AND history.at < $3
                AND history.slot = mod(floor(extract(epoch FROM $3::timestamptz) / $1::smallint)::bigint + n, series.slots)
                AND now() < $3 + make_interval(secs => $1::smallint) * (series.slots - 1)";
    const DONE: &str = "
        UPDATE cluster_history_series
           SET packed_until = CASE WHEN $4 THEN $3::timestamptz + make_interval(secs => $1::smallint) * $2::smallint
                                   ELSE $3::timestamptz END,
               packed_cluster = CASE WHEN $4 THEN 0 ELSE $5::bigint END
         WHERE step_seconds = $1";
    let DueBlock { step_seconds, intervals, begin, packed_cluster } = due;
    let doing = "packing the history";
    let row = query_one(db, doing, CLUSTERS, &[&packed_cluster, &PACKED_TOGETHER]).await?;
    let (clusters, last): (i64, i64) = (column(&row, "clusters")?, column(&row, "last")?);
    let complete = clusters < PACKED_TOGETHER;
    // After the last cluster there are only rows of clusters that are gone, or too new for this block.
    let last = if complete { i64::MAX } else { last };

    let of_these: [&(dyn ToSql + Sync); 5] =
        [&step_seconds, &intervals, &begin, &packed_cluster, &last];
    let mut points: BTreeMap<i64, Vec<HistoryPoint>> = BTreeMap::new();
    for row in query(db, doing, ROWS, &of_these).await? {
        let (cluster, point) = (column(&row, "remote_cluster_id")?, point(&row)?);
        let of_cluster = points.entry(cluster).or_default();
        match of_cluster.last_mut().filter(|last| last.at == point.at) {
            Some(last) => last.absorb(&point),
            None => of_cluster.push(point),
        }
    }
    let step = Duration::from_secs(step_seconds.unsigned_abs().into());
    let (ids, blocks): (Vec<i64>, Vec<Vec<u8>>) =
        points.iter().map(|(id, points)| (id, block::pack(points, begin, step))).unzip();
    let packed = execute(db, doing, INSERT, &[&step_seconds, &begin, &ids, &blocks]).await?;
    execute(db, doing, CLEAR, &of_these).await?;
    execute(db, doing, DONE, &[&step_seconds, &intervals, &begin, &complete, &last]).await?;
    Ok(packed)
}

/// Deletes some blocks of a series that are older than what it keeps, or ahead of the database's clock, which then was ahead itself.
/// `true`: there may be more.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.forget", skip_all)]
pub async fn forget(
    db: &impl GenericClient,
    series: &HistorySeries,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    // One block at a time, by equality: of a range the planner may think that it is most of the table.
    const ENDS: &str = "
        SELECT (SELECT begin FROM cluster_history_blocks WHERE step_seconds = $1 ORDER BY begin LIMIT 1) AS oldest,
               (SELECT begin FROM cluster_history_blocks WHERE step_seconds = $1 ORDER BY begin DESC LIMIT 1) AS newest";
    const DELETE: &str = "
        DELETE FROM cluster_history_blocks
              WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM cluster_history_blocks WHERE step_seconds = $1 AND begin = $2
                     LIMIT $3 FOR UPDATE SKIP LOCKED))";
    let step_seconds = seconds(series.step);
    let doing = "deleting old history";
    let row = query_one(db, doing, ENDS, &[&step_seconds]).await?;
    let oldest: Option<OffsetDateTime> = column(&row, "oldest")?;
    let newest: Option<OffsetDateTime> = column(&row, "newest")?;
    let too_old = oldest.filter(|begin| *begin < now - series.reach() - series.block);
    let ahead = newest.filter(|begin| *begin > now);
    let mut deleted = 0;
    for begin in too_old.iter().chain(&ahead) {
        deleted += execute(db, doing, DELETE, &[&step_seconds, begin, &DELETED_TOGETHER]).await?;
    }
    Ok(deleted > 0)
}

/// Empties the table of the previous release, once all of it is packed and nobody has written to it for two hours. `false`: not yet, or
/// it is empty.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.history.empty_earlier", skip_all)]
pub async fn empty_earlier(db: &impl GenericClient) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT WHERE pg_relation_size('remote_cluster_history') > 0
                 AND NOT EXISTS (SELECT FROM cluster_history_series
                                  WHERE packed_until < CASE step_seconds WHEN 60 THEN now() - interval '2 hours' ELSE earlier_until END)
                 AND NOT EXISTS (SELECT FROM history_series AS earlier
                             CROSS JOIN generate_series(date_trunc('minute', now()) - interval '2 hours', now(), '1 min') AS minute
                             CROSS JOIN LATERAL (
                                        SELECT FROM remote_cluster_history
                                         WHERE step_seconds = 60 AND at = minute
                                           AND slot = mod(floor(extract(epoch FROM minute) / 60)::bigint, earlier.slots)
                                         LIMIT 1) AS written
                                  WHERE earlier.step_seconds = 60)";
    let doing = "emptying the earlier history";
    if query_opt(db, doing, SQL, &[]).await?.is_none() {
        return Ok(false);
    }
    execute(db, doing, "TRUNCATE remote_cluster_history", &[]).await?;
    Ok(true)
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
        SELECT step_seconds, block, keep, CASE step_seconds WHEN 60 THEN now() ELSE complete_until END AS complete_until,
               least(packed_until, date_bin(make_interval(secs => step_seconds::integer * block), now(), 'epoch')) AS packed_until,
               now() AS now
          FROM cluster_history_series ORDER BY step_seconds";
    let rows = query(db, "looking at the series of the history", SQL, &[]).await?;
    let now = rows.first().map_or(Ok(OffsetDateTime::UNIX_EPOCH), |row| column(row, "now"))?;
    let all = rows.iter().map(|row| {
        let step = Duration::from_secs(unsigned(row, "step_seconds")?.into());
        Ok(HistorySeries {
            step,
            keep: unsigned(row, "keep")?,
            block: step * unsigned(row, "block")?,
            complete_until: column(row, "complete_until")?,
            packed_until: column(row, "packed_until")?,
        })
    });
    Ok((all.collect::<Result<_, StoreError>>()?, now))
}

/// The points of one cluster whose intervals begin within `[from, to)`, in order, as of `series` at the database's time `now`. Looks up
/// each block and each interval after the last block by itself: the cost is that of the answer, however many clusters there are.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.history.points", skip_all, fields(cluster.name = name))]
pub async fn points(
    db: &impl GenericClient,
    name: &str,
    series: &HistorySeries,
    now: OffsetDateTime,
    [from, to]: [OffsetDateTime; 2],
) -> Result<Vec<HistoryPoint>, StoreError> {
    const BLOCKS: &str = "
        SELECT block.begin, block.points
          FROM remote_clusters AS cluster
    CROSS JOIN generate_series(date_bin(make_interval(secs => $5), $3, 'epoch'), $4, make_interval(secs => $5)) AS beginning
    CROSS JOIN LATERAL (
               SELECT * FROM cluster_history_blocks AS block
                WHERE block.step_seconds = $2 AND block.begin = beginning AND block.remote_cluster_id = cluster.id
                LIMIT 1) AS block
         WHERE cluster.name = $1 AND beginning < $4
      ORDER BY beginning";
    // Where two releases received heartbeats of one minute it has two rows.
    const ROWS: &str = "
        SELECT point.*
          FROM remote_clusters AS cluster
    CROSS JOIN generate_series(date_bin(make_interval(secs => $2::smallint), $3, 'epoch'), $4,
                               make_interval(secs => $2::smallint)) AS beginning
    CROSS JOIN LATERAL (
               SELECT * FROM cluster_history_rows AS history
                WHERE history.step_seconds = $2 AND history.remote_cluster_id = cluster.id AND history.at = beginning
                  AND history.slot = mod(floor(extract(epoch FROM beginning) / $2::smallint)::bigint, history.slots)
               OFFSET 0) AS point
         WHERE cluster.name = $1 AND beginning >= $3 AND beginning < $4
      ORDER BY beginning";
    let doing = "reading the history of a cluster";
    let step = seconds(series.step);
    let length = series.block.as_secs_f64();
    let (from, to) = (from.max(now - series.reach() - series.step), to.min(now));
    let (packed, after) = (to.min(series.packed_until), from.max(series.packed_until));

    let mut points = Vec::new();
    for row in query(db, doing, BLOCKS, &[&name, &step, &from, &packed, &length]).await? {
        let corrupt = StoreError::Corrupt { table: "cluster_history_blocks", column: "points" };
        let bytes = super::statement::column(&row, "cluster_history_blocks", "points")?;
        points.extend(block::unpack(bytes, column(&row, "begin")?, series.step).ok_or(corrupt)?);
    }
    points.retain(|point| point.at >= from && point.at < packed);
    for row in query(db, doing, ROWS, &[&name, &step, &after, &to]).await? {
        points.push(point(&row)?);
    }
    Ok(points)
}

fn seconds(step: Duration) -> i16 {
    i16::try_from(step.as_secs()).unwrap_or(i16::MAX)
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
    let corrupt = StoreError::Corrupt { table: "cluster_history", column: name };
    u32::try_from(column::<i16>(row, name)?).map_err(|_| corrupt)
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "cluster_history", name)
}
