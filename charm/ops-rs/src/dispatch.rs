//! What Juju wants from this run of the program: one typed [`Event`].

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::ids::{AppName, Endpoint, InvalidName, RelationId, SecretId, UnitName};

/// One run of the charm: what happened, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// What happened.
    pub event: Event,
    /// The unit that this process speaks for.
    pub unit: UnitName,
    /// Name of the model; on Kubernetes also of its namespace.
    pub model_name: String,
    /// UUID of the model.
    pub model_uuid: String,
    /// Version of the Juju agent, for example `3.6.9`.
    pub juju_version: String,
}

/// What happened. Hooks and actions alike; no default case is hidden in it, so that the compiler
/// points at a handler that one forgot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The unit is new.
    Install,
    /// The first configuration is done, or the pod is new.
    Start,
    /// The pod or the unit is about to go.
    Stop,
    /// The unit is going: the last event.
    Remove,
    /// Configuration, trust or addresses changed.
    ConfigChanged,
    /// Juju's regular tick.
    UpdateStatus,
    /// The charm is a new revision.
    UpgradeCharm,
    /// This unit has become the leader.
    LeaderElected,
    /// Something about a relation.
    Relation {
        /// Which relation.
        id: RelationId,
        /// The application on the other side.
        app: AppName,
        /// What about it.
        kind: RelationEvent,
    },
    /// Something about a secret.
    Secret {
        /// Which secret.
        id: SecretId,
        /// Its label, if it has one.
        label: Option<String>,
        /// What about it.
        kind: SecretEvent,
    },
    /// Something about a workload container.
    Workload {
        /// Name of the container.
        container: String,
        /// What about it.
        kind: WorkloadEvent,
    },
    /// Something about a storage instance.
    Storage {
        /// Name of the storage in the charm's metadata.
        name: String,
        /// Number of the instance.
        index: u32,
        /// Where it is mounted; not told when it is being detached.
        location: Option<PathBuf>,
        /// What about it.
        kind: StorageEvent,
    },
    /// An operator runs an action.
    Action {
        /// Name of the action.
        name: String,
        /// Identifier of this run.
        id: String,
    },
    /// A hook that this crate does not know: reconcile as for [`Event::UpdateStatus`], so that a
    /// new Juju does not break an old charm.
    Other(String),
}

/// What happened to a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationEvent {
    /// It exists.
    Created,
    /// A remote unit came.
    Joined(UnitName),
    /// Data changed: of this remote unit, or of the remote application.
    Changed(Option<UnitName>),
    /// A remote unit left.
    Departed {
        /// The remote unit that this event is about.
        unit: UnitName,
        /// The unit that leaves; our own name if it is we who go.
        departing: Option<UnitName>,
    },
    /// It is gone.
    Broken,
}

/// What happened to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEvent {
    /// There is a newer revision than the one that we track.
    Changed,
    /// Its owner should make a new revision.
    Rotate,
    /// Nobody uses this revision any more.
    Remove(u32),
    /// This revision has expired.
    Expired(u32),
}

/// What happened to a workload container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkloadEvent {
    /// Pebble answers, for the first time or after a restart.
    Ready,
    /// The workload posted a notice.
    Notice {
        /// Identifier of the notice.
        id: String,
        /// Type, at present always `custom`.
        kind: String,
        /// Key, for example `example.com/path`.
        key: String,
    },
    /// This check is down.
    CheckFailed(String),
    /// This check is up again.
    CheckRecovered(String),
}

/// What happened to a storage instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageEvent {
    /// It is mounted.
    Attached,
    /// It is about to go.
    Detaching,
}

/// The environment is not one that Juju makes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// A variable that this event needs is not there.
    #[error("{0} is not set: this program is meant to be started by Juju")]
    Missing(&'static str),
    /// A variable holds something unexpected.
    #[error("{variable} is wrong")]
    Invalid {
        /// Name of the variable.
        variable: &'static str,
        /// What is wrong.
        #[source]
        source: InvalidName,
    },
}

impl Dispatch {
    /// Reads this process's environment.
    ///
    /// # Errors
    ///
    /// [`DispatchError`] if the process was not started by Juju.
    pub fn from_env() -> Result<Self, DispatchError> {
        let utf8 = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::from_vars(std::env::vars_os().filter_map(utf8))
    }

    /// Reads an environment. An empty variable counts as absent.
    ///
    /// # Errors
    ///
    /// [`DispatchError`] if a variable is missing that every event has, or that this event has.
    pub fn from_vars<I>(vars: I) -> Result<Self, DispatchError>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let vars = Vars(vars.into_iter().filter(|(_, value)| !value.is_empty()).collect());
        Ok(Self {
            event: event(&vars)?,
            unit: vars.unit("JUJU_UNIT_NAME")?.ok_or(DispatchError::Missing("JUJU_UNIT_NAME"))?,
            model_name: vars.need("JUJU_MODEL_NAME")?,
            model_uuid: vars.need("JUJU_MODEL_UUID")?,
            juju_version: vars.need("JUJU_VERSION")?,
        })
    }

    /// The relation that is gone, in its own `relation-broken` hook. Its data may still be there,
    /// and must not be used.
    #[must_use]
    pub fn broken_relation(&self) -> Option<&RelationId> {
        match &self.event {
            Event::Relation { id, kind: RelationEvent::Broken, .. } => Some(id),
            _ => None,
        }
    }
}

/// Hook names and actions share one variable; `JUJU_HOOK_NAME` is empty for actions.
fn event(vars: &Vars) -> Result<Event, DispatchError> {
    let path = vars.need("JUJU_DISPATCH_PATH")?;
    let (folder, name) = path.rsplit_once('/').unwrap_or(("hooks", &path));
    if folder.ends_with("actions") {
        return Ok(Event::Action { name: name.to_owned(), id: vars.need("JUJU_ACTION_UUID")? });
    }
    Ok(match name {
        "install" => Event::Install,
        "start" => Event::Start,
        "stop" => Event::Stop,
        "remove" => Event::Remove,
        "config-changed" => Event::ConfigChanged,
        "update-status" => Event::UpdateStatus,
        "upgrade-charm" => Event::UpgradeCharm,
        "leader-elected" => Event::LeaderElected,
        "secret-changed" => secret(vars, SecretEvent::Changed)?,
        "secret-rotate" => secret(vars, SecretEvent::Rotate)?,
        "secret-remove" => secret(vars, SecretEvent::Remove(vars.revision()?))?,
        "secret-expired" => secret(vars, SecretEvent::Expired(vars.revision()?))?,
        _ => with_suffix(vars, name)?,
    })
}

/// The hooks whose names begin with that of an endpoint, a container or a storage.
fn with_suffix(vars: &Vars, name: &str) -> Result<Event, DispatchError> {
    let ends = |suffix: &str| name.strip_suffix(suffix).is_some_and(|prefix| !prefix.is_empty());
    let remote = || vars.unit("JUJU_REMOTE_UNIT");
    let need_remote = || remote()?.ok_or(DispatchError::Missing("JUJU_REMOTE_UNIT"));
    let check = || vars.need("JUJU_PEBBLE_CHECK_NAME");
    if ends("-relation-created") {
        relation(vars, RelationEvent::Created)
    } else if ends("-relation-joined") {
        relation(vars, RelationEvent::Joined(need_remote()?))
    } else if ends("-relation-changed") {
        relation(vars, RelationEvent::Changed(remote()?))
    } else if ends("-relation-departed") {
        let departing = vars.unit("JUJU_DEPARTING_UNIT")?;
        relation(vars, RelationEvent::Departed { unit: need_remote()?, departing })
    } else if ends("-relation-broken") {
        relation(vars, RelationEvent::Broken)
    } else if ends("-pebble-ready") {
        workload(vars, WorkloadEvent::Ready)
    } else if ends("-pebble-check-failed") {
        workload(vars, WorkloadEvent::CheckFailed(check()?))
    } else if ends("-pebble-check-recovered") {
        workload(vars, WorkloadEvent::CheckRecovered(check()?))
    } else if ends("-pebble-custom-notice") {
        let id = vars.need("JUJU_NOTICE_ID")?;
        let kind = vars.need("JUJU_NOTICE_TYPE")?;
        let key = vars.need("JUJU_NOTICE_KEY")?;
        workload(vars, WorkloadEvent::Notice { id, kind, key })
    } else if ends("-storage-attached") {
        storage(vars, StorageEvent::Attached)
    } else if ends("-storage-detaching") {
        storage(vars, StorageEvent::Detaching)
    } else {
        Ok(Event::Other(name.to_owned()))
    }
}

fn relation(vars: &Vars, kind: RelationEvent) -> Result<Event, DispatchError> {
    // The number is what counts; the endpoint is named by a variable of its own as well.
    let id = vars.parse("JUJU_RELATION_ID", RelationId::parse)?;
    let id = id.ok_or(DispatchError::Missing("JUJU_RELATION_ID"))?;
    let endpoint: Endpoint = vars.need("JUJU_RELATION")?.into();
    let app = match vars.parse("JUJU_REMOTE_APP", AppName::parse)? {
        Some(app) => app,
        None => vars
            .unit("JUJU_REMOTE_UNIT")?
            .map(|unit| unit.app().clone())
            .ok_or(DispatchError::Missing("JUJU_REMOTE_APP"))?,
    };
    Ok(Event::Relation { id: RelationId::new(endpoint, id.number()), app, kind })
}

fn secret(vars: &Vars, kind: SecretEvent) -> Result<Event, DispatchError> {
    let id = SecretId::new(&vars.need("JUJU_SECRET_ID")?);
    Ok(Event::Secret { id, label: vars.get("JUJU_SECRET_LABEL").map(str::to_owned), kind })
}

fn workload(vars: &Vars, kind: WorkloadEvent) -> Result<Event, DispatchError> {
    Ok(Event::Workload { container: vars.need("JUJU_WORKLOAD_NAME")?, kind })
}

fn storage(vars: &Vars, kind: StorageEvent) -> Result<Event, DispatchError> {
    let split = |text: &str| {
        let invalid = || InvalidName { what: "storage id", text: text.to_owned() };
        let (name, index) = text.split_once('/').ok_or_else(invalid)?;
        Ok((name.to_owned(), index.parse().map_err(|_| invalid())?))
    };
    let id = vars.parse("JUJU_STORAGE_ID", split)?;
    let (name, index) = id.ok_or(DispatchError::Missing("JUJU_STORAGE_ID"))?;
    let location = vars.get("JUJU_STORAGE_LOCATION").map(PathBuf::from);
    Ok(Event::Storage { name, index, location, kind })
}

/// The environment without empty variables.
struct Vars(HashMap<String, String>);

impl Vars {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &'static str) -> Result<String, DispatchError> {
        self.get(name).map(str::to_owned).ok_or(DispatchError::Missing(name))
    }

    fn parse<T>(
        &self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, InvalidName>,
    ) -> Result<Option<T>, DispatchError> {
        let value = self.get(variable).map(parse).transpose();
        value.map_err(|source| DispatchError::Invalid { variable, source })
    }

    fn unit(&self, variable: &'static str) -> Result<Option<UnitName>, DispatchError> {
        self.parse(variable, UnitName::parse)
    }

    fn revision(&self) -> Result<u32, DispatchError> {
        let invalid = |text: &str| InvalidName { what: "revision", text: text.to_owned() };
        let revision =
            self.parse("JUJU_SECRET_REVISION", |text| text.parse().map_err(|_| invalid(text)))?;
        revision.ok_or(DispatchError::Missing("JUJU_SECRET_REVISION"))
    }
}
