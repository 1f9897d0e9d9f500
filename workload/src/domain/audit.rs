//! The audit log. What changes something records it in the same transaction, by [`store::audit::insert`](crate::store::audit::insert);
//! here is what changes nothing: refusals, and reading.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::domain::Error;
use crate::error_chain::Chain;
use crate::model::{AuditEntry, AuditFilter, AuditRecord, Event, Origin};
use crate::store::{Pool, audit};

/// Least time between two records of refusals that strangers cause.
const SAMPLE_TIME: Duration = Duration::from_secs(10);

/// Most characters of what somebody asked for without success.
const MAX_OBJECT: usize = 256;

/// Records something that changed nothing, such as a refusal. What was refused stays refused when that does not work: the failure is
/// logged.
pub async fn note(pool: &Pool, origin: &Origin, entry: &AuditEntry<'_>) {
    let recorded = async { audit::insert(&pool.get().await?, origin, entry).await };
    if let Err(error) = recorded.await {
        tracing::error!(error = %Chain(&error), event = entry.event.as_str(), "the audit log could not be written");
    }
}

/// Passes a result on, and records it when it is a refusal: nothing of that name, or something in the way. What was done is recorded
/// together with what it changed; input that is wrong was never an attempt.
///
/// # Errors
///
/// The one that was given.
pub async fn refusals<T: Send>(
    pool: &Pool,
    origin: &Origin,
    event: Event,
    object: &str,
    result: Result<T, Error>,
) -> Result<T, Error> {
    let reason = match &result {
        Err(Error::NotFound(reason)) => reason.as_str(),
        Err(Error::Conflict(reason) | Error::Forbidden(reason)) => reason,
        _ => return result,
    };
    // Nobody checked what was asked for.
    let object: String = object.chars().take(MAX_OBJECT).collect();
    let reason: String = reason.chars().take(MAX_OBJECT).collect();
    note(pool, origin, &AuditEntry::refused(event, &object, json!({"reason": reason}))).await;
    result
}

/// Records that settings or keys differ from those of the last start; `digest` stands for them.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn note_if_new(
    pool: &Pool,
    event: Event,
    object: &str,
    digest: &str,
) -> Result<(), Error> {
    audit::insert_if_new(&pool.get().await?, event, object, digest).await?;
    Ok(())
}

/// Keeps strangers from filling the audit log: one record in ten seconds, which says how many were left out since the last one.
#[derive(Debug, Default)]
pub struct Sampler(Mutex<Sampled>);

#[derive(Debug, Default)]
struct Sampled {
    last: Option<Instant>,
    left_out: u64,
}

impl Sampler {
    /// Records `entry`, unless another one was recorded a moment ago.
    pub async fn note(&self, pool: &Pool, origin: &Origin, mut entry: AuditEntry<'_>) {
        let Some(left_out) = self.turn() else { return };
        if let Value::Object(details) = &mut entry.details
            && left_out > 0
        {
            details.insert("left_out_before".into(), left_out.into());
        }
        note(pool, origin, &entry).await;
    }

    /// How many were left out since the last record, when it is time for one.
    fn turn(&self) -> Option<u64> {
        let mut sampled = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if sampled.last.is_some_and(|at| at.elapsed() < SAMPLE_TIME) {
            sampled.left_out += 1;
            return None;
        }
        sampled.last = Some(Instant::now());
        Some(std::mem::take(&mut sampled.left_out))
    }
}

/// A page of the audit log, the newest first: up to `limit` records before the one with the id `before`.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn page(
    pool: &Pool,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditRecord>, Error> {
    let before = before.unwrap_or(i64::MAX);
    Ok(audit::before(&pool.get().await?, filter, before, limit).await?)
}

/// A piece of the audit log, the oldest first: up to `limit` records after the one with the id `after`.
///
/// # Errors
///
/// [`Error::Store`] without an answer from the database.
pub async fn piece(
    pool: &Pool,
    filter: &AuditFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<AuditRecord>, Error> {
    Ok(audit::after(&pool.get().await?, filter, after, limit).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn aud_01_refusals_of_strangers_are_sampled_and_counted() {
        let sampler = Sampler::default();
        assert_eq!(sampler.turn(), Some(0));
        for _ in 0..1000 {
            assert_eq!(sampler.turn(), None);
        }
        tokio::time::advance(SAMPLE_TIME).await;
        assert_eq!(sampler.turn(), Some(1000));
        assert_eq!(sampler.turn(), None);
        tokio::time::advance(SAMPLE_TIME).await;
        assert_eq!(sampler.turn(), Some(1));
    }
}
