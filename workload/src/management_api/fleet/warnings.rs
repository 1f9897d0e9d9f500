//! `GET /1.0/warnings`.

use salvo::{Depot, Request, handler};
use serde::Serialize;
use time::OffsetDateTime;

use super::super::app;
use super::query;
use crate::domain::warnings::Warning;
use crate::edge::{Reply, Success};

/// A warning of a cluster and since when it stands.
#[derive(Serialize, utoipa::ToSchema)]
pub(in super::super) struct WarningView {
    cluster: String,
    #[serde(flatten)]
    warning: Warning,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

/// `GET /1.0/warnings?filter=&state=&warning=&sort=&limit=&after=`: all warnings of the clusters that are asked for.
#[handler]
pub(super) async fn list(req: &mut Request, depot: &mut Depot) -> Reply<Success<Vec<WarningView>>> {
    let query = query(req)?;
    let (fleet, now) = app(depot)?.fleet.now().await?;
    let mut all = Vec::new();
    for entry in query.select(&fleet)? {
        all.extend(entry.warnings_at(now).into_iter().map(|(warning, since)| WarningView {
            cluster: entry.cluster.name.clone(),
            warning,
            since,
        }));
    }
    Ok(Success(all))
}
