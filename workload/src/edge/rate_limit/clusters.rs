use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::Clock;
use salvo::http::StatusCode;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use workload_config::RateLimit;

use super::table::Table;
use super::{
    Limit, Limiter, MonotonicClock, Newcomers, PeerNetwork, Peers, Refusals, Refused, Remembered,
    Unit,
};
use crate::edge::{ApiError, presented_certificate};
use crate::model::Fingerprint;

/// The limit of requests that only enrolled clusters may make. A hoop before the handlers; clones share the buckets.
///
/// Whether a certificate is enrolled is known after a lookup only, and the limit is to spare that lookup. So the limit learns
/// from the answers:
///
/// - A certificate that had a success here, or was enrolled when the service started, is remembered. Its requests take tokens from a bucket of its own and from nothing
///   else. The first 403 makes it forgotten: the cluster was removed.
/// - Any other certificate is a stranger. A stranger needs a token in the bucket of its address (of the unit,
///   where the address may stand for many clients), but pays with it only if the answer is an error of its own making (4xx). So
///   clusters that come back all at once after a restart cost nothing and become known, while whoever makes up certificates
///   uses up the bucket of the address, however many they are. A request that is broken off pays too: its lookup was made.
/// - Without any certificate nobody has a success here, and no lookup is made. Such requests have buckets of their own, so that
///   they take nothing from clusters that are not known yet.
///
/// The price: while somebody fails at a high rate, a cluster from the same address (or, where addresses are not known, on the
/// same unit) that this unit has not seen yet is refused as well. Those that it has seen are not.
#[derive(Clone)]
pub struct Clusters<C: Clock = MonotonicClock>(Arc<Inner<C>>);

struct Inner<C: Clock> {
    peers: Peers,
    newcomers: Newcomers,
    /// Certificates that had a success; the number is when, so that a full table forgets the longest silent one.
    known: Table<Fingerprint>,
    successes: AtomicU64,
    clusters: Limiter<Fingerprint, C>,
    strangers: Strangers<C>,
    anonymous: Strangers<C>,
}

/// The buckets of those who are not known: that of the address, or of the unit where the address may stand for many clients.
struct Strangers<C: Clock> {
    addresses: Limiter<PeerNetwork, C>,
    unit: Limiter<Unit, C>,
}

impl<C: Clock + Clone> Strangers<C> {
    fn new(name: &'static str, settings: &RateLimit, clock: &C) -> Self {
        Self {
            addresses: Limiter::new(name, settings.per_client(), settings, clock),
            unit: Limiter::new(name, settings.unknown_per_unit, settings, clock),
        }
    }

    fn look(&self, client: Option<PeerNetwork>) -> Result<(), Refused> {
        match client {
            Some(client) => self.addresses.look(client),
            None => self.unit.look(Unit),
        }
    }

    fn charge(&self, client: Option<PeerNetwork>) {
        match client {
            Some(client) => self.addresses.charge(client),
            None => self.unit.charge(Unit),
        }
    }

    fn refusals(&self, limit: &'static str) -> [Refusals; 2] {
        [("address", self.addresses.refused()), ("unit", self.unit.refused())]
            .map(|(scope, count)| Refusals { limit, scope, count })
    }
}

/// Who makes a request, as far as it is known before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Cluster(Fingerprint),
    Stranger(Option<Fingerprint>),
}

impl<C: Clock + Clone> Clusters<C> {
    /// The limits of the settings. Enrolled clusters are no newcomers.
    pub fn new(peers: &Peers, newcomers: &Newcomers, settings: &RateLimit, clock: &C) -> Self {
        let capacity = usize::try_from(settings.max_clients.get()).unwrap_or(usize::MAX);
        let per_client = settings.per_client();
        Self(Arc::new(Inner {
            peers: peers.clone(),
            newcomers: newcomers.clone(),
            known: Table::new(capacity),
            successes: AtomicU64::new(0),
            clusters: Limiter::new("requests of a cluster", per_client, settings, clock),
            strangers: Strangers::new("requests without an enrolled certificate", settings, clock),
            anonymous: Strangers::new("requests without a certificate", settings, clock),
        }))
    }

    /// Remembers that `cluster` is enrolled.
    pub fn remember(&self, cluster: Fingerprint) {
        let Ok(()) =
            self.0.known.update(&cluster, |_| Ok::<_, Infallible>(((), self.next_success())));
    }

    fn before(
        &self,
        certificate: Option<Fingerprint>,
        client: Option<PeerNetwork>,
    ) -> Result<Caller, Refused> {
        if let Some(cluster) = certificate.filter(|certificate| self.is_known(certificate)) {
            self.0.clusters.take(cluster)?;
            return Ok(Caller::Cluster(cluster));
        }
        self.buckets(certificate).look(client)?;
        Ok(Caller::Stranger(certificate))
    }

    /// Draws the conclusions from an answer; `None` when the request was broken off.
    fn after(&self, caller: Caller, client: Option<PeerNetwork>, answer: Option<StatusCode>) {
        match (caller, answer) {
            (Caller::Cluster(cluster), Some(StatusCode::FORBIDDEN)) => {
                self.0.known.remove(&cluster);
                self.0.strangers.charge(client);
            }
            (Caller::Stranger(Some(cluster)), Some(status)) if is_success(status) => {
                self.remember(cluster);
                self.0.clusters.charge(cluster);
            }
            (Caller::Stranger(certificate), None) => self.buckets(certificate).charge(client),
            (Caller::Stranger(certificate), Some(status)) if status.is_client_error() => {
                self.buckets(certificate).charge(client);
            }
            (Caller::Cluster(_) | Caller::Stranger(_), _) => {}
        }
    }

    fn buckets(&self, certificate: Option<Fingerprint>) -> &Strangers<C> {
        if certificate.is_some() { &self.0.strangers } else { &self.0.anonymous }
    }

    fn is_known(&self, certificate: &Fingerprint) -> bool {
        let seen = |number: Option<u64>| number.map(|_| ((), self.next_success())).ok_or(());
        self.0.known.update(certificate, seen).is_ok()
    }

    fn next_success(&self) -> u64 {
        self.0.successes.fetch_add(1, Ordering::Relaxed)
    }
}

impl<C: Clock + Clone + Send + Sync> Limit for Clusters<C>
where
    C::Instant: Send + Sync,
{
    fn refusals(&self) -> Vec<Refusals> {
        let Inner { clusters, strangers, anonymous, .. } = &*self.0;
        let mut all =
            vec![Refusals { limit: "clusters", scope: "cluster", count: clusters.refused() }];
        all.extend(strangers.refusals("strangers"));
        all.extend(anonymous.refusals("anonymous"));
        all
    }

    fn remembered(&self) -> Vec<Remembered> {
        let Inner { known, clusters, strangers, anonymous, .. } = &*self.0;
        let of = |limit, scope, count| Remembered { limit, scope, count };
        vec![
            of("known", "cluster", known.len()),
            of("clusters", "cluster", clusters.len()),
            of("strangers", "address", strangers.addresses.len()),
            of("anonymous", "address", anonymous.addresses.len()),
        ]
    }

    fn forget_idle(&self) {
        self.0.clusters.forget_idle();
        self.0.strangers.addresses.forget_idle();
        self.0.anonymous.addresses.forget_idle();
    }
}

#[async_trait]
impl Handler for Clusters {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let client = self.0.peers.client(req.remote_addr());
        match self.before(presented_certificate(req), client) {
            Ok(caller) => {
                if let Caller::Cluster(_) = caller {
                    self.0.newcomers.welcome(req.remote_addr());
                    req.extensions_mut().insert(Known);
                }
                let mut visit = Visit { limits: self, caller, client, answer: None };
                ctrl.call_next(req, depot, res).await;
                let answer = res.status_code.unwrap_or(StatusCode::OK);
                visit.answer = Some(answer);
                if is_success(answer) {
                    self.0.newcomers.welcome(req.remote_addr());
                }
            }
            Err(refused) => {
                ApiError::from(refused).respond(req, res);
                ctrl.skip_rest();
            }
        }
    }
}

/// Marks a request of a cluster that is known.
#[derive(Clone, Copy)]
struct Known;

/// Whether the request is that of a cluster that was enrolled when it was last looked up: a hint for what is worth a lookup, never a
/// reason to let it in.
pub fn is_known(req: &Request) -> bool {
    req.extensions().get::<Known>().is_some()
}

/// A tunnel answers 101.
fn is_success(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS
}

/// A request on its way, whose conclusions are drawn also when the client hangs up before the answer.
struct Visit<'a> {
    limits: &'a Clusters,
    caller: Caller,
    client: Option<PeerNetwork>,
    answer: Option<StatusCode>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.limits.after(self.caller, self.client, self.answer);
    }
}

/// A hoop before the handler of joins: a cluster that joined is remembered, so that its first heartbeat is not a stranger's.
pub struct Joined(pub Clusters);

#[async_trait]
impl Handler for Joined {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let certificate = presented_certificate(req);
        ctrl.call_next(req, depot, res).await;
        if let (Some(cluster), Some(StatusCode::OK)) = (certificate, res.status_code) {
            self.0.remember(cluster);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::edge::rate_limit::Anonymous;

    struct Fixture {
        limits: Clusters<FakeRelativeClock>,
        clock: FakeRelativeClock,
    }

    const HERE: Option<PeerNetwork> = Some(PeerNetwork::V4(1));
    const ELSEWHERE: Option<PeerNetwork> = Some(PeerNetwork::V4(2));
    const OK: Option<StatusCode> = Some(StatusCode::OK);
    const FORBIDDEN: Option<StatusCode> = Some(StatusCode::FORBIDDEN);

    impl Fixture {
        fn new() -> Self {
            let clock = FakeRelativeClock::default();
            let settings = workload_config::Config::parse(|_| None).unwrap().rate_limit;
            let newcomers = Newcomers::new(&Peers::Clients, &settings);
            Self { limits: Clusters::new(&Peers::Clients, &newcomers, &settings, &clock), clock }
        }

        /// One request; whether it got past the limit.
        fn request(
            &self,
            certificate: impl Into<Option<Fingerprint>>,
            client: Option<PeerNetwork>,
            answer: Option<StatusCode>,
        ) -> bool {
            let caller = self.limits.before(certificate.into(), client);
            caller.map(|caller| self.limits.after(caller, client, answer)).is_ok()
        }
    }

    fn certificate(n: u32) -> Fingerprint {
        Fingerprint::of(&n.to_be_bytes())
    }

    #[test]
    fn rate_01_an_enrolled_cluster_is_counted_by_its_certificate_wherever_it_comes_from() {
        let fixture = Fixture::new();
        let accepted = (0..100)
            .filter(|n| fixture.request(certificate(1), Some(PeerNetwork::V4(*n)), OK))
            .count();
        assert_eq!(accepted, 30);
        assert!(fixture.request(certificate(2), HERE, OK), "its neighbour has a bucket of its own");
        fixture.clock.advance(Duration::from_secs(1));
        assert!(fixture.request(certificate(1), HERE, OK));
        assert!(!fixture.request(certificate(1), HERE, OK));
    }

    #[test]
    fn rate_01_a_certificate_that_is_not_enrolled_does_not_bring_a_bucket() {
        let fixture = Fixture::new();
        let passed =
            (0..10_000).filter(|n| fixture.request(certificate(*n), HERE, FORBIDDEN)).count();
        assert_eq!(passed, 30, "one bucket for all of them");
        assert!(fixture.request(certificate(20_000), ELSEWHERE, FORBIDDEN));
        assert_eq!(fixture.limits.0.clusters.len(), 0);
    }

    #[test]
    fn rate_07_a_flood_of_strangers_does_not_refuse_known_clusters_of_the_same_address() {
        let fixture = Fixture::new();
        assert!(fixture.request(certificate(1), HERE, OK));
        let passed =
            (10..10_000).filter(|n| fixture.request(certificate(*n), HERE, FORBIDDEN)).count();
        assert_eq!(passed, 30);
        for _ in 0..29 {
            assert!(fixture.request(certificate(1), HERE, OK));
        }
    }

    #[test]
    fn rate_07_ten_thousand_clusters_come_back_at_once_from_one_address() {
        let fixture = Fixture::new();
        let callers: Vec<_> = (0..10_000)
            .map(|n| fixture.limits.before(Some(certificate(n)), HERE).unwrap())
            .collect();
        for caller in callers {
            fixture.limits.after(caller, HERE, OK);
        }
        assert!((0..10_000).all(|n| fixture.request(certificate(n), HERE, OK)));
    }

    #[test]
    fn rate_01_errors_of_a_strangers_own_making_are_charged_and_ours_are_not() {
        for (answer, is_charged) in [
            (Some(StatusCode::BAD_REQUEST), true),
            (Some(StatusCode::PAYLOAD_TOO_LARGE), true),
            (None, true),
            (Some(StatusCode::SERVICE_UNAVAILABLE), false),
            (Some(StatusCode::INTERNAL_SERVER_ERROR), false),
        ] {
            let fixture = Fixture::new();
            let passed =
                (0..100).filter(|n| fixture.request(certificate(*n), HERE, answer)).count();
            assert_eq!(passed, if is_charged { 30 } else { 100 }, "{answer:?}");
            assert!(!fixture.limits.is_known(&certificate(1)), "{answer:?}");
        }
    }

    #[test]
    fn rate_01_a_removed_cluster_is_a_stranger_again() {
        let fixture = Fixture::new();
        fixture.limits.remember(certificate(1));
        let passed = (0..100).filter(|_| fixture.request(certificate(1), HERE, FORBIDDEN)).count();
        assert_eq!(passed, 30);
        let counts: Vec<u64> = fixture.limits.refusals().iter().map(|known| known.count).collect();
        assert_eq!(counts, [0, 70, 0, 0, 0]);
    }

    #[test]
    fn rate_07_requests_without_a_certificate_take_nothing_from_clusters_that_are_not_known_yet() {
        for (client, bucket) in [(HERE, 30), (None, 5000)] {
            let fixture = Fixture::new();
            let passed = (0..10_000).filter(|_| fixture.request(None, client, FORBIDDEN)).count();
            assert_eq!(u64::try_from(passed).unwrap(), bucket);
            assert!((0..100).all(|n| fixture.request(certificate(n), client, OK)), "{client:?}");
            let limits = &fixture.limits;
            let refused = limits.refusals().into_iter().filter(|known| known.limit == "anonymous");
            assert_eq!(refused.map(|known| known.count).sum::<u64>(), 10_000 - bucket);
            let sizes: Vec<usize> = limits.remembered().iter().map(|table| table.count).collect();
            assert_eq!(sizes, [100, 100, 0, usize::from(client.is_some())]);
        }
    }

    fn resident_bytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    #[test]
    fn rate_05_the_default_tables_take_less_than_64_mib_however_many_ask() {
        // Three times the capacity of a table fills every set of it, and more takes nothing more: `table.rs` shows that with five
        // million. Here they would take a minute.
        const KEYS: u32 = 300_000;
        // Other tests take memory, too: this one runs in a process of its own.
        if !std::env::args().any(|argument| argument == "--exact") {
            let name = std::thread::current().name().unwrap().to_owned();
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            let output = alone.args(["--exact", &name]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            return;
        }
        let settings = workload_config::Config::parse(|_| None).unwrap().rate_limit;
        let (peers, clock) = (&Peers::Clients, &MonotonicClock);
        let limits = Clusters::new(peers, &Newcomers::new(peers, &settings), &settings, clock);
        let anonymous = [("preflights", settings.preflight), ("joins", settings.join)]
            .map(|(name, limit)| Anonymous::new(name, limit, peers, &settings, clock));
        let request = |certificate: Option<Fingerprint>, client, answer| {
            let caller = limits.before(certificate, client)?;
            limits.after(caller, client, answer);
            Ok::<_, Refused>(())
        };
        let digest = |n: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_be_bytes());
            Fingerprint::from_bytes(&digest).unwrap()
        };
        request(Some(digest(u32::MAX)), HERE, OK).unwrap();
        let before = resident_bytes();
        for n in 0..KEYS {
            let client = Some(PeerNetwork::V4(n));
            request(Some(digest(n)), client, FORBIDDEN).unwrap();
            request(None, client, FORBIDDEN).unwrap();
            // A cluster of a fleet that is larger than the table.
            request(Some(digest(KEYS + n)), client, OK).unwrap();
            let address = std::net::SocketAddr::from((n.to_be_bytes(), 1)).into();
            drop(anonymous.iter().map(|limit| limit.take(&address)).collect::<Vec<_>>());
            if n % 50_000 == 0 {
                request(Some(digest(u32::MAX)), HERE, OK).unwrap();
            }
        }
        let sizes = limits.remembered().into_iter();
        let sizes: Vec<_> = sizes.chain(anonymous.iter().flat_map(Limit::remembered)).collect();
        assert!(sizes.iter().all(|table| (90_000..=100_000).contains(&table.count)), "{sizes:?}");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{} KiB more", grown >> 10);
    }

    #[test]
    fn rate_02_strangers_are_limited_per_unit_where_addresses_are_not_known() {
        let fixture = Fixture::new();
        let passed =
            (0..10_000).filter(|n| fixture.request(certificate(*n), None, FORBIDDEN)).count();
        assert_eq!(passed, 5000);
        fixture.limits.remember(certificate(1));
        assert!(fixture.request(certificate(1), None, OK));
    }
}
