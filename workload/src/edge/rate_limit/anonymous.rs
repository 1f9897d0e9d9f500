use std::sync::Arc;

use governor::clock::Clock;
use salvo::conn::SocketAddr;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use workload_config::{AnonymousLimit, RateLimit};

use super::{
    Limit, Limiter, MonotonicClock, PeerNetwork, Peers, Refusals, Refused, Remembered, Unit,
};
use crate::edge::ApiError;

/// The limit of requests from clients that have not shown who they are: per address where the address is the client's own, and
/// per unit. A hoop before the handlers; clones share the buckets.
#[derive(Clone)]
pub struct Anonymous<C: Clock = MonotonicClock>(Arc<Inner<C>>);

struct Inner<C: Clock> {
    name: &'static str,
    peers: Peers,
    addresses: Limiter<PeerNetwork, C>,
    unit: Limiter<Unit, C>,
}

impl<C: Clock + Clone> Anonymous<C> {
    /// `name` says in log and metrics what is limited: "joins".
    pub fn new(
        name: &'static str,
        limit: AnonymousLimit,
        peers: &Peers,
        settings: &RateLimit,
        clock: &C,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            peers: peers.clone(),
            addresses: Limiter::new(name, limit.per_address, settings, clock),
            unit: Limiter::new(name, limit.per_unit, settings, clock),
        }))
    }

    /// Takes a token for a request of `peer`. The address comes first: one that is over its limit takes nothing from the others.
    ///
    /// # Errors
    ///
    /// [`Refused`] when there is none.
    pub fn take(&self, peer: &SocketAddr) -> Result<(), Refused> {
        if let Some(client) = self.0.peers.client(peer) {
            self.0.addresses.take(client)?;
        }
        self.0.unit.take(Unit)
    }
}

impl<C: Clock + Clone + Send + Sync> Limit for Anonymous<C>
where
    C::Instant: Send + Sync,
{
    fn refusals(&self) -> Vec<Refusals> {
        let Inner { name, addresses, unit, .. } = &*self.0;
        vec![
            Refusals { limit: name, scope: "address", count: addresses.refused() },
            Refusals { limit: name, scope: "unit", count: unit.refused() },
        ]
    }

    fn remembered(&self) -> Vec<Remembered> {
        let Inner { name, addresses, .. } = &*self.0;
        vec![Remembered { limit: name, scope: "address", count: addresses.len() }]
    }

    fn forget_idle(&self) {
        self.0.addresses.forget_idle();
    }
}

#[async_trait]
impl Handler for Anonymous {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        match self.take(req.remote_addr()) {
            Ok(()) => {
                ctrl.call_next(req, depot, res).await;
            }
            Err(refused) => {
                ApiError::from(refused).respond(req, res);
                ctrl.skip_rest();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(peers: &Peers, clock: &FakeRelativeClock) -> Anonymous<FakeRelativeClock> {
        let settings = workload_config::Config::parse(|_| None).unwrap().rate_limit;
        Anonymous::new("joins", settings.join, peers, &settings, clock)
    }

    fn peer(address: &str) -> SocketAddr {
        std::net::SocketAddr::new(address.parse().unwrap(), 1234).into()
    }

    fn accepted(limit: &Anonymous<FakeRelativeClock>, address: &str) -> usize {
        (0..200).filter(|_| limit.take(&peer(address)).is_ok()).count()
    }

    fn counts(limit: &impl Limit) -> Vec<u64> {
        limit.refusals().iter().map(|known| known.count).collect()
    }

    #[test]
    fn rate_04_an_address_is_limited_before_it_takes_from_the_unit() {
        let clock = FakeRelativeClock::default();
        let limit = limit(&Peers::Clients, &clock);
        assert_eq!(accepted(&limit, "203.0.113.1"), 10);
        assert_eq!(accepted(&limit, "203.0.113.2"), 10, "another address");
        assert_eq!(accepted(&limit, "2001:db8::1"), 10);
        assert_eq!(accepted(&limit, "2001:db8::2"), 0, "the same /64");
        assert_eq!(accepted(&limit, "203.0.113.3"), 10);
        assert_eq!(accepted(&limit, "203.0.113.4"), 10);
        assert_eq!(counts(&limit), [190 * 4 + 200 + 190, 0]);
        assert_eq!(accepted(&limit, "203.0.113.5"), 0, "50 per unit");
        clock.advance(Duration::from_secs(1));
        assert_eq!(accepted(&limit, "203.0.113.1"), 1);
    }

    #[test]
    fn rate_02_where_the_address_may_be_a_balancers_only_the_unit_counts() {
        let clock = FakeRelativeClock::default();
        let limit = limit(&Peers::Unknown, &clock);
        assert_eq!(accepted(&limit, "203.0.113.1"), 50);
        assert_eq!(counts(&limit), [0, 150]);
    }
}
