//! What the database undid because it stood in somebody else's way is done once more.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::domain::Error;
use crate::store::StoreError;

/// Most further attempts.
const AGAIN: u32 = 3;
/// Longest pause before the first of them, in milliseconds; it doubles with each, and is random so that those who met do not meet again.
const PAUSE_MS: u64 = 20;
/// Longest time for all attempts: an answer leaves within ten seconds, whatever the database does.
const PATIENCE: Duration = Duration::from_secs(9);

/// An error that may say that the database chose a transaction to be undone.
pub(super) trait Failure: From<StoreError> + Send {
    /// Whether nothing at all was done, and the same once more may succeed.
    fn is_conflict(&self) -> bool;
}

impl Failure for StoreError {
    fn is_conflict(&self) -> bool {
        Self::is_conflict(self)
    }
}

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

/// Runs a whole transaction, and up to three times more while the database reports that it fell victim to another one. A connection
/// that is lost is no such case, nor is one on which no answer comes: nobody knows whether the transaction was committed, and who
/// asked may ask again.
pub(super) async fn settle<T, E, A>(transaction: impl FnMut() -> A + Send) -> Result<T, E>
where
    T: Send,
    E: Failure,
    A: Future<Output = Result<T, E>> + Send,
{
    match tokio::time::timeout(PATIENCE, attempt(transaction)).await {
        Ok(result) => result,
        Err(elapsed) => Err(StoreError::Connect(elapsed.into()).into()),
    }
}

async fn attempt<T, E, A>(mut transaction: impl FnMut() -> A + Send) -> Result<T, E>
where
    T: Send,
    E: Failure,
    A: Future<Output = Result<T, E>> + Send,
{
    for attempt in 0..AGAIN {
        match transaction().await {
            Err(error) if error.is_conflict() => {
                tracing::debug!(attempt, "another transaction was in the way: once more");
                tokio::time::sleep(pause(attempt)).await;
            }
            result => return result,
        }
    }
    transaction().await
}

fn pause(attempt: u32) -> Duration {
    let random = RandomState::new().hash_one(attempt);
    Duration::from_millis(random % ((PAUSE_MS << attempt) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Failed {
        Conflict,
        Other,
        Store,
    }

    impl Failure for Failed {
        fn is_conflict(&self) -> bool {
            *self == Self::Conflict
        }
    }

    impl From<StoreError> for Failed {
        fn from(_: StoreError) -> Self {
            Self::Store
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rel_15_a_conflict_is_tried_three_times_more_and_nothing_else_is() {
        for (conflicts, attempts, succeeds) in [(0, 1, true), (3, 4, true), (9, 4, false)] {
            let mut asked = 0;
            let result = settle(|| {
                asked += 1;
                let conflict = asked <= conflicts;
                async move { if conflict { Err(Failed::Conflict) } else { Ok(()) } }
            });
            assert_eq!(result.await.is_ok(), succeeds, "{conflicts}");
            assert_eq!(asked, attempts, "{conflicts}");
        }
        let mut asked = 0;
        let result: Result<(), Failed> = settle(|| {
            asked += 1;
            async { Err(Failed::Other) }
        })
        .await;
        assert!(result == Err(Failed::Other) && asked == 1);
        assert!((0..100).all(|_| pause(2) <= Duration::from_millis(PAUSE_MS << 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn lim_06_a_transaction_from_which_nothing_comes_is_given_up_and_not_tried_again() {
        let begin = tokio::time::Instant::now();
        let mut asked = 0;
        let result = settle(|| {
            asked += 1;
            std::future::pending::<Result<(), Failed>>()
        });
        assert_eq!(result.await, Err(Failed::Store));
        assert_eq!((asked, begin.elapsed()), (1, PATIENCE));
    }
}
