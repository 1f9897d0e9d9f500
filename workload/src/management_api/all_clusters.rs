//! The list of all clusters with all their data, ready to be sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use time::OffsetDateTime;

use super::clusters::ClusterView;
use crate::domain::fleet::{Entry, Snapshot};
use crate::domain::warnings;
use crate::edge::{Prepared, write_success};

/// The list as it was last given. A cluster of which nothing has changed is not written anew, and as long as nothing at all changes
/// everybody gets the same bytes.
#[derive(Debug, Default)]
pub struct AllClusters(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    rows: HashMap<i64, Row>,
    list: Option<List>,
}

#[derive(Debug)]
struct List {
    version: u64,
    until: Option<OffsetDateTime>,
    prepared: Arc<Prepared>,
}

/// A cluster as JSON.
#[derive(Debug)]
struct Row {
    /// What it was made from.
    entry: Arc<Entry>,
    json: Box<str>,
    digest: [u8; SHA256_OUTPUT_LEN],
    /// When time alone makes it say something else.
    until: Option<OffsetDateTime>,
}

impl AllClusters {
    /// The list for `fleet` at `now`.
    pub(super) fn at(&self, fleet: &Snapshot, now: OffsetDateTime) -> Arc<Prepared> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = &last.list
            && list.version == fleet.version
            && is_before(now, list.until)
        {
            return Arc::clone(&list.prepared);
        }
        let mut known = std::mem::take(&mut last.rows);
        let rows: Vec<Row> = fleet
            .entries
            .iter()
            .map(|entry| {
                let row = known.remove(&entry.cluster.id);
                row.filter(|row| Arc::ptr_eq(&row.entry, entry) && is_before(now, row.until))
                    .unwrap_or_else(|| Row::new(entry, now))
            })
            .collect();
        let digests: Vec<&[u8]> = rows.iter().map(|row| &row.digest[..]).collect();
        let body = write_success(&parts(&rows)).into();
        let prepared = Arc::new(Prepared::tagged(body, sha256(&digests.concat())));
        let until = rows.iter().filter_map(|row| row.until).min();
        last.rows = rows.into_iter().map(|row| (row.entry.cluster.id, row)).collect();
        last.list = Some(List { version: fleet.version, until, prepared: Arc::clone(&prepared) });
        prepared
    }
}

impl Row {
    fn new(entry: &Arc<Entry>, now: OffsetDateTime) -> Self {
        let warnings = warnings::of(&entry.cluster, entry.freshness, now);
        let view = ClusterView::new(&entry.cluster, entry.freshness, &warnings);
        let json = serde_json::to_string(&view).unwrap_or_else(|_| "{}".to_owned());
        Self {
            entry: Arc::clone(entry),
            digest: sha256(json.as_bytes()),
            json: json.into(),
            until: warnings::constant_until(&entry.cluster, &warnings),
        }
    }
}

fn parts(rows: &[Row]) -> Vec<&str> {
    let mut parts = Vec::with_capacity(2 * rows.len() + 2);
    parts.push("[");
    for row in rows {
        if parts.len() > 1 {
            parts.push(",");
        }
        parts.push(&row.json);
    }
    parts.push("]");
    parts
}

fn is_before(now: OffsetDateTime, until: Option<OffsetDateTime>) -> bool {
    until.is_none_or(|until| now < until)
}

fn sha256(bytes: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut result = [0; SHA256_OUTPUT_LEN];
    result.copy_from_slice(digest(&SHA256, bytes).as_ref());
    result
}
