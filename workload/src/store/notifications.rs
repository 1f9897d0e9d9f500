//! What PostgreSQL tells by itself (`LISTEN`, `NOTIFY`).

use std::future::poll_fn;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Connection};

use super::{Pool, StoreError};

/// Listens on the channel of tunnels and passes the numbers of clusters on until the connection ends or nobody receives any
/// more. The first item says that the listening has begun: what happened before it was not heard.
///
/// # Errors
///
/// [`StoreError`] when the database cannot be reached or the connection broke.
pub async fn tunnels(pool: &Pool, heard: mpsc::Sender<Heard>) -> Result<(), StoreError> {
    pool.listen("LISTEN cluster_manager_tunnels", heard).await
}

/// What the listener has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// From now on every notification is heard.
    Listening,
    /// Something changed about the tunnel of this cluster.
    Cluster(i64),
}

/// Drives a connection and passes its notifications on. `Ok` when it ended in an orderly way or nobody receives any more.
pub(super) async fn drive<S, T>(
    mut connection: Connection<S, T>,
    heard: mpsc::Sender<Heard>,
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            None => return Ok(()),
            Some(Err(error)) => return Err(error),
            Some(Ok(AsyncMessage::Notification(note))) => {
                // Other payloads are not ours.
                let Ok(cluster) = note.payload().parse() else { continue };
                if heard.send(Heard::Cluster(cluster)).await.is_err() {
                    return Ok(());
                }
            }
            Some(Ok(_)) => {}
        }
    }
}
