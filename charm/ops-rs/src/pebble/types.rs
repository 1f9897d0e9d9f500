//! What Pebble tells about itself.

use serde::Deserialize;
use serde_json::Value;

/// Pebble itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SystemInfo {
    /// Version, for example `v1.32.1`.
    pub version: String,
    /// Changes when the container starts anew.
    #[serde(default)]
    pub boot_id: String,
}

/// A service of the plan.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceInfo {
    /// Name.
    pub name: String,
    /// `enabled` or `disabled`.
    pub startup: String,
    /// `active`, `inactive`, `backoff` or `error`.
    pub current: String,
    /// Since when it is so, RFC 3339; `None` if it was never started.
    #[serde(default, rename = "current-since")]
    pub current_since: Option<String>,
}

impl ServiceInfo {
    /// Whether it runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.current == "active"
    }
}

/// A check of the plan.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckInfo {
    /// Name.
    pub name: String,
    /// How it stands.
    pub status: CheckStatus,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u64,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// It succeeds, or has not failed often enough yet.
    Up,
    /// It has failed as often in a row as its threshold says.
    Down,
    /// It does not run; also what a newer Pebble may say.
    #[serde(other)]
    Inactive,
}

/// Work of Pebble that takes time.
#[derive(Debug, Clone, Deserialize)]
pub struct Change {
    /// Identifier.
    pub id: String,
    /// It is over, well or not.
    pub ready: bool,
    /// Why it went wrong; `None` if it went well.
    #[serde(default)]
    pub err: Option<String>,
    /// Its parts.
    #[serde(default)]
    pub tasks: Vec<Task>,
}

/// A part of a change.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    /// Facts about it, for example `exit-code`.
    #[serde(default)]
    pub data: Value,
}

impl Change {
    /// The exit code of a command.
    #[must_use]
    pub fn exit_code(&self) -> Option<i64> {
        self.tasks.first()?.data.get("exit-code")?.as_i64()
    }
}
