//! Tables `units` and `tunnels`: who holds the tunnel of which cluster.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::StoreError;
use super::statement::{execute, query, query_opt};
use crate::model::{Fingerprint, Lease};

/// A unit as its row describes it; nothing of it is trusted before the proof was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRow {
    /// Drawn anew at each start.
    pub id: Uuid,
    /// Address and port of its listener for other units, as text.
    pub hop_address: String,
    /// MAC over both.
    pub proof: Vec<u8>,
}

/// A cluster and, if there is one, the living unit that holds its tunnel.
#[derive(Debug)]
pub struct Holder {
    /// The cluster's number.
    pub cluster_id: i64,
    /// The unit.
    pub unit: Option<UnitRow>,
}

/// Writes the unit's row, or renews it: it and the unit's tunnels count for another 30 seconds.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.unit.announce", skip_all)]
pub async fn announce(db: &impl GenericClient, unit: &UnitRow) -> Result<(), StoreError> {
    const SQL: &str = "
        INSERT INTO units (id, hop_address, proof, expires_at) VALUES ($1, $2, $3, now() + interval '30 s')
        ON CONFLICT (id) DO UPDATE SET expires_at = EXCLUDED.expires_at";
    execute(db, "announcing this unit", SQL, &[&unit.id, &unit.hop_address, &unit.proof]).await?;
    Ok(())
}

/// Deletes the rows of units that died, and with them their tunnels: who keeps a view of the fleet hears of that. A unit that was
/// only away writes its row and its leases again.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.unit.bury", skip_all)]
pub async fn bury(db: &impl GenericClient) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM units WHERE expires_at <= now()";
    execute(db, "forgetting units that died", SQL, &[]).await?;
    Ok(())
}

/// Deletes the unit's row and with it the leases of all its tunnels.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.unit.retire", skip_all)]
pub async fn retire(db: &impl GenericClient, unit: Uuid) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM units WHERE id = $1";
    execute(db, "retiring this unit", SQL, &[&unit]).await?;
    Ok(())
}

/// Whether an enrolled cluster owns the certificate, within the certificate's validity (five minutes of tolerance at its
/// beginning).
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.authorise", skip_all)]
pub async fn is_authorised(
    db: &impl GenericClient,
    fingerprint: Fingerprint,
) -> Result<bool, StoreError> {
    const SQL: &str = "
        SELECT FROM remote_clusters
         WHERE fingerprint = $1
           AND now() BETWEEN certificate_not_before - interval '5 min' AND certificate_not_after";
    let row =
        query_opt(db, "looking up a cluster that opens a tunnel", SQL, &[&fingerprint.as_bytes()])
            .await?;
    Ok(row.is_some())
}

/// Gives `unit` the lease of the cluster that owns the certificate, whoever had it before; the answer has the cluster's name, too.
/// `None`: no cluster owns it now.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.open", skip_all)]
pub async fn open(
    db: &impl GenericClient,
    fingerprint: Fingerprint,
    unit: Uuid,
) -> Result<Option<(Lease, String)>, StoreError> {
    // The generation of a lease that is taken over is drawn under the row's lock: its order is the order of the sockets.
    const SQL: &str = "
        INSERT INTO tunnels (remote_cluster_id, unit_id, generation, fingerprint)
             SELECT id, $2, nextval('tunnel_generations'), fingerprint FROM remote_clusters
              WHERE fingerprint = $1
                AND now() BETWEEN certificate_not_before - interval '5 min' AND certificate_not_after
        ON CONFLICT (remote_cluster_id) DO UPDATE
                SET unit_id = EXCLUDED.unit_id, generation = nextval('tunnel_generations'),
                    fingerprint = EXCLUDED.fingerprint, opened_at = now()
          RETURNING remote_cluster_id, generation,
                    (SELECT name FROM remote_clusters WHERE id = remote_cluster_id) AS name";
    let row =
        query_opt(db, "taking a tunnel's lease", SQL, &[&fingerprint.as_bytes(), &unit]).await?;
    row.map(|row| {
        let lease = Lease {
            cluster_id: column(&row, "remote_cluster_id")?,
            generation: column(&row, "generation")?,
            fingerprint,
        };
        Ok((lease, column(&row, "name")?))
    })
    .transpose()
}

/// Clears a lease if it is still this very one.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.close", skip_all)]
pub async fn close(db: &impl GenericClient, unit: Uuid, lease: &Lease) -> Result<(), StoreError> {
    const SQL: &str = "
        DELETE FROM tunnels WHERE remote_cluster_id = $1 AND unit_id = $2 AND generation = $3";
    execute(db, "clearing a tunnel's lease", SQL, &[&lease.cluster_id, &unit, &lease.generation])
        .await?;
    Ok(())
}

/// Writes leases again that went with the unit's row while the database or the unit was away, unless another unit has taken
/// the tunnel or the cluster has another certificate. They count as old: a tunnel that ended while this was under way is swept
/// the next time.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.restore", skip_all, fields(leases = leases.len()))]
pub async fn restore(
    db: &impl GenericClient,
    unit: Uuid,
    leases: &[Lease],
) -> Result<u64, StoreError> {
    const SQL: &str = "
        INSERT INTO tunnels (remote_cluster_id, unit_id, generation, fingerprint, opened_at)
             SELECT mine.cluster_id, $1, mine.generation, mine.fingerprint, now() - interval '1 min'
               FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS mine (cluster_id, generation, fingerprint)
               JOIN remote_clusters AS cluster
                 ON cluster.id = mine.cluster_id AND cluster.fingerprint = mine.fingerprint
              WHERE NOT EXISTS (SELECT FROM tunnels WHERE remote_cluster_id = mine.cluster_id)
        ON CONFLICT DO NOTHING";
    let (clusters, generations, fingerprints) = columns(leases);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&unit, &clusters, &generations, &fingerprints];
    execute(db, "restoring tunnels' leases", SQL, &params).await
}

/// Clears leases of this unit whose tunnel is none of `leases`: a close that the database did not see. One that is younger than
/// a minute may be about to be used and stays.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.sweep", skip_all, fields(leases = leases.len()))]
pub async fn sweep(
    db: &impl GenericClient,
    unit: Uuid,
    leases: &[Lease],
) -> Result<u64, StoreError> {
    const SQL: &str = "
        DELETE FROM tunnels AS held
              WHERE held.unit_id = $1
                AND held.opened_at < now() - interval '1 min'
                AND NOT EXISTS (SELECT FROM unnest($2::bigint[], $3::bigint[]) AS mine (cluster_id, generation)
                                 WHERE mine.cluster_id = held.remote_cluster_id
                                   AND mine.generation = held.generation)";
    let (clusters, generations, _) = columns(leases);
    execute(db, "sweeping tunnels' leases", SQL, &[&unit, &clusters, &generations]).await
}

/// Those of `leases` that do not count any more: the cluster is gone, has another certificate, or has a newer tunnel.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails.
#[tracing::instrument(name = "store.tunnel.lost", skip_all, fields(leases = leases.len()))]
pub async fn lost(
    db: &impl GenericClient,
    unit: Uuid,
    leases: &[Lease],
) -> Result<Vec<Lease>, StoreError> {
    const SQL: &str = "
        SELECT mine.n
          FROM unnest($2::bigint[], $3::bigint[], $4::bytea[])
               WITH ORDINALITY AS mine (cluster_id, generation, fingerprint, n)
         WHERE NOT EXISTS (
               SELECT FROM tunnels AS held JOIN remote_clusters AS cluster ON cluster.id = held.remote_cluster_id
                WHERE held.remote_cluster_id = mine.cluster_id
                  AND held.unit_id = $1
                  AND held.generation = mine.generation
                  AND cluster.fingerprint = mine.fingerprint)";
    let (clusters, generations, fingerprints) = columns(leases);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&unit, &clusters, &generations, &fingerprints];
    let rows = query(db, "checking tunnels' leases", SQL, &params).await?;
    rows.iter()
        .map(|row| {
            let n: i64 = column(row, "n")?;
            let lease = usize::try_from(n - 1).ok().and_then(|n| leases.get(n)).copied();
            lease.ok_or(StoreError::Corrupt { table: "tunnels", column: "n" })
        })
        .collect()
}

/// The cluster `name` and who holds its tunnel. `None`: no such cluster.
///
/// # Errors
///
/// [`StoreError::Query`] if PostgreSQL fails, [`StoreError::Corrupt`] if the row does not parse.
#[tracing::instrument(name = "store.tunnel.holder", skip_all, fields(cluster.name = name))]
pub async fn holder(db: &impl GenericClient, name: &str) -> Result<Option<Holder>, StoreError> {
    const SQL: &str = "
        SELECT cluster.id AS cluster_id, unit.id AS unit_id, unit.hop_address, unit.proof
          FROM remote_clusters AS cluster
          LEFT JOIN (tunnels AS held JOIN units AS unit ON unit.id = held.unit_id AND unit.expires_at > now())
            ON held.remote_cluster_id = cluster.id AND held.fingerprint = cluster.fingerprint
         WHERE cluster.name = $1";
    let Some(row) = query_opt(db, "looking for a tunnel", SQL, &[&name]).await? else {
        return Ok(None);
    };
    let unit = match column::<Option<Uuid>>(&row, "unit_id")? {
        None => None,
        Some(id) => Some(UnitRow {
            id,
            hop_address: column(&row, "hop_address")?,
            proof: column(&row, "proof")?,
        }),
    };
    Ok(Some(Holder { cluster_id: column(&row, "cluster_id")?, unit }))
}

fn columns(leases: &[Lease]) -> (Vec<i64>, Vec<i64>, Vec<&[u8]>) {
    (
        leases.iter().map(|lease| lease.cluster_id).collect(),
        leases.iter().map(|lease| lease.generation).collect(),
        leases.iter().map(|lease| lease.fingerprint.as_bytes()).collect(),
    )
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &'static str) -> Result<T, StoreError> {
    super::statement::column(row, "tunnels", name)
}
