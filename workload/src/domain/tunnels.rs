//! Who holds the tunnel of which cluster.

use std::net::SocketAddr;

use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::conflicts::settle;
use crate::model::{Actor, AuditEntry, Event, Fingerprint, Lease, Origin};
use crate::seal::UnitAddresses;
use crate::store::tunnels::{self, UnitRow};
use crate::store::{self, Pool, audit};

/// A process that holds tunnels, as the others see it.
#[derive(Debug, Clone)]
pub struct Unit {
    row: UnitRow,
}

impl Unit {
    /// This process, which listens for other units on `address`. The id is drawn anew, so that what a process before it wrote is
    /// never taken for its own.
    #[must_use]
    pub fn new(addresses: &UnitAddresses, address: SocketAddr) -> Self {
        let id = Uuid::new_v4();
        let proof = addresses.proof(id, address);
        Self { row: UnitRow { id, hop_address: address.to_string(), proof } }
    }

    /// Takes the lease of the cluster that owns the certificate. `None`: no cluster owns it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    pub async fn open(
        &self,
        pool: &Pool,
        fingerprint: Fingerprint,
        origin: Option<&Origin>,
    ) -> Result<Option<OpenTunnel>, Error> {
        settle(|| self.try_to_open(pool, fingerprint, origin)).await
    }

    async fn try_to_open(
        &self,
        pool: &Pool,
        fingerprint: Fingerprint,
        origin: Option<&Origin>,
    ) -> Result<Option<OpenTunnel>, Error> {
        let mut db = pool.get().await?;
        let transaction = store::begin(&mut db).await?;
        let opened = tunnels::open(&transaction, fingerprint, self.row.id).await?;
        let Some((lease, name)) = opened else { return Ok(None) };
        let told = origin.map(|origin| {
            let actor = Actor::Cluster { fingerprint, name };
            Box::new(origin.by(actor))
        });
        if let Some(origin) = &told {
            tell(&transaction, origin, Event::TunnelOpened, json!({})).await?;
        }
        store::commit(transaction).await?;
        Ok(Some(OpenTunnel { lease, told }))
    }

    /// Clears a lease if it is still ours.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    pub async fn close(&self, pool: &Pool, open: &OpenTunnel, reason: &str) -> Result<(), Error> {
        settle(|| self.try_to_close(pool, open, reason)).await
    }

    async fn try_to_close(
        &self,
        pool: &Pool,
        open: &OpenTunnel,
        reason: &str,
    ) -> Result<(), Error> {
        let mut db = pool.get().await?;
        let transaction = store::begin(&mut db).await?;
        tunnels::close(&transaction, self.row.id, &open.lease).await?;
        if let Some(origin) = &open.told {
            tell(&transaction, origin, Event::TunnelClosed, json!({"reason": reason})).await?;
        }
        store::commit(transaction).await?;
        Ok(())
    }

    /// Renews this unit and with it all its tunnels, of which `held` are open: leases that got lost are written again, those that
    /// nobody uses are cleared.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    pub async fn renew(&self, pool: &Pool, held: &[Lease]) -> Result<(), Error> {
        let db = pool.get().await?;
        tunnels::announce(&db, &self.row).await?;
        tunnels::bury(&db).await?;
        tunnels::restore(&db, self.row.id, held).await?;
        tunnels::sweep(&db, self.row.id, held).await?;
        Ok(())
    }

    /// Those of `held` that do not count any more.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    pub async fn lost(&self, pool: &Pool, held: &[Lease]) -> Result<Vec<Lease>, Error> {
        Ok(tunnels::lost(&pool.get().await?, self.row.id, held).await?)
    }

    /// Takes this unit and all its leases out.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] without an answer from the database.
    pub async fn retire(&self, pool: &Pool) -> Result<(), Error> {
        let mut db = pool.get().await?;
        let transaction = store::begin(&mut db).await?;
        audit::insert_closed_tunnels(&transaction, self.row.id).await?;
        tunnels::retire(&transaction, self.row.id).await?;
        store::commit(transaction).await?;
        Ok(())
    }
}

/// A tunnel with its lease.
#[derive(Debug)]
pub struct OpenTunnel {
    /// The lease.
    pub lease: Lease,
    /// Who opened it, if the audit log was told; then it also hears of the end.
    told: Option<Box<Origin>>,
}

async fn tell(
    db: &Transaction<'_>,
    origin: &Origin,
    event: Event,
    details: Value,
) -> Result<(), Error> {
    let Actor::Cluster { name, .. } = &origin.actor else { return Ok(()) };
    Ok(audit::insert(db, origin, &AuditEntry::done(event, name, details)).await?)
}

/// Whether an enrolled cluster owns the certificate.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn is_authorised(pool: &Pool, fingerprint: Fingerprint) -> Result<bool, Error> {
    Ok(tunnels::is_authorised(&pool.get().await?, fingerprint).await?)
}

/// Where requests to a cluster go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The cluster's number.
    pub cluster_id: i64,
    /// Where the unit that holds its tunnel listens for other units; `None` when it has no tunnel.
    pub unit: Option<SocketAddr>,
}

/// Where requests to the cluster `name` go. An address that no unit of this deployment wrote is none.
///
/// # Errors
///
/// [`Error::NotFound`] when there is no such cluster, [`Error::Store`] without an answer from the database.
pub async fn target(pool: &Pool, addresses: &UnitAddresses, name: &str) -> Result<Target, Error> {
    let holder = tunnels::holder(&pool.get().await?, name).await?;
    let holder = holder.ok_or_else(|| Error::NotFound("remote cluster not found".into()))?;
    let unit = holder.unit.and_then(|unit| {
        let address = addresses.open(unit.id, &unit.hop_address, &unit.proof);
        if address.is_none() {
            tracing::error!(unit.id = %unit.id, "the address of a unit in the database was not written by a unit: it is not used");
        }
        address
    });
    Ok(Target { cluster_id: holder.cluster_id, unit })
}
