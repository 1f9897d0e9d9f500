//! `GET /1.0/fleet/clusters`.

use std::sync::{Arc, Mutex, PoisonError};

use salvo::{Depot, Request, Response, handler};
use serde::Serialize;

use super::super::{App, app};
use super::{fields, query, selected};
use crate::domain::fleet::{CompactRow, Entry, Snapshot};
use crate::edge::{ApiError, Prepared, write_success};

/// How the clusters of a list are written.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Objects,
    /// Without the keys, in their order.
    Values,
}

impl Rows {
    fn of(req: &Request) -> Result<Self, ApiError> {
        match req.query::<&str>("rows") {
            None | Some("" | "objects") => Ok(Self::Objects),
            Some("values") => Ok(Self::Values),
            Some(_) => Err(ApiError::BadRequest("rows must be objects or values".into())),
        }
    }

    /// The list, with all keys.
    fn list<'a>(self, entries: impl Iterator<Item = &'a Arc<Entry>>) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Objects => written(entries.map(|entry| &entry.row)),
            Self::Values => Ok(list_of(entries.map(|entry| &*entry.values))),
        }
    }
}

/// The whole list as it was last given: as long as nothing changes, everybody gets the same bytes.
#[derive(Debug, Default)]
pub struct Rendered {
    objects: Mutex<Option<Last>>,
    values: Mutex<Option<Last>>,
}

/// A list, and of which state of the fleet it is.
type Last = (u64, Arc<Prepared>);

impl Rendered {
    fn of(&self, fleet: &Snapshot, rows: Rows) -> Result<Arc<Prepared>, ApiError> {
        let last = match rows {
            Rows::Objects => &self.objects,
            Rows::Values => &self.values,
        };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((version, prepared)) if *version == fleet.version => Ok(Arc::clone(prepared)),
            _ => {
                let prepared = Arc::new(Prepared::new(rows.list(fleet.entries.iter())?.into()));
                *last = Some((fleet.version, Arc::clone(&prepared)));
                Ok(prepared)
            }
        }
    }
}

fn written<T: Serialize>(rows: impl Iterator<Item = T>) -> Result<Vec<u8>, ApiError> {
    let rows: Vec<String> = rows
        .map(|row| serde_json::to_string(&row))
        .collect::<Result<_, _>>()
        .map_err(|error| ApiError::Internal(error.into()))?;
    Ok(list_of(rows.iter().map(String::as_str)))
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

/// `GET /1.0/fleet/clusters?filter=&state=&warning=&sort=&limit=&after=&fields=&rows=`: clusters in few figures.
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
    let (query, fields, rows) = (query(req)?, fields(req, &CompactRow::KEYS)?, Rows::of(req)?);
    let (fleet, _) = app.fleet.now().await?;
    if query.is_everything() && fields.is_none() {
        return app.rendered.of(&fleet, rows);
    }
    let chosen = query.select(&fleet)?;
    let body = match (fields, rows) {
        (None, rows) => rows.list(chosen.into_iter())?,
        (Some(fields), Rows::Objects) => {
            written(chosen.iter().map(|entry| selected(&entry.row, &fields)))?
        }
        (Some(fields), Rows::Values) => written(chosen.iter().map(|entry| {
            let row = selected(&entry.row, &fields);
            fields.iter().map(|field| row.get(field).cloned()).collect::<Vec<_>>()
        }))?,
    };
    Ok(Arc::new(Prepared::new(body.into())))
}
