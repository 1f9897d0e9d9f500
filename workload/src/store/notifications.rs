//! What PostgreSQL tells by itself (`LISTEN`, `NOTIFY`).

use tokio::sync::{mpsc, oneshot};

use super::{Pool, StoreError};

/// Listens on the channel of tunnels and passes the numbers of clusters on until the connection ends or nobody receives any
/// more. The first item says that the listening has begun: what happened before it was not heard.
///
/// # Errors
///
/// [`StoreError`] when the database cannot be reached or the connection broke.
pub async fn tunnels(pool: &Pool, heard: mpsc::Sender<Heard>) -> Result<(), StoreError> {
    let (alive, ended) = oneshot::channel::<()>();
    let (ears, mut missed) = (heard.clone(), false);
    let hear = move |payload: &str| {
        let _lives_as_long_as_the_connection = &alive;
        // Other payloads are not ours.
        let Ok(cluster) = payload.parse() else { return };
        // The connection cannot wait for a receiver that is busy; it will look at everything instead.
        let item = if missed { Heard::Listening } else { Heard::Cluster(cluster) };
        missed = ears.try_send(item).is_err();
    };
    let client = pool.listening(hear).await?;
    let listen = client.batch_execute("LISTEN cluster_manager_tunnels").await;
    listen.map_err(StoreError::query("listening"))?;
    if heard.send(Heard::Listening).await.is_err() {
        return Ok(());
    }
    // The client stays until then: without it the connection would end.
    tokio::select! {
        _ = ended => Err(StoreError::Connect("the listening connection ended".into())),
        () = heard.closed() => Ok(()),
    }
}

/// What the listener has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// From now on every notification is heard; before this, some may not have been.
    Listening,
    /// Something changed about the tunnel of this cluster.
    Cluster(i64),
}
