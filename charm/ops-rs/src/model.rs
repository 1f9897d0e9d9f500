//! The model as one dispatch sees it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::config::{self, ConfigError};
use crate::dispatch::{Dispatch, Event};
use crate::ids::{AppName, Endpoint, RelationId, SecretId, UnitName};
use crate::log::{Level, Log};
use crate::status::Status;
use crate::tools::calls::{self, Bag};
use crate::tools::secret_calls::{self, SecretContent, SecretRef};
use crate::tools::unit_calls;
use crate::tools::{Failure, HookTools, ToolError};

/// Typed access to the model through hook tools. What cannot change during a dispatch is read once.
pub struct Model<'a> {
    tools: &'a dyn HookTools,
    dispatch: &'a Dispatch,
    leader: Cell<Option<bool>>,
    /// Applications on the other sides: they never change while a relation lives.
    remote_apps: RefCell<BTreeMap<RelationId, AppName>>,
    log: Log,
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
        let mut remote_apps = BTreeMap::new();
        if let Event::Relation { id, app, .. } = &dispatch.event {
            remote_apps.insert(id.clone(), app.clone());
        }
        Self {
            tools,
            dispatch,
            leader: Cell::new(None),
            remote_apps: RefCell::new(remote_apps),
            log: Log::default(),
        }
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
        let bag = self.remote_app(id).and_then(|app| calls::relation_get_app(self.tools, id, &app));
        gone_is_default(bag)
    }

    fn remote_app(&self, id: &RelationId) -> Result<AppName, ToolError> {
        if let Some(app) = self.remote_apps.borrow().get(id) {
            return Ok(app.clone());
        }
        let app = calls::relation_app(self.tools, id)?;
        self.remote_apps.borrow_mut().insert(id.clone(), app.clone());
        Ok(app)
    }

    /// The databags of all remote units, by name; empty if the relation has gone meanwhile.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn remote_unit_data(&self, id: &RelationId) -> Result<Vec<(UnitName, Bag)>, ToolError> {
        let mut bags = Vec::new();
        for unit in gone_is_default(calls::relation_units(self.tools, id))? {
            self.remote_apps.borrow_mut().insert(id.clone(), unit.app().clone());
            let bag = gone_is_default(calls::relation_get_unit(self.tools, id, &unit))?;
            bags.push((unit, bag));
        }
        Ok(bags)
    }

    /// The databag of this unit; empty if the relation has gone meanwhile.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn own_unit_data(&self, id: &RelationId) -> Result<Bag, ToolError> {
        gone_is_default(calls::relation_get_unit(self.tools, id, &self.dispatch.unit))
    }

    /// Writes `changes` into this unit's databag; an empty value removes its key, other keys stay.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn write_unit_data(&self, id: &RelationId, changes: &Bag) -> Result<Changed, ToolError> {
        if changes.is_empty() {
            return Ok(Changed::No);
        }
        match calls::relation_set_unit(self.tools, id, changes) {
            Ok(()) => Ok(Changed::Yes),
            Err(error) if error.failure() == Some(Failure::RelationGone) => Ok(Changed::No),
            Err(error) => Err(error),
        }
    }

    /// The application databag of a peer relation, which every unit may read.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn peer_app_data(&self, id: &RelationId) -> Result<Bag, ToolError> {
        gone_is_default(calls::relation_get_app(self.tools, id, self.app()))
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

    /// Opens and closes TCP ports so that exactly `wanted` are open. On Kubernetes the application's
    /// service has the ports that any unit has opened.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn set_ports(&self, wanted: &BTreeSet<u16>) -> Result<Changed, ToolError> {
        let open = unit_calls::opened_ports(self.tools)?;
        for port in wanted.difference(&open) {
            unit_calls::open_port(self.tools, *port)?;
        }
        for port in open.difference(wanted) {
            unit_calls::close_port(self.tools, *port)?;
        }
        Ok(if open == *wanted { Changed::No } else { Changed::Yes })
    }

    /// The pod's own address at `endpoint`; `None` while it has none.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn bind_address(&self, endpoint: &Endpoint) -> Result<Option<String>, ToolError> {
        match unit_calls::bind_address(self.tools, endpoint) {
            Err(error) if error.failure().is_some() => Ok(None),
            other => other,
        }
    }

    /// The newest content of a secret; `None` if it is not there or not for us (yet).
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn secret(&self, secret: SecretRef<'_>) -> Result<Option<SecretContent>, ToolError> {
        match secret_calls::secret_get(self.tools, secret) {
            Ok(content) => Ok(Some(content)),
            // Also "other model offline" and the like: not ready, and worth another try later.
            Err(error) if error.failure().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a secret of the application, which all its units can read.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn add_secret(
        &self,
        _proof: &Leader<'_>,
        label: &str,
        content: &SecretContent,
    ) -> Result<SecretId, ToolError> {
        secret_calls::secret_add(self.tools, label, content)
    }

    /// Replaces the content of a secret of the application.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn set_secret(
        &self,
        _proof: &Leader<'_>,
        id: &SecretId,
        content: &SecretContent,
    ) -> Result<(), ToolError> {
        secret_calls::secret_set(self.tools, id, content)
    }

    /// Removes a secret that this unit owns, by its label. One that is not there is none to remove.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn remove_secret_labelled(&self, label: &str) -> Result<Changed, ToolError> {
        let id = match secret_calls::secret_id_of(self.tools, label) {
            Ok(id) => id,
            Err(error) if error.failure().is_some() => return Ok(Changed::No),
            Err(error) => return Err(error),
        };
        secret_calls::secret_remove(self.tools, &id)?;
        Ok(Changed::Yes)
    }

    /// Adds a record to the log; it is sent at the end of the dispatch. No secrets.
    pub fn log(&self, level: Level, text: impl Into<String>) {
        self.log.add(level, text);
    }

    /// Sends the log records so far. [`crate::run`] does so at the end.
    pub fn flush_log(&self) {
        self.log.flush(self.tools);
    }

    /// The parameters of the running action.
    ///
    /// # Errors
    ///
    /// [`ToolError`], also outside an action and if they do not fit `T`.
    pub fn action_parameters<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        unit_calls::action_get(self.tools)
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
