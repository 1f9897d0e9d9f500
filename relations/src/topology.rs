//! Where a metric, a log line or a dashboard comes from, in Juju's terms.

use serde::{Deserialize, Serialize};

/// Topology as `prometheus_scrape` and `loki_push_api` write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Name of the model.
    pub model: String,
    /// UUID of the model.
    pub model_uuid: String,
    /// Name of the application.
    pub application: String,
    /// Name of the unit that wrote this: the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Name of the charm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charm_name: Option<String>,
}
