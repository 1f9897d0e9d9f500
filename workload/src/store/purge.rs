//! Rows whose time is over.

use std::time::Duration;

use deadpool_postgres::GenericClient;

use super::StoreError;

/// Deletes sessions whose life is over or that were not used for too long, at most 10,000 records of the audit log that are older than
/// the owner of the schema keeps them, consumed
/// tokens whose life is over, tokens that expired a week ago, certificates of clusters removed 30 days ago, logouts at the provider
/// that are noted for an hour, networks that nobody logged in from for 180 days, and units that were last heard of an hour ago. The
/// answer is the number of deleted rows.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.purge", skip_all)]
pub async fn purge(db: &impl GenericClient, session_idle: Duration) -> Result<u64, StoreError> {
    const SESSIONS: &str = "
        DELETE FROM sessions
              WHERE expires_at <= now() OR last_used_at <= now() - make_interval(secs => $1)";
    const AUDIT: &str = "SELECT purge_audit_events()";
    const STATEMENTS: [&str; 5] = [
        "DELETE FROM join_tokens
               WHERE expires_at <= now() AND (consumed_at IS NOT NULL OR expires_at <= now() - interval '7 days')",
        "DELETE FROM removed_clusters WHERE removed_at <= now() - interval '30 days'",
        "DELETE FROM provider_logouts WHERE expires_at <= now()",
        "DELETE FROM login_networks WHERE last_login <= now() - interval '180 days'",
        "DELETE FROM units WHERE expires_at <= now() - interval '1 hour'",
    ];
    let failed = || StoreError::query("deleting old rows");
    let mut deleted =
        db.execute(SESSIONS, &[&session_idle.as_secs_f64()]).await.map_err(failed())?;
    let records: i64 =
        db.query_one(AUDIT, &[]).await.and_then(|row| row.try_get(0)).map_err(failed())?;
    deleted += records.unsigned_abs();
    for sql in STATEMENTS {
        deleted += db.execute(sql, &[]).await.map_err(failed())?;
    }
    Ok(deleted)
}
