//! Juju's hook tools: how a charm talks to the model.
//!
//! [`HookTools`] starts a tool; [`ProcessTools`] does so for real. [`calls`], [`secret_calls`] and
//! [`unit_calls`] have one function per tool that knows its arguments and its output, and hold no
//! policy.

pub mod calls;
mod error;
mod process;
pub mod secret_calls;
pub mod unit_calls;

pub use error::{Failure, ToolError};
pub use process::ProcessTools;

/// The hook tools that this crate uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// Marks the running action as failed. At the end of the action.
    ActionFail,
    /// Reads the parameters of the running action.
    ActionGet,
    /// Tells the operator how far the running action is. At once.
    ActionLog,
    /// Adds results to the running action.
    ActionSet,
    /// Sets the version of the workload that `juju status` shows. At once.
    ApplicationVersionSet,
    /// Closes a port. Takes effect when the hook ends well.
    ClosePort,
    /// Reads the configuration.
    ConfigGet,
    /// Asks for leadership, and renews its assurance for about 30 s.
    IsLeader,
    /// Writes to the log. At once.
    JujuLog,
    /// Reads the addresses of an endpoint.
    NetworkGet,
    /// Opens a port. Takes effect when the hook ends well.
    OpenPort,
    /// Lists the opened ports.
    OpenedPorts,
    /// Reads a databag.
    RelationGet,
    /// Lists relations of an endpoint.
    RelationIds,
    /// Lists the remote units of a relation, or names its application.
    RelationList,
    /// Writes a databag. Takes effect when the hook ends well.
    RelationSet,
    /// Makes a secret. Takes effect when the hook ends well; its id can be used before.
    SecretAdd,
    /// Reads a secret.
    SecretGet,
    /// Reads what the owner of a secret may know about it.
    SecretInfoGet,
    /// Removes a secret. Takes effect when the hook ends well.
    SecretRemove,
    /// Makes a new revision of a secret. Takes effect when the hook ends well.
    SecretSet,
    /// Reads the unit's status.
    StatusGet,
    /// Sets the unit's status. Takes effect at once.
    StatusSet,
}

impl Tool {
    /// All tools.
    pub const ALL: [Self; 23] = [
        Self::ActionFail,
        Self::ActionGet,
        Self::ActionLog,
        Self::ActionSet,
        Self::ApplicationVersionSet,
        Self::ClosePort,
        Self::ConfigGet,
        Self::IsLeader,
        Self::JujuLog,
        Self::NetworkGet,
        Self::OpenPort,
        Self::OpenedPorts,
        Self::RelationGet,
        Self::RelationIds,
        Self::RelationList,
        Self::RelationSet,
        Self::SecretAdd,
        Self::SecretGet,
        Self::SecretInfoGet,
        Self::SecretRemove,
        Self::SecretSet,
        Self::StatusGet,
        Self::StatusSet,
    ];

    /// Name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActionFail => "action-fail",
            Self::ActionGet => "action-get",
            Self::ActionLog => "action-log",
            Self::ActionSet => "action-set",
            Self::ApplicationVersionSet => "application-version-set",
            Self::ClosePort => "close-port",
            Self::ConfigGet => "config-get",
            Self::IsLeader => "is-leader",
            Self::JujuLog => "juju-log",
            Self::NetworkGet => "network-get",
            Self::OpenPort => "open-port",
            Self::OpenedPorts => "opened-ports",
            Self::RelationGet => "relation-get",
            Self::RelationIds => "relation-ids",
            Self::RelationList => "relation-list",
            Self::RelationSet => "relation-set",
            Self::SecretAdd => "secret-add",
            Self::SecretGet => "secret-get",
            Self::SecretInfoGet => "secret-info-get",
            Self::SecretRemove => "secret-remove",
            Self::SecretSet => "secret-set",
            Self::StatusGet => "status-get",
            Self::StatusSet => "status-set",
        }
    }

    /// The tool with this program name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}

/// Something that runs hook tools.
pub trait HookTools {
    /// Runs `tool` and returns its standard output. `input` is given to it as standard input.
    ///
    /// # Errors
    ///
    /// [`ToolError`] if it does not start or reports a failure.
    fn call(&self, tool: Tool, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, ToolError>;
}
