//! TLS handshakes in turns, and counted.
//!
//! A handshake costs about as much as everything else that a heartbeat needs, and after an outage all clusters come back at once.
//! Were all their handshakes begun together, each would take as long as all of them, and the last ones would time out after the
//! work was done. So only so many are under way at a time; further connections wait in the kernel, in order and without a clock
//! running. A handshake whose client does not answer loses its turn soon and goes on without it, so that silent clients do not hold
//! up the others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, Holding};
use salvo::fuse::ArcFusePolicy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::metrics::Metrics;

/// Handshakes that are under way at a time: with the connections that wait in the kernel, 4,096 as a rule, more than 10,000.
const TURNS: usize = 8192;
/// How long a handshake keeps its turn.
const TURN_TIME: Duration = Duration::from_millis(250);

/// Lets another acceptor, which speaks TLS, begin so many handshakes at a time.
pub(super) struct Handshakes<A> {
    inner: A,
    turns: Arc<Semaphore>,
    metrics: Metrics,
}

impl<A> Handshakes<A> {
    pub(super) fn new(inner: A, metrics: Metrics) -> Self {
        Self { inner, turns: Arc::new(Semaphore::new(TURNS)), metrics }
    }
}

impl<A> Acceptor for Handshakes<A>
where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static> + Send + 'static,
{
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = Greeted<A::Stream>;

    fn holdings(&self) -> &[Holding] {
        self.inner.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        // The semaphore is never closed; without a turn the handshake would begin all the same.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        let accepted = self.inner.accept(policy).await?;
        let handshake = Handshake {
            begin: Instant::now(),
            turn: turn.map(|turn| (turn, Box::pin(tokio::time::sleep(TURN_TIME)))),
            metrics: self.metrics.clone(),
        };
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: Greeted { stream: accepted.stream, handshake: Some(Box::new(handshake)) },
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// A stream that notices when its handshake is over.
pub(super) struct Greeted<S> {
    stream: S,
    handshake: Option<Box<Handshake>>,
}

struct Handshake {
    begin: Instant,
    turn: Option<(OwnedSemaphorePermit, Pin<Box<Sleep>>)>,
    metrics: Metrics,
}

impl<S: AsyncWrite> Greeted<S> {
    /// Looks at what a step of the stream has brought.
    fn after<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(handshake) = &mut self.handshake else { return step };
        let outcome = match &step {
            // What tells that the TLS stream is there: before, there is nothing that could write several buffers.
            _ if self.stream.is_write_vectored() => "completed",
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => "timed_out",
            Poll::Ready(_) => "failed",
            Poll::Pending => {
                let is_over =
                    |(_, end): &mut (_, Pin<Box<Sleep>>)| end.as_mut().poll(cx).is_ready();
                if handshake.turn.as_mut().is_some_and(is_over) {
                    handshake.turn = None;
                }
                return step;
            }
        };
        handshake.metrics.handshaken(outcome, handshake.begin.elapsed());
        self.handshake = None;
        step
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.after(cx, step)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.after(cx, step)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_flush(cx);
        self.after(cx, step)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.after(cx, step)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after(cx, step)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    /// A stream before its handshake: it cannot write several buffers yet.
    struct Silent(DuplexStream);

    impl AsyncRead for Silent {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Silent {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rel_12_a_silent_client_loses_its_turn_and_not_its_connection() {
        let turns = Arc::new(Semaphore::new(1));
        let (silent, _client) = tokio::io::duplex(64);
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let handshake = Handshake {
            begin: Instant::now(),
            turn: Some((turn, Box::pin(tokio::time::sleep(TURN_TIME)))),
            metrics: Metrics::new("test").unwrap(),
        };
        let mut stream = Greeted { stream: Silent(silent), handshake: Some(Box::new(handshake)) };
        let begin = tokio::time::Instant::now();
        let waiting = tokio::spawn(async move { stream.read_u8().await });
        drop(turns.acquire().await.unwrap());
        assert_eq!(begin.elapsed(), TURN_TIME, "the next one waits for the turn's time only");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
    }
}
