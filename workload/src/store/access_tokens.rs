//! The column `sessions.access_token_sealed`.

use deadpool_postgres::GenericClient;

use super::StoreError;
use super::statement::{column, execute, query_opt};

/// Keeps the sealed access token of a session, in place of the one that was there.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.access_token.keep", skip_all)]
pub async fn keep(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
    sealed: &[u8],
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE sessions SET access_token_sealed = $2 WHERE id_hash = $1";
    execute(db, "keeping an access token", SQL, &[&id_hash.as_slice(), &sealed]).await?;
    Ok(())
}

/// The sealed access token of a session, if there is one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.access_token.find", skip_all)]
pub async fn find(
    db: &impl GenericClient,
    id_hash: &[u8; 32],
) -> Result<Option<Vec<u8>>, StoreError> {
    const SQL: &str = "SELECT access_token_sealed FROM sessions WHERE id_hash = $1";
    match query_opt(db, "looking up an access token", SQL, &[&id_hash.as_slice()]).await? {
        None => Ok(None),
        Some(row) => column(&row, "sessions", "access_token_sealed"),
    }
}
