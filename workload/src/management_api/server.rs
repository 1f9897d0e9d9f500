//! `GET /1.0` and `GET /1.0/status`.

use salvo::{Depot, handler};
use serde::Serialize;

use super::app;
use super::caller::caller;
use crate::domain::Error;
use crate::edge::{Reply, Success};
use crate::model::{Identity, Operator, Role};

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ServerView {
    email: String,
    name: String,
    groups: Vec<String>,
    trusted: bool,
    /// What the person may do; null without a role.
    role: Option<Role>,
}

/// `GET /1.0`: who is logged in.
#[handler]
pub(super) async fn get(depot: &mut Depot) -> Reply<Success<ServerView>> {
    let caller = caller(depot)?;
    let Operator { identity: Identity { email, name, .. }, groups } = caller.operator;
    Ok(Success(ServerView { email, name, groups, trusted: true, role: caller.role }))
}

/// `GET /1.0/status`: the service and its database are reachable.
#[handler]
pub(super) async fn status(depot: &mut Depot) -> Reply<Success<Option<()>>> {
    app(depot)?.pool.answers().await.map_err(Error::from)?;
    Ok(Success::NULL)
}
