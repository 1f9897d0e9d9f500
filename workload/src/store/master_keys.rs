//! Table `master_keys`: which keys this database has been served with.

use deadpool_postgres::GenericClient;

use super::StoreError;
use super::statement::{execute, query_one};

/// Notes that this database is served with `key`, which took the place of `previous` if there is one. `false`: it has been served
/// with others, and this one follows none of them. Call it within a transaction.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.master_key.note", skip_all)]
pub async fn note(
    db: &impl GenericClient,
    key: &str,
    previous: Option<&str>,
) -> Result<bool, StoreError> {
    const DOING: &str = "noting the master key";
    // Processes that start together take turns.
    const LOCK: &str = "LOCK TABLE master_keys IN SHARE ROW EXCLUSIVE MODE";
    const FOLLOWS: &str = "
        SELECT count(*) = 0 OR coalesce(bool_or(id = $1 OR id = $2), false) AS follows FROM master_keys";
    const FORGET: &str = "DELETE FROM master_keys";
    const NOTE: &str = "INSERT INTO master_keys (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
    execute(db, DOING, LOCK, &[]).await?;
    let row = query_one(db, DOING, FOLLOWS, &[&key, &previous]).await?;
    let follows: bool = super::statement::column(&row, "master_keys", "follows")?;
    if !follows {
        execute(db, DOING, FORGET, &[]).await?;
    }
    execute(db, DOING, NOTE, &[&key]).await?;
    Ok(follows)
}
