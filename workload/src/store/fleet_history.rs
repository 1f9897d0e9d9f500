//! Table `fleet_history`.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::StoreError;
use super::statement::{execute, query};
use crate::model::{FleetHistoryPoint, FleetSample};

/// Writes the sample of the current minute, unless another unit has written it, takes it into the averages of the longer intervals,
/// and deletes what is older than the history of clusters. `false`: it was written before.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.fleet_history.sample", skip_all)]
pub async fn sample(db: &impl GenericClient, sample: &FleetSample) -> Result<bool, StoreError> {
    const SAMPLE: &str = "
        WITH minute AS (
            INSERT INTO fleet_history (step_seconds, at, samples, clusters, online, with_warnings, members, instances,
                                       memory_used, memory_total)
                 VALUES (60, date_trunc('minute', now()), 1, $1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT DO NOTHING
              RETURNING 1
        ), longer AS (
            INSERT INTO fleet_history AS history
                 SELECT step_seconds, date_bin(make_interval(secs => step_seconds), now(), 'epoch'), 1, $1, $2, $3, $4, $5, $6, $7
                   FROM cluster_history_series WHERE step_seconds > 60 AND EXISTS (SELECT FROM minute)
            ON CONFLICT (step_seconds, at) DO UPDATE
                    SET (samples, clusters, online, with_warnings, members, instances, memory_used, memory_total) = (
                 SELECT n + 1, (history.clusters * n + excluded.clusters) / (n + 1),
                        (history.online * n + excluded.online) / (n + 1),
                        (history.with_warnings * n + excluded.with_warnings) / (n + 1),
                        (history.members * n + excluded.members) / (n + 1),
                        (history.instances * n + excluded.instances) / (n + 1),
                        (history.memory_used * n + excluded.memory_used) / (n + 1),
                        (history.memory_total * n + excluded.memory_total) / (n + 1)
                   FROM (SELECT least(history.samples, 32766)::integer AS n) AS earlier)
        )
        SELECT FROM minute";
    const FORGET: &str = "
        DELETE FROM fleet_history AS history
              USING cluster_history_series AS series
              WHERE history.step_seconds = series.step_seconds
                AND history.at <= now() - make_interval(secs => series.step_seconds) * series.keep";
    let doing = "writing the history of the fleet";
    let FleetSample {
        clusters,
        online,
        with_warnings,
        members,
        instances,
        memory_used,
        memory_total,
    } = sample;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [clusters, online, with_warnings, members, instances, memory_used, memory_total];
    let written = !query(db, doing, SAMPLE, &values).await?.is_empty();
    if written {
        execute(db, doing, FORGET, &[]).await?;
    }
    Ok(written)
}

/// Averages over intervals of `joined` times `step`, of the series with intervals of `step`, within `[from, to)`, in order.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.fleet_history.points", skip_all)]
pub async fn points(
    db: &impl GenericClient,
    step: Duration,
    joined: u32,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<FleetHistoryPoint>, StoreError> {
    const SQL: &str = "
        SELECT date_bin(make_interval(secs => $1::smallint) * $2::bigint, at, 'epoch') AS begin, avg(clusters) AS clusters,
               avg(online) AS online, avg(with_warnings) AS with_warnings, avg(members) AS members,
               avg(instances) AS instances, avg(memory_used) AS memory_used, avg(memory_total) AS memory_total
          FROM fleet_history
         WHERE step_seconds = $1 AND at >= $3 AND at < $4
      GROUP BY begin ORDER BY begin";
    let step = i16::try_from(step.as_secs()).unwrap_or(i16::MAX);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&step, &i64::from(joined), &from, &to];
    let rows = query(db, "reading the history of the fleet", SQL, &params).await?;
    rows.iter().map(point).collect()
}

fn point(row: &Row) -> Result<FleetHistoryPoint, StoreError> {
    Ok(FleetHistoryPoint {
        at: column(row, "begin")?,
        average: FleetSample {
            clusters: column(row, "clusters")?,
            online: column(row, "online")?,
            with_warnings: column(row, "with_warnings")?,
            members: column(row, "members")?,
            instances: column(row, "instances")?,
            memory_used: column(row, "memory_used")?,
            memory_total: column(row, "memory_total")?,
        },
    })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "fleet_history", name)
}
