//! Hook tools about the unit: ports, network, log, parameters of actions.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::calls::{JSON, json};
use super::{HookTools, Tool, ToolError};
use crate::ids::Endpoint;
use crate::log::Level;

/// `opened-ports`: what is in effect, without what this hook has changed.
///
/// # Errors
///
/// [`ToolError`].
pub fn opened_ports(tools: &dyn HookTools) -> Result<BTreeSet<u16>, ToolError> {
    let ports: Option<Vec<String>> = json(tools, Tool::OpenedPorts, &[JSON])?;
    let tcp = |text: &String| text.strip_suffix("/tcp")?.parse().ok();
    Ok(ports.unwrap_or_default().iter().filter_map(tcp).collect())
}

/// `open-port`: opens a TCP port of the application's Kubernetes service.
///
/// # Errors
///
/// [`ToolError`].
pub fn open_port(tools: &dyn HookTools, port: u16) -> Result<(), ToolError> {
    tools.call(Tool::OpenPort, &[&format!("{port}/tcp")], None).map(drop)
}

/// `close-port`: closes a TCP port.
///
/// # Errors
///
/// [`ToolError`].
pub fn close_port(tools: &dyn HookTools, port: u16) -> Result<(), ToolError> {
    tools.call(Tool::ClosePort, &[&format!("{port}/tcp")], None).map(drop)
}

/// `network-get --bind-address`: the pod's own address at `endpoint`; `None` while it has none.
///
/// # Errors
///
/// [`ToolError`].
pub fn bind_address(
    tools: &dyn HookTools,
    endpoint: &Endpoint,
) -> Result<Option<String>, ToolError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Network {
        #[serde(default)]
        bind_addresses: Option<Vec<Interface>>,
    }
    #[derive(serde::Deserialize)]
    struct Interface {
        #[serde(default)]
        addresses: Option<Vec<Address>>,
    }
    #[derive(serde::Deserialize)]
    struct Address {
        // Very old agents say `address`.
        #[serde(default, alias = "address")]
        value: String,
    }
    let network: Network = json(tools, Tool::NetworkGet, &[JSON, endpoint.as_str()])?;
    let addresses = network.bind_addresses.unwrap_or_default().into_iter();
    let mut addresses = addresses.flat_map(|interface| interface.addresses.unwrap_or_default());
    Ok(addresses.find(|address| !address.value.is_empty()).map(|address| address.value))
}

/// `juju-log`: one record.
///
/// # Errors
///
/// [`ToolError`].
pub fn juju_log(tools: &dyn HookTools, level: Level, text: &str) -> Result<(), ToolError> {
    tools.call(Tool::JujuLog, &["--log-level", level.as_str(), "--", text], None).map(drop)
}

/// `action-get`: the parameters with their defaults.
///
/// # Errors
///
/// [`ToolError`], also outside an action and if the parameters do not fit `T`.
pub fn action_get<T: DeserializeOwned>(tools: &dyn HookTools) -> Result<T, ToolError> {
    json(tools, Tool::ActionGet, &[JSON])
}

/// `action-log`: a line of progress for the operator.
///
/// # Errors
///
/// [`ToolError`], also outside an action.
pub fn action_log(tools: &dyn HookTools, text: &str) -> Result<(), ToolError> {
    tools.call(Tool::ActionLog, &["--", text], None).map(drop)
}

/// `application-version-set`: the version of the workload.
///
/// # Errors
///
/// [`ToolError`].
pub fn application_version_set(tools: &dyn HookTools, version: &str) -> Result<(), ToolError> {
    tools.call(Tool::ApplicationVersionSet, &["--", version], None).map(drop)
}
