//! TLS handshakes with their limits, counted, and the head of the first request after them.
//!
//! Time runs while something is up to the client: until it says hello, during the handshake, until its first request is there. While
//! the connection waits for its turn no clock runs. A handshake whose client does not answer loses its turn soon and goes on without
//! it, so that slow clients do not hold up the others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use memchr::memmem::find;
use rustls::ServerConfig;
use salvo::conn::rustls::RustlsAcceptor;
use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, HandshakeStream, Holding};
use salvo::fuse::ArcFusePolicy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::last_answer::{Held, LastAnswer};
use super::listener::Limits;
use super::turns::{Queued, Step, Turn, Turns};
use crate::metrics::Metrics;

/// How long a handshake keeps its turn.
const TURN_TIME: Duration = Duration::from_millis(250);
/// What ends the head of a request, and the preface of HTTP/2.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Speaks TLS on the connections of another acceptor.
pub(super) struct Handshakes<A> {
    inner: RustlsAcceptor<Turns<A>>,
    metrics: Arc<Metrics>,
    times: Times,
}

/// What a client has time for.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Until it says hello, and again for the handshake once it is its turn.
    handshake: Duration,
    /// Then until the first head is complete.
    head: Duration,
}

impl<A> Handshakes<A>
where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static> + Send + 'static,
{
    /// The first head of each connection must be complete within the time for headers after its handshake.
    pub(super) fn new(inner: A, config: ServerConfig, metrics: Metrics, limits: &Limits) -> Self {
        let times = Times { handshake: limits.handshake_time, head: limits.header_time };
        let tls = ArcSwapOption::from_pointee(TlsAcceptor::from(Arc::new(config)));
        let turns = Turns::new(inner, metrics.handshakes_waiting.clone());
        let inner = RustlsAcceptor::new(turns, Arc::new(tls), CancellationToken::new());
        Self { inner, metrics: Arc::new(metrics), times }
    }
}

impl<A> Acceptor for Handshakes<A>
where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static> + Send + 'static,
{
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = Greeted<HandshakeStream<TlsStream<Queued<Held<A::Stream>>>>>;

    fn holdings(&self) -> &[Holding] {
        self.inner.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let accepted = self.inner.accept(policy).await?;
        let newest = self.inner.inner().take_newest();
        let (turn, last) = newest.ok_or_else(|| io::Error::other("a connection without a turn"))?;
        let greeting = Greeting::new(turn, Arc::clone(&self.metrics), self.times);
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: Greeted::new(accepted.stream, greeting, last),
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// A stream that is watched until its first request is there, and for the last answer.
pub(super) struct Greeted<S> {
    stream: S,
    greeting: Option<Box<Greeting>>,
    last: LastAnswer,
}

struct Greeting {
    begin: Instant,
    turn: Arc<Turn>,
    stage: Stage,
    /// When the stage ends.
    end: Pin<Box<Sleep>>,
    metrics: Arc<Metrics>,
    times: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has not said hello.
    Silent,
    /// The handshake has its turn.
    Turn,
    /// The handshake goes on without it.
    Late,
    /// The handshake is over; so many bytes of what ends a head were the last ones.
    Head(usize),
}

impl Greeting {
    fn new(turn: Arc<Turn>, metrics: Arc<Metrics>, times: Times) -> Self {
        let end = Box::pin(tokio::time::sleep(times.handshake));
        Self { begin: Instant::now(), turn, stage: Stage::Silent, end, metrics, times }
    }

    fn enter(&mut self, stage: Stage, time: Duration) {
        self.stage = stage;
        self.end.as_mut().reset(tokio::time::Instant::now() + time);
    }

    /// Counts the handshake, once.
    fn over(&self, outcome: &str) {
        if !matches!(self.stage, Stage::Head(_)) {
            self.metrics.handshaken(outcome, self.begin.elapsed());
            self.turn.give_back();
        }
    }

    /// Pending for as long as the client has time.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.stage == Stage::Silent {
            match self.turn.step() {
                Step::Silent => {}
                Step::Waiting => return Poll::Pending,
                Step::Begun => self.enter(Stage::Turn, TURN_TIME),
            }
        }
        ready!(self.end.as_mut().poll(cx));
        let reason = match self.stage {
            Stage::Turn => {
                self.turn.give_back();
                self.enter(Stage::Late, self.times.handshake.saturating_sub(TURN_TIME));
                ready!(self.end.as_mut().poll(cx));
                "the TLS handshake takes too long"
            }
            Stage::Silent | Stage::Late => "the TLS handshake takes too long",
            Stage::Head(_) => "the first request takes too long",
        };
        self.over("timed_out");
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, reason))
    }

    /// Looks for the end of the first head. True when it is there.
    fn read(&mut self, bytes: &[u8]) -> bool {
        let Stage::Head(matched) = &mut self.stage else { return false };
        for byte in bytes {
            *matched = match END_OF_HEAD.get(*matched) {
                Some(wanted) if wanted == byte => matched.saturating_add(1),
                _ => usize::from(*byte == b'\r'),
            };
            if *matched == END_OF_HEAD.len() {
                return true;
            }
        }
        false
    }
}

impl<S> Greeted<S> {
    fn new(stream: S, greeting: Greeting, last: LastAnswer) -> Self {
        Self { stream, greeting: Some(Box::new(greeting)), last }
    }

    /// Looks for the last answer. Nothing depends on its being found, but that it takes one packet less.
    fn before_write(&self, bytes: &[u8]) {
        if bytes.starts_with(b"HTTP/1.1 ") && find(bytes, b"\r\nconnection: close\r\n").is_some() {
            self.last.comes();
        }
    }
}

impl<S: AsyncWrite> Greeted<S> {
    /// Looks at what a step of the stream has brought.
    fn after<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(greeting) = &mut self.greeting else { return step };
        // What tells that the TLS stream is there: before, there is nothing that could write several buffers.
        let is_there = matches!(greeting.stage, Stage::Head(_));
        if !is_there && self.stream.is_write_vectored() {
            greeting.over("completed");
            greeting.enter(Stage::Head(0), greeting.times.head);
        }
        match step {
            Poll::Ready(Ok(done)) => Poll::Ready(Ok(done)),
            Poll::Ready(Err(error)) => {
                greeting.over("failed");
                self.greeting = None;
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                let error = ready!(greeting.poll_late(cx));
                self.greeting = None;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let step = Pin::new(&mut self.stream).poll_read(cx, buf);
        ready!(self.after(cx, step))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if self.greeting.as_mut().is_some_and(|greeting| greeting.read(bytes)) {
            self.greeting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.before_write(buf);
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
        self.before_write(bufs.first().map_or(&[], |buf| buf));
        let step = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.after(cx, step)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// A stream before its handshake, which ends with the first byte: it cannot write several buffers yet.
    struct Shy(DuplexStream, bool);

    impl AsyncRead for Shy {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
            self.1 = true;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Shy {
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

        fn is_write_vectored(&self) -> bool {
            self.1
        }
    }

    const TIMES: Times = Times { handshake: Duration::from_secs(10), head: Duration::from_secs(5) };

    fn greeted(turn: Arc<Turn>) -> (DuplexStream, Greeted<Shy>, Metrics) {
        let (server, client) = tokio::io::duplex(64);
        let metrics = Metrics::new("test").unwrap();
        let greeting = Greeting::new(turn, Arc::new(metrics.clone()), TIMES);
        (client, Greeted::new(Shy(server, false), greeting, LastAnswer::default()), metrics)
    }

    fn counted(metrics: &Metrics, outcome: &str) -> u64 {
        metrics.handshakes.with_label_values(&[outcome]).get()
    }

    #[tokio::test(start_paused = true)]
    async fn rel_12_a_slow_client_loses_its_turn_before_it_loses_its_connection() {
        let turns = Arc::new(tokio::sync::Semaphore::new(1));
        let turn = Turn::taken(Arc::clone(&turns).acquire_owned().await.unwrap());
        let (_client, mut stream, metrics) = greeted(turn);
        let begin = tokio::time::Instant::now();
        let waiting = tokio::spawn(async move { stream.read_u8().await });
        drop(turns.acquire().await.unwrap());
        assert_eq!(begin.elapsed(), TURN_TIME, "the next one waits for the turn's time only");
        let refused = waiting.await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed(), TIMES.handshake);
        assert_eq!(counted(&metrics, "timed_out"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn rel_12_no_clock_runs_in_the_queue_and_the_handshake_has_its_time_afterwards() {
        let turn = Turn::silent();
        let (mut client, mut stream, metrics) = greeted(Arc::clone(&turn));
        turn.wait();
        let long = 10 * TIMES.handshake;
        assert!(tokio::time::timeout(long, stream.read_u8()).await.is_err());
        turn.give_back();
        client.write_all(b"x").await.unwrap();
        stream.read_u8().await.unwrap();
        assert_eq!(counted(&metrics, "completed"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn lim_02_who_says_nothing_is_cut_off_and_so_is_who_sends_its_first_head_slowly() {
        let (_client, mut stream, _) = greeted(Turn::silent());
        let begin = tokio::time::Instant::now();
        assert!(stream.read_u8().await.is_err());
        assert_eq!(begin.elapsed(), TIMES.handshake);

        // A head of which some bytes come each second has the same time as one of which nothing comes.
        let (mut client, mut stream, metrics) = greeted(Turn::silent());
        let begin = tokio::time::Instant::now();
        tokio::spawn(async move {
            while client.write_all(b"a: b\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let cut = async { while stream.read_u8().await.is_ok() {} };
        cut.await;
        assert_eq!(begin.elapsed(), TIMES.head);
        assert_eq!((counted(&metrics, "completed"), counted(&metrics, "timed_out")), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_first_head_is_there_others_look_after_the_time() {
        for pieces in [&["GET / HTTP/1.1\r\na: b\r\n\r\n"][..], &["PRI\r", "\n\r\r\n\r", "\n"]] {
            let (mut client, mut stream, _) = greeted(Turn::silent());
            for piece in pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
                let mut bytes = vec![0; piece.len()];
                stream.read_exact(&mut bytes).await.unwrap();
            }
            let hour = Duration::from_hours(1);
            assert!(tokio::time::timeout(hour, stream.read_u8()).await.is_err());
        }
    }
}
