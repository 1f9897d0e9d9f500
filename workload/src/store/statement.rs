//! Running one statement: it is a literal, prepared once per connection, and an error says what it was for.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::StoreError;

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The number of rows that the statement changed.
pub(super) async fn execute(
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
    let statement = db.prepare_cached(sql).await.map_err(StoreError::query(doing))?;
    db.query(&statement, params).await.map_err(StoreError::query(doing))
}

/// The row, if there is one.
pub(super) async fn query_opt(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Option<Row>, StoreError> {
    let statement = db.prepare_cached(sql).await.map_err(StoreError::query(doing))?;
    db.query_opt(&statement, params).await.map_err(StoreError::query(doing))
}

/// The one row that the statement always gives.
pub(super) async fn query_one(
    db: &impl GenericClient,
    doing: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Row, StoreError> {
    let statement = db.prepare_cached(sql).await.map_err(StoreError::query(doing))?;
    db.query_one(&statement, params).await.map_err(StoreError::query(doing))
}

/// A column's value; a row that does not parse is our bug or a hand that changed it, never the caller's fault.
pub(super) fn column<'a, T: FromSql<'a>>(
    row: &'a Row,
    table: &'static str,
    name: &'static str,
) -> Result<T, StoreError> {
    row.try_get(name).map_err(|_| StoreError::Corrupt { table, column: name })
}
