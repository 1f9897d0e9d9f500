//! Leaving: a cluster takes itself out.

use crate::domain::Error;
use crate::domain::error::FORBIDDEN;
use crate::model::Fingerprint;
use crate::store::{Pool, clusters};

/// Removes the cluster that owns the certificate. A cluster that an operator removed within the last 30 days may still leave.
///
/// # Errors
///
/// [`Error::Forbidden`] when the certificate is unknown, [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.leave", skip_all)]
pub async fn leave(pool: &Pool, fingerprint: Fingerprint) -> Result<(), Error> {
    if !clusters::leave(&pool.get().await?, fingerprint).await? {
        return Err(FORBIDDEN);
    }
    tracing::info!(cluster.fingerprint = %fingerprint, "cluster {fingerprint} left");
    Ok(())
}
