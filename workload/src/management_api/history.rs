//! `/1.0/fleet/history`: what charts show.

use std::collections::BTreeMap;

use salvo::{Depot, Request, handler};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::app;
use crate::domain::history;
use crate::edge::{ApiError, Reply, Success, name_at};
use crate::model::HistoryPoint;

/// What is shown without `from`.
const DEFAULT_SPAN: Duration = Duration::DAY;

/// Averages and highest values of one interval.
#[derive(Serialize, utoipa::ToSchema)]
struct Measure {
    avg: f32,
    max: f32,
}

impl From<[f32; 2]> for Measure {
    fn from([avg, max]: [f32; 2]) -> Self {
        Self { avg, max }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct PointView {
    /// Beginning of the interval.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    heartbeats: u32,
    /// Bytes.
    memory: Measure,
    memory_total: f32,
    /// Load average over one minute, summed over the members; null where no number was reported.
    #[schema(required)]
    load: Option<Measure>,
    members: Measure,
    instances: Measure,
    /// Used percent by pool name: of the whole pool, and of its fullest member.
    storage: BTreeMap<String, Measure>,
}

impl From<HistoryPoint> for PointView {
    fn from(point: HistoryPoint) -> Self {
        Self {
            at: point.at,
            heartbeats: point.heartbeats,
            memory: point.memory.into(),
            memory_total: point.memory_total,
            load: point.load.map(Measure::from),
            members: point.members.into(),
            instances: point.instances.into(),
            storage: point.pools.into_iter().map(|(name, used)| (name, used.into())).collect(),
        }
    }
}

/// The history of a cluster. Intervals without a heartbeat have no point.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct HistoryView {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    step_seconds: u64,
    points: Vec<PointView>,
}

/// `GET /1.0/fleet/history/{name}?from=&to=`: at most 500 points within `[from, to)`; without `from` the last 24 hours.
#[handler]
pub(super) async fn of_cluster(
    req: &mut Request,
    depot: &mut Depot,
) -> Reply<Success<HistoryView>> {
    let name = name_at(req, 4)?;
    let [from, to] = range(req)?;
    let history = history::of_cluster(&app(depot)?.pool, &name, from, to).await?;
    let points = history.points.into_iter().map(PointView::from).collect();
    Ok(Success(HistoryView { from, to, step_seconds: history.step.as_secs(), points }))
}

/// The beginning and the end in the query; without them the last 24 hours.
pub(super) fn range(req: &Request) -> Result<[OffsetDateTime; 2], ApiError> {
    let to = instant(req, "to")?.unwrap_or_else(OffsetDateTime::now_utc);
    let from = match instant(req, "from")? {
        Some(from) => from,
        None => to.checked_sub(DEFAULT_SPAN).unwrap_or(to),
    };
    if from < to {
        Ok([from, to])
    } else {
        Err(ApiError::BadRequest("from must be before to".into()))
    }
}

/// A time in the query. Years that PostgreSQL does not know are refused like those that RFC 3339 does not.
fn instant(req: &Request, name: &'static str) -> Result<Option<OffsetDateTime>, ApiError> {
    let Some(text) = req.query::<String>(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(time) if (1970..=9999).contains(&time.year()) => Ok(Some(time)),
        _ => Err(ApiError::BadRequest(format!(
            "{name} must be an RFC 3339 time such as 2026-11-30T18:00:00Z"
        ))),
    }
}
