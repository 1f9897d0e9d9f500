use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use salvo::conn::SocketAddr;
use workload_config::{Balancer, Network};

/// Whom an address stands for: one IPv4 address, or one IPv6 /64, which is what one customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerNetwork {
    /// The whole address.
    V4(u32),
    /// The upper half of the address.
    V6(u64),
}

impl From<IpAddr> for PeerNetwork {
    fn from(address: IpAddr) -> Self {
        // A socket that listens on both shows IPv4 clients as ::ffff:a.b.c.d: they must not all share one /64.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(u128::from(address) >> 64).unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for PeerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(address) => Ipv4Addr::from(address).fmt(f),
            Self::V6(upper) => write!(f, "{}/64", Ipv6Addr::from(u128::from(upper) << 64)),
        }
    }
}

/// The key of limits that all clients of this unit share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unit;

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all clients of this unit together")
    }
}

/// Which addresses of peers are those of the clients themselves.
#[derive(Debug, Clone)]
pub enum Peers {
    /// All: the PROXY protocol names the client.
    Clients,
    /// All but those of the balancers.
    ClientsOutside(Vec<Network>),
    /// None for certain: without the PROXY protocol any address may be a balancer's.
    Unknown,
}

impl Peers {
    /// What the settings say.
    #[must_use]
    pub fn new(balancer: &Balancer) -> Self {
        match (balancer.proxy_protocol, balancer.networks.is_empty()) {
            (true, _) => Self::Clients,
            (false, false) => Self::ClientsOutside(balancer.networks.clone()),
            (false, true) => Self::Unknown,
        }
    }

    /// What `peer` is limited by; `None` where its address may stand for many clients.
    #[must_use]
    pub fn client(&self, peer: &SocketAddr) -> Option<PeerNetwork> {
        let address = peer.ip()?;
        let known = match self {
            Self::Clients => true,
            Self::ClientsOutside(balancers) => {
                !balancers.iter().any(|network| network.contains(address))
            }
            Self::Unknown => false,
        };
        known.then(|| address.into())
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients => "the PROXY protocol is required: limits per address apply to the addresses that it names",
            Self::ClientsOutside(_) => "the PROXY protocol is off: limits per address apply outside PROXY_PROTOCOL_FROM",
            Self::Unknown => "the PROXY protocol is off: anonymous requests are limited per unit, not per address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> PeerNetwork {
        address.parse::<IpAddr>().unwrap().into()
    }

    fn peer(address: &str) -> SocketAddr {
        address.parse::<std::net::SocketAddr>().unwrap().into()
    }

    #[test]
    fn rate_01_an_address_is_one_ipv4_address_or_one_ipv6_64() {
        for (address, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(network(address).to_string(), shown);
        }
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_ne!(network("0.0.0.1"), network("0:0:0:1::"));
    }

    #[test]
    fn rate_02_without_the_proxy_protocol_only_addresses_that_are_no_balancers_count() {
        let balancer = |proxy_protocol, networks: &[&str]| {
            let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
            Peers::new(&Balancer { proxy_protocol, networks })
        };
        let (inside, outside) = (peer("10.0.0.1:5"), peer("203.0.113.1:5"));
        let off = balancer(false, &[]);
        assert_eq!((off.client(&inside), off.client(&outside)), (None, None));
        let off = balancer(false, &["10.0.0.0/8"]);
        assert_eq!(off.client(&inside), None);
        assert_eq!(off.client(&outside), Some(network("203.0.113.1")));
        let required = balancer(true, &["10.0.0.0/8"]);
        assert_eq!(
            required.client(&inside),
            Some(network("10.0.0.1")),
            "a client in the same range"
        );
        assert_eq!(required.client(&outside), Some(network("203.0.113.1")));
    }
}
