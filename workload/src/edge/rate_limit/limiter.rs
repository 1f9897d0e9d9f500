use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use workload_config::{Rate, RateLimit};

use super::MonotonicClock;
use super::table::Table;

/// Most log lines per minute about refusals of one kind, whoever they are about.
const LOG_LINES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// What a bucket belongs to.
pub trait Key: Copy + Eq + Hash + fmt::Display + Send + Sync + 'static {}

impl<K: Copy + Eq + Hash + fmt::Display + Send + Sync + 'static> Key for K {}

/// governor's limiter for any clock.
type Gcra<K, S, C> = RateLimiter<K, S, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// There is no token: how long until there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub Duration);

/// Token buckets of one kind, one per key, each full when its key first appears.
///
/// The arithmetic is governor's (the generic cell rate algorithm): a bucket is one number, the moment when it will be full
/// again.
pub struct Limiter<K: Key, C: Clock = MonotonicClock> {
    name: &'static str,
    buckets: Gcra<Ask<K>, Buckets<K>, C>,
    log_lines: Gcra<Ask<K>, Buckets<K>, C>,
    all_log_lines: Gcra<NotKeyed, InMemoryState, C>,
    refused: AtomicU64,
}

impl<K: Key, C: Clock + Clone> Limiter<K, C> {
    /// Buckets of size and rate `rate`. `name` says in the log what is limited: "joins".
    pub fn new(name: &'static str, rate: Rate, settings: &RateLimit, clock: &C) -> Self {
        let buckets = Buckets {
            table: Table::new(usize::try_from(settings.max_clients.get()).unwrap_or(usize::MAX)),
            idle: settings.client_active_interval.into(),
        };
        let log_buckets = Buckets { table: Table::new(1024), idle: Nanos::default() };
        let log_line = quota(settings.log_interval, NonZeroU32::MIN);
        Self {
            name,
            buckets: RateLimiter::new(
                quota(Duration::from_secs_f64(rate.per_second.recip()), rate.burst),
                buckets,
                clock.clone(),
            ),
            log_lines: RateLimiter::new(log_line, log_buckets, clock.clone()),
            all_log_lines: RateLimiter::new(
                Quota::per_minute(LOG_LINES_PER_MINUTE),
                InMemoryState::default(),
                clock.clone(),
            ),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes a token of `key`.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none; nothing is taken then.
    pub fn take(&self, key: K) -> Result<(), Refused> {
        self.ask(Ask { key, take: true })
    }

    /// Looks whether `key` has a token, and takes none.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    pub fn look(&self, key: K) -> Result<(), Refused> {
        self.ask(Ask { key, take: false })
    }

    /// Takes a token of `key` if there is one; whoever is charged has had the answer already.
    pub fn charge(&self, key: K) {
        drop(self.buckets.check_key(&Ask { key, take: true }));
    }

    /// How many requests were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many keys have a bucket.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no key has a bucket.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`super::Limit::forget_idle`].
    pub fn forget_idle(&self) {
        self.buckets.retain_recent();
        self.log_lines.retain_recent();
    }

    fn ask(&self, ask: Ask<K>) -> Result<(), Refused> {
        self.buckets.check_key(&ask).map_err(|until| {
            let wait = until.wait_time_from(self.buckets.clock().now());
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.log(ask.key, wait);
            Refused(wait)
        })
    }

    /// One line per key and interval, and not too many altogether: a flood from a million addresses must not fill the disk.
    fn log(&self, key: K, wait: Duration) {
        let line = Ask { key, take: true };
        if self.log_lines.check_key(&line).is_ok() && self.all_log_lines.check().is_ok() {
            tracing::warn!(
                limit = self.name,
                client = %key,
                wait_s = wait.as_secs_f64(),
                refused = self.refused(),
                "too many {} by {key}: answered with 429",
                self.name
            );
        }
    }
}

fn quota(period: Duration, burst: NonZeroU32) -> Quota {
    // `None` only for a period of zero, which no rate and no interval of the settings has.
    Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst)
}

/// What is asked of the buckets: governor hands it to them as the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Ask<K> {
    key: K,
    /// Whether the token is taken or only looked at.
    take: bool,
}

/// Where governor keeps, for each key, when its bucket will be full again, in nanoseconds since the limiter was made.
struct Buckets<K> {
    table: Table<K>,
    /// How long a bucket is kept after it became full.
    idle: Nanos,
}

impl<K: Key> StateStore for Buckets<K> {
    type Key = Ask<K>;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask<K>, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if !ask.take {
            return decide(self.table.get(&ask.key).map(Nanos::from)).map(|(value, _)| value);
        }
        self.table.update(&ask.key, |full_at| {
            decide(full_at.map(Nanos::from)).map(|(value, full_at)| (value, full_at.into()))
        })
    }
}

impl<K: Key> ShrinkableKeyedStateStore<Ask<K>> for Buckets<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.table.retain(drop_below.saturating_sub(self.idle).into());
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn is_empty(&self) -> bool {
        self.table.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::edge::rate_limit::{PeerNetwork, Unit};

    fn settings(changes: &[(&str, &str)]) -> RateLimit {
        let find = |name: &str| {
            changes.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        workload_config::Config::parse(find).unwrap().rate_limit
    }

    fn limiter(rate: &str, clock: &FakeRelativeClock) -> Limiter<PeerNetwork, FakeRelativeClock> {
        Limiter::new("tests", rate.parse().unwrap(), &settings(&[]), clock)
    }

    const ANNA: PeerNetwork = PeerNetwork::V4(1);
    const BERT: PeerNetwork = PeerNetwork::V4(2);

    #[test]
    fn rate_04_a_burst_and_then_the_rate() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter("1:30", &clock);
        for n in 0..30 {
            assert_eq!(limiter.take(ANNA), Ok(()), "request {n}");
        }
        assert_eq!(limiter.take(ANNA), Err(Refused(Duration::from_secs(1))));
        for _ in 0..10 {
            clock.advance(Duration::from_secs(1));
            assert_eq!(limiter.take(ANNA), Ok(()));
            assert!(limiter.take(ANNA).is_err());
        }
        clock.advance(Duration::from_mins(20));
        for _ in 0..30 {
            assert_eq!(limiter.take(ANNA), Ok(()));
        }
        assert!(limiter.take(ANNA).is_err(), "a bucket holds no more than its size");
        assert_eq!(limiter.refused(), 12);
    }

    #[test]
    fn rate_06_waiting_exactly_as_long_as_told_succeeds() {
        for rate in ["1:1", "0.3:4", "0.001:1", "7:3", "5000:5000"] {
            let clock = FakeRelativeClock::default();
            let limiter = limiter(rate, &clock);
            for _ in 0..50 {
                while limiter.take(ANNA).is_ok() {}
                let Err(Refused(wait)) = limiter.take(ANNA) else { panic!("{rate}") };
                clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
                assert!(limiter.look(ANNA).is_err(), "{rate}: a moment too early");
                clock.advance(Duration::from_nanos(1));
                assert_eq!(limiter.look(ANNA), Ok(()), "{rate}");
            }
        }
    }

    #[test]
    fn rate_07_one_key_at_a_thousand_times_its_limit_costs_the_others_nothing() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter("1:30", &clock);
        for _ in 0..60 {
            for _ in 0..1000 {
                limiter.charge(ANNA);
            }
            assert_eq!(limiter.take(BERT), Ok(()));
            clock.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn rate_05_more_keys_than_capacity_are_served_and_drained_buckets_stay() {
        let clock = FakeRelativeClock::default();
        let settings = settings(&[("RATE_LIMIT_MAX_CLIENTS", "160")]);
        let limiter: Limiter<PeerNetwork, _> =
            Limiter::new("tests", "1:30".parse().unwrap(), &settings, &clock);
        while limiter.take(ANNA).is_ok() {}
        for address in 10..1_000_010 {
            assert_eq!(limiter.take(PeerNetwork::V4(address)), Ok(()));
        }
        assert!(limiter.len() <= 160);
        assert!(limiter.take(ANNA).is_err(), "a flood of new keys does not wash a debt away");
    }

    #[test]
    fn rate_08_a_client_whose_bucket_was_full_for_the_active_interval_is_forgotten() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter("1:30", &clock);
        limiter.charge(ANNA); // full again after a second
        clock.advance(Duration::from_mins(1));
        limiter.forget_idle();
        assert_eq!(limiter.len(), 1);
        limiter.charge(BERT);
        clock.advance(Duration::from_secs(3));
        limiter.forget_idle();
        assert_eq!(limiter.len(), 1, "only the one that was there 60 s ago has gone");
        clock.advance(Duration::from_mins(1));
        limiter.forget_idle();
        assert!(limiter.is_empty());
    }

    #[test]
    fn rate_07_log_lines_are_sampled_per_key_and_altogether() {
        let clock = FakeRelativeClock::default();
        let limiter = limiter("0.001:1", &clock);
        let lines = |limiter: &Limiter<PeerNetwork, _>, key| {
            let line = Ask { key, take: true };
            limiter.log_lines.check_key(&line).is_ok() && limiter.all_log_lines.check().is_ok()
        };
        limiter.charge(ANNA);
        assert!(limiter.take(ANNA).is_err(), "this is logged");
        assert!(!lines(&limiter, ANNA), "and nothing more within the interval");
        clock.advance(Duration::from_mins(1));
        assert!(lines(&limiter, ANNA));
        let logged = (100..10_000).filter(|n| lines(&limiter, PeerNetwork::V4(*n))).count();
        assert_eq!(logged, 29, "however many keys there are");
    }

    #[test]
    fn a_limit_for_all_has_one_bucket() {
        let clock = FakeRelativeClock::default();
        let limiter: Limiter<Unit, _> =
            Limiter::new("tests", "1:2".parse().unwrap(), &settings(&[]), &clock);
        assert_eq!((limiter.take(Unit), limiter.take(Unit)), (Ok(()), Ok(())));
        assert!(limiter.take(Unit).is_err());
        assert_eq!(limiter.len(), 1);
    }
}
