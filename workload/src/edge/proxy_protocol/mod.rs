//! The PROXY protocol before TLS: a balancer that passes TCP through says in a short header whose connection it is.
//!
//! The header comes before anything is encrypted or proved, so it is believed only from the networks of the balancers;
//! connections from elsewhere are closed unread, and so are those without a header that is right in every byte. Only then does
//! the connection exist for the rest of the server, with the client's address.

mod header;
#[cfg(test)]
mod properties;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, ConnCtrl, Holding, StraightStream};
use salvo::fuse::{ArcFusePolicy, FuseAction, FuseInfo, TransProto};
use salvo::http::Version;
use salvo::http::uri::Scheme;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use workload_config::Network;

use self::header::V2_MAX_BYTES;
pub use self::header::{Header, Invalid, Sender, parse};
use super::rate_limit::MonotonicClock;

/// Longest time for the header.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Most connections whose header is awaited; further ones wait in the kernel.
const MOST_AWAITED: usize = 4096;

type Coupler = TcpCoupler<StraightStream<TcpStream>>;
type Connection = Accepted<Coupler, StraightStream<TcpStream>>;

/// Accepts connections of balancers. Headers are read by tasks of their own, so that a slow one delays nobody.
pub(super) struct ProxyAcceptor {
    listener: TcpListener,
    holdings: Vec<Holding>,
    balancers: Vec<Network>,
    awaited: JoinSet<Option<Connection>>,
    closed: Arc<Closed>,
}

impl ProxyAcceptor {
    /// Accepts on `listener` what comes from `balancers`.
    ///
    /// # Errors
    ///
    /// What the system answers about the socket.
    pub(super) fn new(listener: TcpListener, balancers: Vec<Network>) -> io::Result<Self> {
        let holding = Holding {
            local_addr: listener.local_addr()?.into(),
            http_versions: vec![Version::HTTP_11],
            http_scheme: Scheme::HTTP,
        };
        Ok(Self {
            listener,
            holdings: vec![holding],
            balancers,
            awaited: JoinSet::new(),
            closed: Arc::default(),
        })
    }

    /// Reads the header of a new connection in a task.
    fn receive(&mut self, stream: TcpStream, peer: SocketAddr, policy: Option<ArcFusePolicy>) {
        if !self.balancers.iter().any(|network| network.contains(peer.ip())) {
            return self.closed.log(peer, &Failure::Stranger);
        }
        let (closed, holdings) = (Arc::clone(&self.closed), self.holdings.clone());
        self.awaited.spawn(async move {
            let header = tokio::time::timeout(HEADER_TIME, read_header(&stream)).await;
            let client = match header.unwrap_or(Err(Failure::Late)) {
                Ok(Sender::Client(address)) => address,
                Ok(Sender::Balancer) => peer,
                Err(failure) => {
                    closed.log(peer, &failure);
                    return None;
                }
            };
            admit(stream, client, holdings.into_iter().next()?, policy).await
        });
    }
}

impl Acceptor for ProxyAcceptor {
    type Coupler = Coupler;
    type Stream = StraightStream<TcpStream>;

    fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    async fn accept(&mut self, policy: Option<ArcFusePolicy>) -> io::Result<Connection> {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.awaited.len() < MOST_AWAITED => {
                    let (stream, peer) = accepted?;
                    self.receive(stream, peer, policy.clone());
                }
                Some(read) = self.awaited.join_next() => {
                    match read {
                        Ok(Some(connection)) => return Ok(connection),
                        Ok(None) => {}
                        Err(error) => tracing::error!(%error, "a task that reads a PROXY header failed"),
                    }
                }
            }
        }
    }
}

/// The connection as the server wants it, unless its policy rejects it.
async fn admit(
    stream: TcpStream,
    client: SocketAddr,
    holding: Holding,
    policy: Option<ArcFusePolicy>,
) -> Option<Connection> {
    let (local_addr, remote_addr) = (holding.local_addr, client.into());
    let conn_ctrl = ConnCtrl::new();
    let info = FuseInfo { trans_proto: TransProto::Tcp, remote_addr, local_addr };
    let (fuse_config, observer) = match policy {
        None => (None, None),
        Some(policy) => match policy.decide(&info).await {
            FuseAction::Accept(config) => (Some(config), policy.observe(&info, &conn_ctrl)),
            FuseAction::Reject => return None,
        },
    };
    Some(Accepted {
        coupler: TcpCoupler::new(),
        stream: StraightStream::new(stream, fuse_config, conn_ctrl.clone(), observer),
        fuse_config,
        conn_ctrl,
        local_addr: info.local_addr,
        remote_addr: info.remote_addr,
        http_scheme: holding.http_scheme,
    })
}

/// Takes the header from the stream and not a byte more.
async fn read_header(stream: &TcpStream) -> Result<Sender, Failure> {
    let mut buffer = [0; V2_MAX_BYTES];
    let mut taken = 0_usize;
    loop {
        let seen = match stream.peek(buffer.get_mut(taken..).unwrap_or_default()).await? {
            0 => return Err(Failure::Ended),
            new => taken.saturating_add(new),
        };
        let header = parse(buffer.get(..seen).unwrap_or_default())?;
        // Only taking bytes makes the next look wait for new ones.
        let wanted = header.map_or(seen, |header| header.length);
        match stream.try_read(buffer.get_mut(taken..wanted).unwrap_or_default()) {
            Ok(count) => taken = taken.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(header) = header
            && header.length == taken
        {
            return Ok(header.sender);
        }
    }
}

/// Why a connection was closed before it began.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it does not come from a network in PROXY_PROTOCOL_FROM")]
    Stranger,
    #[error(transparent)]
    Header(#[from] Invalid),
    #[error("its PROXY header did not arrive in time")]
    Late,
    #[error("it ended before its PROXY header was complete")]
    Ended,
    #[error("it broke off")]
    Broken(#[from] io::Error),
}

/// Counts the connections that were closed, and logs once a minute at most.
struct Closed {
    count: AtomicU64,
    log_lines: RateLimiter<NotKeyed, InMemoryState, MonotonicClock>,
}

impl Default for Closed {
    fn default() -> Self {
        let one_per_minute = Quota::per_minute(NonZeroU32::MIN);
        Self {
            count: AtomicU64::new(0),
            log_lines: RateLimiter::direct_with_clock(one_per_minute, MonotonicClock),
        }
    }
}

impl Closed {
    fn log(&self, peer: SocketAddr, failure: &Failure) {
        let closed = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Failure::Ended | Failure::Broken(_) = failure {
            // What health checks of balancers look like that only see whether the port is open.
            tracing::debug!(%peer, closed, "closed a connection: {failure}");
        } else if self.log_lines.check().is_ok() {
            tracing::warn!(%peer, closed, "closed a connection from {peer}: {failure}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.1 43981 443\r\n";

    /// A connection to ourselves: both ends.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn send(stream: &TcpStream, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            stream.writable().await.unwrap();
            if let Ok(count) = stream.try_write(bytes) {
                bytes = &bytes[count..];
            }
        }
    }

    async fn receive(stream: &TcpStream) -> Vec<u8> {
        loop {
            stream.readable().await.unwrap();
            let mut buffer = [0; 64];
            if let Ok(count) = stream.try_read(&mut buffer) {
                return buffer[..count].to_vec();
            }
        }
    }

    #[tokio::test]
    async fn rate_02_what_follows_the_header_stays_for_tls() {
        let (client, server) = pair().await;
        send(&client, &[V1, b"\x16\x03\x01"].concat()).await;
        let sender = read_header(&server).await.unwrap();
        assert_eq!(sender, Sender::Client("203.0.113.7:43981".parse().unwrap()));
        assert_eq!(receive(&server).await, b"\x16\x03\x01");
    }

    #[tokio::test]
    async fn rate_02_a_header_may_come_in_pieces_and_must_come_whole() {
        let (client, server) = pair().await;
        let reader = tokio::spawn(async move { (read_header(&server).await, server) });
        for byte in V1 {
            send(&client, &[*byte]).await;
            tokio::task::yield_now().await;
        }
        let (sender, _server) = reader.await.unwrap();
        assert_eq!(sender.unwrap(), Sender::Client("203.0.113.7:43981".parse().unwrap()));

        let (client, server) = pair().await;
        send(&client, &V1[..20]).await;
        drop(client);
        assert!(matches!(read_header(&server).await, Err(Failure::Ended)));
    }

    #[tokio::test]
    async fn rate_02_a_silent_connection_does_not_hold_up_the_next_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor =
            ProxyAcceptor::new(listener, vec!["127.0.0.1".parse().unwrap()]).unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let wrong = TcpStream::connect(address).await.unwrap();
        send(&wrong, b"GET / HTTP/1.1\r\n\r\n").await;
        let right = TcpStream::connect(address).await.unwrap();
        send(&right, V1).await;
        let accepted = acceptor.accept(None).await.unwrap();
        assert_eq!(accepted.remote_addr.to_string(), "socket://203.0.113.7:43981");
        assert_eq!(acceptor.awaited.len(), 1, "the silent one");
    }

    #[tokio::test(start_paused = true)]
    async fn rate_02_a_header_has_five_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor =
            ProxyAcceptor::new(listener, vec!["127.0.0.1".parse().unwrap()]).unwrap();
        let silent = TcpStream::connect(address).await.unwrap();
        let begin = tokio::time::Instant::now();
        tokio::select! {
            _ = acceptor.accept(None) => panic!("there is nothing to accept"),
            end = receive(&silent) => assert!(end.is_empty()),
        }
        assert_eq!(begin.elapsed(), HEADER_TIME);
    }
}
