//! `GET /1.0/fleet/summary`.

use salvo::{Depot, handler};

use super::super::app;
use crate::domain::fleet::Summary;
use crate::edge::{Reply, Success};

/// `GET /1.0/fleet/summary`: the fleet in few numbers.
#[handler]
pub(super) async fn get(depot: &mut Depot) -> Reply<Success<Summary>> {
    let (fleet, _) = app(depot)?.fleet.now().await?;
    Ok(Success(fleet.summary().clone()))
}
