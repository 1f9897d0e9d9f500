//! Enrolled clusters, from the operator's side.

use time::OffsetDateTime;

use crate::domain::Error;
use crate::domain::freshness::Freshness;
use crate::domain::warnings::{self, Warning};
use crate::model::{ClusterChanges, RemoteCluster};
use crate::store::{Pool, clusters};

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
pub async fn change(pool: &Pool, name: &str, changes: &ClusterChanges) -> Result<(), Error> {
    if clusters::change(&pool.get().await?, name, changes).await? {
        tracing::info!(cluster.name = name, "changed cluster {name}");
        Ok(())
    } else {
        Err(Error::NotFound("remote cluster not found".into()))
    }
}

/// Removes a cluster: its certificate stops working with the commit.
///
/// # Errors
///
/// [`Error::NotFound`] when there is no such cluster, [`Error::Store`] without an answer from the database.
pub async fn remove(pool: &Pool, name: &str) -> Result<(), Error> {
    if clusters::remove(&pool.get().await?, name).await? {
        tracing::info!(cluster.name = name, "removed cluster {name}");
        Ok(())
    } else {
        Err(Error::NotFound(format!("no remote cluster found with name: {name}")))
    }
}
