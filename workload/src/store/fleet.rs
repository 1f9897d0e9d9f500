//! What the view of the whole fleet is made of: changes since the last look, and what PostgreSQL tells by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::GenericClient;
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use super::clusters::{AtTime, remote_cluster};
use super::statement::{query, query_one};
use super::{Pool, StoreError};
use crate::model::RemoteCluster;

/// How long an answer of the listening connection is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Beginning of every statement that reads clusters for the view.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT cluster.*, details.*, tunnel.remote_cluster_id IS NOT NULL AS tunnel_registered
               FROM remote_clusters AS cluster
               JOIN remote_cluster_details AS details ON details.remote_cluster_id = cluster.id
               LEFT JOIN (SELECT held.remote_cluster_id FROM tunnels AS held JOIN units ON units.id = held.unit_id
                           WHERE units.expires_at > now()) AS tunnel ON tunnel.remote_cluster_id = cluster.id ",
            $condition
        )
    };
}

/// The clusters with these numbers that are there.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.fleet.numbered", skip_all, fields(clusters = ids.len()))]
pub async fn numbered(
    db: &impl GenericClient,
    ids: &[i64],
) -> Result<Vec<RemoteCluster>, StoreError> {
    const SQL: &str = select!("WHERE cluster.id = ANY ($1)");
    read(&query(db, "reading changed clusters", SQL, &[&ids]).await?)
}

/// The clusters whose last heartbeat is younger than `since`, and the database's clock before the look.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.fleet.heard_since", skip_all)]
pub async fn heard_since(
    db: &impl GenericClient,
    since: OffsetDateTime,
) -> Result<AtTime<Vec<RemoteCluster>>, StoreError> {
    const SQL: &str = select!("WHERE details.last_heartbeat_at > $1");
    let now = clock(db).await?;
    Ok((read(&query(db, "reading the newest heartbeats", SQL, &[&since]).await?)?, now))
}

/// All clusters, and the database's clock before the look.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if a row does not parse.
#[tracing::instrument(name = "store.fleet.all", skip_all)]
pub async fn all(db: &impl GenericClient) -> Result<AtTime<Vec<RemoteCluster>>, StoreError> {
    const SQL: &str = select!("");
    let now = clock(db).await?;
    Ok((read(&query(db, "reading the fleet", SQL, &[]).await?)?, now))
}

/// The database's clock.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
pub async fn clock(db: &impl GenericClient) -> Result<OffsetDateTime, StoreError> {
    let row = query_one(db, "reading the database's clock", "SELECT now() AS now", &[]).await?;
    super::statement::column(&row, "remote_clusters", "now")
}

fn read(rows: &[Row]) -> Result<Vec<RemoteCluster>, StoreError> {
    rows.iter().map(remote_cluster).collect()
}

/// What was heard since the last time somebody asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Numbers of clusters that were added, changed by an operator, or removed.
    pub clusters: BTreeSet<i64>,
    /// Whether the list of join tokens changed.
    pub tokens: bool,
}

/// A connection that hears of changes.
pub struct Listener {
    client: Client,
    heard: Arc<Mutex<Heard>>,
}

impl Listener {
    /// Begins to listen. What happened before is not heard.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when PostgreSQL cannot be reached or refuses.
    pub async fn start(pool: &Pool) -> Result<Self, StoreError> {
        let heard = Arc::<Mutex<Heard>>::default();
        let ears = Arc::clone(&heard);
        let hear = move |payload: &str| {
            let mut heard = ears.lock().unwrap_or_else(PoisonError::into_inner);
            match payload.strip_prefix("cluster:").map(str::parse) {
                Some(Ok(id)) => drop(heard.clusters.insert(id)),
                Some(Err(_)) => {}
                None => heard.tokens |= payload == "tokens",
            }
        };
        let begin = async {
            let client = pool.listening(hear).await?;
            let failed = StoreError::query("listening for changes of the fleet");
            client.batch_execute("LISTEN cluster_manager_fleet").await.map_err(failed)?;
            Ok(Self { client, heard })
        };
        let elapsed = |elapsed: tokio::time::error::Elapsed| StoreError::Connect(elapsed.into());
        tokio::time::timeout(PATIENCE, begin).await.map_err(elapsed)?
    }

    /// What was heard of the changes that were committed before this call, and maybe of later ones. PostgreSQL sends a connection
    /// its notifications before it answers its next statement, so an empty statement brings all of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the connection broke: then something may have been missed.
    pub async fn heard(&self) -> Result<Heard, StoreError> {
        let elapsed = |elapsed: tokio::time::error::Elapsed| StoreError::Connect(elapsed.into());
        tokio::time::timeout(PATIENCE, self.client.batch_execute(""))
            .await
            .map_err(elapsed)?
            .map_err(StoreError::query("asking for changes of the fleet"))?;
        Ok(std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
