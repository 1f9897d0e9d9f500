//! Why a database is not taken over.

use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// The newest schema of the earlier product that this program knows.
pub(super) const KNOWN_VERSION: i64 = 4;

/// Why a database is not taken over. In each case nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program has worked on it since.
    #[error(
        "the earlier Cluster Manager's database has schema version {0}, and this program knows 1 to {KNOWN_VERSION}: \
         look at `takeover --check --accept-newer`, then run `takeover --apply --accept-newer`, or set TAKEOVER=off to start \
         without its clusters"
    )]
    Newer(i64),
    /// It does not look like any known version.
    #[error(
        "the earlier Cluster Manager's table public.{table} has no column {column}: it cannot be taken over; set TAKEOVER=off \
         to start without its clusters"
    )]
    Unfamiliar {
        /// The table.
        table: &'static str,
        /// The column that every known version has.
        column: &'static str,
    },
    /// Somebody made the tables whom this program does not act for.
    #[error(
        "the earlier Cluster Manager's tables belong to the database role {0}, for which this program's role does not act: \
         grant {0} to it, or give it the tables"
    )]
    Foreign(String),
    /// The database role may not read it.
    #[error(
        "this database role may not read the earlier Cluster Manager's tables in the schema public: grant it the right to read them, \
         or set TAKEOVER=off to start without its clusters"
    )]
    Unreadable(#[source] StoreError),
    /// The database gave no answer.
    #[error(transparent)]
    Store(StoreError),
    /// Our own defect; the text is for the log.
    #[error("{0}")]
    Defect(&'static str),
}

impl Error {
    /// Whether this is a finding about the database and no failure to look at it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Newer(_) | Self::Unfamiliar { .. } | Self::Foreign(_) | Self::Unreadable(_) => {
                true
            }
            Self::Store(_) | Self::Defect(_) => false,
        }
    }

    /// Whether trying again later can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Query { source, .. }
                if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                Self::Unreadable(error)
            }
            _ => Self::Store(error),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(source: tokio_postgres::Error) -> Self {
        Self::Store(StoreError::transaction(source))
    }
}
