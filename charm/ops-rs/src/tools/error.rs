//! What can go wrong with a hook tool, told apart by what a charm would do about it.

use std::io;

use super::Tool;

/// A hook tool did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program could not be run.
    #[error("hook tool {} could not be run", tool.name())]
    Run {
        /// Which tool.
        tool: Tool,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program reported a failure.
    #[error("hook tool {} failed: {message}", tool.name())]
    Failed {
        /// Which tool.
        tool: Tool,
        /// What kind of failure.
        failure: Failure,
        /// Juju's words, one line.
        message: String,
    },
    /// The program's output is not what it is documented to be.
    #[error("hook tool {} gave output of an unexpected form", tool.name())]
    Output {
        /// Which tool.
        tool: Tool,
    },
}

impl ToolError {
    /// The kind of failure, if Juju reported one.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed { failure, .. } => Some(*failure),
            Self::Run { .. } | Self::Output { .. } => None,
        }
    }

    /// Makes the error for a tool that ended with an exit code other than 0.
    #[must_use]
    pub fn from_stderr(tool: Tool, stderr: &str) -> Self {
        let line = stderr
            .lines()
            .find_map(|line| line.strip_prefix("ERROR "))
            .or_else(|| stderr.lines().find(|line| !line.trim().is_empty()))
            .unwrap_or("no reason given");
        let message = line.trim().to_owned();
        Self::Failed { tool, failure: Failure::from_message(tool, &message), message }
    }
}

/// Kinds of failure that a charm treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The relation is gone: no data, nothing to write.
    RelationGone,
    /// This unit is not the leader, or no longer: the new leader will do the work.
    NotLeader,
    /// No right to read: a missing grant, or another's databag.
    PermissionDenied,
    /// The secret does not exist, or no longer.
    SecretNotFound,
    /// An action tool was used outside an action.
    NotAnAction,
    /// Anything else.
    Other,
}

impl Failure {
    /// Juju's texts are no stable interface, so they are matched loosely and in any case.
    fn from_message(tool: Tool, message: &str) -> Self {
        let text = message.to_ascii_lowercase();
        let has = |part: &str| text.contains(part);
        if has("relation not found") {
            Self::RelationGone
        } else if has("not the leader") || has("cannot write relation settings") {
            Self::NotLeader
        } else if has("permission denied") {
            // A write is refused for one reason only.
            if tool == Tool::RelationSet { Self::NotLeader } else { Self::PermissionDenied }
        } else if has("secret") && has("not found") {
            Self::SecretNotFound
        } else if has("not running an action") {
            Self::NotAnAction
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn juju_s_texts_are_told_apart() {
        for (tool, stderr, wanted) in [
            (
                Tool::RelationGet,
                "ERROR invalid value \"database:9\" for option -r: relation not found\n",
                Failure::RelationGone,
            ),
            (Tool::RelationGet, "ERROR permission denied\n", Failure::PermissionDenied),
            (Tool::RelationSet, "ERROR cannot write relation settings\n", Failure::NotLeader),
            (Tool::StatusSet, "ERROR \"app/1\" is Not The Leader of \"app\"", Failure::NotLeader),
            (Tool::ConfigGet, "ERROR secret \"x\" not found", Failure::SecretNotFound),
            (Tool::ActionSet, "ERROR not running an action", Failure::NotAnAction),
            (Tool::ConfigGet, "ERROR bad request: bad context", Failure::Other),
            (Tool::ConfigGet, "", Failure::Other),
        ] {
            assert_eq!(ToolError::from_stderr(tool, stderr).failure(), Some(wanted), "{stderr}");
        }
    }

    #[test]
    fn the_message_is_juju_s_line() {
        let error = ToolError::from_stderr(Tool::IsLeader, "noise\nERROR  cannot do it\nmore\n");
        assert_eq!(error.to_string(), "hook tool is-leader failed: cannot do it");
        let error = ToolError::from_stderr(Tool::IsLeader, "\nsignal: killed\n");
        assert_eq!(error.to_string(), "hook tool is-leader failed: signal: killed");
    }
}
