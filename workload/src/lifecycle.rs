//! Start and stop of a service's tasks.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a service's tasks stop by. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifecycle {
    /// Work that ends before the process does.
    pub tasks: TaskTracker,
    /// Cancelled when the process is asked to stop: readiness fails from then on, and everything goes on.
    pub draining: CancellationToken,
    /// Cancelled when the work has to end.
    pub stop: CancellationToken,
}

/// The signals that end the process. From its making on none is missed, also while nobody waits for one.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Receives them from now on.
    ///
    /// # Errors
    ///
    /// What the system answers when signals cannot be received.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }
}

impl Lifecycle {
    /// Waits for SIGTERM or SIGINT. After SIGTERM the service goes on for `drain`, so that a balancer sees that it is not ready
    /// and sends new connections elsewhere; a second signal ends that, and SIGINT, which people send, does without. Then running
    /// work has `grace` to finish.
    pub(crate) async fn until_stopped(
        self,
        signals: &mut Signals,
        drain: Duration,
        grace: Duration,
    ) {
        let Signals { term, int } = signals;
        tokio::select! {
            _ = term.recv() => self.drain(drain, [term, int]).await,
            _ = int.recv() => tracing::info!("SIGINT: stopping"),
            () = self.stop.cancelled() => tracing::warn!("a task asked the process to stop"),
        }
        self.draining.cancel();
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                grace_s = grace.as_secs(),
                "work is still running after the grace period"
            );
        }
        tracing::info!("stopped");
    }

    async fn drain(&self, drain: Duration, [term, int]: [&mut Signal; 2]) {
        tracing::info!(drain_s = drain.as_secs(), "SIGTERM: not ready any more, stopping soon");
        self.draining.cancel();
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            _ = term.recv() => tracing::info!("a second SIGTERM: stopping now"),
            _ = int.recv() => tracing::info!("SIGINT: stopping now"),
            () = self.stop.cancelled() => tracing::warn!("a task asked the process to stop"),
        }
    }
}
