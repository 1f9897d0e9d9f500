//! What TLS costs by itself: handshakes between two state machines in memory, no socket, no HTTP. This is the least that a
//! heartbeat can cost with fresh connections; everything above it is ours, the kernel's or PostgreSQL's.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cluster_manager::tls::{ClientCertificates, Presented, ServerIdentity, server_config};
use cluster_simulator::Identity;
use cluster_simulator::tls::{KeyExchange, Trust, client_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use crate::Error;
use crate::fleet::Manager;

/// Handshakes of each kind, one after the other. Their median is taken, so that other work on the machine does not count.
const HANDSHAKES: usize = 400;
/// The same where there is a pause before each.
const PAUSED: usize = 100;

/// The server's share of one handshake, by client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handshakes {
    /// Without a client certificate: the preflight.
    pub(crate) anonymous: Duration,
    /// With a P-384 client certificate, whose signature is checked.
    pub(crate) mutual: Duration,
}

/// Measures the connector's own TLS settings with the certificate of `manager`, one handshake after the other.
pub(crate) fn measure(manager: &Manager, key_exchange: KeyExchange) -> Result<Handshakes, Error> {
    medians(manager, key_exchange, HANDSHAKES, Duration::ZERO)
}

/// The same with a pause before each handshake: a processor that did nothing for a while is slower at first.
pub(crate) fn measure_with_pauses(manager: &Manager, pause: Duration) -> Result<Handshakes, Error> {
    medians(manager, KeyExchange::default(), PAUSED, pause)
}

fn medians(
    manager: &Manager,
    key_exchange: KeyExchange,
    count: usize,
    pause: Duration,
) -> Result<Handshakes, Error> {
    let identity = ServerIdentity::from_directory(&manager.folder)?;
    let server = Arc::new(server_config(Presented::new(identity), ClientCertificates::Requested)?);
    let member = Identity::generate("floor")?;
    let median = |identity: Option<&Identity>| -> Result<Duration, Error> {
        let client = Arc::new(client_config(&Trust::Anything, identity, key_exchange)?);
        let mut times = (0..count)
            .map(|_| {
                thread::sleep(pause);
                handshake(&server, &client)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        times.sort_unstable();
        times.get(count / 2).copied().ok_or_else(|| "no handshake was made".into())
    };
    Ok(Handshakes { anonymous: median(None)?, mutual: median(Some(&member))? })
}

/// The time that the server's side of one handshake takes.
fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Duration, Error> {
    let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from("127.0.0.1")?)?;
    let mut took = Duration::ZERO;
    let mut timed = |work: &mut dyn FnMut() -> Result<(), Error>| {
        let begin = Instant::now();
        work()?;
        took += begin.elapsed();
        Ok::<(), Error>(())
    };
    let mut connection = None;
    timed(&mut || {
        connection = Some(ServerConnection::new(Arc::clone(server))?);
        Ok(())
    })?;
    let mut server = connection.ok_or("no connection")?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight)?;
        }
        let mut answer = Vec::new();
        timed(&mut || {
            let mut flight = flight.as_slice();
            while !flight.is_empty() {
                server.read_tls(&mut flight)?;
                server.process_new_packets()?;
            }
            while server.wants_write() {
                server.write_tls(&mut answer)?;
            }
            Ok(())
        })?;
        let mut answer = answer.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer)?;
            client.process_new_packets()?;
        }
    }
    Ok(took)
}
