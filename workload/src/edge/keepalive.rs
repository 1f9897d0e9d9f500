//! Connections whose other end went away without a word: a machine that lost its power, a NAT that forgot its table.
//!
//! Nothing tells of such an end but the silence, and to a program that only reads it looks like patience. The kernel asks instead.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

/// When the kernel gives up a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keepalive {
    /// Silence before it asks whether somebody is there, and between two questions; in whole seconds.
    pub(super) interval: Duration,
    /// Questions without an answer.
    pub(super) retries: u32,
    /// How long what was sent may stay unacknowledged.
    pub(super) unacknowledged: Duration,
}

impl Keepalive {
    /// Of the listeners (security property REL-18). The database has the same, clients of other servers what reqwest sets.
    pub(super) const LISTENER: Self = Self {
        interval: Duration::from_secs(15),
        retries: 4,
        unacknowledged: Duration::from_mins(1),
    };

    /// Sets it for a socket; the connections that a listening one accepts inherit it, so that it costs them nothing.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn set(self, socket: impl AsFd) -> std::io::Result<()> {
        let unacknowledged = u32::try_from(self.unacknowledged.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_socket_keepalive(&socket, true)?;
        sockopt::set_tcp_keepidle(&socket, self.interval)?;
        sockopt::set_tcp_keepintvl(&socket, self.interval)?;
        sockopt::set_tcp_keepcnt(&socket, self.retries)?;
        sockopt::set_tcp_user_timeout(&socket, unacknowledged)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use socket2::{SockFilter, SockRef};

    use super::*;

    /// A connection with the shortest patience that the kernel knows, both ends.
    fn pair() -> (TcpStream, TcpStream) {
        let second = Duration::from_secs(1);
        let short = Keepalive { interval: second, retries: 2, unacknowledged: second * 2 };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        short.set(&listener).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The test fails instead of waiting for ever.
        server.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        (server, client)
    }

    /// From now on nothing reaches the socket, not even what the kernel itself would answer.
    fn cut(socket: &TcpStream) {
        const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0); // BPF_RET | BPF_K: keep no byte
        SockRef::from(socket).attach_filter(&[DROP_ALL]).unwrap();
    }

    #[test]
    fn rel_18_an_idle_connection_whose_other_end_is_silently_gone_ends() {
        let (mut server, client) = pair();
        cut(&client);
        let error = server.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn rel_18_what_is_never_acknowledged_ends_the_connection() {
        let (mut server, client) = pair();
        cut(&client);
        server.write_all(b"answer").unwrap();
        let error = server.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn rel_18_a_quiet_connection_whose_other_end_is_there_stays() {
        let (mut server, mut client) = pair();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let error = server.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "the patience of the test ends: {error}");
        client.write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 1);
    }
}
