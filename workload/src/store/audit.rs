//! Table `audit_events`.

use deadpool_postgres::GenericClient;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json, ToSql};
use uuid::Uuid;

use super::StoreError;
use super::statement::{execute, query};
use crate::model::{AuditEntry, AuditFilter, AuditRecord, Event, Origin, Outcome};

/// Records something. Call it within the transaction of what it is about.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.audit.insert", skip_all)]
pub async fn insert(
    db: &impl GenericClient,
    origin: &Origin,
    entry: &AuditEntry<'_>,
) -> Result<(), StoreError> {
    execute(db, WRITING, INSERT, &Columns::of(origin, entry).values()).await?;
    Ok(())
}

/// Records something, unless the same happened to the same within the last `seconds`. `false`: it did.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.audit.insert_unless_recent", skip_all)]
pub async fn insert_unless_recent(
    db: &impl GenericClient,
    origin: &Origin,
    entry: &AuditEntry<'_>,
    seconds: f64,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE NOT EXISTS (SELECT FROM audit_events
                            WHERE event = $5 AND object = $6 AND at > clock_timestamp() - make_interval(secs => $10))";
    let columns = Columns::of(origin, entry);
    let [kind, actor, name, source, event, object, outcome, request, details] = columns.values();
    let values = [kind, actor, name, source, event, object, outcome, request, details, &seconds];
    Ok(execute(db, WRITING, SQL, &values).await? == 1)
}

/// The same on a connection that is not of the pool, as migrations and takeovers have it.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn insert_unpooled(
    db: &impl tokio_postgres::GenericClient,
    origin: &Origin,
    entry: &AuditEntry<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::of(origin, entry);
    db.execute(INSERT, &columns.values()).await.map_err(StoreError::query(WRITING))?;
    Ok(())
}

/// Something that happened to one of many: its name, what came of it, and more as a JSON object.
#[derive(Debug, Serialize)]
pub struct OneOfMany<'a> {
    /// To what.
    pub object: &'a str,
    /// What came of it.
    pub outcome: Outcome,
    /// More.
    pub details: Value,
}

/// Records what happened to many, on a connection that is not of the pool.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn insert_many(
    db: &impl tokio_postgres::GenericClient,
    origin: &Origin,
    event: Event,
    objects: &[OneOfMany<'_>],
) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
             SELECT $1, $2, $3, $4, $5, one.object, one.outcome, $6, one.details
               FROM json_to_recordset($7::json) AS one (object text, outcome text, details jsonb)";
    let (kind, actor, name) = origin.actor.columns();
    let (source, request) = (&origin.source, &origin.request_id);
    let values: &[&(dyn ToSql + Sync)] =
        &[&kind, &actor, &name, source, &event.as_str(), request, &Json(objects)];
    db.execute(SQL, values).await.map_err(StoreError::query(WRITING))?;
    Ok(())
}

/// Records that this unit closes all tunnels that it holds.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn insert_closed_tunnels(db: &impl GenericClient, unit: Uuid) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
             SELECT 'cluster', left(encode(cluster.fingerprint, 'hex'), 16), cluster.name, '', $2, cluster.name, 'success',
                    '', jsonb_build_object('reason', 'stopping')
               FROM tunnels AS held JOIN remote_clusters AS cluster ON cluster.id = held.remote_cluster_id
              WHERE held.unit_id = $1";
    execute(db, WRITING, SQL, &[&unit, &Event::TunnelClosed.as_str()]).await?;
    Ok(())
}

/// A record as the table has it.
struct Columns<'a> {
    kind: &'static str,
    actor: String,
    name: &'a str,
    origin: &'a Origin,
    event: &'static str,
    object: &'a str,
    outcome: &'static str,
    details: Json<&'a Value>,
}

impl<'a> Columns<'a> {
    fn of(origin: &'a Origin, entry: &'a AuditEntry<'a>) -> Self {
        let (kind, actor, name) = origin.actor.columns();
        let (event, outcome) = (entry.event.as_str(), entry.outcome.as_str());
        let details = Json(&entry.details);
        Self { kind, actor, name, origin, event, object: entry.object, outcome, details }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 9] {
        let Origin { source, request_id, .. } = self.origin;
        [
            &self.kind,
            &self.actor,
            &self.name,
            source,
            &self.event,
            &self.object,
            &self.outcome,
            request_id,
            &self.details,
        ]
    }
}

const WRITING: &str = "writing the audit log";
const INSERT: &str = "
    INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Records that something which the program meets at its start differs from the last time: `digest` stands for it. `false`: it is
/// the same.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.audit.insert_if_new", skip_all)]
pub async fn insert_if_new(
    db: &impl GenericClient,
    event: Event,
    object: &str,
    digest: &str,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        INSERT INTO audit_events (actor_kind, actor, actor_name, source, event, object, outcome, request_id, details)
        SELECT 'system', '', '', '', $1, $2, 'success', '', jsonb_build_object('digest', $3::text)
         WHERE (SELECT details ->> 'digest' FROM audit_events WHERE event = $1 AND object = $2
                ORDER BY id DESC LIMIT 1) IS DISTINCT FROM $3::text";
    let inserted =
        execute(db, "writing the audit log", SQL, &[&event.as_str(), &object, &digest]).await?;
    Ok(inserted == 1)
}

/// Up to `limit` records before the one with the id `before`, the newest first.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.audit.before", skip_all)]
pub async fn before(
    db: &impl GenericClient,
    filter: &AuditFilter,
    before: i64,
    limit: i64,
) -> Result<Vec<AuditRecord>, StoreError> {
    const SQL: &str = "
        SELECT * FROM audit_events
         WHERE id < $7
           AND ($1::text IS NULL OR event = $1) AND ($2::text IS NULL OR object = $2)
           AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR outcome = $4)
           AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
      ORDER BY id DESC LIMIT $8";
    let rows = query(db, "reading the audit log", SQL, &values(filter, &before, &limit)).await?;
    rows.iter().map(record).collect()
}

/// Up to `limit` records after the one with the id `after`, the oldest first.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.audit.after", skip_all)]
pub async fn after(
    db: &impl GenericClient,
    filter: &AuditFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<AuditRecord>, StoreError> {
    const SQL: &str = "
        SELECT * FROM audit_events
         WHERE id > $7
           AND ($1::text IS NULL OR event = $1) AND ($2::text IS NULL OR object = $2)
           AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR outcome = $4)
           AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
      ORDER BY id LIMIT $8";
    let rows = query(db, "reading the audit log", SQL, &values(filter, &after, &limit)).await?;
    rows.iter().map(record).collect()
}

fn values<'a>(filter: &'a AuditFilter, id: &'a i64, limit: &'a i64) -> [&'a (dyn ToSql + Sync); 8] {
    let AuditFilter { event, object, actor, outcome, since, until } = filter;
    [event, object, actor, outcome, since, until, id, limit]
}

fn record(row: &Row) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        id: column(row, "id")?,
        at: column(row, "at")?,
        actor_kind: column(row, "actor_kind")?,
        actor: column(row, "actor")?,
        actor_name: column(row, "actor_name")?,
        source: column(row, "source")?,
        event: column(row, "event")?,
        object: column(row, "object")?,
        outcome: column(row, "outcome")?,
        request_id: column(row, "request_id")?,
        details: column(row, "details")?,
    })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "audit_events", name)
}
