use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use salvo::async_trait;
use salvo::conn::{ConnCtrl, SocketAddr as Peer};
use salvo::fuse::{ArcConnObserver, ConnObserver, FuseAction, FuseConfig, FuseInfo, FusePolicy};
use workload_config::RateLimit;

use super::{Limit, MonotonicClock, PeerNetwork, Peers, Refusals, Remembered};
use crate::edge::idle::{Idle, Seen};

/// The limit of connections that have not shown who they are: so many at a time per address, where the address is the client's
/// own. A further one is closed before anything is read from it. A connection stops to count with the first request that belongs
/// to an enrolled cluster or to an operator, and when it ends. Clones share the count.
#[derive(Clone)]
pub struct Newcomers(Option<Arc<Inner>>);

struct Inner {
    peers: Peers,
    most: u32,
    places: Mutex<Places>,
    refused: AtomicU64,
    log_lines: RateLimiter<NotKeyed, InMemoryState, MonotonicClock>,
}

/// Both tables have an entry per connection at most, and the listener bounds those.
#[derive(Default)]
struct Places {
    taken: HashMap<PeerNetwork, u32>,
    /// The connections that count. An address and port may come back before the end of the earlier connection was noticed: the
    /// number tells them apart.
    connections: HashMap<SocketAddr, (PeerNetwork, u64)>,
    next: u64,
}

impl Places {
    fn leave(&mut self, connection: &SocketAddr) {
        let Some((network, _)) = self.connections.remove(connection) else { return };
        let left = self.taken.get(&network).map_or(0, |taken| taken.saturating_sub(1));
        if left == 0 {
            self.taken.remove(&network);
        } else {
            self.taken.insert(network, left);
        }
    }
}

impl Newcomers {
    /// The limit of the settings. There is none where no address is known to be a client's own.
    #[must_use]
    pub fn new(peers: &Peers, settings: &RateLimit) -> Self {
        if matches!(peers, Peers::Unknown) {
            return Self(None);
        }
        let one_a_minute = Quota::per_minute(NonZeroU32::MIN);
        Self(Some(Arc::new(Inner {
            peers: peers.clone(),
            most: settings.connections_per_address.get(),
            places: Mutex::default(),
            refused: AtomicU64::new(0),
            log_lines: RateLimiter::direct_with_clock(one_a_minute, MonotonicClock),
        })))
    }

    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// Says that the connection of `peer` has shown who it is.
    pub fn welcome(&self, peer: &Peer) {
        if let (Some(inner), Some(connection)) = (&self.0, peer.clone().into_std()) {
            inner.places().leave(&connection);
        }
    }

    /// Accepts connections within the limit, protects each of them with `timeouts`, and lets `idle` see them.
    #[must_use]
    pub(in crate::edge) fn protect(
        &self,
        timeouts: FuseConfig,
        idle: &Idle,
    ) -> impl FusePolicy + use<> {
        Admission { newcomers: self.clone(), timeouts, idle: idle.clone() }
    }

    /// Takes a place. Not true when there is none left for the address.
    fn arrive(&self, peer: &Peer) -> bool {
        let Some(inner) = &self.0 else { return true };
        let Some((network, connection)) = inner.peers.client(peer).zip(peer.clone().into_std())
        else {
            return true;
        };
        let mut places = inner.places();
        places.leave(&connection);
        let taken = places.taken.get(&network).copied().unwrap_or(0);
        if taken >= inner.most {
            drop(places);
            inner.refuse(network);
            return false;
        }
        places.taken.insert(network, taken.saturating_add(1));
        let number = places.next;
        places.next = number.wrapping_add(1);
        places.connections.insert(connection, (network, number));
        true
    }

    /// What gives the place of `peer` back when the connection ends.
    fn place(&self, peer: &Peer) -> Option<Place> {
        let (inner, connection) = (self.0.as_ref()?, peer.clone().into_std()?);
        let number = inner.places().connections.get(&connection)?.1;
        Some(Place { inner: Arc::clone(inner), connection, number })
    }
}

impl Inner {
    /// Nothing panics while the tables are locked; were it so, they would still be usable.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, network: PeerNetwork) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if self.log_lines.check().is_ok() {
            let most = self.most;
            tracing::warn!(
                refused,
                "closed a connection from {network}: {most} others have not shown who they are"
            );
        }
    }
}

impl Limit for Newcomers {
    fn refusals(&self) -> Vec<Refusals> {
        let count = self.0.as_ref().map_or(0, |inner| inner.refused.load(Ordering::Relaxed));
        vec![Refusals { limit: "connections", scope: "address", count }]
    }

    fn remembered(&self) -> Vec<Remembered> {
        let count = self.0.as_ref().map_or(0, |inner| inner.places().taken.len());
        vec![Remembered { limit: "connections", scope: "address", count }]
    }

    fn forget_idle(&self) {} // every entry goes with its connection
}

struct Admission {
    newcomers: Newcomers,
    timeouts: FuseConfig,
    idle: Idle,
}

#[async_trait]
impl FusePolicy for Admission {
    async fn decide(&self, info: &FuseInfo) -> FuseAction {
        if self.newcomers.arrive(&info.remote_addr) {
            FuseAction::Accept(self.timeouts)
        } else {
            FuseAction::Reject
        }
    }

    /// The stream keeps the observer for as long as it lives.
    fn observe(&self, info: &FuseInfo, control: &ConnCtrl) -> Option<ArcConnObserver> {
        let place = self.newcomers.place(&info.remote_addr);
        let seen = self.idle.see(&info.remote_addr, control)?;
        Some(Arc::new(Admitted { _place: place, _seen: seen }))
    }
}

/// What ends with a connection.
struct Admitted {
    _place: Option<Place>,
    _seen: Seen,
}

impl ConnObserver for Admitted {}

/// The place of one connection.
struct Place {
    inner: Arc<Inner>,
    connection: SocketAddr,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.inner.places();
        if places.connections.get(&self.connection).is_some_and(|(_, n)| *n == self.number) {
            places.leave(&self.connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomers(peers: &Peers) -> Newcomers {
        let settings = workload_config::Config::parse(|_| None).unwrap().rate_limit;
        Newcomers::new(peers, &settings)
    }

    fn peer(address: &str, port: u16) -> Peer {
        SocketAddr::new(address.parse().unwrap(), port).into()
    }

    /// The connections of ports `0..count`, as far as they were let in.
    fn arrive(newcomers: &Newcomers, address: &str, count: u16) -> Vec<Option<Place>> {
        let arrive = |port| {
            let peer = peer(address, port);
            newcomers.arrive(&peer).then(|| newcomers.place(&peer)).flatten()
        };
        (0..count).map(arrive).collect()
    }

    fn accepted(places: &[Option<Place>]) -> usize {
        places.iter().flatten().count()
    }

    #[test]
    fn rate_02_sixty_four_newcomers_of_an_address_and_not_one_more() {
        let newcomers = newcomers(&Peers::Clients);
        assert_eq!(accepted(&arrive(&newcomers, "203.0.113.1", 64)), 64, "all ended again");
        let full = arrive(&newcomers, "203.0.113.1", 65);
        assert_eq!(accepted(&full), 64);
        assert_eq!(accepted(&arrive(&newcomers, "203.0.113.2", 6400)), 64, "another address");
        let beyond: Vec<_> =
            (100..6500).filter(|p| newcomers.arrive(&peer("203.0.113.1", *p))).collect();
        assert!(beyond.is_empty());
        assert_eq!(newcomers.refusals()[0].count, 1 + 6336 + 6400);
        drop(full);
        assert_eq!(accepted(&arrive(&newcomers, "203.0.113.1", 64)), 64);
        let inner = newcomers.0.unwrap();
        let places = inner.places();
        assert!(places.taken.is_empty() && places.connections.is_empty(), "nothing stays behind");
    }

    #[test]
    fn rate_02_who_is_known_makes_room_and_is_not_counted_twice() {
        let newcomers = newcomers(&Peers::Clients);
        let mut full = arrive(&newcomers, "203.0.113.1", 64);
        newcomers.welcome(&peer("203.0.113.1", 0));
        newcomers.welcome(&peer("203.0.113.1", 0));
        newcomers.welcome(&peer("203.0.113.9", 0));
        let known = full.remove(0);
        let next = peer("203.0.113.1", 64);
        assert!(newcomers.arrive(&next));
        let _place = newcomers.place(&next);
        drop(known);
        assert!(!newcomers.arrive(&peer("203.0.113.1", 65)), "its place was given away before");
    }

    #[test]
    fn rate_02_a_port_that_comes_back_early_takes_one_place() {
        let newcomers = newcomers(&Peers::Clients);
        let earlier = arrive(&newcomers, "203.0.113.1", 64);
        let again = arrive(&newcomers, "203.0.113.1", 64);
        assert_eq!(accepted(&again), 64);
        drop(earlier);
        assert!(!newcomers.arrive(&peer("203.0.113.1", 64)), "the earlier ones hold none");
    }

    #[test]
    fn rate_02_balancers_and_unknown_addresses_are_not_limited() {
        let none = newcomers(&Peers::Unknown);
        assert!((0..1000).all(|port| none.arrive(&peer("203.0.113.1", port))));
        let outside = newcomers(&Peers::ClientsOutside(vec!["203.0.113.0/24".parse().unwrap()]));
        assert!((0..1000).all(|port| outside.arrive(&peer("203.0.113.1", port))));
        assert_eq!(accepted(&arrive(&outside, "198.51.100.1", 1000)), 64);
    }
}
