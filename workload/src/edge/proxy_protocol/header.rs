//! The header of the PROXY protocol, versions 1 and 2 (HAProxy, "The PROXY protocol", revision 2020/03/05).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, with its line end.
pub(super) const V1_MAX_BYTES: usize = 107;
/// Longest header of version 2 that is accepted, extensions included. The specification wants every receiver to take 536.
pub(super) const V2_MAX_BYTES: usize = 536;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;

/// Who speaks on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The client at this address.
    Client(SocketAddr),
    /// The balancer itself, or somebody whose address it does not know.
    Balancer,
}

/// A complete header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Who speaks on the connection that begins with it.
    pub sender: Sender,
    /// Length of the header in bytes: what follows is the client's.
    pub length: usize,
}

/// Bytes that do not begin with a header that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The bytes begin with something else.
    #[error("there is no PROXY header")]
    Missing,
    /// It is longer than any that is accepted.
    #[error("the PROXY header is too long")]
    TooLong,
    /// It is not right in every byte.
    #[error("the PROXY header does not follow its specification")]
    Malformed,
    /// UDP, a Unix socket or something unknown.
    #[error("the PROXY header is for another kind of connection than TCP")]
    NotTcp,
}

/// Reads the header at the beginning of `bytes`; `None` as long as the bytes so far are only a part of one.
///
/// # Errors
///
/// [`Invalid`] as soon as no further bytes can make it a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    if begins_alike(bytes, V1_START) {
        parse_v1(bytes)
    } else if begins_alike(bytes, V2_START) {
        parse_v2(bytes)
    } else {
        Err(Invalid::Missing)
    }
}

/// Whether the one is how the other begins.
fn begins_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let Some(end) = bytes.iter().take(V1_MAX_BYTES).position(|byte| *byte == b'\n') else {
        return if bytes.len() < V1_MAX_BYTES { Ok(None) } else { Err(Invalid::TooLong) };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| str::from_utf8(line).ok()).ok_or(Invalid::Malformed)?;
    let mut words = line.split(' ').skip(1);
    let sender = match words.next() {
        Some("UNKNOWN") => Some(Sender::Balancer), // whatever follows
        Some("TCP4") => client(words, |text| text.parse::<Ipv4Addr>().ok()),
        Some("TCP6") => client(words, |text| text.parse::<Ipv6Addr>().ok()),
        _ => None,
    };
    Ok(Some(Header { sender: sender.ok_or(Invalid::Malformed)?, length: end.saturating_add(1) }))
}

/// `<source> <destination> <source port> <destination port>`. The destination is checked and not used: it is the balancer.
fn client<'a, A: Into<std::net::IpAddr>>(
    words: impl Iterator<Item = &'a str>,
    address: impl Fn(&str) -> Option<A>,
) -> Option<Sender> {
    let words: Vec<&str> = words.take(5).collect();
    let [source, destination, source_port, destination_port] = words.as_slice() else {
        return None;
    };
    let (source, _) = (address(source)?, address(destination)?);
    let (source_port, _) = (port(source_port)?, port(destination_port)?);
    Some(Sender::Client(SocketAddr::new(source.into(), source_port)))
}

/// A decimal number without a sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = digits && (text == "0" || !text.starts_with('0'));
    if is_canonical { text.parse().ok() } else { None }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let Some(([.., version_and_command, family, high, low], rest)) =
        bytes.split_first_chunk::<V2_FIXED_BYTES>()
    else {
        return Ok(None);
    };
    let announced = usize::from(u16::from_be_bytes([*high, *low]));
    let length = V2_FIXED_BYTES.saturating_add(announced);
    if length > V2_MAX_BYTES {
        return Err(Invalid::TooLong);
    }
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Invalid::Malformed),
    };
    let Some(addresses) = rest.get(..announced) else { return Ok(None) };
    let sender = match family {
        _ if is_local => Sender::Balancer, // for example a health check; the family means nothing
        0x00 => Sender::Balancer,
        0x11 => v4_client(addresses).ok_or(Invalid::Malformed)?,
        0x21 => v6_client(addresses).ok_or(Invalid::Malformed)?,
        _ => return Err(Invalid::NotTcp),
    };
    Ok(Some(Header { sender, length }))
}

/// Source and destination address, then their ports; extensions that follow are skipped.
fn v4_client(addresses: &[u8]) -> Option<Sender> {
    let (source, rest) = addresses.split_first_chunk::<4>()?;
    let ([_, _, _, _, high, low, _, _], _) = rest.split_first_chunk::<8>()?;
    let port = u16::from_be_bytes([*high, *low]);
    Some(Sender::Client(SocketAddr::new(Ipv4Addr::from(*source).into(), port)))
}

fn v6_client(addresses: &[u8]) -> Option<Sender> {
    let (source, rest) = addresses.split_first_chunk::<16>()?;
    let (_, rest) = rest.split_first_chunk::<16>()?;
    let ([high, low, _, _], _) = rest.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([*high, *low]);
    Some(Sender::Client(SocketAddr::new(Ipv6Addr::from(*source).into(), port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [V2_START, &[command, family], &length, addresses].concat()
    }

    fn client(text: &str) -> Sender {
        Sender::Client(text.parse().unwrap())
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xab, 0xcd, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        [&address("2001:db8::7")[..], &address("::1"), &[0x12, 0x34, 0x01, 0xbb]].concat()
    }

    #[test]
    fn rate_02_headers_as_the_specification_has_them() {
        let extensions = [&V4[..], &[0x04, 0x00, 0x03, 0, 0, 0], &[0xee; 100]].concat();
        let longest = [&V4[..], &vec![0x04; V2_MAX_BYTES - 16 - 12]].concat();
        let unknown = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
        let ip6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest_v1 = format!("PROXY TCP6 {ip6} {ip6} 65535 65535\r\n");
        for (header, sender) in [
            (
                b"PROXY TCP4 203.0.113.7 10.0.0.1 43981 443\r\n".to_vec(),
                client("203.0.113.7:43981"),
            ),
            (
                b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n".to_vec(),
                client("255.255.255.255:65535"),
            ),
            (b"PROXY TCP6 2001:db8::7 ::1 4660 443\r\n".to_vec(), client("[2001:db8::7]:4660")),
            (longest_v1.into_bytes(), client(&format!("[{ip6}]:65535"))),
            (b"PROXY UNKNOWN\r\n".to_vec(), Sender::Balancer),
            (unknown.to_vec(), Sender::Balancer),
            (v2(0x21, 0x11, &V4), client("203.0.113.7:43981")),
            (v2(0x21, 0x21, &v6()), client("[2001:db8::7]:4660")),
            (v2(0x21, 0x11, &extensions), client("203.0.113.7:43981")),
            (v2(0x21, 0x11, &longest), client("203.0.113.7:43981")),
            (v2(0x21, 0x00, &[]), Sender::Balancer),
            (v2(0x21, 0x00, &[1, 2, 3]), Sender::Balancer),
            (v2(0x20, 0x00, &[]), Sender::Balancer),
            (v2(0x20, 0x11, &V4), Sender::Balancer),
            (v2(0x20, 0xff, &[9]), Sender::Balancer),
        ] {
            let expected = Header { sender, length: header.len() };
            assert_eq!(parse(&header), Ok(Some(expected)), "{}", header.escape_ascii());
            let followed = [&header[..], b"\x16\x03\x01\n\r\n"].concat();
            assert_eq!(parse(&followed), Ok(Some(expected)), "{}", followed.escape_ascii());
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(None), "{}", header[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn rate_02_everything_else_is_refused() {
        let too_long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 92], b"\r\n".to_vec()].concat();
        assert_eq!(too_long.len(), V1_MAX_BYTES + 1);
        for (bytes, reason) in [
            (b"\x16\x03\x01\x02\x00\x01".to_vec(), Invalid::Missing),
            (b"GET / HTTP/1.1\r\n".to_vec(), Invalid::Missing),
            (b"PROXYTCP4".to_vec(), Invalid::Missing),
            (b"proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), Invalid::Missing),
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), Invalid::Missing),
            (too_long.clone(), Invalid::TooLong),
            (too_long[..V1_MAX_BYTES].to_vec(), Invalid::TooLong),
            (b"PROXY UNKNOWN\n".to_vec(), Invalid::Malformed),
            (b"PROXY \r\n".to_vec(), Invalid::Malformed),
            (b"PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7  10.0.0.1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 01 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 +1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 203.0.113.07 10.0.0.1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n".to_vec(), Invalid::Malformed),
            (b"PROXY TCP4 \xff 10.0.0.1 1 2\r\n".to_vec(), Invalid::Malformed),
            (v2(0x22, 0x11, &V4), Invalid::Malformed),
            (v2(0x11, 0x11, &V4), Invalid::Malformed),
            (v2(0x31, 0x11, &V4), Invalid::Malformed),
            (v2(0x21, 0x11, &V4[..11]), Invalid::Malformed),
            (v2(0x21, 0x21, &v6()[..35]), Invalid::Malformed),
            (v2(0x21, 0x12, &V4), Invalid::NotTcp),
            (v2(0x21, 0x22, &v6()), Invalid::NotTcp),
            (v2(0x21, 0x31, &[0; 216]), Invalid::NotTcp),
            (v2(0x21, 0x01, &[]), Invalid::NotTcp),
            (v2(0x21, 0x11, &[0; 521])[..16].to_vec(), Invalid::TooLong),
            (v2(0x20, 0x00, &[0; 521])[..16].to_vec(), Invalid::TooLong),
        ] {
            assert_eq!(parse(&bytes), Err(reason), "{}", bytes.escape_ascii());
        }
    }
}
