//! Taking over the clusters and pending join tokens of the earlier Cluster Manager, whose tables lie in the PostgreSQL schema
//! `public` of the same database.
//!
//! Invariants: the earlier tables are only read, so that going back stays possible; everything happens in one transaction,
//! under the lock of the migrations; each row is dealt with once, however often this runs; a readable join token is never
//! written anywhere, not even into the log.

mod clusters;
mod error;
mod plan;
mod report;
#[cfg(test)]
mod tests;
mod tokens;

use serde_json::{Value, json};
use tokio_postgres::{IsolationLevel, Transaction};
use uuid::Uuid;

pub use error::Error;
pub use plan::Circumstances;
pub use report::{Counts, Item, Kind, Outcome, Repair, Report};

use self::error::KNOWN_VERSION;
use self::plan::{Here, Plan, Source};
use crate::model::{self, AuditEntry, Event, Origin};
use crate::seal::MasterKey;
use crate::store::audit::{self, OneOfMany};
use crate::store::takeover::{self, HandledRow, Tables};
use crate::store::{MigrationLock, Pool, StoreError, commit_unpooled};

/// Clusters in one statement.
const BATCH: usize = 500;

/// Whether a database is taken over that has a newer schema than this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewerSchema {
    /// It is not.
    Refused,
    /// What this program knows of it is.
    Accepted,
}

/// Says what a takeover would do, and changes nothing; our own tables need not be there yet.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database. A database that cannot be taken over is no error here: the report
/// says why.
#[tracing::instrument(name = "domain.takeover.check", skip_all)]
pub async fn check(
    pool: &Pool,
    circumstances: &Circumstances,
    newer: NewerSchema,
) -> Result<Report, Error> {
    let mut connection = pool.get().await?;
    let db = connection
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let found = async {
        let recorded = takeover::own_tables(&db).await?.contains_key("takeover_rows");
        if recorded && !circumstances.retry && !has_new_rows(&db).await? {
            return Ok(None);
        }
        survey(&db, circumstances, newer).await
    };
    let plan = match found.await {
        Err(error) if error.is_refusal() => {
            return Ok(Report {
                found: true,
                refused: Some(crate::Chain(&error).to_string()),
                ..Report::default()
            });
        }
        result => result?,
    };
    Ok(plan.map_or_else(Report::default, |plan| plan.report))
}

/// Takes over what was not dealt with before. Our tables must be up to date.
///
/// # Errors
///
/// [`Error`]; then nothing was changed.
#[tracing::instrument(name = "domain.takeover.apply", skip_all)]
pub async fn apply(
    lock: &mut MigrationLock,
    circumstances: &Circumstances,
    newer: NewerSchema,
    key: &MasterKey,
    origin: &Origin,
) -> Result<Report, Error> {
    let db = lock.transaction().await?;
    takeover::prepare(&db).await?;
    if !circumstances.retry && !has_new_rows(&db).await? {
        return Ok(Report::default());
    }
    let Some(plan) = survey(&db, circumstances, newer).await? else {
        return Ok(Report::default());
    };
    for batch in plan.clusters.chunks(BATCH) {
        takeover::insert_clusters(&db, batch).await?;
    }
    let secrets = key.join_secrets();
    for new in &plan.tokens {
        let id = Uuid::now_v7();
        let sealed = secrets
            .seal(&id.to_string(), new.token.secret.as_bytes())
            .ok_or(Error::Defect("a secret could not be sealed"))?;
        let hash = &new.token.hash;
        takeover::insert_token(&db, id, &new.source, new.expires_at, new.created_at, hash, &sealed)
            .await?;
    }
    let mut report = plan.report;
    report.applied = true;
    if report.clusters.new_rows() + report.tokens.new_rows() > 0
        || !takeover::has_record(&db).await?
    {
        record(&db, &report).await?;
        tell(&db, &report, origin).await?;
    }
    commit_unpooled(db).await?;
    Ok(report)
}

/// Whether there is anything to take over that was not looked at yet; a deployment that never had another product says no
/// after one look into the catalogue.
async fn has_new_rows(db: &Transaction<'_>) -> Result<bool, Error> {
    let found = takeover::source_tables(db).await?;
    let tables = found.tables;
    if !is_source(&tables) {
        return Ok(false);
    }
    // Anybody who may make tables in this database could enrol clusters otherwise, or keep services from starting.
    if let Some(owner) = found.foreign_owner {
        let reason = Error::Foreign(owner).to_string();
        tracing::warn!(reason, "the tables in the schema public are left alone: {reason}");
        return Ok(false);
    }
    Ok(!takeover::has_record(db).await?
        || takeover::has_new_clusters(db).await?
        || (tables.contains_key("remote_cluster_tokens") && takeover::has_new_tokens(db).await?))
}

/// The tables of another program may have the same names; only those with certificates of clusters, or with the bookkeeping
/// of the earlier product beside them, are meant.
fn is_source(tables: &Tables) -> bool {
    tables.get("remote_clusters").is_some_and(|columns| {
        columns.contains("cluster_certificate") || tables.contains_key("goose_db_version")
    })
}

async fn survey(
    db: &Transaction<'_>,
    circumstances: &Circumstances,
    newer: NewerSchema,
) -> Result<Option<Plan>, Error> {
    let found = takeover::source_tables(db).await?;
    let tables = found.tables;
    if !is_source(&tables) {
        return Ok(None);
    }
    if let Some(owner) = found.foreign_owner {
        return Err(Error::Foreign(owner));
    }
    let version = if tables.contains_key("goose_db_version") {
        takeover::source_version(db).await?
    } else {
        None
    };
    if let Some(version) = version
        && version > KNOWN_VERSION
        && newer == NewerSchema::Refused
    {
        return Err(Error::Newer(version));
    }
    require(&tables, "remote_clusters", &["id", "name", "cluster_certificate"])?;
    require(&tables, "remote_cluster_tokens", &["id", "cluster_name", "expiry"])?;
    require(&tables, "remote_cluster_details", &["remote_cluster_id"])?;
    require(&tables, "remote_cluster_config", &["remote_cluster_id", "key", "value"])?;

    let mut source =
        Source { version, clusters: takeover::source_clusters(db).await?, ..Source::default() };
    if tables.contains_key("remote_cluster_details") {
        source.details = takeover::source_details(db).await?;
    }
    if tables.contains_key("remote_cluster_config") {
        source.settings = takeover::source_settings(db).await?;
    }
    if tables.contains_key("remote_cluster_tokens") {
        source.tokens = takeover::source_tokens(db).await?;
    }
    if tables.contains_key("sessions") {
        source.sessions = takeover::count_source_sessions(db).await?;
    }
    let here = here(db).await?;
    let now = takeover::clock(db).await?;
    Ok(Some(Plan::new(source, &here, circumstances, now)))
}

/// A table may be missing, as in early versions; one that is there has its essential columns.
fn require(tables: &Tables, table: &'static str, columns: &[&'static str]) -> Result<(), Error> {
    let Some(there) = tables.get(table) else { return Ok(()) };
    let missing = columns.iter().find(|column| !there.contains(**column));
    missing.map_or(Ok(()), |column| Err(Error::Unfamiliar { table, column }))
}

async fn here(db: &Transaction<'_>) -> Result<Here, StoreError> {
    let tables = takeover::own_tables(db).await?;
    let mut here = Here::default();
    if tables.contains_key("takeover_rows") {
        here.handled = takeover::handled(db).await?;
    }
    if tables.contains_key("remote_clusters") {
        for (name, fingerprint) in takeover::enrolled(db).await? {
            here.names.insert(name.clone());
            here.certificates.insert(fingerprint, name);
        }
    }
    if tables.contains_key("join_tokens") {
        here.pending = takeover::pending_names(db).await?;
    }
    Ok(here)
}

/// Tells the audit log: the takeover as a whole, and each row that was copied or refused.
async fn tell(db: &Transaction<'_>, report: &Report, origin: &Origin) -> Result<(), Error> {
    let counts = |counts: &Counts| json!({"copied": counts.copied, "left": counts.left, "refused": counts.refused});
    let details = json!({
        "schema_version": report.schema_version,
        "clusters": counts(&report.clusters),
        "tokens": counts(&report.tokens),
    });
    let entry = AuditEntry::done(Event::TakeoverApplied, "", details);
    audit::insert_unpooled(db, origin, &entry).await?;
    for (kind, event) in
        [(Kind::Cluster, Event::ClusterTakenOver), (Kind::Token, Event::TokenTakenOver)]
    {
        let told = |item: &&Item| item.kind == kind && item.outcome != Outcome::Left;
        let rows: Vec<OneOfMany<'_>> = report.items.iter().filter(told).map(one_of_many).collect();
        audit::insert_many(db, origin, event, &rows).await?;
    }
    Ok(())
}

fn one_of_many(item: &Item) -> OneOfMany<'_> {
    let (outcome, details) = match item.outcome {
        Outcome::Refused => {
            (model::Outcome::Refused, json!({"source_id": item.source_id, "reason": item.reason}))
        }
        Outcome::Copied | Outcome::Left => {
            (model::Outcome::Success, json!({"source_id": item.source_id, "repairs": item.repairs}))
        }
    };
    OneOfMany { object: &item.name, outcome, details }
}

/// Writes the record: the report, and each row on its own.
async fn record(db: &Transaction<'_>, report: &Report) -> Result<(), Error> {
    let rows: Vec<HandledRow<'_>> = report
        .items
        .iter()
        .map(|item| HandledRow {
            kind: item.kind.as_str(),
            source_id: item.source_id,
            name: &item.name,
            outcome: item.outcome.as_str(),
            reason: item.reason.as_deref(),
        })
        .collect();
    let summary = Report { items: Vec::new(), ..report.clone() };
    let summary: Value = serde_json::to_value(&summary)
        .map_err(|_| Error::Defect("the report of a takeover could not be written"))?;
    takeover::record(db, report.schema_version, &summary, &rows).await?;
    Ok(())
}
