//! Running one statement: it is a literal, prepared once per connection, and an error says what it was for.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Error, Row};

use super::{Connection, StoreError};

/// Longest wait for an answer. The database ends a statement earlier: it is over only where nothing comes from there any more.
const PATIENCE: Duration = Duration::from_secs(7);

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Begins a transaction. What is not given to [`commit`] is undone.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Connect`] if no answer comes.
pub async fn begin(db: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    within("beginning a transaction", db.transaction()).await
}

/// Commits a transaction.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Connect`] if no answer comes. Unless the error has one of PostgreSQL's codes
/// nobody knows what became of the transaction, and it may still be committed later: whoever asked for it may ask again.
pub async fn commit(transaction: Transaction<'_>) -> Result<(), StoreError> {
    within(COMMITTING, transaction.commit()).await
}

/// The same for a transaction on a connection outside the pool.
///
/// # Errors
///
/// The same.
pub async fn commit_unpooled(
    transaction: tokio_postgres::Transaction<'_>,
) -> Result<(), StoreError> {
    within(COMMITTING, transaction.commit()).await
}

const COMMITTING: &str = "committing a transaction";

/// The number of rows that the statement changed.
pub(super) async fn execute(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<u64, StoreError> {
    within(doing, async { db.execute(&db.prepare_cached(sql).await?, params).await }).await
}

/// The same for a statement that may take longer than others: only the database limits it.
pub(super) async fn execute_long(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<u64, StoreError> {
    let statement = db.prepare_cached(sql).await.map_err(StoreError::query(doing))?;
    db.execute(&statement, params).await.map_err(StoreError::query(doing))
}

/// All rows.
pub(super) async fn query(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    within(doing, async { db.query(&db.prepare_cached(sql).await?, params).await }).await
}

/// The row, if there is one.
pub(super) async fn query_opt(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Option<Row>, StoreError> {
    within(doing, async { db.query_opt(&db.prepare_cached(sql).await?, params).await }).await
}

/// The one row that the statement always gives.
pub(super) async fn query_one(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Row, StoreError> {
    within(doing, async { db.query_one(&db.prepare_cached(sql).await?, params).await }).await
}

/// An answer of the database, unless the line is dead. The connection goes back to the pool, which looks at it before its next use.
pub(super) async fn within<T>(
    doing: &'static str,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(StoreError::query(doing)),
        Err(elapsed) => Err(StoreError::Connect(elapsed.into())),
    }
}

/// A column's value; a row that does not parse is our bug or a hand that changed it, never the caller's fault.
pub(super) fn column<'a, T: FromSql<'a>>(
    row: &'a Row,
    table: &'static str,
    name: &'static str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|_| StoreError::Corrupt { table, column: name })
}
