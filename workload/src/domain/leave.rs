//! Leaving: a cluster takes itself out.

use serde_json::json;

use crate::domain::Error;
use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::model::{Actor, AuditEntry, Event, Fingerprint, Origin};
use crate::store::clusters::Left;
use crate::store::{Pool, audit, clusters};

/// Removes the cluster that owns the certificate. A cluster that an operator removed within the last 30 days may still leave.
///
/// # Errors
///
/// [`Error::Forbidden`] when the certificate is unknown, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.leave", skip_all)]
pub async fn leave(pool: &Pool, fingerprint: Fingerprint, origin: &Origin) -> Result<(), Error> {
    settle(|| try_to_leave(pool, fingerprint, origin)).await?;
    tracing::info!(cluster.fingerprint = %fingerprint, "cluster {fingerprint} left");
    Ok(())
}

async fn try_to_leave(pool: &Pool, fingerprint: Fingerprint, origin: &Origin) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = db.transaction().await?;
    match clusters::leave(&transaction, fingerprint).await? {
        Left::Unknown => return Err(FORBIDDEN),
        Left::Before => {}
        Left::Now(name) => {
            let entry = AuditEntry::done(Event::ClusterLeft, &name, json!({}));
            let actor = Actor::Cluster { fingerprint, name: name.clone() };
            audit::insert(&transaction, &origin.by(actor), &entry).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
