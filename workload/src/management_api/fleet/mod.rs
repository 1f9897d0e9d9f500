//! `/1.0/fleet` and `/1.0/warnings`: the whole fleet at once.

mod actions;
mod clusters;
mod events;
mod history;
mod summary;
mod warnings;

use salvo::{Request, Router};
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) use self::actions::{ActionsBody, ActionsView};
pub use self::clusters::Rendered;
pub(super) use self::history::FleetHistoryView;
pub(super) use self::warnings::WarningView;
use crate::domain::fleet::Query;
use crate::edge::{ApiError, LeanAnswers};

/// The routes below `/1.0/fleet`.
pub(super) fn routes() -> Router {
    let lean = Router::new()
        .hoop(LeanAnswers)
        .push(Router::with_path("clusters").get(clusters::list).head(clusters::list))
        .push(Router::with_path("summary").get(summary::get).head(summary::get))
        .push(
            Router::with_path("history").get(history::of_fleet).head(history::of_fleet).push(
                Router::with_path("{name}")
                    .get(super::history::of_cluster)
                    .head(super::history::of_cluster),
            ),
        );
    Router::with_path("fleet")
        .push(lean)
        .push(Router::with_path("actions").post(actions::act))
        .push(Router::with_path("events").get(events::follow).head(events::follow))
}

/// `/1.0/warnings`.
pub(super) fn warnings() -> Router {
    Router::with_path("warnings").hoop(LeanAnswers).get(warnings::list).head(warnings::list)
}

/// Which clusters a request asks for.
pub(super) fn query(req: &Request) -> Result<Query, ApiError> {
    Ok(Query::parse(|part| req.query::<String>(part))?)
}

/// The keys that a request asks for; `None`: all.
pub(super) fn fields(req: &Request, known: &[&str]) -> Result<Option<Vec<String>>, ApiError> {
    let Some(text) = req.query::<String>("fields").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let fields: Vec<String> = text.split(',').map(str::to_owned).collect();
    match fields.iter().find(|field| !known.contains(&field.as_str())) {
        None => Ok(Some(fields)),
        Some(unknown) => {
            let unknown: String = unknown.chars().take(64).collect();
            let known = known.join(", ");
            Err(ApiError::BadRequest(format!(
                "fields has the unknown value {unknown:?}: known are {known}"
            )))
        }
    }
}

/// An object with no other keys than `fields`.
pub(super) fn selected(object: &impl Serialize, fields: &[String]) -> Map<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(object) else { return Map::new() };
    all.retain(|key, _| fields.contains(key));
    all
}
