//! `GET /1.0/fleet/history`.

use salvo::{Depot, Request, handler};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::app;
use super::super::history::range;
use crate::domain::fleet;
use crate::edge::{Reply, Success};
use crate::model::FleetHistoryPoint;

/// Averages over one interval.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FleetHistoryPoint)]
struct PointView {
    /// Beginning of the interval.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    clusters: f64,
    online: f64,
    with_warnings: f64,
    members: f64,
    instances: f64,
    /// Bytes.
    memory_used: f64,
    /// Bytes.
    memory_total: f64,
}

impl From<FleetHistoryPoint> for PointView {
    fn from(FleetHistoryPoint { at, average }: FleetHistoryPoint) -> Self {
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        Self {
            at,
            clusters: tenths(average.clusters),
            online: tenths(average.online),
            with_warnings: tenths(average.with_warnings),
            members: tenths(average.members),
            instances: tenths(average.instances),
            memory_used: average.memory_used.round(),
            memory_total: average.memory_total.round(),
        }
    }
}

/// The history of the fleet. Intervals in which no Management API ran have no point.
#[derive(Serialize, utoipa::ToSchema)]
pub(in super::super) struct FleetHistoryView {
    #[serde(with = "time::serde::rfc3339")]
    from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    to: OffsetDateTime,
    step_seconds: u64,
    points: Vec<PointView>,
}

/// `GET /1.0/fleet/history?from=&to=`: at most 500 points within `[from, to)`; without `from` the last 24 hours.
#[handler]
pub(super) async fn of_fleet(
    req: &mut Request,
    depot: &mut Depot,
) -> Reply<Success<FleetHistoryView>> {
    let [from, to] = range(req)?;
    let history = fleet::history(&app(depot)?.pool, from, to).await?;
    let points = history.points.into_iter().map(PointView::from).collect();
    Ok(Success(FleetHistoryView { from, to, step_seconds: history.step.as_secs(), points }))
}
