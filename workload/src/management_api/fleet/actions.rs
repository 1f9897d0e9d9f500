//! `POST /1.0/fleet/actions`.

use salvo::{Depot, Request, handler};
use serde::{Deserialize, Serialize};

use super::super::caller::caller;
use super::super::clusters::ChangeBody;
use super::super::{app, guards, json_body};
use crate::domain::fleet::{self, Action};
use crate::edge::{ApiError, Reply, Success};
use crate::model::Role;

/// One change for many clusters. `changes` belongs to `edit`.
#[derive(Deserialize, utoipa::ToSchema)]
pub(in super::super) struct ActionsBody {
    action: ActionName,
    names: Vec<String>,
    #[serde(default)]
    changes: Option<ChangeBody>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum ActionName {
    Edit,
    Remove,
}

/// What came of it for each cluster, in the order asked for.
#[derive(Serialize, utoipa::ToSchema)]
pub(in super::super) struct ActionsView {
    results: Vec<ResultView>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ResultView {
    name: String,
    /// The status that the same change gets for this cluster alone.
    status: u16,
    #[schema(required)]
    error: Option<String>,
}

/// `POST /1.0/fleet/actions`: does the same to many clusters.
#[handler]
pub(super) async fn act(req: &mut Request, depot: &mut Depot) -> Reply<Success<ActionsView>> {
    let (app, caller) = (app(depot)?, caller(depot)?);
    let body: ActionsBody = json_body(req, &app).await?;
    let changes = body.changes.unwrap_or_default().into_changes(&app.own_hosts)?;
    let action = match body.action {
        ActionName::Edit if changes.is_empty() => {
            return Err(ApiError::BadRequest("changes must have at least one change".into()));
        }
        ActionName::Edit => Action::Edit(changes),
        // As for one cluster alone: who may configure may not remove.
        ActionName::Remove if caller.role < Some(Role::Admin) => {
            return Err(guards::denied(req, &app, &caller, Role::Admin).await);
        }
        ActionName::Remove => Action::Remove,
    };
    let outcomes = fleet::act(&app.pool, &action, body.names, &caller.origin).await?;
    let results = outcomes.into_iter().map(|outcome| {
        let error = outcome.error.map(ApiError::from);
        if let Some(error) = &error {
            error.log("a part of a change for many clusters");
        }
        let status = error.as_ref().map_or(200, |error| error.status().as_u16());
        ResultView { name: outcome.name, status, error: error.map(|error| error.to_string()) }
    });
    Ok(Success(ActionsView { results: results.collect() }))
}
