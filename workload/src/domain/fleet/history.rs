//! The history of the fleet.

use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::Error;
use crate::model::FleetHistoryPoint;
use crate::store::{Pool, fleet_history, history};

/// Most points in an answer; intervals are joined until they are so few.
const MAX_POINTS: u64 = 500;

/// What a chart shows of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetHistory {
    /// Length of the points' intervals.
    pub step: Duration,
    /// The intervals in which the fleet was looked at, in order.
    pub points: Vec<FleetHistoryPoint>,
}

/// The history of the fleet within `[from, to)`, from the finest series that reaches back to `from`: at most 500 points.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn history(
    pool: &Pool,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<FleetHistory, Error> {
    let db = pool.get().await?;
    let (series, now) = history::series(&db).await?;
    let reaching = series.iter().find(|series| from >= now - series.reach() - series.step);
    let Some(series) = reaching.or(series.last()) else {
        return Ok(FleetHistory { step: Duration::from_mins(1), points: Vec::new() });
    };
    let begin = from.max(now - series.reach() - series.step);
    let spanned = (to.min(now) - begin).max(time::Duration::ZERO).whole_seconds().unsigned_abs();
    // A range that begins and ends within intervals touches one more.
    let joined = spanned.div_ceil(series.step.as_secs()).div_ceil(MAX_POINTS - 1).max(1);
    let joined = u32::try_from(joined).unwrap_or(u32::MAX);
    let points = fleet_history::points(&db, series.step, joined, from, to).await?;
    Ok(FleetHistory { step: series.step.saturating_mul(joined), points })
}
