//! The history of clusters: heartbeats write it by the minute, this sums it up, packs what is over, and reads it.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use workload_config::History;

use crate::domain::Error;
use crate::model::HistoryPoint;
use crate::store::{self, Pool, clusters, history};

/// Time between two looks for intervals that are over.
const INTERVAL: Duration = Duration::from_secs(20);
/// Most points in an answer; intervals are joined until they are so few.
const MAX_POINTS: usize = 500;

/// What a chart shows of one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterHistory {
    /// Length of the points' intervals.
    pub step: Duration,
    /// The intervals with at least one heartbeat, in order.
    pub points: Vec<HistoryPoint>,
}

/// Sums the history up as its intervals end, packs it as its blocks end and deletes what is too old, until `stop`: what is under way then
/// is rolled back, and whoever comes next does it again. Any number of units may do so: they take turns.
pub async fn keep(pool: Pool, lengths: History, stop: CancellationToken) {
    let work = async {
        let mut is_set = false;
        loop {
            if !is_set {
                is_set = logged(set_lengths(&pool, lengths).await).is_some();
            }
            logged(catch_up(&pool).await);
            tokio::time::sleep(INTERVAL).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

fn logged<T>(result: Result<T, Error>) -> Option<T> {
    let failed = |error: &Error| {
        tracing::warn!(error = %crate::Chain(error), "the history could not be brought up to date");
    };
    result.inspect_err(failed).ok()
}

async fn set_lengths(pool: &Pool, lengths: History) -> Result<(), Error> {
    let series = [(60, lengths.minutes), (1800, lengths.half_hours), (21_600, lengths.six_hours)];
    let db = pool.get().await?;
    for (step_seconds, intervals) in series {
        if history::keep(&db, step_seconds, intervals).await? {
            tracing::info!(
                step_seconds,
                intervals,
                "the history now keeps {intervals} intervals of {step_seconds} s"
            );
        }
    }
    Ok(())
}

/// Does all that is due. An interval is summed up before blocks are packed: its rows must still be there.
async fn catch_up(pool: &Pool) -> Result<(), Error> {
    while sum_up(pool).await? || pack(pool).await? {}
    let db = pool.get().await?;
    let (all, now) = history::series(&db).await?;
    for series in all {
        while history::forget(&db, &series, now).await? {}
    }
    if history::empty_earlier(&db).await? {
        tracing::info!("all history of the previous release is packed: its table is empty now");
    }
    Ok(())
}

/// Makes one interval. `false`: there was nothing to do.
async fn sum_up(pool: &Pool) -> Result<bool, Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let Some(due) = history::next_due(&transaction).await? else { return Ok(false) };
    history::take_time(&transaction).await?;
    let clusters = history::sum_up(&transaction, due).await?;
    store::commit(transaction).await?;
    tracing::debug!(clusters, "summed up an interval of the history");
    Ok(true)
}

/// Packs a block of some clusters. `false`: there was nothing to do.
async fn pack(pool: &Pool) -> Result<bool, Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let Some(due) = history::next_block(&transaction).await? else { return Ok(false) };
    let clusters = history::pack(&transaction, due).await?;
    store::commit(transaction).await?;
    tracing::debug!(clusters, "packed a block of the history");
    Ok(true)
}

/// The history of a cluster within `[from, to)`, from the finest series that reaches back to `from`: at most 500 points.
///
/// # Errors
///
/// [`Error::NotFound`] when there is no such cluster, [`Error::Store`] without an answer from the database.
pub async fn of_cluster(
    pool: &Pool,
    name: &str,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<ClusterHistory, Error> {
    let db = pool.get().await?;
    if clusters::find(&db, name).await?.is_none() {
        return Err(Error::NotFound("remote cluster not found".into()));
    }
    let (series, now) = history::series(&db).await?;
    // "The last 24 hours", asked a moment ago, are still those of the finest series.
    let reaching = series.iter().position(|series| from >= now - series.reach() - series.step);
    let chosen = reaching.unwrap_or(series.len().saturating_sub(1));
    let Some(own) = series.get(chosen) else {
        return Ok(ClusterHistory { step: INTERVAL, points: Vec::new() });
    };

    // The newest part of a coarse series is still being made: the finer ones have it.
    let (mut points, mut begin) = (Vec::new(), from);
    for series in series.iter().take(chosen + 1).rev() {
        let end = to.min(series.complete_until);
        if begin < end {
            points.extend(history::points(&db, name, series, now, [begin, end]).await?);
            begin = end;
        }
    }
    let spanned = (to.min(now) - from).max(time::Duration::ZERO);
    let intervals = spanned.whole_seconds().unsigned_abs().div_ceil(own.step.as_secs());
    let joined = u32::try_from(intervals.div_ceil(MAX_POINTS as u64)).unwrap_or(u32::MAX).max(1);
    let step = own.step.saturating_mul(joined);
    Ok(ClusterHistory { step, points: join(points, step) })
}

/// Joins points so that each stands for an interval of `step`.
fn join(points: Vec<HistoryPoint>, step: Duration) -> Vec<HistoryPoint> {
    let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
    let mut joined: Vec<HistoryPoint> = Vec::new();
    for mut point in points {
        let begin = point.at.unix_timestamp().div_euclid(step) * step;
        if let Some(last) = joined.last_mut().filter(|last| last.at.unix_timestamp() == begin) {
            last.absorb(&point);
        } else {
            point.at = OffsetDateTime::from_unix_timestamp(begin).unwrap_or(point.at);
            joined.push(point);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn point(minute: i64, heartbeats: u32, memory: f32, load: Option<f32>) -> HistoryPoint {
        HistoryPoint {
            at: OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(minute),
            heartbeats,
            memory: [memory, memory],
            memory_total: 100.0,
            load: load.map(|load| [load, load]),
            members: [3.0, 3.0],
            instances: [10.0, 12.0],
            pools: BTreeMap::from([("local".to_owned(), [memory, memory])]),
        }
    }

    #[test]
    fn joined_points_weigh_their_heartbeats_and_keep_the_highest_value() {
        let points =
            vec![point(0, 1, 10.0, None), point(1, 3, 50.0, Some(2.0)), point(7, 1, 90.0, None)];
        let joined = join(points, Duration::from_mins(5));
        assert_eq!(joined.len(), 2);
        let first = &joined[0];
        assert_eq!((first.at, first.heartbeats), (OffsetDateTime::UNIX_EPOCH, 4));
        assert_eq!((first.memory, first.load), ([40.0, 50.0], Some([2.0, 2.0])));
        assert_eq!((first.instances, first.pools["local"]), ([10.0, 12.0], [40.0, 50.0]));
        assert_eq!(joined[1].at, OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(5));
    }
}
