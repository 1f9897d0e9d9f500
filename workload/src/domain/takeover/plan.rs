//! What is to be done, decided without touching anything: pure functions from what is there to what will be written.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use workload_config::HeartbeatLimits;

use super::report::{Item, Kind, Report};
use super::{clusters, tokens};
use crate::model::{Fingerprint, ImportedToken};
use crate::store::takeover::{NewCluster, SourceCluster, SourceSetting, SourceToken};

/// Longest name in bytes: an entry of a PostgreSQL index has at most 2,704 bytes.
pub(super) const MAX_NAME_BYTES: usize = 2600;

/// What the earlier product left.
#[derive(Default)]
pub(super) struct Source {
    pub(super) version: Option<i64>,
    pub(super) clusters: Vec<SourceCluster>,
    /// By the id of the cluster.
    pub(super) details: HashMap<i64, Value>,
    pub(super) settings: Vec<SourceSetting>,
    pub(super) tokens: Vec<SourceToken>,
    pub(super) sessions: i64,
}

/// What is in our tables already.
#[derive(Default)]
pub(super) struct Here {
    /// Outcome of the rows that were dealt with, by kind and id.
    pub(super) handled: HashMap<(String, i64), String>,
    /// Names of enrolled clusters.
    pub(super) names: BTreeSet<String>,
    /// Names of enrolled clusters by certificate.
    pub(super) certificates: HashMap<Fingerprint, String>,
    /// Folded names of pending tokens.
    pub(super) pending: BTreeSet<String>,
}

/// What a takeover needs to know about this deployment.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Host names of the manager itself, in lower case.
    pub own_hosts: Vec<String>,
    /// The certificates that the Cluster Connector presents, the one of new tokens first, then those that clusters find under
    /// earlier names; empty where it has none yet.
    pub connector_pins: Vec<Fingerprint>,
    /// Whether rows that were refused before are looked at again.
    pub retry: bool,
    /// What the last heartbeat of a cluster may have said.
    pub heartbeat_limits: HeartbeatLimits,
}

/// A token that will be written; its secret is sealed then.
pub(super) struct NewToken {
    pub(super) source: SourceToken,
    pub(super) token: ImportedToken,
    pub(super) expires_at: OffsetDateTime,
    pub(super) created_at: OffsetDateTime,
}

/// What will be written, and what is said about it.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) report: Report,
    pub(super) clusters: Vec<NewCluster>,
    pub(super) tokens: Vec<NewToken>,
}

impl Plan {
    pub(super) fn new(
        source: Source,
        here: &Here,
        circumstances: &Circumstances,
        now: OffsetDateTime,
    ) -> Self {
        let mut plan = Self::default();
        plan.report.found = true;
        plan.report.schema_version = source.version;
        plan.report.sessions = source.sessions;
        plan.report.clusters.found = source.clusters.len();
        plan.report.tokens.found = source.tokens.len();
        let is_done = |kind: Kind, id| match here.handled.get(&(kind.as_str().to_owned(), id)) {
            None => false,
            Some(outcome) => !(circumstances.retry && outcome == "refused"),
        };
        let Source { clusters, details, settings, tokens, .. } = source;
        let (done, new): (Vec<_>, Vec<_>) =
            clusters.into_iter().partition(|row| is_done(Kind::Cluster, row.id));
        plan.report.clusters.already = done.len();
        clusters::plan(&mut plan, &new, &details, &settings, here, circumstances, now);
        let (done, new): (Vec<_>, _) =
            tokens.into_iter().partition(|row| is_done(Kind::Token, row.id));
        plan.report.tokens.already = done.len();
        tokens::plan(&mut plan, new, here, circumstances, now);
        plan
    }

    /// Adds what becomes of a row.
    pub(super) fn add(&mut self, item: Item) {
        match item.kind {
            Kind::Cluster => self.report.clusters.add(item.outcome),
            Kind::Token => self.report.tokens.add(item.outcome),
        }
        self.report.items.push(item);
    }
}

/// A time as PostgreSQL writes it into JSON; without an offset it is UTC, as the earlier product's images ran. `None` for
/// years that do not have four digits, `infinity` and everything else that is no moment.
pub(super) fn moment(text: Option<&str>) -> Option<OffsetDateTime> {
    let text = text?;
    let (_, clock) = text.split_once('T')?;
    if clock.contains(['+', '-', 'Z']) {
        OffsetDateTime::parse(text, &Rfc3339).ok()
    } else {
        OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok()
    }
}

/// The name in the form in which names are compared that people and metrics cannot tell apart: as the database folds.
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_read_as_postgresql_writes_them() {
        for (text, expected) in [
            ("0001-01-01T00:00:00", datetime!(0001-01-01 0:00 UTC)),
            ("2026-03-01T09:00:00.5", datetime!(2026-03-01 9:00:00.5 UTC)),
            ("2026-03-01T09:00:00.123456+00:00", datetime!(2026-03-01 9:00:00.123456 UTC)),
            ("2026-03-01T09:00:00-05:00", datetime!(2026-03-01 14:00 UTC)),
            ("3000-01-01T00:00:00Z", datetime!(3000-01-01 0:00 UTC)),
        ] {
            assert_eq!(moment(Some(text)), Some(expected), "{text}");
        }
        for text in ["infinity", "-infinity", "0044-03-15T00:00:00 BC", "12026-01-01T00:00:00", ""]
        {
            assert_eq!(moment(Some(text)), None, "{text}");
        }
        assert_eq!(moment(None), None);
    }
}
