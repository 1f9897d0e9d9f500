//! Leaving: a cluster takes itself out.

use serde_json::json;

use crate::domain::conflicts::settle;
use crate::domain::error::FORBIDDEN;
use crate::domain::{self, Error};
use crate::model::{Actor, AuditEntry, Event, Fingerprint, Origin};
use crate::store::clusters::Left;
use crate::store::{self, Pool, audit, clusters};

/// Removes the cluster that owns the certificate. A cluster that an operator removed within the last 30 days may still leave.
///
/// # Errors
///
/// [`Error::Forbidden`] when the certificate is unknown or out of its validity, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.leave", skip_all)]
pub async fn leave(pool: &Pool, fingerprint: Fingerprint, origin: &Origin) -> Result<(), Error> {
    match settle(|| try_to_leave(pool, fingerprint, origin)).await {
        Err(Error::Forbidden(_)) => Err(domain::clusters::refusal(pool, fingerprint).await?),
        left => left,
    }?;
    tracing::info!(cluster.fingerprint = %fingerprint, "cluster {fingerprint} left");
    Ok(())
}

async fn try_to_leave(pool: &Pool, fingerprint: Fingerprint, origin: &Origin) -> Result<(), Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    match clusters::leave(&transaction, fingerprint).await? {
        Left::Unknown => return Err(FORBIDDEN),
        Left::Before => {}
        Left::Now(name) => {
            let entry = AuditEntry::done(Event::ClusterLeft, &name, json!({}));
            let actor = Actor::Cluster { fingerprint, name: name.clone() };
            audit::insert(&transaction, &origin.by(actor), &entry).await?;
        }
    }
    store::commit(transaction).await?;
    Ok(())
}
