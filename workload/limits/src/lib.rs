//! What the services bear of one client and of all together. The charm checks its option `limits` with it, the server obeys it.
//!
//! Invariant: a limit has one name, one default and one range, all of them here; `docs/settings.md` repeats them, and a test compares.

mod given;

use std::time::Duration;

use self::given::{GIB, Given, KIB, MIB};

pub use self::given::{Entry, InvalidLimits};

/// All limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of the Cluster Connector.
    pub connector: ServiceLimits,
    /// Of the Management API.
    pub management: ServiceLimits,
    /// Of all bodies of requests.
    pub body: BodyLimits,
    /// Of joins.
    pub join: JoinLimits,
    /// Of heartbeats.
    pub heartbeat: HeartbeatLimits,
    /// Of the metrics in heartbeats.
    pub samples: SampleLimits,
    /// Of tunnels.
    pub tunnel: TunnelLimits,
    /// Of logins.
    pub session: SessionLimits,
    entries: Vec<Entry>,
}

/// What one service bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Most connections at a time; further ones wait in the kernel.
    pub connections: usize,
    /// Longest time until the client says hello, and again for the handshake.
    pub handshake_time: Duration,
    /// Most bytes of request line and headers.
    pub header_bytes: usize,
    /// Most headers.
    pub headers: usize,
    /// Longest time to complete the headers.
    pub header_time: Duration,
    /// Longest wait for the next request on a connection.
    pub keep_alive: Duration,
    /// Longest time for a body.
    pub body_time: Duration,
    /// Most bytes of bodies in memory at a time.
    pub bodies_bytes: usize,
    /// Longest time from the end of a request to its answer.
    pub answer_time: Duration,
}

/// What a body of a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Least bytes per second, after the first five seconds, over any ten.
    pub rate: usize,
    /// Deepest nesting of objects and lists in JSON.
    pub json_depth: usize,
    /// Most bytes of a JSON body of the Management API.
    pub json_bytes: usize,
}

/// What a join may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinLimits {
    /// Most bytes of its body.
    pub bytes: usize,
    /// Most tokens that were neither used nor have expired.
    pub tokens: i64,
}

/// What a heartbeat may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatLimits {
    /// Most bytes of its body.
    pub bytes: usize,
    /// Most entries in each list of states, and of storage pools.
    pub entries: usize,
    /// Longest text, in bytes.
    pub text_bytes: usize,
    /// Longest address of the cluster's own UI, in bytes.
    pub url_bytes: usize,
    /// Most entries in the list of metrics.
    pub metrics: usize,
    /// Longest text of metrics, in bytes; a longer one is not forwarded.
    pub metrics_bytes: usize,
}

/// What is forwarded of the metrics in heartbeats; the rest is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLimits {
    /// Most samples of one heartbeat.
    pub samples: usize,
    /// Most different series of one cluster within an hour.
    pub series: usize,
    /// Most labels of a sample.
    pub labels: usize,
    /// Longest name of a metric or label, in bytes.
    pub name_bytes: usize,
    /// Longest value of a label, in bytes.
    pub value_bytes: usize,
}

/// What goes through a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelLimits {
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// Most bytes of a message of a cluster: an answer with its body in base64.
    pub message_bytes: usize,
    /// Most requests that wait for their turn at one cluster.
    pub waiting: usize,
    /// Longest time that a request waits for its turn.
    pub waiting_time: Duration,
    /// Longest time from the end of a request to its answer.
    pub answer_time: Duration,
}

/// How many logins are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Of one person; those longest unused end.
    pub per_user: i64,
    /// Of all people; those longest unused end.
    pub total: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::take(&mut Given::default())
    }
}

impl Default for HeartbeatLimits {
    fn default() -> Self {
        Limits::default().heartbeat
    }
}

impl Limits {
    /// Reads `name=number` with commas or white space between them, such as `connector-headers=64, heartbeat-bytes=32MiB`. What is not
    /// named has its default. Bytes may have the units `KiB`, `MiB` and `GiB`.
    ///
    /// # Errors
    ///
    /// [`InvalidLimits`] says which entry is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Self, InvalidLimits> {
        let mut given = Given::read(text)?;
        let limits = Self::take(&mut given);
        given.finish()?;
        Ok(limits)
    }

    /// All limits with their names, in a fixed order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn take(given: &mut Given<'_>) -> Self {
        Self {
            connector: ServiceLimits::take(given, "connector", &CONNECTOR),
            management: ServiceLimits::take(given, "management", &MANAGEMENT_API),
            body: BodyLimits::take(given),
            join: JoinLimits::take(given),
            heartbeat: HeartbeatLimits::take(given),
            samples: SampleLimits::take(given),
            tunnel: TunnelLimits::take(given),
            session: SessionLimits::take(given),
            entries: given.entries(),
        }
    }
}

/// The defaults in which the services differ; times in seconds.
struct Defaults {
    connections: u64,
    header_bytes: u64,
    headers: u64,
    keep_alive: u64,
    body_time: u64,
    bodies_bytes: u64,
    /// It cannot be longer either: the database's own limits end there.
    answer_time: u64,
}

const CONNECTOR: Defaults = Defaults {
    connections: 30_000,
    header_bytes: 16 * KIB,
    headers: 64,
    keep_alive: 5,
    body_time: 60,
    bodies_bytes: 256 * MIB,
    answer_time: 10,
};

const MANAGEMENT_API: Defaults = Defaults {
    connections: 2000,
    header_bytes: 32 * KIB,
    headers: 100,
    keep_alive: 60,
    body_time: 30,
    bodies_bytes: 64 * MIB,
    answer_time: 15,
};

impl ServiceLimits {
    fn take(given: &mut Given<'_>, service: &str, default: &Defaults) -> Self {
        let name = |limit: &str| format!("{service}-{limit}");
        Self {
            connections: given
                .number(
                    name("connections"),
                    default.connections,
                    1..=1_000_000,
                    "Connections at a time; further ones wait in the kernel",
                )
                .count(),
            handshake_time: given
                .number(
                    name("handshake-seconds"),
                    10,
                    1..=300,
                    "Until a client says hello, and again for its handshake",
                )
                .seconds(),
            header_bytes: given.bytes(
                name("header-bytes"),
                default.header_bytes,
                8 * KIB..=MIB,
                "Request line and headers; more is answered with 431",
            ),
            headers: given
                .number(
                    name("headers"),
                    default.headers,
                    16..=1000,
                    "Headers; more are answered with 431",
                )
                .count(),
            header_time: given
                .number(name("header-seconds"), 5, 1..=300, "Until the headers are complete")
                .seconds(),
            keep_alive: given
                .number(
                    name("keep-alive-seconds"),
                    default.keep_alive,
                    1..=3600,
                    "Until the next request on a connection",
                )
                .seconds(),
            body_time: given
                .number(
                    name("body-seconds"),
                    default.body_time,
                    1..=3600,
                    "Until a body is complete; longer ones are answered with 408",
                )
                .seconds(),
            bodies_bytes: given.bytes(
                name("bodies-bytes"),
                default.bodies_bytes,
                MIB..=64 * GIB,
                "Bodies in memory at a time; what does not fit is answered with 503",
            ),
            answer_time: given
                .number(
                    name("answer-seconds"),
                    default.answer_time,
                    1..=default.answer_time,
                    "From the end of a request to its answer, else 503",
                )
                .seconds(),
        }
    }
}

impl BodyLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            rate: given.bytes(
                "body-bytes-per-second",
                4 * KIB,
                1..=MIB,
                "Least that a body grows by over any ten seconds after the first five, else 408",
            ),
            json_depth: given
                .number(
                    "json-depth",
                    16,
                    4..=100,
                    "Levels of objects and lists; more are answered with 400",
                )
                .count(),
            json_bytes: given.bytes(
                "management-body-bytes",
                256 * KIB,
                KIB..=64 * MIB,
                "JSON body of a request to the Management API; a longer one is answered with 413",
            ),
        }
    }
}

impl JoinLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            bytes: given.bytes(
                "join-bytes",
                64 * KIB,
                16 * KIB..=MIB,
                "Body of a join; a longer one is answered with 413",
            ),
            tokens: given.number(
                "join-tokens",
                10_000,
                1..=1_000_000,
                "Tokens that were neither used nor have expired; a further one is answered with 409",
            ).rows(),
        }
    }
}

impl HeartbeatLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            bytes: given.bytes(
                "heartbeat-bytes",
                64 * MIB,
                KIB..=GIB,
                "Body of a heartbeat; a longer one is answered with 413",
            ),
            entries: given.number(
                "heartbeat-entries",
                4096,
                1..=1_000_000,
                "Entries in each list of states, and of storage pools; more are answered with 400",
            ).count(),
            text_bytes: given.bytes(
                "heartbeat-text-bytes",
                256,
                16..=64 * KIB,
                "State, name or load; a longer one is answered with 400",
            ),
            url_bytes: given.bytes(
                "heartbeat-ui-url-bytes",
                2048,
                16..=64 * KIB,
                "Address of a cluster's own UI; a longer one is answered with 400",
            ),
            metrics: given.number(
                "heartbeat-metrics",
                512,
                1..=100_000,
                "Entries in the list of metrics; more are answered with 400",
            ).count(),
            metrics_bytes: given.bytes(
                "heartbeat-metrics-bytes",
                4 * MIB,
                KIB..=GIB,
                "Metrics of one member; longer ones are not forwarded",
            ),
        }
    }
}

impl SampleLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            samples: given.number(
                "heartbeat-samples",
                200_000,
                1..=100_000_000,
                "Samples of one heartbeat; further ones are not forwarded",
            ).count(),
            series: given.number(
                "cluster-series",
                500_000,
                1..=100_000_000,
                "Different series of one cluster within an hour; further ones are not forwarded",
            ).count(),
            labels: given.number(
                "sample-labels",
                64,
                1..=1000,
                "Labels of a sample; one with more is not forwarded",
            ).count(),
            name_bytes: given.bytes(
                "sample-name-bytes",
                256,
                16..=64 * KIB,
                "Name of a metric or label; a sample with a longer one is not forwarded",
            ),
            value_bytes: given.bytes(
                "sample-value-bytes",
                1024,
                16..=64 * KIB,
                "Value of a label; a sample with a longer one is not forwarded",
            ),
        }
    }
}

impl TunnelLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            body_bytes: given.bytes(
                "tunnel-body-bytes",
                8 * MIB,
                KIB..=64 * MIB,
                "Body of a request to a cluster; a longer one is answered with 413",
            ),
            message_bytes: given.bytes(
                "tunnel-message-bytes",
                32 * MIB,
                64 * KIB..=GIB,
                "Answer of a cluster, its body in base64; a longer one ends the tunnel",
            ),
            waiting: given.number(
                "tunnel-waiting",
                16,
                0..=10_000,
                "Requests that wait for their turn at one cluster; a further one is answered with 503",
            ).count(),
            waiting_time: given.number(
                "tunnel-waiting-seconds",
                30,
                1..=300,
                "Until it is a request's turn, else 503",
            ).seconds(),
            answer_time: given.number(
                "tunnel-answer-seconds",
                40,
                1..=300,
                "From the end of a request to a cluster to its answer, else 504",
            ).seconds(),
        }
    }
}

impl SessionLimits {
    fn take(given: &mut Given<'_>) -> Self {
        Self {
            per_user: given
                .number(
                    "sessions-per-user",
                    16,
                    1..=10_000,
                    "Logins of one person at a time; those longest unused end",
                )
                .rows(),
            total: given
                .number(
                    "sessions",
                    10_000,
                    1..=1_000_000,
                    "Logins of all people at a time; those longest unused end",
                )
                .rows(),
        }
    }
}
