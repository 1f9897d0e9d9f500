//! The model as one dispatch sees it.

use std::cell::Cell;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::config::{self, ConfigError};
use crate::dispatch::Dispatch;
use crate::ids::{AppName, Endpoint, RelationId};
use crate::status::Status;
use crate::tools::calls::{self, Bag};
use crate::tools::{Failure, HookTools, ToolError};

/// Typed access to the model through hook tools. What cannot change during a dispatch is read once.
pub struct Model<'a> {
    tools: &'a dyn HookTools,
    dispatch: &'a Dispatch,
    leader: Cell<Option<bool>>,
}

/// Proof that this unit was the leader when it was asked. Only [`Model::leader`] makes one; what
/// only a leader may do takes it as an argument.
#[derive(Debug, Clone, Copy)]
pub struct Leader<'a>(PhantomData<&'a ()>);

/// Whether a write was necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Changed {
    /// Something was different and has been written.
    Yes,
    /// Everything was as wanted, or there is nowhere to write any more.
    No,
}

impl<'a> Model<'a> {
    /// The model as `dispatch` sees it.
    #[must_use]
    pub fn new(tools: &'a dyn HookTools, dispatch: &'a Dispatch) -> Self {
        Self { tools, dispatch, leader: Cell::new(None) }
    }

    /// This dispatch.
    #[must_use]
    pub fn dispatch(&self) -> &Dispatch {
        self.dispatch
    }

    /// The application that this unit belongs to.
    #[must_use]
    pub fn app(&self) -> &AppName {
        self.dispatch.unit.app()
    }

    /// The configuration. Field names are option names with `rename_all = "kebab-case"`; an empty
    /// text counts as not set.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] names the option that does not fit; the charm should be blocked by
    /// it, not fail.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        config::read(calls::config_get(self.tools)?)
    }

    /// Proof of leadership, or `None`.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn leader(&self) -> Result<Option<Leader<'_>>, ToolError> {
        let is_leader = match self.leader.get() {
            Some(known) => known,
            None => calls::is_leader(self.tools)?,
        };
        self.leader.set(Some(is_leader));
        Ok(is_leader.then_some(Leader(PhantomData)))
    }

    /// The relations of `endpoint` by number, without one that is being broken.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn relations(&self, endpoint: &Endpoint) -> Result<Vec<RelationId>, ToolError> {
        let mut ids = calls::relation_ids(self.tools, endpoint)?;
        ids.retain(|id| Some(id) != self.dispatch.broken_relation());
        Ok(ids)
    }

    /// The remote application's databag; empty if the relation has gone meanwhile.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn remote_app_data(&self, id: &RelationId) -> Result<Bag, ToolError> {
        let bag = calls::relation_app(self.tools, id)
            .and_then(|app| calls::relation_get_app(self.tools, id, &app));
        gone_is_default(bag)
    }

    /// The own application's databag; empty if the relation has gone meanwhile.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn own_app_data(&self, _proof: &Leader<'_>, id: &RelationId) -> Result<Bag, ToolError> {
        gone_is_default(calls::relation_get_app(self.tools, id, self.app()))
    }

    /// Writes `changes` into the own application's databag; an empty value removes its key, other
    /// keys stay. Losing the relation or the leadership meanwhile is no error: there is nothing to
    /// do then, or somebody else does it.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn write_app_data(
        &self,
        _proof: &Leader<'_>,
        id: &RelationId,
        changes: &Bag,
    ) -> Result<Changed, ToolError> {
        if changes.is_empty() {
            return Ok(Changed::No);
        }
        match calls::relation_set_app(self.tools, id, changes) {
            Ok(()) => Ok(Changed::Yes),
            Err(error) => match error.failure() {
                Some(Failure::RelationGone | Failure::NotLeader) => Ok(Changed::No),
                _ => Err(error),
            },
        }
    }

    /// Sets the unit's status unless it is that already: each write would renew its "since" time.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn set_unit_status(&self, status: &Status) -> Result<Changed, ToolError> {
        if calls::status_get(self.tools)? == *status {
            return Ok(Changed::No);
        }
        calls::status_set(self.tools, status)?;
        Ok(Changed::Yes)
    }

    /// Adds results to the running action.
    ///
    /// # Errors
    ///
    /// [`ToolError`], also outside an action.
    pub fn set_action_results(&self, results: &[(&str, &str)]) -> Result<(), ToolError> {
        calls::action_set(self.tools, results)
    }

    /// Marks the running action as failed, with a sentence for the operator.
    ///
    /// # Errors
    ///
    /// [`ToolError`], also outside an action.
    pub fn fail_action(&self, message: &str) -> Result<(), ToolError> {
        calls::action_fail(self.tools, message)
    }
}

fn gone_is_default<T: Default>(result: Result<T, ToolError>) -> Result<T, ToolError> {
    match result {
        Err(error) if error.failure() == Some(Failure::RelationGone) => Ok(T::default()),
        other => other,
    }
}
