//! All clusters at one moment.

use std::sync::{Arc, OnceLock};

use time::OffsetDateTime;

use super::entry::Entry;
use super::summary::Summary;

/// All clusters at one moment. Nothing in it changes; one with the same version is the same.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with every change.
    pub version: u64,
    /// The moment, by the database's clock.
    pub at: OffsetDateTime,
    /// The clusters in the byte order of their names.
    pub entries: Vec<Arc<Entry>>,
    summary: OnceLock<Summary>,
}

impl Snapshot {
    pub(super) fn new(version: u64, at: OffsetDateTime, entries: Vec<Arc<Entry>>) -> Self {
        Self { version, at, entries, summary: OnceLock::new() }
    }

    /// The fleet in few numbers; computed once.
    pub fn summary(&self) -> &Summary {
        self.summary.get_or_init(|| Summary::of(&self.entries, self.at))
    }

    /// The cluster `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Entry>> {
        let found = self.entries.binary_search_by(|entry| entry.cluster.name.as_str().cmp(name));
        found.ok().and_then(|index| self.entries.get(index))
    }
}
