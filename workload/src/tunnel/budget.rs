//! How much memory unfinished messages of all clusters may take together.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What every socket may hold whatever the others hold: control frames and small answers always pass.
const SMALL: usize = 64 << 10;
/// A client's control frame without its payload: two bytes and the mask (RFC 6455, section 5.2).
const CONTROL_FRAME_BYTES: usize = 6;

/// Bytes that all sockets of this unit share.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Takes `bytes`, or nothing when that would be too much.
    fn take(&self, bytes: usize) -> bool {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.limit)
        });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A stream that counts what was read of a message that is not complete yet, and breaks when it is too much: of one message, of all
/// sockets together, or of a message that nobody asked for.
pub(super) struct Metered<S> {
    inner: S,
    budget: Arc<Budget>,
    /// Bytes since the last complete message, and how many of them the budget was charged for.
    since_message: usize,
    charged: usize,
    most: usize,
    /// Until when a message may be longer than [`SMALL`].
    long_until: Option<Instant>,
    last_read: Instant,
}

impl<S> Metered<S> {
    /// `most`: the longest message with its framing.
    pub(super) fn new(inner: S, budget: Arc<Budget>, most: usize) -> Self {
        let last_read = Instant::now();
        Self { inner, budget, since_message: 0, charged: 0, most, long_until: None, last_read }
    }

    /// A message is complete and has been dealt with.
    pub(super) fn message_done(&mut self) {
        self.hold(0);
    }

    /// A control frame has been dealt with. It may stand in the middle of a message (RFC 6455, section 5.4), of which everything is
    /// still held.
    pub(super) fn control_frame_done(&mut self, payload: usize) {
        self.hold(self.since_message.saturating_sub(CONTROL_FRAME_BYTES + payload));
    }

    /// Of what was counted only so much is left.
    fn hold(&mut self, bytes: usize) {
        self.since_message = bytes;
        let due = self.charged.min(bytes.saturating_sub(SMALL));
        self.budget.give_back(self.charged - due);
        self.charged = due;
    }

    /// Somebody waits for a long message until then, or nobody does. Without that a few clusters could hold the whole budget with
    /// messages that they never complete.
    pub(super) fn expect_long(&mut self, until: Option<Instant>) {
        self.long_until = until;
    }

    /// When what is held of a long message must be complete.
    pub(super) fn complete_by(&self) -> Option<Instant> {
        self.long_until.filter(|_| self.since_message > SMALL)
    }

    /// Whether more of a message is held than anybody waits for at `now`.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.since_message > SMALL && self.long_until.is_none_or(|until| until <= now)
    }

    /// When the peer was last heard of.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.last_read = Instant::now();
        self.since_message += bytes;
        if self.since_message > self.most || self.is_overdue(self.last_read) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
        }
        let due = self.since_message.saturating_sub(SMALL) - self.charged;
        if !self.budget.take(due) {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "messages of all clusters together are too long",
            ));
        }
        self.charged += due;
        Ok(())
    }
}

impl<S> Drop for Metered<S> {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(self.count(buffer.filled().len() - before)),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

    #[tokio::test]
    async fn tun_07_one_cluster_cannot_take_the_memory_of_the_others() {
        let budget = Budget::new(1 << 20);
        let (mut greedy, server) = tokio::io::duplex(4 << 20);
        let mut first = Metered::new(server, Arc::clone(&budget), 32 << 20);
        first.expect_long(Some(Instant::now() + HOUR));
        greedy.write_all(&vec![0; 2 << 20]).await.unwrap();
        let mut buffer = vec![0; 4096];
        let mut held = 0;
        let error = loop {
            match first.read(&mut buffer).await {
                Ok(bytes) => held += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(held, (1 << 20) + SMALL);

        let (mut modest, server) = tokio::io::duplex(4 << 20);
        let mut second = Metered::new(server, Arc::clone(&budget), 32 << 20);
        modest.write_all(&vec![0; SMALL]).await.unwrap();
        second.read_exact(&mut vec![0; SMALL]).await.expect("small messages always pass");
        second.expect_long(Some(Instant::now() + HOUR));
        drop(first);
        modest.write_all(&vec![0; SMALL]).await.unwrap();
        second
            .read_exact(&mut vec![0; SMALL])
            .await
            .expect("what the first one held is free again");
        second.message_done();
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn tun_07_a_message_without_end_is_cut() {
        let budget = Budget::new(1 << 30);
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut metered = Metered::new(server, budget, 100_000);
        metered.expect_long(Some(Instant::now() + HOUR));
        client.write_all(&vec![0; 200_000]).await.unwrap();
        let (mut buffer, mut held) = (vec![0; 4096], 0);
        let error = loop {
            match metered.read(&mut buffer).await {
                Ok(bytes) => held += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(held <= 100_000);
    }
}
