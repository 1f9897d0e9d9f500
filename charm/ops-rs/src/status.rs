//! Statuses: what a unit tells its operator.

use std::fmt;

/// Kinds of status that a charm can set, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKind {
    /// It works.
    Active,
    /// It waits for somebody else; no need to act.
    Waiting,
    /// It is busy with itself.
    Maintenance,
    /// Somebody must act.
    Blocked,
}

impl StatusKind {
    /// The word that `status-set` takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Maintenance => "maintenance",
            Self::Blocked => "blocked",
        }
    }
}

/// A status with its message of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    kind: StatusKind,
    message: String,
}

impl Status {
    /// A status. Line breaks in the message become blanks: `juju status` shows one line.
    #[must_use]
    pub fn new(kind: StatusKind, message: &str) -> Self {
        Self { kind, message: message.replace(['\n', '\r'], " ") }
    }

    /// It works.
    #[must_use]
    pub fn active(message: &str) -> Self {
        Self::new(StatusKind::Active, message)
    }

    /// It waits for somebody else.
    #[must_use]
    pub fn waiting(message: &str) -> Self {
        Self::new(StatusKind::Waiting, message)
    }

    /// It is busy with itself.
    #[must_use]
    pub fn maintenance(message: &str) -> Self {
        Self::new(StatusKind::Maintenance, message)
    }

    /// Somebody must act.
    #[must_use]
    pub fn blocked(message: &str) -> Self {
        Self::new(StatusKind::Blocked, message)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> StatusKind {
        self.kind
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The worst of several statuses, the first among equals; `None` if there is none.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|worst, next| if next.kind > worst.kind { next } else { worst })
    }
}

/// A status as Juju reports it: its word may be one that a charm cannot set, such as `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct ReportedStatus {
    /// The word.
    pub status: String,
    /// The message.
    #[serde(default)]
    pub message: String,
}

impl From<Status> for ReportedStatus {
    fn from(status: Status) -> Self {
        Self { status: status.kind.as_str().to_owned(), message: status.message }
    }
}

impl PartialEq<Status> for ReportedStatus {
    fn eq(&self, other: &Status) -> bool {
        self.status == other.kind.as_str() && self.message == other.message
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_status_wins_and_the_first_among_equals() {
        let all = [
            Status::active("fine"),
            Status::waiting("for a"),
            Status::blocked("first"),
            Status::maintenance("busy"),
            Status::blocked("second"),
        ];
        assert_eq!(Status::worst(all.clone()), Some(Status::blocked("first")));
        assert_eq!(Status::worst(all[..2].to_vec()), Some(Status::waiting("for a")));
        assert_eq!(Status::worst([]), None);
    }

    #[test]
    fn a_message_has_one_line() {
        assert_eq!(Status::blocked("a\nb\r\nc").message(), "a b  c");
    }
}
