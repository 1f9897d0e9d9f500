//! Listening sockets with their limits.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::ServerConfig;
use salvo::conn::Acceptor;
use salvo::conn::tcp::TcpAcceptor;
use salvo::fuse::FuseConfig;
use salvo::{Server, Service};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workload_config::{Balancer, Network, ServiceLimits};

use super::framing::FramedAcceptor;
use super::handshakes::Handshakes;
use super::idle::Idle;
use super::keepalive::Keepalive;
use super::proxy_protocol::ProxyAcceptor;
use super::rate_limit::Newcomers;
use crate::metrics::Metrics;

/// Connections that wait in the kernel; it takes as many as its own limit allows, `net.core.somaxconn`, which is 4,096 as a rule.
const BACKLOG: u32 = 1 << 15;

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at a time; further ones wait in the kernel.
    pub connections: usize,
    /// Longest time until the client says hello, and again for the TLS handshake once it is its turn.
    pub handshake_time: Duration,
    /// Most bytes of request line and headers.
    pub header_bytes: usize,
    /// Most headers.
    pub headers: usize,
    /// Longest time to complete the headers.
    pub header_time: Duration,
    /// Longest wait for the next request on an HTTP/1.1 connection, if it is longer than the time for headers; one of HTTP/2 is
    /// closed a little later.
    pub keep_alive: Duration,
    /// Longest time without any byte on a connection; at least as long as a request may wait and take.
    pub idle: Duration,
}

impl From<ServiceLimits> for Limits {
    fn from(limits: ServiceLimits) -> Self {
        Self {
            connections: limits.connections,
            handshake_time: limits.handshake_time,
            header_bytes: limits.header_bytes,
            headers: limits.headers,
            header_time: limits.header_time,
            keep_alive: limits.keep_alive,
            idle: limits.keep_alive + Duration::from_mins(1),
        }
    }
}

/// A bound socket: what goes wrong with the address is known before anything is served.
pub struct Listener {
    tcp: tokio::net::TcpListener,
    tls: Option<(ServerConfig, Metrics)>,
    limits: Limits,
    /// Where connections come from that begin with a PROXY header; `None` when none does.
    balancers: Option<Vec<Network>>,
    newcomers: Newcomers,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one. With `tls` it speaks nothing else, and counts the handshakes.
    ///
    /// # Errors
    ///
    /// What the system answers, for example that the address is in use.
    pub fn bind(
        address: SocketAddr,
        tls: Option<(ServerConfig, Metrics)>,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        // Inherited by the accepted connections.
        socket.set_nodelay(true)?;
        Keepalive::LISTENER.set(&socket)?;
        socket.bind(address)?;
        Ok(Self {
            tcp: socket.listen(BACKLOG)?,
            tls,
            limits,
            balancers: None,
            newcomers: Newcomers::unlimited(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the system answers about the bound socket.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Reads PROXY headers when the settings require them.
    #[must_use]
    pub fn behind(mut self, balancer: &Balancer) -> Self {
        self.balancers = balancer.proxy_protocol.then(|| balancer.networks.clone());
        self
    }

    /// Closes connections beyond the limit of those that have not shown who they are.
    #[must_use]
    pub fn limit(mut self, newcomers: &Newcomers) -> Self {
        self.newcomers = newcomers.clone();
        self
    }

    /// Serves until `stop`, then lets running requests finish within `grace`. The server runs as a task of `tasks`.
    ///
    /// # Errors
    ///
    /// What the system answers about the bound socket.
    pub fn serve(
        self,
        service: Service,
        tasks: &TaskTracker,
        stop: CancellationToken,
        grace: Duration,
    ) -> std::io::Result<SocketAddr> {
        let address = self.tcp.local_addr()?;
        let Self { tcp, tls, limits, balancers, newcomers } = self;
        let limits = (limits, newcomers);
        if let Some(balancers) = balancers {
            let tcp = ProxyAcceptor::new(tcp, balancers)?;
            start(tcp, tls, limits, service, tasks, stop, grace);
        } else {
            let tcp = TcpAcceptor::try_from(tcp)?;
            start(tcp, tls, limits, service, tasks, stop, grace);
        }
        Ok(address)
    }
}

fn start<A>(
    tcp: A,
    tls: Option<(ServerConfig, Metrics)>,
    limits: (Limits, Newcomers),
    service: Service,
    tasks: &TaskTracker,
    stop: CancellationToken,
    grace: Duration,
) where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send> + Send + 'static,
{
    let mut timeouts = FuseConfig::default()
        .with_http1_header_timeout(limits.0.header_time)
        .with_connection_idle_timeout(limits.0.idle)
        .with_write_stall_timeout(Duration::from_secs(30))
        .with_request_body_timeout(Duration::from_secs(10));
    if let Some((config, metrics)) = tls {
        // These run from the acceptance of a connection, which may have to wait for its turn: the handshakes look after the time.
        timeouts.tls_handshake_timeout = None;
        timeouts.http1_header_timeout = None;
        let tls = Handshakes::new(tcp, config, metrics, &limits.0);
        let server = Server::new(FramedAcceptor::new(tls, limits.0.header_time));
        tasks.spawn(run(server, timeouts, limits, service, stop, grace));
    } else {
        let server = Server::new(FramedAcceptor::new(tcp, limits.0.header_time));
        tasks.spawn(run(server, timeouts, limits, service, stop, grace));
    }
}

async fn run<A: salvo::conn::Acceptor + Send>(
    server: Server<A>,
    timeouts: FuseConfig,
    (limits, newcomers): (Limits, Newcomers),
    service: Service,
    stop: CancellationToken,
    grace: Duration,
) {
    let idle = Idle::default();
    let mut server =
        server.max_connections(limits.connections).fuse_policy(newcomers.protect(timeouts, &idle));
    server
        .http1_mut()
        .header_read_timeout(limits.keep_alive.max(limits.header_time))
        .max_buf_size(limits.header_bytes)
        .max_headers(limits.headers);
    let list_size = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    server
        .http2_mut()
        .max_header_list_size(list_size)
        .max_concurrent_streams(100)
        .timer(salvo::rt::tokio::TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(10));
    let handle = server.handle();
    // A new connection has its handshake before it, too, and may have to wait for that.
    let patience = limits.header_time + limits.handshake_time + limits.idle;
    tokio::spawn(idle.clone().close(patience, stop.clone()));
    tokio::spawn(async move {
        stop.cancelled().await;
        handle.stop_graceful(grace);
    });
    // Accepting costs next to nothing, and what nobody accepts the kernel turns away in the end: it goes on for as long as somebody
    // waits, however much others have to do.
    let serve = tokio::task::coop::unconstrained(server.try_serve(service.hoop(idle)));
    if let Err(error) = serve.await {
        tracing::error!(%error, "a listener failed");
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt;

    use super::*;

    #[tokio::test]
    async fn rel_18_every_connection_is_watched_by_the_kernel() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let limits = Limits::from(workload_config::Limits::default().management);
            let listener = Listener::bind(address.parse().unwrap(), None, limits).unwrap();
            let client = tokio::net::TcpStream::connect(listener.address().unwrap());
            let (_client, accepted) = tokio::join!(client, listener.tcp.accept());
            let (socket, _) = accepted.unwrap();
            assert!(sockopt::socket_keepalive(&socket).unwrap());
            assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), Duration::from_secs(15));
            assert_eq!(sockopt::tcp_keepintvl(&socket).unwrap(), Duration::from_secs(15));
            assert_eq!(sockopt::tcp_keepcnt(&socket).unwrap(), 4);
            assert_eq!(sockopt::tcp_user_timeout(&socket).unwrap(), 60_000);
            assert!(socket.nodelay().unwrap());
        }
    }
}
