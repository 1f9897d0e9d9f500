//! The PROXY protocol's header, against a second implementation.

use std::net::SocketAddr;

use cluster_manager::edge::proxy_protocol::{Header, Sender, parse};

use super::ensure;
use crate::{Target, Verdict};

const V1_MOST: usize = 107;
const V2_MOST: usize = 536;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(super) fn target() -> Target {
    Target {
        name: "proxy_header",
        dictionary: &[
            "PROXY ",
            "TCP4 ",
            "TCP6 ",
            "UNKNOWN",
            "\r\n",
            " ",
            "203.0.113.7 ",
            "2001:db8::7 ",
            "::ffff:1.2.3.4 ",
            " 65535",
            " 0",
            "\r\n\r\n\0\r\nQUIT\n",
            "\u{21}\u{11}\0\u{c}",
            "\u{21}\u{21}\0\u{24}",
            "\u{20}\0\0\0",
        ],
        max_bytes: 1024,
        changes: 8000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    let whole = parse(input);
    let first =
        (0..=input.len()).map(|end| parse(&input[..end])).find(|verdict| *verdict != Ok(None));
    ensure!(first.unwrap_or(Ok(None)) == whole, "how the bytes are cut makes a difference");
    let header = match whole {
        Err(error) => return Ok(format!("{error:?}")),
        Ok(None) => return Ok(format!("unfinished {}", super::size(input.len()))),
        Ok(Some(header)) => header,
    };
    let most = if input.starts_with(V2_START) { V2_MOST } else { V1_MOST };
    ensure!(header.length <= input.len().min(most), "it is {} bytes long", header.length);
    let kind = match header.sender {
        Sender::Client(SocketAddr::V4(_)) => "IPv4",
        Sender::Client(SocketAddr::V6(_)) => "IPv6",
        Sender::Balancer => "balancer",
    };
    // The specification says to skip what follows UNKNOWN; the other implementation counts the words.
    if !input.starts_with(b"PROXY UNKNOWN ") {
        let mut bytes = input.to_vec();
        if bytes.starts_with(V2_START) && bytes[12] == 0x20 {
            bytes[13] = 0; // with the command LOCAL the family means nothing; the other one wants a right one
        }
        let other = second_opinion(&bytes);
        ensure!(other == Some(header), "{header:?} is read, not {other:?}");
    }
    Ok(format!("{kind}, version {}", if most == V1_MOST { 1 } else { 2 }))
}

/// What the other implementation makes of the same bytes; `None` when it takes them for no header.
fn second_opinion(bytes: &[u8]) -> Option<Header> {
    use ppp::v1::Addresses as V1;
    use ppp::v2::{Addresses as V2, Command};
    let (client, length) = if bytes.starts_with(V2_START) {
        let header = ppp::v2::Header::try_from(bytes).ok()?;
        let client = match (header.command, header.addresses) {
            (Command::Local, _) | (_, V2::Unspecified) => None,
            (_, V2::IPv4(ip)) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
            (_, V2::IPv6(ip)) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
            (_, V2::Unix(_)) => return None,
        };
        (client, header.header.len())
    } else {
        let header = ppp::v1::Header::try_from(bytes).ok()?;
        let client = match header.addresses {
            V1::Unknown => None,
            V1::Tcp4(ip) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
            V1::Tcp6(ip) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
        };
        (client, header.header.len())
    };
    Some(Header { sender: client.map_or(Sender::Balancer, Sender::Client), length })
}
