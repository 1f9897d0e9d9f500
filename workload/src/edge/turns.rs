//! A queue for TLS handshakes.
//!
//! A handshake costs about as much as everything else that a heartbeat needs, and after an outage all clusters come back at once.
//! Were all their handshakes begun together, each would take as long as all of them, memory for each would be in use all the time,
//! and the last ones would time out after the work was done. So connections are accepted at once, which costs next to nothing and
//! keeps the kernel from turning any away, and those whose client has said hello wait here, in the order in which they did, until one
//! of so many turns is free. Who says nothing waits for nothing and takes no turn.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use prometheus::IntGauge;
use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, Holding};
use salvo::fuse::ArcFusePolicy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::last_answer::{Held, LastAnswer};

/// Handshakes that are under way at a time: many enough for clients that are far away, so few that each gets on.
pub(super) const TURNS: usize = 512;

/// Lets the connections of another acceptor, on which TLS is going to be spoken, take turns.
pub(super) struct Turns<A> {
    inner: A,
    free: Arc<Semaphore>,
    waiting: IntGauge,
    /// Those of the connection that was accepted last.
    newest: Mutex<Option<(Arc<Turn>, LastAnswer)>>,
}

impl<A> Turns<A> {
    /// `waiting` shows how many connections wait.
    pub(super) fn new(inner: A, waiting: IntGauge) -> Self {
        Self { inner, free: Arc::new(Semaphore::new(TURNS)), waiting, newest: Mutex::new(None) }
    }

    /// What belongs to the connection that was accepted last, once.
    pub(super) fn take_newest(&self) -> Option<(Arc<Turn>, LastAnswer)> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<A> Acceptor for Turns<A>
where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static> + Send + 'static,
{
    type Coupler = TcpCoupler<Self::Stream>;
    type Stream = Queued<Held<A::Stream>>;

    fn holdings(&self) -> &[Holding] {
        self.inner.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let accepted = self.inner.accept(policy).await?;
        let last = LastAnswer::default();
        let stream = Held::new(accepted.stream, last.clone());
        let (stream, turn) = Queued::new(stream, &self.free, &self.waiting);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((turn, last));
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream,
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// How far a connection has come, for whoever sees when its handshake is over.
#[derive(Debug)]
pub(super) struct Turn(Mutex<Place>);

#[derive(Debug)]
enum Place {
    /// The client has not said anything.
    Silent,
    /// In the queue; the gauge counts it.
    Waiting(IntGauge),
    /// It has a turn, or has given it back.
    Begun(
        #[expect(dead_code, reason = "dropping it gives the turn back")]
        Option<OwnedSemaphorePermit>,
    ),
}

/// The same without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The client has not said anything.
    Silent,
    /// In the queue: no clock runs.
    Waiting,
    /// The handshake is under way.
    Begun,
}

impl Turn {
    fn new(place: Place) -> Arc<Self> {
        Arc::new(Self(Mutex::new(place)))
    }

    /// How far it is.
    pub(super) fn step(&self) -> Step {
        match *self.place() {
            Place::Silent => Step::Silent,
            Place::Waiting(_) => Step::Waiting,
            Place::Begun(_) => Step::Begun,
        }
    }

    /// Lets the next one begin. The handshake may go on all the same.
    pub(super) fn give_back(&self) {
        self.go_to(Place::Begun(None));
    }

    fn go_to(&self, place: Place) {
        let before = std::mem::replace(&mut *self.place(), place);
        if let Place::Waiting(gauge) = before {
            gauge.dec();
        }
    }

    /// Nothing panics while it is locked; were it so, it would still be usable.
    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Turn {
    pub(super) fn silent() -> Arc<Self> {
        Self::new(Place::Silent)
    }

    pub(super) fn taken(permit: OwnedSemaphorePermit) -> Arc<Self> {
        Self::new(Place::Begun(Some(permit)))
    }

    pub(super) fn wait(&self) {
        let gauge = IntGauge::new("waiting", "Connections that wait.").unwrap();
        self.go_to(Place::Waiting(gauge));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A stream below TLS that gives out what its client says first when it is its turn.
pub(super) struct Queued<S> {
    stream: S,
    turn: Arc<Turn>,
    /// `None` when everything is over that has to do with turns.
    hello: Option<Box<Hello>>,
}

struct Hello {
    free: PollSemaphore,
    waiting: IntGauge,
    /// What the client has said.
    bytes: Vec<u8>,
}

impl<S> Queued<S> {
    fn new(stream: S, free: &Arc<Semaphore>, waiting: &IntGauge) -> (Self, Arc<Turn>) {
        let turn = Turn::new(Place::Silent);
        let hello = Hello {
            free: PollSemaphore::new(Arc::clone(free)),
            waiting: waiting.clone(),
            bytes: Vec::new(),
        };
        (Self { stream, turn: Arc::clone(&turn), hello: Some(Box::new(hello)) }, turn)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Queued<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(hello) = &mut this.hello else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        if this.turn.step() == Step::Silent {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let said = buf.filled().get(before..).unwrap_or_default();
            match hello.free.poll_acquire(cx) {
                _ if said.is_empty() => {}
                Poll::Ready(turn) => this.turn.go_to(Place::Begun(turn)),
                Poll::Pending => {
                    hello.bytes.extend_from_slice(said);
                    buf.set_filled(before);
                    hello.waiting.inc();
                    this.turn.go_to(Place::Waiting(hello.waiting.clone()));
                    return Poll::Pending;
                }
            }
            this.hello = None;
            return Poll::Ready(Ok(()));
        }
        if this.turn.step() == Step::Waiting {
            let turn = ready!(hello.free.poll_acquire(cx));
            this.turn.go_to(Place::Begun(turn));
        }
        let now = hello.bytes.len().min(buf.remaining());
        buf.put_slice(hello.bytes.get(..now).unwrap_or_default());
        hello.bytes.drain(..now);
        if hello.bytes.is_empty() {
            this.hello = None;
            // Whoever has given up in the meantime costs nothing more.
            let filled = buf.filled().len();
            let has_room = buf.remaining() > 0;
            match Pin::new(&mut this.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if has_room && buf.filled().len() == filled => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Queued<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    struct Fixture {
        free: Arc<Semaphore>,
        waiting: IntGauge,
    }

    impl Fixture {
        fn new(turns: usize) -> Self {
            let waiting = IntGauge::new("waiting", "Connections that wait.").unwrap();
            Self { free: Arc::new(Semaphore::new(turns)), waiting }
        }

        fn connection(&self) -> (DuplexStream, Queued<DuplexStream>, Arc<Turn>) {
            let (client, server) = tokio::io::duplex(1 << 10);
            let (stream, turn) = Queued::new(server, &self.free, &self.waiting);
            (client, stream, turn)
        }
    }

    /// Everything that was read until nothing more is there.
    async fn read(stream: &mut Queued<DuplexStream>, room: usize) -> Option<io::Result<Vec<u8>>> {
        let mut bytes = vec![0; room];
        tokio::select! {
            biased;
            count = stream.read(&mut bytes) => Some(count.map(|count| {
                bytes.truncate(count);
                bytes
            })),
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test]
    async fn rel_12_clients_that_have_said_hello_get_their_turns_in_that_order() {
        let fixture = Fixture::new(1);
        let (mut first, mut stream, turn) = fixture.connection();
        first.write_all(b"first").await.unwrap();
        assert_eq!(read(&mut stream, 64).await.unwrap().unwrap(), b"first");
        assert_eq!(turn.step(), Step::Begun);

        let (mut second, mut second_stream, second_turn) = fixture.connection();
        let (mut third, mut third_stream, third_turn) = fixture.connection();
        third.write_all(b"third").await.unwrap();
        assert!(read(&mut third_stream, 64).await.is_none());
        second.write_all(b"second").await.unwrap();
        assert!(read(&mut second_stream, 64).await.is_none());
        assert_eq!((second_turn.step(), third_turn.step()), (Step::Waiting, Step::Waiting));
        assert_eq!(fixture.waiting.get(), 2);

        turn.give_back();
        assert!(read(&mut second_stream, 64).await.is_none(), "the third was here before");
        assert_eq!(read(&mut third_stream, 64).await.unwrap().unwrap(), b"third");
        third_turn.give_back();
        assert_eq!(read(&mut second_stream, 4).await.unwrap().unwrap(), b"seco");
        assert_eq!(read(&mut second_stream, 64).await.unwrap().unwrap(), b"nd");
        assert_eq!(fixture.waiting.get(), 0);
        second.write_all(b" and more").await.unwrap();
        assert_eq!(read(&mut second_stream, 64).await.unwrap().unwrap(), b" and more");
    }

    #[tokio::test]
    async fn rel_12_who_says_nothing_takes_no_turn() {
        let fixture = Fixture::new(1);
        let (_client, mut silent, turn) = fixture.connection();
        assert!(read(&mut silent, 64).await.is_none());
        assert_eq!((turn.step(), fixture.free.available_permits()), (Step::Silent, 1));
    }

    #[tokio::test]
    async fn rel_12_who_gives_up_while_it_waits_costs_no_handshake() {
        let fixture = Fixture::new(1);
        let (mut first, mut stream, turn) = fixture.connection();
        first.write_all(b"first").await.unwrap();
        assert!(read(&mut stream, 64).await.unwrap().is_ok());
        let (mut second, mut second_stream, _) = fixture.connection();
        second.write_all(b"second").await.unwrap();
        assert!(read(&mut second_stream, 64).await.is_none());
        drop(second);
        turn.give_back();
        let refused = read(&mut second_stream, 64).await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_connection_that_ends_gives_its_place_back() {
        let fixture = Fixture::new(1);
        let (mut first, mut stream, turn) = fixture.connection();
        first.write_all(b"first").await.unwrap();
        assert!(read(&mut stream, 64).await.unwrap().is_ok());
        let (mut second, mut second_stream, second_turn) = fixture.connection();
        second.write_all(b"second").await.unwrap();
        assert!(read(&mut second_stream, 64).await.is_none());
        drop((second_stream, second_turn));
        assert_eq!(fixture.waiting.get(), 0);
        drop((stream, turn));
        assert_eq!(fixture.free.available_permits(), 1);
    }
}
