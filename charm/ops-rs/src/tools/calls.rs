//! One function per hook tool: arguments in, typed output out, no policy.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{HookTools, Tool, ToolError};
use crate::ids::{AppName, Endpoint, RelationId, UnitName};
use crate::status::{ReportedStatus, Status};

/// One databag: every value is a string.
pub type Bag = BTreeMap<String, String>;

pub(super) const JSON: &str = "--format=json";

/// `config-get`: all options that are set or have a default.
///
/// # Errors
///
/// [`ToolError`].
pub fn config_get(tools: &dyn HookTools) -> Result<Map<String, Value>, ToolError> {
    json(tools, Tool::ConfigGet, &[JSON])
}

/// `is-leader`.
///
/// # Errors
///
/// [`ToolError`].
pub fn is_leader(tools: &dyn HookTools) -> Result<bool, ToolError> {
    json(tools, Tool::IsLeader, &[JSON])
}

/// `relation-ids`: the relations of `endpoint`, by number.
///
/// # Errors
///
/// [`ToolError`].
pub fn relation_ids(
    tools: &dyn HookTools,
    endpoint: &Endpoint,
) -> Result<Vec<RelationId>, ToolError> {
    let ids: Vec<String> = json(tools, Tool::RelationIds, &[JSON, endpoint.as_str()])?;
    let mut ids = ids
        .iter()
        .map(|id| RelationId::parse(id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ToolError::Output { tool: Tool::RelationIds })?;
    ids.sort_by_key(RelationId::number);
    Ok(ids)
}

/// `relation-list --app`: the application on the other side.
///
/// # Errors
///
/// [`ToolError`], also if the relation is gone.
pub fn relation_app(tools: &dyn HookTools, id: &RelationId) -> Result<AppName, ToolError> {
    let name: String = json(tools, Tool::RelationList, &[JSON, "--app", "-r", &id.to_string()])?;
    AppName::parse(&name).map_err(|_| ToolError::Output { tool: Tool::RelationList })
}

/// `relation-get --app`: the whole application databag of `app`. The own one is for the leader only.
///
/// # Errors
///
/// [`ToolError`], also if the relation is gone or the bag is not for us.
pub fn relation_get_app(
    tools: &dyn HookTools,
    id: &RelationId,
    app: &AppName,
) -> Result<Bag, ToolError> {
    let args = [JSON, "-r", &id.to_string(), "--app", "-", app.as_str()];
    Ok(json::<Option<Bag>>(tools, Tool::RelationGet, &args)?.unwrap_or_default())
}

/// `relation-list`: the remote units, sorted by name.
///
/// # Errors
///
/// [`ToolError`], also if the relation is gone.
pub fn relation_units(tools: &dyn HookTools, id: &RelationId) -> Result<Vec<UnitName>, ToolError> {
    let names: Vec<String> = json(tools, Tool::RelationList, &[JSON, "-r", &id.to_string()])?;
    let mut units = names
        .iter()
        .map(|name| UnitName::parse(name))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ToolError::Output { tool: Tool::RelationList })?;
    units.sort();
    Ok(units)
}

/// `relation-get`: the whole databag of `unit`, which may be the own one.
///
/// # Errors
///
/// [`ToolError`], also if the relation is gone.
pub fn relation_get_unit(
    tools: &dyn HookTools,
    id: &RelationId,
    unit: &UnitName,
) -> Result<Bag, ToolError> {
    let args = [JSON, "-r", &id.to_string(), "-", unit.as_str()];
    // Juju prints `null` for a unit that has not written anything.
    Ok(json::<Option<Bag>>(tools, Tool::RelationGet, &args)?.unwrap_or_default())
}

/// `relation-set`: writes keys of the own unit databag; an empty value removes the key.
///
/// # Errors
///
/// [`ToolError`], also if the relation is gone.
pub fn relation_set_unit(
    tools: &dyn HookTools,
    id: &RelationId,
    values: &Bag,
) -> Result<(), ToolError> {
    relation_set(tools, &["-r", &id.to_string(), "--file", "-"], values)
}

/// `relation-set --app`: writes keys of the own application databag; an empty value removes the key.
///
/// # Errors
///
/// [`ToolError`], also if this unit is not the leader or the relation is gone.
pub fn relation_set_app(
    tools: &dyn HookTools,
    id: &RelationId,
    values: &Bag,
) -> Result<(), ToolError> {
    relation_set(tools, &["-r", &id.to_string(), "--app", "--file", "-"], values)
}

fn relation_set(tools: &dyn HookTools, args: &[&str], values: &Bag) -> Result<(), ToolError> {
    // JSON is YAML, which the tool reads; values travel on standard input and not as arguments,
    // which have a length limit and are visible to others.
    let object = values.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    let input = Value::Object(object).to_string();
    tools.call(Tool::RelationSet, args, Some(input.as_bytes())).map(drop)
}

/// `status-get`: the unit's present status.
///
/// # Errors
///
/// [`ToolError`].
pub fn status_get(tools: &dyn HookTools) -> Result<ReportedStatus, ToolError> {
    json(tools, Tool::StatusGet, &["--include-data", JSON])
}

/// `status-set`: the unit's new status.
///
/// # Errors
///
/// [`ToolError`].
pub fn status_set(tools: &dyn HookTools, status: &Status) -> Result<(), ToolError> {
    let args = [status.kind().as_str(), "--", status.message()];
    tools.call(Tool::StatusSet, &args, None).map(drop)
}

/// `action-set`: adds results to the running action. Keys are lower-case words with hyphens; dots
/// nest.
///
/// # Errors
///
/// [`ToolError`], also outside an action.
pub fn action_set(tools: &dyn HookTools, results: &[(&str, &str)]) -> Result<(), ToolError> {
    let pairs: Vec<String> = results.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let args: Vec<&str> = pairs.iter().map(String::as_str).collect();
    tools.call(Tool::ActionSet, &args, None).map(drop)
}

/// `action-fail`: marks the running action as failed; the program goes on and ends with 0.
///
/// # Errors
///
/// [`ToolError`], also outside an action.
pub fn action_fail(tools: &dyn HookTools, message: &str) -> Result<(), ToolError> {
    tools.call(Tool::ActionFail, &["--", message], None).map(drop)
}

pub(super) fn json<T: DeserializeOwned>(
    tools: &dyn HookTools,
    tool: Tool,
    args: &[&str],
) -> Result<T, ToolError> {
    let output = tools.call(tool, args, None)?;
    // The source error is dropped: serde quotes the offending value in it, and configuration may
    // hold secrets.
    serde_json::from_slice(&output).map_err(|_| ToolError::Output { tool })
}
