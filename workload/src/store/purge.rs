//! Rows whose time is over.

use deadpool_postgres::GenericClient;

use super::StoreError;

/// Deletes ended sessions, consumed tokens whose life is over, tokens that expired a week ago, certificates of clusters removed
/// 30 days ago, and units that were last heard of an hour ago. The answer is the number of deleted rows.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.purge", skip_all)]
pub async fn purge(db: &impl GenericClient) -> Result<u64, StoreError> {
    const STATEMENTS: [&str; 4] = [
        "DELETE FROM sessions WHERE expires_at <= now()",
        "DELETE FROM join_tokens
               WHERE expires_at <= now() AND (consumed_at IS NOT NULL OR expires_at <= now() - interval '7 days')",
        "DELETE FROM removed_clusters WHERE removed_at <= now() - interval '30 days'",
        "DELETE FROM units WHERE expires_at <= now() - interval '1 hour'",
    ];
    let mut deleted = 0;
    for sql in STATEMENTS {
        deleted += db.execute(sql, &[]).await.map_err(StoreError::query("deleting old rows"))?;
    }
    Ok(deleted)
}
