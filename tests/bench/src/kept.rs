//! A connection that stays open, with as little work on the client's side as there can be: it shares the machine with what is measured.

use cluster_simulator::tls::{self, Dial, Trust};
use cluster_simulator::{Member, STATUS_PATH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::Error;

/// A mutual TLS connection of a member, and one heartbeat in the bytes that are sent each time.
pub(crate) struct KeptConnection {
    stream: TlsStream<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl KeptConnection {
    pub(crate) async fn open(member: &Member, body: &[u8]) -> Result<Self, Error> {
        let address = member.pin().addresses.first().ok_or("a member without an address")?;
        let identity = Some(member.identity());
        let stream = tls::connect(address, &Trust::Anything, identity, Dial::default()).await?;
        let length = body.len();
        let head = format!(
            "POST {STATUS_PATH} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {length}\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        Ok(Self { stream, request, answer: Vec::with_capacity(4 << 10) })
    }

    /// Sends the heartbeat and waits for the whole answer.
    pub(crate) async fn send(&mut self) -> Result<(), Error> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        while !is_complete(&self.answer)? {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the connection was closed without an answer".into());
            }
        }
        Ok(())
    }
}

/// Whether it is all of an answer.
fn is_complete(answer: &[u8]) -> Result<bool, Error> {
    const END: &str = "\r\n\r\n";
    const LENGTH: &str = "content-length: ";
    let answer = std::str::from_utf8(answer)?;
    let Some((head, body)) = answer.split_once(END) else { return Ok(false) };
    let length = head.lines().find_map(|line| line.strip_prefix(LENGTH)).ok_or("no length")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(head.lines().next().unwrap_or_default().into());
    }
    Ok(body.len() >= length.parse()?)
}
