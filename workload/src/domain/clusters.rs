//! Enrolled clusters, from the operator's side.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::domain::freshness::Freshness;
use crate::domain::warnings::{self, Warning};
use crate::domain::{Error, audit};
use crate::model::{
    AuditEntry, ClusterChanges, Event, Fingerprint, Origin, RemoteCluster, Threshold,
};
use crate::store::clusters::{Lapse, Said};
use crate::store::{self, Pool, cluster_warnings, clusters};

/// A cluster and what the manager concludes from its data.
#[derive(Debug, Clone)]
pub struct AssessedCluster {
    /// The cluster.
    pub cluster: RemoteCluster,
    /// Whether it is alive.
    pub freshness: Freshness,
    /// What needs an operator's eye.
    pub warnings: Vec<Warning>,
}

impl AssessedCluster {
    /// Judges a cluster at `now`.
    #[must_use]
    pub fn new(cluster: RemoteCluster, now: OffsetDateTime) -> Self {
        let freshness = Freshness::of(&cluster.pulse, now);
        let warnings = warnings::of(&cluster, freshness, now);
        Self { cluster, freshness, warnings }
    }
}

/// Why a certificate that no cluster may use now is refused. Its holder has proved its key in the TLS handshake, so an enrolled
/// cluster learns that its certificate is out of its validity; everybody else learns nothing.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn refusal(pool: &Pool, fingerprint: Fingerprint) -> Result<Error, Error> {
    Ok(match clusters::lapse(&pool.get().await?, fingerprint).await? {
        None => FORBIDDEN,
        Some(Lapse::Over) => Error::Forbidden(
            "the cluster's certificate has expired: give the cluster a new one and join it with a rotation token",
        ),
        Some(Lapse::NotYet) => Error::Forbidden(
            "the cluster's certificate is not valid yet: check the clocks of the cluster and of the cluster manager",
        ),
    })
}

/// The certificates of enrolled clusters, at most so many.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn certificates(pool: &Pool, most: u32) -> Result<Vec<Fingerprint>, Error> {
    Ok(clusters::fingerprints(&pool.get().await?, most.into()).await?)
}

/// All clusters in the byte order of their names.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn list(pool: &Pool) -> Result<Vec<AssessedCluster>, Error> {
    let (list, now) = clusters::list(&pool.get().await?).await?;
    Ok(list.into_iter().map(|cluster| AssessedCluster::new(cluster, now)).collect())
}

/// How many clusters are in each state; every state is there.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn count_by_state(pool: &Pool) -> Result<[(Freshness, i64); 5], Error> {
    let (pulses, now) = clusters::pulses(&pool.get().await?).await?;
    let mut counts = Freshness::ALL.map(|state| (state, 0));
    for pulse in &pulses {
        let state = Freshness::of(pulse, now);
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == state) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// How many clusters have a warning of each kind, as units of the Management API have noticed; every kind is there.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn count_by_warning(pool: &Pool) -> Result<[(&'static str, i64); 8], Error> {
    let found = cluster_warnings::count_clusters(&pool.get().await?).await?;
    let count = |kind: &str| found.iter().find(|(known, _)| known == kind).map_or(0, |row| row.1);
    Ok(warnings::KINDS.map(|kind| (kind, count(kind))))
}

/// Seconds until the first of the clusters' certificates ends, below 0 when it has; `None` without a cluster.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn first_certificate_end(pool: &Pool) -> Result<Option<f64>, Error> {
    Ok(clusters::first_certificate_end(&pool.get().await?).await?)
}

/// One cluster by its name.
///
/// # Errors
///
/// [`Error::NotFound`] when there is none, [`Error::Store`] without an answer from the database.
pub async fn get(pool: &Pool, name: &str) -> Result<AssessedCluster, Error> {
    let found = clusters::find(&pool.get().await?, name).await?;
    let (cluster, now) = found.ok_or_else(|| Error::NotFound("remote cluster not found".into()))?;
    Ok(AssessedCluster::new(cluster, now))
}

/// Changes what an operator may change; what is not named stays.
///
/// # Errors
///
/// [`Error::NotFound`] when there is no such cluster, [`Error::Store`] without an answer from the database.
pub async fn change(
    pool: &Pool,
    name: &str,
    changes: &ClusterChanges,
    origin: &Origin,
) -> Result<(), Error> {
    let result = settle(|| try_to_change(pool, name, changes, origin)).await;
    audit::refusals(pool, origin, Event::ClusterChanged, name, result).await
}

async fn try_to_change(
    pool: &Pool,
    name: &str,
    changes: &ClusterChanges,
    origin: &Origin,
) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let Some(before) = clusters::lock(&transaction, name).await? else {
        return Err(Error::NotFound("remote cluster not found".into()));
    };
    clusters::change(&transaction, name, changes).await?;
    let entry = AuditEntry::done(Event::ClusterChanged, name, differences(&before, changes));
    store::audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    tracing::info!(cluster.name = name, "changed cluster {name}");
    Ok(())
}

/// The fields that a change gives another value, with the old one and the new one.
fn differences(before: &Said, changes: &ClusterChanges) -> Value {
    let mut fields = Map::new();
    let mut compare = |name: &str, old: Value, new: Option<Value>| {
        if let Some(new) = new.filter(|new| *new != old) {
            fields.insert(name.to_owned(), json!({"old": old, "new": new}));
        }
    };
    let description = changes.description.as_ref().map(|text| text.as_str().into());
    compare("description", before.description.as_str().into(), description);
    let percent =
        |threshold: Option<Threshold>| threshold.map(|threshold| threshold.percent().into());
    compare("disk_threshold", before.disk_threshold.into(), percent(changes.disk_threshold));
    compare("memory_threshold", before.memory_threshold.into(), percent(changes.memory_threshold));
    let ui_url = changes.ui_url_override.as_ref().map(|url| url.as_str().into());
    compare("ui_url", before.ui_url_override.as_str().into(), ui_url);
    Value::Object(fields)
}

/// Removes a cluster: its certificate stops working with the commit.
///
/// # Errors
///
/// [`Error::NotFound`] when there is no such cluster, [`Error::Store`] without an answer from the database.
pub async fn remove(pool: &Pool, name: &str, origin: &Origin) -> Result<(), Error> {
    let removed = settle(|| try_to_remove(pool, name, origin)).await;
    audit::refusals(pool, origin, Event::ClusterRemoved, name, removed).await
}

async fn try_to_remove(pool: &Pool, name: &str, origin: &Origin) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    if !clusters::remove(&transaction, name).await? {
        return Err(Error::NotFound(format!("no remote cluster found with name: {name}")));
    }
    let entry = AuditEntry::done(Event::ClusterRemoved, name, json!({}));
    store::audit::insert(&transaction, origin, &entry).await?;
    store::commit(transaction).await?;
    tracing::info!(cluster.name = name, "removed cluster {name}");
    Ok(())
}
