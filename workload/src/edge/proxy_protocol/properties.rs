//! What holds for every sequence of bytes, also against a second implementation.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::header::{Header, Sender, V1_MAX_BYTES, V2_MAX_BYTES, parse};

/// Bytes that are a header, nearly one, or nothing of the kind.
fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("PROXY".to_owned()),
        Just("TCP4".to_owned()),
        Just("TCP6".to_owned()),
        Just("UNKNOWN".to_owned()),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        any::<u16>().prop_map(|port| port.to_string()),
        "[ -~]{0,8}",
    ];
    let loose = (prop::collection::vec(word, 0..8), any::<Vec<u8>>())
        .prop_map(|(words, rest)| [words.join(" ").as_bytes(), b"\r\n", &rest].concat());
    let v1 =
        (any::<SocketAddr>(), any::<SocketAddr>(), any::<bool>()).prop_map(|(from, to, six)| {
            let family = if six { "TCP6" } else { "TCP4" };
            let (source, destination) = (from.ip(), to.ip());
            format!("PROXY {family} {source} {destination} {} {}\r\n", from.port(), to.port())
                .into_bytes()
        });
    let v2 = (
        prop_oneof![Just(0x20_u8), Just(0x21), any::<u8>()],
        prop_oneof![Just(0x00_u8), Just(0x11), Just(0x21), any::<u8>()],
        prop::option::weighted(0.2, 0..600_u16),
        prop::collection::vec(any::<u8>(), 0..60),
    )
        .prop_map(|(command, family, announced, rest)| {
            let announced = announced.unwrap_or(u16::try_from(rest.len()).unwrap());
            [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &announced.to_be_bytes(), &rest]
                .concat()
        });
    prop_oneof![loose, v1, v2, any::<Vec<u8>>()]
}

/// What the other implementation makes of the same bytes; `None` when it takes them for no header.
fn second_opinion(bytes: &[u8]) -> Option<Header> {
    use ppp::v1::Addresses as V1;
    use ppp::v2::{Addresses as V2, Command};
    if let Ok(header) = ppp::v2::Header::try_from(bytes) {
        let client = match (header.command, header.addresses) {
            (Command::Local, _) | (_, V2::Unspecified) => None,
            (_, V2::IPv4(ip)) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
            (_, V2::IPv6(ip)) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
            (_, V2::Unix(_)) => return None,
        };
        let sender = client.map_or(Sender::Balancer, Sender::Client);
        return Some(Header { sender, length: header.header.len() });
    }
    let header = ppp::v1::Header::try_from(bytes).ok()?;
    let client = match header.addresses {
        V1::Unknown => None,
        V1::Tcp4(ip) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
        V1::Tcp6(ip) => Some(SocketAddr::new(ip.source_address.into(), ip.source_port)),
    };
    let sender = client.map_or(Sender::Balancer, Sender::Client);
    Some(Header { sender, length: header.header.len() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rate_02_a_header_is_within_its_limits_and_never_longer_than_the_bytes(bytes in inputs()) {
        if let Ok(Some(header)) = parse(&bytes) {
            prop_assert!(header.length <= bytes.len());
            let most = if bytes.starts_with(b"PROXY ") { V1_MAX_BYTES } else { V2_MAX_BYTES };
            prop_assert!(header.length <= most);
        }
    }

    #[test]
    fn rate_02_how_the_bytes_are_cut_makes_no_difference(bytes in inputs()) {
        let whole = parse(&bytes);
        let first_verdict = (0..=bytes.len()).map(|end| parse(&bytes[..end])).find(|v| *v != Ok(None));
        prop_assert_eq!(first_verdict.unwrap_or(Ok(None)), whole);
    }

    #[test]
    fn rate_02_a_second_implementation_reads_the_same(bytes in inputs()) {
        // The specification says to skip what follows UNKNOWN; the other one counts the words.
        prop_assume!(!bytes.starts_with(b"PROXY UNKNOWN "));
        let mut bytes = bytes;
        if bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x20") && bytes.len() > 13 {
            bytes[13] = 0; // with the command LOCAL the family means nothing; the other one wants a right one
        }
        if let Ok(Some(header)) = parse(&bytes) {
            prop_assert_eq!(second_opinion(&bytes), Some(header), "{}", bytes.escape_ascii());
        }
    }
}
