//! Connections on which nothing is asked.
//!
//! Over HTTP/1.1 an idle connection is closed when the next request does not come in time. Over HTTP/2 the library waits for as long as
//! pings are answered: whoever opens connections and answers pings would keep their places for ever, and clusters would find none.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use salvo::conn::{ConnCtrl, SocketAddr as Peer};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The connections of one listener. A hoop that sees their requests; clones see the same.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Connections>>);

#[derive(Default)]
struct Connections {
    by_peer: HashMap<SocketAddr, Connection>,
    next: u64,
}

struct Connection {
    /// An address and port may come back before the end of the earlier connection was noticed.
    number: u64,
    control: ConnCtrl,
    /// Requests that are being answered.
    requests: usize,
    /// When the last of them was answered, or the connection began.
    since: Instant,
}

impl Idle {
    /// Sees a connection until what it returns is dropped.
    pub(super) fn see(&self, peer: &Peer, control: &ConnCtrl) -> Option<Seen> {
        let peer = peer.clone().into_std()?;
        let mut all = self.lock();
        let number = all.next;
        all.next = number.wrapping_add(1);
        let (control, since) = (control.clone(), Instant::now());
        all.by_peer.insert(peer, Connection { number, control, requests: 0, since });
        Some(Seen { idle: self.clone(), peer, number })
    }

    /// Until `stop`: closes connections that have been idle for `patience`, after what is still being sent there.
    pub(super) async fn close(self, patience: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
            for connection in self.lock().by_peer.values() {
                let is_idle = connection.requests == 0 && connection.since.elapsed() >= patience;
                // One that has become a tunnel has time limits of its own.
                if is_idle && !connection.control.is_relaxed() {
                    connection.control.graceful_shutdown();
                }
            }
        }
    }

    fn begun(&self, peer: SocketAddr) -> Option<Asked<'_>> {
        let mut all = self.lock();
        let connection = all.by_peer.get_mut(&peer)?;
        connection.requests = connection.requests.saturating_add(1);
        Some(Asked { idle: self, peer, number: connection.number })
    }

    /// Nothing panics while the table is locked; were it so, it would still be usable.
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for Idle {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let _asked = req.remote_addr().clone().into_std().and_then(|peer| self.begun(peer));
        ctrl.call_next(req, depot, res).await;
    }
}

/// A request that is being answered; it is over also when the client goes away.
struct Asked<'a> {
    idle: &'a Idle,
    peer: SocketAddr,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut all = self.idle.lock();
        let connection = all.by_peer.get_mut(&self.peer);
        if let Some(connection) = connection.filter(|known| known.number == self.number) {
            connection.requests = connection.requests.saturating_sub(1);
            connection.since = Instant::now();
        }
    }
}

/// A connection that is seen.
pub(super) struct Seen {
    idle: Idle,
    peer: SocketAddr,
    number: u64,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let mut all = self.idle.lock();
        if all.by_peer.get(&self.peer).is_some_and(|known| known.number == self.number) {
            all.by_peer.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use salvo::{Router, handler};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::edge::{BodyRoom, Limits, Listener, service};
    use crate::metrics::Metrics;

    #[handler]
    async fn works() -> &'static str {
        "fine"
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn lim_02_who_only_answers_pings_keeps_no_connection() {
        const SETTINGS: u8 = 4;
        const PING: u8 = 6;
        const ACK: u8 = 1;
        let limits =
            Limits { connections: 8, ..workload_config::Limits::default().connector.into() };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None, limits).unwrap();
        let router = Router::new().get(works);
        let service = service(router, BodyRoom::of(1 << 20), &Metrics::new("test").unwrap());
        let address = listener.serve(service, &tasks, stop.clone(), Duration::ZERO).unwrap();
        for asks in [false, true] {
            let begin = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
            if asks {
                // GET / over http with the authority `x` (RFC 7541, appendix A).
                let request = frame(1, 5, 1, b"\x82\x84\x86\x41\x01x");
                stream.write_all(&request).await.unwrap();
            }
            let mut head = [0; 9];
            let mut answered = false;
            while stream.read_exact(&mut head).await.is_ok() {
                let [0, high, low, kind, flags, ..] = head else { panic!("{head:?}") };
                let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
                stream.read_exact(&mut payload).await.unwrap();
                answered |= kind == 1;
                if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
                    let echo = if kind == PING { payload } else { Vec::new() };
                    drop(stream.write_all(&frame(kind, ACK, 0, &echo)).await);
                }
                assert!(begin.elapsed() < Duration::from_mins(10), "it is still there");
            }
            assert_eq!(answered, asks);
            assert!(begin.elapsed() >= Duration::from_secs(15), "{:?}", begin.elapsed());
        }
        stop.cancel();
    }
}
