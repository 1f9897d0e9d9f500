use tokio_postgres::error::SqlState;

/// Why a statement gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection: PostgreSQL is away, refuses us, or all connections are busy.
    #[error("no database connection")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL refused a statement or went away under it.
    #[error("{doing} failed")]
    Query {
        /// What the statement was for.
        doing: &'static str,
        /// PostgreSQL's answer.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A row that does not parse: our bug or a hand that changed it.
    #[error("a row of {table} has an unusable value in {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error("migrating the database failed")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Wraps PostgreSQL's error with what was being done.
    pub(super) fn query(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Query { doing, source }
    }

    /// Wraps a failure to begin or to commit.
    #[must_use]
    pub fn transaction(source: tokio_postgres::Error) -> Self {
        Self::Query { doing: "beginning or committing a transaction", source }
    }

    /// Whether something that must be unique was there already. The transaction has ended by it.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Query { source, .. } if source.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }

    /// Whether a table, a column or the whole schema is missing: nobody migrated this database yet.
    #[must_use]
    pub fn is_missing_schema(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME]
            .iter()
            .any(|code| source.code() == Some(code))
    }

    /// Whether PostgreSQL undid the transaction because another one was in the way: a serialisation failure or a deadlock.
    /// Nothing of it was done, and the same once more may succeed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED]
            .iter()
            .any(|code| source.code() == Some(code))
    }

    /// Whether it may concern some rows of a statement only, so that others by themselves can be stored: a value that PostgreSQL refuses,
    /// or a lock that did not become free.
    #[must_use]
    pub fn is_of_some_rows(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) || !self.is_transient()
    }

    /// Whether trying again later can help: the database is away, shutting down, out of connections, out of space, or a
    /// time limit or a lock stood in the way. Decided by the error's code alone.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Query { source, .. } => source.code().is_none_or(|code| {
                matches!(code.code().get(..2), Some("08" | "40" | "53" | "55" | "57" | "58"))
                    || *code == SqlState::READ_ONLY_SQL_TRANSACTION
            }),
            Self::Corrupt { .. } | Self::Migrate(_) => false,
        }
    }
}
