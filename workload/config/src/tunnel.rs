//! Settings of the reverse tunnels.

use std::net::IpAddr;

use crate::Reader;

/// Settings of the reverse tunnels.
#[derive(Debug, Clone)]
pub struct Tunnel {
    /// `TUNNEL_PORT`, default 9001: where a Cluster Connector listens, on `SERVER_HOST`, for requests of the Management API.
    pub port: u16,
    /// `TUNNEL_ADDRESS`: the address at which the Management API reaches this unit's port. Without it `SERVER_HOST` is taken, or,
    /// where that is no single address, the one that the machine uses towards the database.
    pub address: Option<IpAddr>,
    /// `TUNNEL_FORWARD_ACCESS_TOKEN`, default false: requests through a tunnel carry the operator's access token.
    pub forward_access_token: bool,
}

impl Tunnel {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        let address = read.text("TUNNEL_ADDRESS").and_then(|text| {
            let address: Option<IpAddr> = text.trim().parse().ok();
            let address = address.filter(|address| !address.is_unspecified());
            if address.is_none() {
                read.refuse("TUNNEL_ADDRESS", "an IP address that other units can connect to");
            }
            address
        });
        Self {
            port: read.parsed("TUNNEL_PORT", 9001, "a port, 0 to 65535"),
            address,
            forward_access_token: read.boolean("TUNNEL_FORWARD_ACCESS_TOKEN", false),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn parse(name: &'static str, value: &'static str) -> Result<Config, crate::InvalidSettings> {
        Config::parse(move |asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn tun_08_forwarding_the_access_token_is_off_unless_switched_on() {
        let forwards = |value| {
            parse("TUNNEL_FORWARD_ACCESS_TOKEN", value).unwrap().tunnel.forward_access_token
        };
        assert!(!forwards("") && !forwards("false"));
        assert!(forwards("true"));
        assert!(parse("TUNNEL_FORWARD_ACCESS_TOKEN", "yes").is_err());
    }

    #[test]
    fn the_address_is_one_that_can_be_connected_to() {
        for good in ["10.1.2.3", "2001:db8::1", " 127.0.0.1 "] {
            assert!(parse("TUNNEL_ADDRESS", good).unwrap().tunnel.address.is_some(), "{good}");
        }
        for bad in ["0.0.0.0", "::", "unit.example", "10.1.2.3:9001"] {
            assert!(parse("TUNNEL_ADDRESS", bad).is_err(), "{bad}");
        }
    }
}
