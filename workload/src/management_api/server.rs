//! `GET /1.0` and `GET /1.0/status`.

use salvo::{Depot, handler};
use serde::Serialize;

use super::app;
use crate::domain::Error;
use crate::edge::{ApiError, Reply, Success};
use crate::model::Operator;

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ServerView {
    email: String,
    name: String,
    groups: Vec<String>,
    trusted: bool,
}

/// `GET /1.0`: who is logged in.
#[handler]
pub(super) async fn get(depot: &mut Depot) -> Reply<Success<ServerView>> {
    let Operator { email, name, groups } =
        depot.get_typed::<Operator>().cloned().map_err(|_| ApiError::Unauthorized)?;
    Ok(Success(ServerView { email, name, groups, trusted: true }))
}

/// `GET /1.0/status`: the service and its database are reachable.
#[handler]
pub(super) async fn status(depot: &mut Depot) -> Reply<Success<Option<()>>> {
    app(depot)?.pool.ping().await.map_err(Error::from)?;
    Ok(Success::NULL)
}
