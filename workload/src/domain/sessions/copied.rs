//! Sessions in a copy of a database.

use serde_json::json;

use crate::domain::Error;
use crate::domain::conflicts::settle;
use crate::model::{AuditEntry, Event, Origin};
use crate::seal::MasterKey;
use crate::store::{self, Pool, audit, master_keys, sessions};

/// Ends every session unless this installation's master key is among those that the database has been served with, or follows one of
/// them: where it is not, the database is a copy, and who has the cookies of the original must not get in. None of the tokens in such
/// a session could be opened anyway. Clusters go on: their certificates are public.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
#[tracing::instrument(name = "domain.session.end_if_copied", skip_all)]
pub async fn end_if_copied(pool: &Pool, key: &MasterKey) -> Result<(), Error> {
    let ended = settle(|| try_to_end_if_copied(pool, key)).await?;
    if let Some(ended) = ended {
        tracing::warn!(
            ended,
            "this database was served with another master key before: all sessions have ended"
        );
    }
    Ok(())
}

async fn try_to_end_if_copied(pool: &Pool, key: &MasterKey) -> Result<Option<u64>, Error> {
    let mut db = pool.get().await?;
    let transaction = store::begin(&mut db).await?;
    let follows = master_keys::note(&transaction, &key.id(), key.previous_id().as_deref()).await?;
    let mut ended = None;
    if !follows {
        let count = sessions::end_everybodys(&transaction).await?;
        let details = json!({"reason": "another master key", "ended": count});
        let entry = AuditEntry::done(Event::SessionEnded, "", details);
        audit::insert(&transaction, &Origin::SYSTEM, &entry).await?;
        ended = Some(count);
    }
    store::commit(transaction).await?;
    Ok(ended)
}
