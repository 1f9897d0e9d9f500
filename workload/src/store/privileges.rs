//! What the owner of the schema decides for the services, which may run as a role that does not own it.

use std::time::Duration;

use tokio_postgres::{Client, Error};

/// What the owner decides.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who uses the schema besides its owner, if anybody does.
    pub role: Option<&'a str>,
    /// Records of the audit log are kept for so long, at least a day.
    pub audit_retention: Duration,
}

/// What this role may do with our schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// Everything, or there is no schema yet.
    Change,
    /// Only use it.
    Use,
    /// Nothing.
    Nothing,
}

/// What this role may do with our schema.
pub(super) async fn rights(db: &Client) -> Result<Rights, Error> {
    const SQL: &str = "
        SELECT has_schema_privilege(oid, 'CREATE') AS change, has_schema_privilege(oid, 'USAGE') AS use
          FROM pg_catalog.pg_namespace WHERE nspname = 'cluster_manager'";
    let Some(row) = db.query_opt(SQL, &[]).await? else { return Ok(Rights::Change) };
    Ok(match (row.try_get("change")?, row.try_get("use")?) {
        (true, _) => Rights::Change,
        (false, true) => Rights::Use,
        (false, false) => Rights::Nothing,
    })
}

/// Sets `terms`, for a role that may change the schema.
pub(super) async fn set(db: &mut Client, terms: &Terms<'_>) -> Result<(), Error> {
    const RETENTION: &str = "
        INSERT INTO audit_retention AS old (age) VALUES (make_interval(secs => $1))
        ON CONFLICT (only_row) DO UPDATE SET age = EXCLUDED.age WHERE old.age <> EXCLUDED.age";
    // The name of a role cannot be a parameter of a GRANT.
    const ROLE: &str =
        "SELECT set_config('cluster_manager.role', $1, true) WHERE $1 <> current_user";
    const GRANT: &str = "
        DO $$
        DECLARE
            role name := current_setting('cluster_manager.role');
        BEGIN
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA cluster_manager FROM %I', role);
            EXECUTE format('GRANT USAGE ON SCHEMA cluster_manager TO %I', role);
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cluster_manager TO %I', role);
            EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA cluster_manager TO %I', role);
            EXECUTE format('REVOKE UPDATE, DELETE ON audit_events FROM %I', role);
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON audit_retention, refinery_schema_history FROM %I', role);
            EXECUTE format('GRANT TRUNCATE ON remote_cluster_history TO %I', role);
        END
        $$";
    let transaction = db.transaction().await?;
    transaction.execute(RETENTION, &[&terms.audit_retention.as_secs_f64()]).await?;
    if let Some(role) = terms.role
        && transaction.query_opt(ROLE, &[&role]).await?.is_some()
    {
        transaction.batch_execute(GRANT).await?;
    }
    transaction.commit().await
}

/// Says where `terms` differ from those of the owner, for a role that cannot set them.
pub(super) async fn compare(db: &Client, terms: &Terms<'_>) -> Result<(), Error> {
    const SQL: &str = "
        SELECT (extract(epoch FROM age) / 86400)::bigint FROM audit_retention
         WHERE age <> make_interval(secs => $1)";
    if let Some(row) = db.query_opt(SQL, &[&terms.audit_retention.as_secs_f64()]).await? {
        let days: i64 = row.try_get(0)?;
        tracing::warn!(
            days,
            "records of the audit log are kept for {days} days: AUDIT_RETENTION_DAYS counts where the owner of the schema runs `migrate`"
        );
    }
    Ok(())
}
