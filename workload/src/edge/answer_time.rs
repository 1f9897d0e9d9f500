//! The time from the end of a request to its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use tokio::time::{Instant, sleep, sleep_until};

use super::ApiError;

/// Answers 503 in the place of a handler that takes longer. The time in which a body is read does not count.
#[derive(Debug, Clone, Copy)]
pub struct AnswerTime(pub Duration);

#[async_trait]
impl Handler for AnswerTime {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let clock = AnswerClock::start();
        req.extensions_mut().insert(clock.clone());
        let in_time = {
            let answered = ctrl.call_next(req, depot, res);
            tokio::select! {
                biased;
                _ = answered => true,
                () = clock.past(self.0) => false,
            }
        };
        if !in_time {
            ApiError::Unavailable("the service takes too long, try again later", None)
                .respond(req, res);
            ctrl.skip_rest();
        }
    }
}

/// Since when an answer is waited for. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct AnswerClock(Arc<Mutex<Option<Instant>>>);

impl AnswerClock {
    fn start() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    /// A body is being read.
    pub(super) fn stop(&self) {
        *self.lock() = None;
    }

    /// It is read.
    pub(super) fn restart(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Until the clock has run for `time`.
    async fn past(&self, time: Duration) {
        loop {
            let since = *self.lock();
            match since.map(|since| since + time) {
                None => sleep(time).await,
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lim_06_the_clock_stands_still_while_a_body_is_read() {
        const TIME: Duration = Duration::from_secs(10);
        let (clock, begin) = (AnswerClock::start(), Instant::now());
        clock.past(TIME).await;
        assert_eq!(begin.elapsed(), TIME);
        let (clock, begin) = (AnswerClock::start(), Instant::now());
        clock.stop();
        let (reading, reader) = (Duration::from_secs(35), clock.clone());
        tokio::spawn(async move {
            sleep(reading).await;
            reader.restart();
        });
        clock.past(TIME).await;
        assert_eq!(begin.elapsed(), reading + TIME);
    }
}
