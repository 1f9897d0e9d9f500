//! Start and stop of a service's tasks.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Waits for SIGTERM or SIGINT, then gives running work `grace` to finish.
///
/// # Errors
///
/// What the system answers when signals cannot be received.
pub(crate) async fn until_stopped(
    stop: CancellationToken,
    tasks: TaskTracker,
    grace: Duration,
) -> io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: stopping"),
        _ = int.recv() => tracing::info!("SIGINT: stopping"),
        () = stop.cancelled() => tracing::warn!("a task asked the process to stop"),
    }
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(grace_s = grace.as_secs(), "work is still running after the grace period");
    }
    tracing::info!("stopped");
    Ok(())
}
