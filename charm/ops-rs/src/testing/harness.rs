//! State in, state out: one event of a charm over an in-memory Juju.

use super::meta::{Inconsistent, Meta};
use super::{MemoryTools, State, event_environment};
use crate::charm::{Charm, run_with};
use crate::dispatch::{Dispatch, Event};

/// Runs a charm and holds everything against its metadata.
#[derive(Debug, Clone, Default)]
pub struct Harness {
    meta: Meta,
}

/// What one event came to.
#[derive(Debug)]
pub struct Outcome {
    /// The state afterwards. After a failed hook what waits for its end is not in it.
    pub state: State,
    /// Why the hook failed, if it did.
    pub error: Option<String>,
    /// How many hook tools were called.
    pub calls: usize,
}

impl Harness {
    /// A harness for the charm that `meta` describes.
    #[must_use]
    pub fn new(meta: Meta) -> Self {
        Self { meta }
    }

    /// Runs `charm` for `event`. `state` stays as it is.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] if Juju could never bring this event with this state, or if the charm did
    /// what a charm may not do.
    pub fn run(
        &self,
        charm: &dyn Charm,
        event: &Event,
        state: &State,
    ) -> Result<Outcome, Inconsistent> {
        let mut before = self.meta.with_defaults(state.clone());
        if matches!(event, Event::Action { .. }) {
            before.action_results.get_or_insert_default();
        }
        self.meta.check_before(event, &before)?;
        let dispatch = Dispatch::from_vars(event_environment(event, &before.unit))
            .map_err(|error| Inconsistent(error.to_string()))?;
        let tools = MemoryTools::new(before.clone());
        let error = run_with(charm, &tools, &dispatch).err().map(|error| error.to_string());
        let calls = tools.calls();
        let failed_hook = error.is_some();
        let state = if failed_hook { tools.discard() } else { tools.commit() };
        Meta::check_after(&before, &state)?;
        Ok(Outcome { state, error, calls })
    }
}
