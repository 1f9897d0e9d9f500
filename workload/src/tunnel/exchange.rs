//! Which answer belongs to which request, on one socket.
//!
//! A member works strictly one by one, so at most one request is under way. Everything else that arrives is stray: an unknown
//! id, one that was answered already, or one whose time is over. Ids are random, so a cluster cannot guess the next one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// So many unasked-for messages within [`WINDOW`] close the socket.
pub(super) const MOST_STRAYS: usize = 100;
/// The time over which they are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The request that is under way, with whoever waits for it.
pub(super) struct Exchange<T> {
    current: Option<Pending<T>>,
    strays: VecDeque<Instant>,
}

struct Pending<T> {
    id: Uuid,
    deadline: Instant,
    waiter: T,
}

impl<T> Exchange<T> {
    pub(super) fn new() -> Self {
        Self { current: None, strays: VecDeque::new() }
    }

    /// Begins a request and gives it an id. What was under way is given up and returned; there is none if callers take turns.
    pub(super) fn begin(&mut self, deadline: Instant, waiter: T) -> (Uuid, Option<T>) {
        let id = Uuid::new_v4();
        let given_up = self.current.replace(Pending { id, deadline, waiter });
        (id, given_up.map(|pending| pending.waiter))
    }

    /// Who waits for the answer with this id; `None` when nobody does.
    pub(super) fn answered(&mut self, id: Uuid) -> Option<T> {
        self.current.take_if(|pending| pending.id == id).map(|pending| pending.waiter)
    }

    /// Who has waited for too long.
    pub(super) fn expired(&mut self, now: Instant) -> Option<T> {
        self.current.take_if(|pending| pending.deadline <= now).map(|pending| pending.waiter)
    }

    /// Until when the request under way may be answered.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.current.as_ref().map(|pending| pending.deadline)
    }

    /// Whoever waits, when the socket ends.
    pub(super) fn give_up(&mut self) -> Option<T> {
        self.current.take().map(|pending| pending.waiter)
    }

    /// Notes a message that nobody asked for; `true` when there were too many.
    pub(super) fn stray(&mut self, now: Instant) -> bool {
        while self.strays.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.strays.pop_front();
        }
        self.strays.push_back(now);
        self.strays.len() >= MOST_STRAYS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Begin,
        /// The answer to the n-th request that was ever begun.
        Answer(usize),
        AnswerUnknown,
        Wait(u64),
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Begin),
            4 => (0_usize..12).prop_map(Step::Answer),
            1 => Just(Step::AnswerUnknown),
            2 => (0_u64..40).prop_map(Step::Wait),
            1 => Just(Step::Close),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// The model: a request is under way until its answer, its deadline, the end of the socket or the next request, and ends
        /// exactly once, with its own answer or with none.
        #[test]
        fn tun_10_every_request_ends_once_and_with_its_own_answer(steps in steps()) {
            let mut exchange = Exchange::new();
            let mut now = Instant::now();
            let mut ids = Vec::new();
            let mut ended = Vec::new();
            let mut open: Option<(usize, Instant)> = None;
            for step in steps {
                match step {
                    Step::Begin => {
                        let n = ids.len();
                        let deadline = now + Duration::from_secs(30);
                        let (id, given_up) = exchange.begin(deadline, n);
                        prop_assert_eq!(given_up, open.map(|(n, _)| n));
                        ended.extend(given_up);
                        prop_assert!(!ids.contains(&id));
                        ids.push(id);
                        open = Some((n, deadline));
                    }
                    Step::Answer(n) => {
                        let Some(id) = ids.get(n) else { continue };
                        let expected = open.filter(|(of, _)| *of == n).map(|(n, _)| n);
                        prop_assert_eq!(exchange.answered(*id), expected);
                        if expected.is_some() {
                            ended.extend(expected);
                            open = None;
                        }
                    }
                    Step::AnswerUnknown => prop_assert_eq!(exchange.answered(Uuid::new_v4()), None),
                    Step::Wait(seconds) => {
                        now += Duration::from_secs(seconds);
                        let expected = open.filter(|(_, deadline)| *deadline <= now).map(|(n, _)| n);
                        prop_assert_eq!(exchange.expired(now), expected);
                        if expected.is_some() {
                            ended.extend(expected);
                            open = None;
                        }
                    }
                    Step::Close => {
                        let expected = open.take().map(|(n, _)| n);
                        prop_assert_eq!(exchange.give_up(), expected);
                        ended.extend(expected);
                    }
                }
                prop_assert_eq!(exchange.deadline(), open.map(|(_, deadline)| deadline));
            }
            ended.extend(exchange.give_up());
            let all: Vec<usize> = (0..ids.len()).collect();
            ended.sort_unstable();
            prop_assert_eq!(ended, all);
        }
    }

    #[test]
    fn tun_10_a_hundred_strays_in_ten_seconds_are_too_many() {
        let mut exchange = Exchange::<()>::new();
        let begin = Instant::now();
        assert!((0..99).all(|_| !exchange.stray(begin)));
        assert!(exchange.stray(begin + Duration::from_millis(9999)));
        let mut patient = Exchange::<()>::new();
        assert!((0..2000).all(|n| !patient.stray(begin + Duration::from_millis(n * 102))));
    }

    #[test]
    fn tun_10_ids_are_random() {
        let mut exchange = Exchange::new();
        let deadline = Instant::now();
        let id = exchange.begin(deadline, ()).0;
        assert_eq!(id.get_version_num(), 4);
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|_| exchange.begin(deadline, ()).0).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
