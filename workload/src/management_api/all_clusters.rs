//! The list of all clusters with all their data, ready to be sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use time::OffsetDateTime;

use super::clusters::ClusterView;
use crate::domain::fleet::{Entry, Snapshot};
use crate::domain::warnings;
use crate::edge::{Compressed, Piece, Prepared, write_success};

/// The list as it was last given. A cluster of which nothing has changed is neither written nor compressed anew, and as long as nothing
/// at all changes everybody gets the same bytes.
#[derive(Debug, Default)]
pub struct AllClusters(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    rows: HashMap<i64, Arc<Row>>,
    /// By the first cluster of each.
    groups: HashMap<i64, Group>,
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

/// Clusters that are compressed together: alone each would take nearly twice as many bytes, and with many of them one has always changed.
#[derive(Debug)]
struct Group {
    rows: Vec<Arc<Row>>,
    compressed: Arc<Compressed>,
}

/// Rows in a group, on average and at most.
const GROUP: i64 = 4;
const MAX_GROUP: usize = 16;

impl AllClusters {
    /// The list for `fleet` at `now`; `own_hosts` are the same ever after.
    pub(super) fn at(
        &self,
        fleet: &Snapshot,
        now: OffsetDateTime,
        own_hosts: &[String],
    ) -> Arc<Prepared> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = &last.list
            && list.version == fleet.version
            && is_before(now, list.until)
        {
            return Arc::clone(&list.prepared);
        }
        let mut known = std::mem::take(&mut last.rows);
        let rows: Vec<Arc<Row>> = fleet
            .entries
            .iter()
            .map(|entry| {
                let row = known.remove(&entry.cluster.id);
                row.filter(|row| Arc::ptr_eq(&row.entry, entry) && is_before(now, row.until))
                    .unwrap_or_else(|| Arc::new(Row::new(entry, now, own_hosts)))
            })
            .collect();
        let groups = grouped(&rows, std::mem::take(&mut last.groups));
        let digests: Vec<&[u8]> = rows.iter().map(|row| &row.digest[..]).collect();
        let digest = sha256(&digests.concat());
        let body = write_success(&parts(&rows));
        let pieces = pieces(&body, &groups);
        let prepared = Arc::new(Prepared::in_pieces(body.into(), digest, pieces));
        let until = rows.iter().filter_map(|row| row.until).min();
        last.rows = rows.into_iter().map(|row| (row.id(), row)).collect();
        let first = |group: &Group| group.rows.first().map_or(0, |row| row.id());
        last.groups = groups.into_iter().map(|group| (first(&group), group)).collect();
        last.list = Some(List { version: fleet.version, until, prepared: Arc::clone(&prepared) });
        prepared
    }
}

impl Row {
    fn new(entry: &Arc<Entry>, now: OffsetDateTime, own_hosts: &[String]) -> Self {
        let warnings = warnings::of(&entry.cluster, entry.freshness, now);
        let view = ClusterView::new(&entry.cluster, entry.freshness, &warnings, own_hosts);
        let json = serde_json::to_string(&view).unwrap_or_else(|_| "{}".to_owned());
        Self {
            entry: Arc::clone(entry),
            digest: sha256(json.as_bytes()),
            json: json.into(),
            until: warnings::constant_until(&entry.cluster, &warnings),
        }
    }

    fn id(&self) -> i64 {
        self.entry.cluster.id
    }
}

/// The rows in groups, those of `known` that are still the same included. Where one ends is a matter of the row alone, so that a new
/// cluster changes its own group only.
fn grouped(rows: &[Arc<Row>], mut known: HashMap<i64, Group>) -> Vec<Group> {
    let mut groups = Vec::with_capacity(rows.len() / 2);
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let end = rest.iter().take(MAX_GROUP).position(|row| row.id() % GROUP == 0);
        let length = end.map_or(MAX_GROUP.min(rest.len()), |end| end + 1);
        let (group, more) = rest.split_at(length);
        rest = more;
        let same = |known: &Group| {
            known.rows.len() == group.len()
                && known.rows.iter().zip(group).all(|(old, new)| Arc::ptr_eq(old, new))
        };
        let kept = known.remove(&first.id()).filter(same);
        groups.push(
            kept.unwrap_or_else(|| Group { rows: group.to_vec(), compressed: Arc::default() }),
        );
    }
    groups
}

/// Where the groups are in the body: behind its first bracket, with a comma between any two rows.
fn pieces(body: &[u8], groups: &[Group]) -> Vec<Piece> {
    let mut begin = body.iter().position(|byte| *byte == b'[').map_or(0, |bracket| bracket + 1);
    groups
        .iter()
        .map(|Group { rows, compressed }| {
            let length = rows.iter().map(|row| row.json.len() + 1).sum::<usize>() - 1;
            let range = begin..begin + length;
            begin = range.end + 1;
            Piece { range, compressed: Arc::clone(compressed) }
        })
        .collect()
}

fn parts(rows: &[Arc<Row>]) -> Vec<&str> {
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
