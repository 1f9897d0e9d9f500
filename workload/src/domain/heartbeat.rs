//! Heartbeats and leaving: what an enrolled cluster does after it joined.

use crate::domain::Error;
use crate::domain::error::FORBIDDEN;
use crate::model::{Fingerprint, Heartbeat, UiUrl};
use crate::store::{Pool, clusters};

/// Stores the heartbeat of the cluster that owns the certificate. When this returns, it is committed.
///
/// # Errors
///
/// [`Error::Forbidden`] when no enrolled cluster owns the certificate, [`Error::Invalid`] when the heartbeat breaks a limit,
/// [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.heartbeat.accept", skip_all)]
pub async fn accept(
    pool: &Pool,
    fingerprint: Fingerprint,
    heartbeat: &Heartbeat,
    own_hosts: &[String],
) -> Result<(), Error> {
    heartbeat.check().map_err(|error| Error::Invalid(error.to_string()))?;
    let ui_url = UiUrl::sanitise(&heartbeat.ui_url, own_hosts);
    let db = pool.get().await?;
    if clusters::store_heartbeat(&db, fingerprint, heartbeat, &ui_url).await? {
        Ok(())
    } else {
        Err(FORBIDDEN)
    }
}

/// Removes the cluster that owns the certificate. A cluster that an operator removed within the last 30 days may still leave.
///
/// # Errors
///
/// [`Error::Forbidden`] when the certificate is unknown, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.heartbeat.leave", skip_all)]
pub async fn leave(pool: &Pool, fingerprint: Fingerprint) -> Result<(), Error> {
    let db = pool.get().await?;
    if !clusters::leave(&db, fingerprint).await? {
        return Err(FORBIDDEN);
    }
    tracing::info!(cluster.fingerprint = %fingerprint, "cluster {fingerprint} left");
    Ok(())
}
