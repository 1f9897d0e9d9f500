//! Hook tools about secrets. Content never is an argument: other processes can read those.

use std::collections::BTreeMap;
use std::io::{self, Write};

use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

use super::calls::{JSON, json};
use super::{HookTools, Tool, ToolError};
use crate::ids::SecretId;

/// The content of a secret: keys of at least three characters, `^[a-z](-?[a-z0-9]){2,}$`.
pub type SecretContent = BTreeMap<String, SecretString>;

/// How a secret is found.
#[derive(Debug, Clone, Copy)]
pub enum SecretRef<'a> {
    /// By its identifier.
    Id(&'a SecretId),
    /// By the label that its owner, or this reader, gave it.
    Label(&'a str),
}

/// `secret-get --refresh`: the newest content, which is tracked from now on.
///
/// # Errors
///
/// [`ToolError`], also if the secret is not there or not for us.
pub fn secret_get(
    tools: &dyn HookTools,
    secret: SecretRef<'_>,
) -> Result<SecretContent, ToolError> {
    let content: BTreeMap<String, String> = match secret {
        SecretRef::Id(id) => json(tools, Tool::SecretGet, &[id.as_str(), "--refresh", JSON])?,
        SecretRef::Label(label) => {
            json(tools, Tool::SecretGet, &["--label", label, "--refresh", JSON])?
        }
    };
    Ok(content.into_iter().map(|(key, value)| (key, value.into())).collect())
}

/// `secret-add --owner application`: a secret that every unit of this application can read.
///
/// # Errors
///
/// [`ToolError`], also if this unit is not the leader.
pub fn secret_add(
    tools: &dyn HookTools,
    label: &str,
    content: &SecretContent,
) -> Result<SecretId, ToolError> {
    let file = file_with(Tool::SecretAdd, content)?;
    let path = file.path().to_string_lossy();
    let args = ["--owner", "application", "--label", label, "--file", &path];
    let output = tools.call(Tool::SecretAdd, &args, None)?;
    let id = String::from_utf8_lossy(&output).trim().to_owned();
    if id.is_empty() {
        return Err(ToolError::Output { tool: Tool::SecretAdd });
    }
    Ok(SecretId::new(&id))
}

/// `secret-set`: a new revision. The same content as before makes none.
///
/// # Errors
///
/// [`ToolError`], also if this unit may not.
pub fn secret_set(
    tools: &dyn HookTools,
    id: &SecretId,
    content: &SecretContent,
) -> Result<(), ToolError> {
    let file = file_with(Tool::SecretSet, content)?;
    let path = file.path().to_string_lossy();
    tools.call(Tool::SecretSet, &[id.as_str(), "--file", &path], None).map(drop)
}

/// `secret-remove`: all revisions.
///
/// # Errors
///
/// [`ToolError`], also if this unit may not.
pub fn secret_remove(tools: &dyn HookTools, id: &SecretId) -> Result<(), ToolError> {
    tools.call(Tool::SecretRemove, &[id.as_str()], None).map(drop)
}

/// `secret-info-get`: the identifier of a secret that we own, by its label; `secret-remove` takes an
/// identifier only.
///
/// # Errors
///
/// [`ToolError`], also if there is none.
pub fn secret_id_of(tools: &dyn HookTools, label: &str) -> Result<SecretId, ToolError> {
    let info: BTreeMap<String, serde_json::Value> =
        json(tools, Tool::SecretInfoGet, &["--label", label, JSON])?;
    let id = info.into_keys().next();
    id.map(|id| SecretId::new(&format!("secret:{id}")))
        .ok_or(ToolError::Output { tool: Tool::SecretInfoGet })
}

/// A file that only this user can read and that goes when it is dropped. JSON is YAML, which the
/// tools read.
fn file_with(tool: Tool, content: &SecretContent) -> Result<NamedTempFile, ToolError> {
    let shown: BTreeMap<&str, &str> =
        content.iter().map(|(key, value)| (key.as_str(), value.expose_secret())).collect();
    let write = || -> io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        serde_json::to_writer(&mut file, &shown)?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|source| ToolError::Run { tool, source })
}
