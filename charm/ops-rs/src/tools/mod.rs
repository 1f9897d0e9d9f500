//! Juju's hook tools: how a charm talks to the model.
//!
//! [`HookTools`] starts a tool; [`ProcessTools`] does so for real. [`calls`] has one function per
//! tool that knows its arguments and its output, and holds no policy.

pub mod calls;
mod error;
mod process;

pub use error::{Failure, ToolError};
pub use process::ProcessTools;

/// The hook tools that this crate uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Marks the running action as failed. At the end of the action.
    ActionFail,
    /// Adds results to the running action.
    ActionSet,
    /// Reads the configuration.
    ConfigGet,
    /// Asks for leadership, and renews its assurance for about 30 s.
    IsLeader,
    /// Reads a databag.
    RelationGet,
    /// Lists relations of an endpoint.
    RelationIds,
    /// Lists the remote units of a relation, or names its application.
    RelationList,
    /// Writes a databag. Takes effect when the hook ends well.
    RelationSet,
    /// Reads the unit's status.
    StatusGet,
    /// Sets the unit's status. Takes effect at once.
    StatusSet,
}

impl Tool {
    /// Name of the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ActionFail => "action-fail",
            Self::ActionSet => "action-set",
            Self::ConfigGet => "config-get",
            Self::IsLeader => "is-leader",
            Self::RelationGet => "relation-get",
            Self::RelationIds => "relation-ids",
            Self::RelationList => "relation-list",
            Self::RelationSet => "relation-set",
            Self::StatusGet => "status-get",
            Self::StatusSet => "status-set",
        }
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
