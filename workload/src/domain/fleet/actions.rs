//! One change for many clusters.

use std::collections::BTreeSet;

use crate::domain::{Error, clusters};
use crate::model::{ClusterChanges, Origin};
use crate::store::Pool;

/// Most clusters in one call.
pub const MAX_NAMES: usize = 500;

/// What to do with each cluster.
#[derive(Debug, Clone)]
pub enum Action {
    /// Change what operators may change.
    Edit(ClusterChanges),
    /// Remove it from the manager.
    Remove,
}

/// What came of it for one cluster.
#[derive(Debug)]
pub struct Outcome {
    /// The cluster.
    pub name: String,
    /// Why it was not done.
    pub error: Option<Error>,
}

/// Does the same to each cluster, one after the other; what fails for one does not keep the others from it. Each is a change of its
/// own, as if it had been asked for alone.
///
/// # Errors
///
/// [`Error::Invalid`] for no name, too many, or one that is there twice: then nothing was done.
pub async fn act(
    pool: &Pool,
    action: &Action,
    names: Vec<String>,
    origin: &Origin,
) -> Result<Vec<Outcome>, Error> {
    if names.is_empty() || names.len() > MAX_NAMES {
        return Err(Error::Invalid(format!("names must have 1 to {MAX_NAMES} clusters")));
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(Error::Invalid("names must name each cluster once".into()));
    }
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(names.len());
    let mut is_away = false;
    for name in names {
        let done = match action {
            // Each further one would wait for the database in vain.
            _ if is_away => Err(Error::Overloaded("the database was away for an earlier cluster")),
            // PostgreSQL knows no text with this character, so no cluster has such a name.
            _ if name.contains('\0') => Err(Error::NotFound("remote cluster not found".into())),
            Action::Edit(changes) => clusters::change(pool, &name, changes, origin).await,
            Action::Remove => clusters::remove(pool, &name, origin).await,
        };
        is_away |= matches!(&done, Err(Error::Store(error)) if error.is_transient());
        outcomes.push(Outcome { name, error: done.err() });
    }
    Ok(outcomes)
}
