//! Settings of the rate limits and of the balancer in front of the services.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::{Network, Reader};

/// The token buckets of both services. The first six settings have the names and the meaning that existing deployments know.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// `RATE_LIMIT_REFILL_RATE`: tokens per second of one cluster, and of one address that shows no enrolled certificate;
    /// default 1.
    pub refill_rate: f64,
    /// `RATE_LIMIT_BUCKET_SIZE`: burst of the same, default 30.
    pub bucket_size: NonZeroU32,
    /// `RATE_LIMIT_CLIENT_ACTIVE_INTERVAL_SECONDS`, default 60: a client whose bucket has been full for so long is forgotten.
    pub client_active_interval: Duration,
    /// `RATE_LIMIT_CLEANUP_INTERVAL_SECONDS`, default 600: time between two looks for clients to forget.
    pub cleanup_interval: Duration,
    /// `RATE_LIMIT_LOG_INTERVAL_SECONDS`, default 60: least time between two log lines about one client.
    pub log_interval: Duration,
    /// `RATE_LIMIT_MAX_CLIENTS`: capacity of each table, default 100,000.
    pub max_clients: NonZeroU32,
    /// `RATE_LIMIT_CONNECTIONS_PER_ADDRESS`, default 64: connections of one address at a time that have not shown who they are,
    /// where the address is the client's own.
    pub connections_per_address: NonZeroU32,
    /// `RATE_LIMIT_UNKNOWN_PER_UNIT`, default `1000:5000`: requests with no enrolled certificate, where the address of the
    /// client is not known.
    pub unknown_per_unit: Rate,
    /// `RATE_LIMIT_PREFLIGHT_PER_ADDRESS` and `_PER_UNIT`, default `50:50` and `5000:5000`: requests that anyone may make and
    /// that every member makes before each call.
    pub preflight: AnonymousLimit,
    /// `RATE_LIMIT_JOIN_PER_ADDRESS` and `_PER_UNIT`, default `1:10` and `50:50`: attempts to join.
    pub join: AnonymousLimit,
    /// `RATE_LIMIT_LOGIN_PER_ADDRESS` and `_PER_UNIT`, default `1:20` and `50:50`: begun and finished logins.
    pub login: AnonymousLimit,
}

/// The limit of one kind of request from clients that nobody knows yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnonymousLimit {
    /// Of one IPv4 address or one IPv6 /64, where the address is the client's own.
    pub per_address: Rate,
    /// Of all clients of one unit together.
    pub per_unit: Rate,
}

/// A token bucket, written `RATE:BURST`, for example `1:30`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens per second, 0.001 to 1,000,000.
    pub per_second: f64,
    /// Size of the bucket; it begins full.
    pub burst: NonZeroU32,
}

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as 1:30")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (per_second, burst) = text.split_once(':').ok_or(InvalidRate)?;
        let per_second = per_second.parse().map_err(|_| InvalidRate)?;
        let burst = burst.parse().map_err(|_| InvalidRate)?;
        if is_rate(per_second) { Ok(Self { per_second, burst }) } else { Err(InvalidRate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.per_second, self.burst)
    }
}

fn is_rate(per_second: f64) -> bool {
    (0.001..=1_000_000.0).contains(&per_second)
}

/// Most clients that a table may be set up for: beyond it the empty table alone would be large.
const MOST_CLIENTS: u32 = 10_000_000;

impl RateLimit {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        const REFILL: &str = "tokens per second, a decimal number from 0.001 to 1000000";
        const CLIENTS: &str = "a whole number, 1 to 10000000";
        let refill_rate = read.parsed("RATE_LIMIT_REFILL_RATE", 1.0, REFILL);
        if !is_rate(refill_rate) {
            read.refuse("RATE_LIMIT_REFILL_RATE", REFILL);
        }
        let max_clients = read.parsed("RATE_LIMIT_MAX_CLIENTS", count(100_000), CLIENTS);
        if max_clients.get() > MOST_CLIENTS {
            read.refuse("RATE_LIMIT_MAX_CLIENTS", CLIENTS);
        }
        let mut rate = |name: &str, per_second: f64, burst: u32| {
            let default = Rate { per_second, burst: count(burst) };
            read.parsed(name, default, "RATE:BURST, tokens per second and bucket size such as 1:30")
        };
        let unknown_per_unit = rate("RATE_LIMIT_UNKNOWN_PER_UNIT", 1000.0, 5000);
        let preflight = AnonymousLimit {
            per_address: rate("RATE_LIMIT_PREFLIGHT_PER_ADDRESS", 50.0, 50),
            per_unit: rate("RATE_LIMIT_PREFLIGHT_PER_UNIT", 5000.0, 5000),
        };
        let join = AnonymousLimit {
            per_address: rate("RATE_LIMIT_JOIN_PER_ADDRESS", 1.0, 10),
            per_unit: rate("RATE_LIMIT_JOIN_PER_UNIT", 50.0, 50),
        };
        let login = AnonymousLimit {
            per_address: rate("RATE_LIMIT_LOGIN_PER_ADDRESS", 1.0, 20),
            per_unit: rate("RATE_LIMIT_LOGIN_PER_UNIT", 50.0, 50),
        };
        let mut interval = |name: &str, default| read.seconds(name, default, 1..=86_400);
        Self {
            client_active_interval: interval("RATE_LIMIT_CLIENT_ACTIVE_INTERVAL_SECONDS", 60),
            cleanup_interval: interval("RATE_LIMIT_CLEANUP_INTERVAL_SECONDS", 600),
            log_interval: interval("RATE_LIMIT_LOG_INTERVAL_SECONDS", 60),
            bucket_size: read.parsed("RATE_LIMIT_BUCKET_SIZE", count(30), "a whole number above 0"),
            connections_per_address: read.parsed(
                "RATE_LIMIT_CONNECTIONS_PER_ADDRESS",
                count(64),
                "a whole number above 0",
            ),
            refill_rate,
            max_clients,
            unknown_per_unit,
            preflight,
            join,
            login,
        }
    }

    /// What one cluster may do, and one address that shows no enrolled certificate.
    #[must_use]
    pub fn per_client(&self) -> Rate {
        Rate { per_second: self.refill_rate, burst: self.bucket_size }
    }
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// What stands between the clients and the services.
#[derive(Debug, Clone, Default)]
pub struct Balancer {
    /// `PROXY_PROTOCOL`: `required` when each connection begins with a PROXY header, `off` (the default) when none does.
    pub proxy_protocol: bool,
    /// `PROXY_PROTOCOL_FROM`: networks of the balancers, separated by commas. With `required` nobody else may connect. With
    /// `off` the addresses outside these networks are known to be those of clients; when it is empty no address is.
    pub networks: Vec<Network>,
}

impl Balancer {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        let text = read.text("PROXY_PROTOCOL");
        let proxy_protocol = match text.as_deref().map(str::trim) {
            None | Some("off") => false,
            Some("required") => true,
            Some(_) => {
                read.refuse("PROXY_PROTOCOL", "off or required");
                false
            }
        };
        let text = read.text("PROXY_PROTOCOL_FROM").unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks: Result<Vec<Network>, _> = parts.map(str::parse).collect();
        if networks.is_err() {
            read.refuse("PROXY_PROTOCOL_FROM", "networks such as 10.0.0.0/8, separated by commas");
        } else if proxy_protocol && networks.as_ref().is_ok_and(Vec::is_empty) {
            read.refuse("PROXY_PROTOCOL_FROM", "set when PROXY_PROTOCOL is required");
        }
        Self { proxy_protocol, networks: networks.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, InvalidSettings};

    fn parse(settings: &[(&str, &str)]) -> Result<Config, InvalidSettings> {
        Config::parse(|name| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn rate_08_the_known_names_keep_their_meaning() {
        let limits = parse(&[
            ("RATE_LIMIT_REFILL_RATE", "0.5"),
            ("RATE_LIMIT_BUCKET_SIZE", "7"),
            ("RATE_LIMIT_CLIENT_ACTIVE_INTERVAL_SECONDS", "61"),
            ("RATE_LIMIT_CLEANUP_INTERVAL_SECONDS", "62"),
            ("RATE_LIMIT_LOG_INTERVAL_SECONDS", "63"),
            ("RATE_LIMIT_MAX_CLIENTS", "64"),
        ])
        .unwrap()
        .rate_limit;
        assert_eq!(limits.per_client().to_string(), "0.5:7");
        assert_eq!(limits.client_active_interval, Duration::from_secs(61));
        assert_eq!(limits.cleanup_interval, Duration::from_secs(62));
        assert_eq!(limits.log_interval, Duration::from_secs(63));
        assert_eq!(limits.max_clients.get(), 64);
    }

    #[test]
    fn rate_04_the_defaults_are_the_documented_ones() {
        let limits = parse(&[]).unwrap().rate_limit;
        let anonymous = |limit: AnonymousLimit| format!("{} {}", limit.per_address, limit.per_unit);
        assert_eq!(limits.per_client().to_string(), "1:30");
        assert_eq!(anonymous(limits.preflight), "50:50 5000:5000");
        assert_eq!(anonymous(limits.join), "1:10 50:50");
        assert_eq!(anonymous(limits.login), "1:20 50:50");
        assert_eq!(limits.max_clients.get(), 100_000);
    }

    #[test]
    fn a_limit_that_would_let_nobody_through_is_refused() {
        for (name, value) in [
            ("RATE_LIMIT_REFILL_RATE", "0"),
            ("RATE_LIMIT_REFILL_RATE", "-1"),
            ("RATE_LIMIT_REFILL_RATE", "NaN"),
            ("RATE_LIMIT_REFILL_RATE", "inf"),
            ("RATE_LIMIT_BUCKET_SIZE", "0"),
            ("RATE_LIMIT_MAX_CLIENTS", "0"),
            ("RATE_LIMIT_MAX_CLIENTS", "10000001"),
            ("RATE_LIMIT_JOIN_PER_UNIT", "5"),
            ("RATE_LIMIT_JOIN_PER_UNIT", "0:5"),
            ("RATE_LIMIT_JOIN_PER_UNIT", "5:0"),
            ("RATE_LIMIT_JOIN_PER_UNIT", "5:5:5"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{name}={value}: {error}");
        }
    }

    #[test]
    fn rate_02_the_header_is_required_only_from_named_networks() {
        let off = parse(&[]).unwrap().balancer;
        assert!(!off.proxy_protocol && off.networks.is_empty());
        let on =
            parse(&[("PROXY_PROTOCOL", "required"), ("PROXY_PROTOCOL_FROM", "10.0.0.0/8, ::1")])
                .unwrap()
                .balancer;
        assert!(on.proxy_protocol);
        assert_eq!(on.networks, ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        for bad in [
            &[("PROXY_PROTOCOL", "required")][..],
            &[("PROXY_PROTOCOL", "required"), ("PROXY_PROTOCOL_FROM", " , ")],
            &[("PROXY_PROTOCOL", "on"), ("PROXY_PROTOCOL_FROM", "::/0")],
            &[("PROXY_PROTOCOL_FROM", "balancer.example")],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
