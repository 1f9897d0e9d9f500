//! What a takeover does or did, for people and scripts.

use serde::Serialize;

/// What kind of row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An enrolled cluster.
    Cluster,
    /// A pending join token.
    Token,
}

impl Kind {
    /// The kind as it stands in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Token => "token",
        }
    }
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is copied.
    Copied,
    /// It stays behind and nothing is lost by that.
    Left,
    /// It cannot be taken over.
    Refused,
}

impl Outcome {
    /// The outcome as it stands in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Left => "left",
            Self::Refused => "refused",
        }
    }
}

/// Damage that is repaired while a row is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// The time of enrolment lies in year 1; the one of the detail row is taken.
    EnrolmentTime,
    /// The certificate's text is not the canonical one.
    CertificateText,
    /// A threshold is no number from 0 to 100; it becomes 80.
    Threshold,
    /// What the last heartbeat said is missing or cannot be read; the next heartbeat brings it.
    StatusData,
    /// The link to the cluster's own UI is not one that an operator may click.
    UiUrl,
}

impl Repair {
    /// Every repair.
    pub const ALL: [Self; 5] = [
        Self::EnrolmentTime,
        Self::CertificateText,
        Self::Threshold,
        Self::StatusData,
        Self::UiUrl,
    ];

    /// What is done, in a sentence about the cluster.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::EnrolmentTime => "time of enrolment restored from the cluster's details",
            Self::CertificateText => "certificate written in its canonical form",
            Self::Threshold => "unusable threshold set to 80 %",
            Self::StatusData => "missing or damaged status emptied until the next heartbeat",
            Self::UiUrl => "unsafe link to the cluster's own UI removed",
        }
    }
}

/// What becomes of one row.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its id in the earlier product's table.
    pub source_id: i64,
    /// Name of the cluster.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why it is not copied.
    pub reason: Option<String>,
    /// What is repaired.
    pub repairs: Vec<Repair>,
    /// What an operator should know about it.
    pub notes: Vec<String>,
}

/// How many rows of a kind have which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows in the earlier product's table.
    pub found: usize,
    /// Rows that an earlier takeover dealt with.
    pub already: usize,
    /// Rows that are copied.
    pub copied: usize,
    /// Rows that stay behind without a loss.
    pub left: usize,
    /// Rows that cannot be taken over.
    pub refused: usize,
}

impl Counts {
    /// Counts an outcome.
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Copied => self.copied += 1,
            Outcome::Left => self.left += 1,
            Outcome::Refused => self.refused += 1,
        }
    }

    /// Rows that this takeover deals with.
    #[must_use]
    pub fn new_rows(&self) -> usize {
        self.copied + self.left + self.refused
    }
}

/// What a takeover does or did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Whether there is a database of the earlier product.
    pub found: bool,
    /// Its schema version; null where its bookkeeping is missing.
    pub schema_version: Option<i64>,
    /// Whether this was done, or only looked at.
    pub applied: bool,
    /// Why nothing at all is taken over.
    pub refused: Option<String>,
    /// Enrolled clusters.
    pub clusters: Counts,
    /// Pending join tokens.
    pub tokens: Counts,
    /// Sessions that end: people log in once more.
    pub sessions: i64,
    /// What an operator should know about the whole.
    pub warnings: Vec<String>,
    /// Every row that was not dealt with before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

impl Report {
    /// Whether something stays behind that somebody may miss.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.clusters.refused + self.tokens.refused > 0
    }

    /// Writes what was done into the log: one line for the whole, one for each row that cannot be taken over.
    pub fn log(&self) {
        if !self.found {
            return;
        }
        for item in self.items.iter().filter(|item| item.outcome == Outcome::Refused) {
            let (kind, reason) = (item.kind.as_str(), item.reason.as_deref().unwrap_or_default());
            tracing::warn!(
                cluster.name = item.name,
                kind,
                reason,
                "could not take over a {kind}: {reason}"
            );
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let (clusters, tokens) = (self.clusters.copied, self.tokens.copied);
        tracing::info!(
            clusters,
            tokens,
            clusters_refused = self.clusters.refused,
            tokens_refused = self.tokens.refused,
            "took over what the earlier Cluster Manager left (clusters: {clusters}, join tokens: {tokens})"
        );
    }

    /// How many items have a repair.
    #[must_use]
    pub fn repaired(&self, repair: Repair) -> usize {
        self.items.iter().filter(|item| item.repairs.contains(&repair)).count()
    }
}
