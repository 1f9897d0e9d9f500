//! Looking at the fleet regularly: for those who follow the events, for the beginnings of warnings, and for the history.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Fleet;
use crate::domain::Error;
use crate::store::fleet_history;

/// Time between two looks while somebody follows the events; there is one event in it at most.
const FOLLOWED: Duration = Duration::from_secs(1);
/// The same while nobody does.
const UNFOLLOWED: Duration = Duration::from_secs(10);

/// Looks at the fleet from `ready` until the service stops.
pub(super) async fn watch(fleet: Fleet, ready: CancellationToken) {
    let stop = fleet.stopping();
    if stop.run_until_cancelled(ready.cancelled()).await.is_none() {
        return;
    }
    let (mut sampled, mut failing) = (OffsetDateTime::UNIX_EPOCH, false);
    loop {
        let pause = if fleet.0.events.followers() > 0 { FOLLOWED } else { UNFOLLOWED };
        let pause = async {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Somebody new must not wait for the longer pause to end.
                () = fleet.0.followed.notified() => tokio::time::sleep(FOLLOWED).await,
            }
        };
        let look = async {
            match look(&fleet, &mut sampled).await {
                Ok(()) => failing = false,
                // Said once: the database may be away for long.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %crate::Chain(&error), "the fleet cannot be watched");
                }
                Err(_) => {}
            }
            pause.await;
        };
        if stop.run_until_cancelled(look).await.is_none() {
            return;
        }
    }
}

async fn look(fleet: &Fleet, sampled: &mut OffsetDateTime) -> Result<(), Error> {
    let (snapshot, now) = fleet.now().await?;
    let news = fleet.0.state.lock().await.take_news();
    fleet.0.events.publish(news);
    let minute = OffsetDateTime::from_unix_timestamp(now.unix_timestamp().div_euclid(60) * 60);
    let minute = minute.unwrap_or(now);
    // Another one, not a later one: the clock may have been ahead.
    if *sampled != minute {
        fleet_history::sample(&fleet.0.pool.get().await?, &snapshot.summary().sample()).await?;
        *sampled = minute;
    }
    Ok(())
}
