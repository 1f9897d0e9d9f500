//! One web socket of one cluster (RFC 6455): what is read, what is written, and when it ends.
//!
//! A single task does both, and never waits for one of the two alone: a cluster that does not read cannot keep us from reading,
//! from noticing that it is dead, or from closing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, Utf8Bytes};

use super::RequestError;
use super::budget::{Budget, Metered};
use super::exchange::Exchange;
use super::frame::{self, Answer, Request};
use crate::metrics::TunnelMetrics;

/// What the framing of a fragmented message may add.
const MAX_FRAMING_BYTES: usize = 1 << 20;
/// Time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A cluster that sent nothing for so long is gone. While a member serves a request it does not answer pings, for up to 30 s.
const SILENCE: Duration = Duration::from_secs(75);
/// Longest time to write one fragment.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Longest time from a request's frame to its answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How long the rest of an answer may take whose time is over: nobody waits for it any more, but a slow line is no abuse.
const LATE_TIME: Duration = Duration::from_secs(30);
/// Longest time that a closing socket may take for its last words.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Requests are written in fragments of so many bytes: a socket that ever had a long one holds no long buffer.
const FRAGMENT_BYTES: usize = 64 << 10;
/// Answers of at least so many bytes are read beside the other tasks, not between them.
const LONG_ANSWER_BYTES: usize = 256 << 10;

/// What the owner of a tunnel asks of its task.
pub(super) enum Command {
    /// A request; there is one at a time.
    Request(Box<Job>),
    /// The end.
    Close(Closing),
}

/// A request with whoever waits for its answer.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) waiter: Waiter,
}

/// Who waits for an answer. The turn is kept until the answer is there or its time is over, also when nobody waits any more:
/// the member is busy with it.
pub(super) struct Waiter {
    pub(super) answer: oneshot::Sender<Result<Answer, RequestError>>,
    pub(super) turn: OwnedSemaphorePermit,
}

impl Waiter {
    fn end(self, with: Result<Answer, RequestError>) {
        drop(self.answer.send(with));
        drop(self.turn);
    }
}

/// Why we close a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The cluster has opened another one, here or at another unit.
    Replaced,
    /// The cluster was removed or has another certificate.
    Revoked,
    /// This unit stops; a request under way is finished.
    Stopping,
    /// The database cannot say who holds the tunnel.
    Unavailable,
}

/// Why a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// We closed it.
    Closed(Closing),
    /// The cluster closed it or the connection broke.
    Gone,
    /// Nothing came from the cluster for 75 s.
    Silent,
    /// The cluster did not read for 10 s.
    Stuck,
    /// The cluster broke the rules: strays, messages that are too long, bytes that are no web socket.
    Abuse,
}

impl Ended {
    /// The reason as it stands in the log and the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed(Closing::Replaced) => "replaced",
            Self::Closed(Closing::Revoked) => "revoked",
            Self::Closed(Closing::Stopping) => "stopping",
            Self::Closed(Closing::Unavailable) => "unavailable",
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Stuck => "stuck",
            Self::Abuse => "abuse",
        }
    }

    /// What the cluster is told: RFC 6455, section 7.4.1.
    fn last_words(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Closed(Closing::Replaced) => Some((CloseCode::Normal, "a newer tunnel is open")),
            Self::Closed(Closing::Revoked) => {
                Some((CloseCode::Policy, "the cluster is not enrolled"))
            }
            Self::Closed(Closing::Stopping) => Some((CloseCode::Away, "the service stops")),
            Self::Closed(Closing::Unavailable) => Some((CloseCode::Again, "try again later")),
            Self::Abuse => Some((CloseCode::Policy, "too many messages that nobody asked for")),
            Self::Gone | Self::Silent | Self::Stuck => None,
        }
    }
}

/// Serves a socket until it ends. A message of the cluster has at most `max_bytes`.
pub(super) async fn run<S>(
    stream: S,
    max_bytes: usize,
    commands: mpsc::UnboundedReceiver<Command>,
    budget: Arc<Budget>,
    metrics: TunnelMetrics,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes));
    let stream = Metered::new(stream, budget, max_bytes.saturating_add(MAX_FRAMING_BYTES));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let mut connection = Connection {
        socket,
        commands,
        exchange: Exchange::new(),
        outgoing: None,
        flush_by: None,
        next_ping: Instant::now() + PING_INTERVAL,
        stopping: false,
        metrics,
    };
    let (ended, words) = connection.serve().await;
    if let Some(waiter) = connection.exchange.give_up() {
        waiter.end(Err(RequestError::Broken));
    }
    // What was sent to us after the decision to end is not answered any more.
    connection.commands.close();
    while let Ok(command) = connection.commands.try_recv() {
        if let Command::Request(job) = command {
            job.waiter.end(Err(RequestError::Broken));
        }
    }
    if let Some((code, reason)) = words.or(ended.last_words()) {
        drop(timeout(CLOSE_TIME, connection.close(code, reason)).await);
    }
    ended
}

type LastWords = Option<(CloseCode, &'static str)>;

struct Connection<S> {
    socket: WebSocketStream<Metered<S>>,
    commands: mpsc::UnboundedReceiver<Command>,
    exchange: Exchange<Waiter>,
    /// What is left of the request that is being written; the flag says whether its first fragment is.
    outgoing: Option<(Bytes, bool)>,
    /// Until when what was written must have left.
    flush_by: Option<Instant>,
    next_ping: Instant,
    /// Whether the socket closes as soon as no request is under way.
    stopping: bool,
    metrics: TunnelMetrics,
}

enum Event {
    Message(Option<Result<Message, SocketError>>),
    Flushed(Result<(), SocketError>),
}

enum Woken {
    Command(Option<Command>),
    Event(Event),
    Time,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn serve(&mut self) -> (Ended, LastWords) {
        loop {
            if self.stopping && self.exchange.deadline().is_none() {
                return (Ended::Closed(Closing::Stopping), None);
            }
            let wake_at = self.wake_at();
            let flushing = self.flush_by.is_some();
            let Self { socket, commands, .. } = self;
            let woken = tokio::select! {
                command = commands.recv() => Woken::Command(command),
                event = std::future::poll_fn(|context| next_event(socket, flushing, context)) => Woken::Event(event),
                () = sleep_until(wake_at) => Woken::Time,
            };
            let end = match woken {
                Woken::Command(command) => self.command(command),
                Woken::Event(Event::Message(message)) => match self.message(message).await {
                    Ok(()) => None,
                    Err(end) => return end,
                },
                Woken::Event(Event::Flushed(flushed)) => self.flushed(&flushed),
                Woken::Time => self.time(),
            };
            if let Some(ended) = end {
                return (ended, None);
            }
        }
    }

    /// When something is due next.
    fn wake_at(&self) -> Instant {
        let stream = self.socket.get_ref();
        let heard_by = stream.last_read() + SILENCE;
        [self.flush_by, self.exchange.deadline(), stream.complete_by(), Some(heard_by)]
            .into_iter()
            .flatten()
            .fold(self.next_ping, Instant::min)
    }

    fn command(&mut self, command: Option<Command>) -> Option<Ended> {
        match command {
            // Nobody knows this tunnel any more.
            None => Some(Ended::Closed(Closing::Replaced)),
            Some(Command::Close(Closing::Stopping)) => {
                self.stopping = true;
                None
            }
            Some(Command::Close(reason)) => Some(Ended::Closed(reason)),
            Some(Command::Request(job)) => {
                let Job { request, waiter } = *job;
                // A client that left while it waited asks for nothing any more.
                if waiter.answer.is_closed() {
                    return None;
                }
                // It has not even read the request before, whose time is over; no other can begin in the middle of a message.
                if self.outgoing.is_some() {
                    waiter.end(Err(RequestError::Broken));
                    return Some(Ended::Stuck);
                }
                let answer_by = Instant::now() + ANSWER_TIME;
                let (id, given_up) = self.exchange.begin(answer_by, waiter);
                self.socket.get_mut().expect_long(Some(answer_by + LATE_TIME));
                if let Some(waiter) = given_up {
                    waiter.end(Err(RequestError::Broken));
                }
                match frame::write(id, &request) {
                    Some(text) => {
                        self.outgoing = Some((Bytes::from(text), true));
                        self.write_fragment()
                    }
                    None => Some(Ended::Gone),
                }
            }
        }
    }

    /// Hands the next fragment of the request to the socket.
    fn write_fragment(&mut self) -> Option<Ended> {
        let (mut rest, first) = self.outgoing.take()?;
        let fragment = rest.split_to(rest.len().min(FRAGMENT_BYTES));
        let kind = OpCode::Data(if first { Data::Text } else { Data::Continue });
        let frame = Frame::message(fragment, kind, rest.is_empty());
        if !rest.is_empty() {
            self.outgoing = Some((rest, false));
        }
        self.write(Message::Frame(frame))
    }

    fn write(&mut self, message: Message) -> Option<Ended> {
        self.flush_by.get_or_insert(Instant::now() + WRITE_TIME);
        match Pin::new(&mut self.socket).start_send(message) {
            Ok(()) => None,
            Err(_) => Some(Ended::Gone),
        }
    }

    fn flushed(&mut self, flushed: &Result<(), SocketError>) -> Option<Ended> {
        self.flush_by = None;
        match flushed {
            Ok(()) => self.write_fragment(),
            Err(_) => Some(Ended::Gone),
        }
    }

    fn time(&mut self) -> Option<Ended> {
        let now = Instant::now();
        if self.flush_by.is_some_and(|deadline| deadline <= now) {
            return Some(Ended::Stuck);
        }
        if self.socket.get_ref().last_read() + SILENCE <= now {
            return Some(Ended::Silent);
        }
        if self.socket.get_ref().is_overdue(now) {
            return Some(Ended::Abuse);
        }
        if let Some(waiter) = self.exchange.expired(now) {
            waiter.end(Err(RequestError::NoAnswer));
        }
        if self.next_ping <= now {
            self.next_ping = now + PING_INTERVAL;
            return self.write(Message::Ping(Bytes::new()));
        }
        None
    }

    async fn message(
        &mut self,
        message: Option<Result<Message, SocketError>>,
    ) -> Result<(), (Ended, LastWords)> {
        let asked_for = match message {
            None => return Err((Ended::Gone, None)),
            Some(Err(error)) => return Err(ended_by(&error)),
            Some(Ok(Message::Close(_))) => return Ok(()), // the library says goodbye and ends the stream
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                self.socket.get_mut().control_frame_done(payload.len());
                false
            }
            Some(Ok(message)) => {
                let asked_for = match message {
                    Message::Text(text) => self.answer(text).await,
                    _ => false,
                };
                self.socket.get_mut().message_done();
                asked_for
            }
        };
        if !asked_for && self.exchange.stray(Instant::now()) {
            return Err((Ended::Abuse, None));
        }
        Ok(())
    }

    /// Gives an answer to whoever waits for it; `false` when nobody does.
    async fn answer(&mut self, text: Utf8Bytes) -> bool {
        let received = if text.len() < LONG_ANSWER_BYTES {
            frame::read(&text)
        } else {
            tokio::task::spawn_blocking(move || frame::read(&text)).await.ok().flatten()
        };
        let waiter = received.as_ref().and_then(|received| self.exchange.answered(received.id));
        let Some((waiter, received)) = waiter.zip(received) else {
            self.metrics.strays.inc();
            return false;
        };
        self.socket.get_mut().expect_long(None);
        waiter.end(received.answer.ok_or(RequestError::Nonsense));
        true
    }

    /// Says goodbye.
    async fn close(&mut self, code: CloseCode, reason: &'static str) -> Result<(), SocketError> {
        let frame = CloseFrame { code, reason: reason.into() };
        Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)))?;
        std::future::poll_fn(|context| Pin::new(&mut self.socket).poll_flush(context)).await
    }
}

/// The next message, or the end of writing.
fn next_event<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    flushing: bool,
    context: &mut Context<'_>,
) -> Poll<Event> {
    if let Poll::Ready(message) = Pin::new(&mut *socket).poll_next(context) {
        return Poll::Ready(Event::Message(message));
    }
    if flushing && let Poll::Ready(flushed) = Pin::new(socket).poll_flush(context) {
        return Poll::Ready(Event::Flushed(flushed));
    }
    Poll::Pending
}

fn ended_by(error: &SocketError) -> (Ended, LastWords) {
    let too_long = (Ended::Abuse, Some((CloseCode::Size, "the message is too long")));
    match error {
        SocketError::Capacity(CapacityError::MessageTooLong { .. }) => too_long,
        SocketError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => too_long,
        SocketError::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => {
            (Ended::Closed(Closing::Unavailable), None)
        }
        SocketError::Capacity(_) | SocketError::Utf8(_) | SocketError::AttackAttempt => {
            (Ended::Abuse, Some((CloseCode::Invalid, "the message cannot be read")))
        }
        _ => (Ended::Gone, None),
    }
}
