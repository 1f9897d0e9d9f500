//! `GET /1.0/fleet/clusters`.

use std::sync::{Arc, Mutex, PoisonError};

use salvo::{Depot, Request, Response, handler};

use super::super::{App, app};
use super::{fields, query, selected};
use crate::domain::fleet::{CompactRow, Snapshot};
use crate::edge::{ApiError, Prepared, write_success};

/// The whole list as it was last given: as long as nothing changes, everybody gets the same bytes.
#[derive(Debug, Default)]
pub struct Rendered(Mutex<Option<(u64, Arc<Prepared>)>>);

impl Rendered {
    fn of(&self, fleet: &Snapshot) -> Arc<Prepared> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((version, prepared)) if *version == fleet.version => Arc::clone(prepared),
            _ => {
                let rows = fleet.entries.iter().map(|entry| &*entry.json);
                let prepared = Arc::new(Prepared::new(list_of(rows).into()));
                *last = Some((fleet.version, Arc::clone(&prepared)));
                prepared
            }
        }
    }
}

fn list_of<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut parts = vec!["["];
    for row in rows {
        if parts.len() > 1 {
            parts.push(",");
        }
        parts.push(row);
    }
    parts.push("]");
    write_success(&parts)
}

/// `GET /1.0/fleet/clusters?filter=&state=&warning=&sort=&limit=&after=&fields=`: clusters in few figures.
#[handler]
pub(super) async fn list(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
) -> Result<(), ApiError> {
    let app = app(depot)?;
    let prepared = prepare(req, &app).await?;
    prepared.answer(req, res).await;
    Ok(())
}

async fn prepare(req: &Request, app: &App) -> Result<Arc<Prepared>, ApiError> {
    let (query, fields) = (query(req)?, fields(req, &CompactRow::KEYS)?);
    let (fleet, _) = app.fleet.now().await?;
    if query.is_everything() && fields.is_none() {
        return Ok(app.rendered.of(&fleet));
    }
    let chosen = query.select(&fleet)?;
    let body = match fields {
        None => list_of(chosen.into_iter().map(|entry| &*entry.json)),
        Some(fields) => {
            let rows = chosen.iter().map(|entry| selected(&entry.row, &fields));
            let rows: Vec<String> = rows
                .map(|row| serde_json::to_string(&row))
                .collect::<Result<_, _>>()
                .map_err(|error| ApiError::Internal(error.into()))?;
            list_of(rows.iter().map(String::as_str))
        }
    };
    Ok(Arc::new(Prepared::new(body.into())))
}
