//! Alert rules as the observability interfaces carry them: a Prometheus rule file in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The rules of one application. Empty is written as `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRules {
    /// Groups of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleGroup {
    /// Name, see [`group_name`].
    pub name: String,
    /// The rules.
    pub rules: Vec<AlertRule>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Name of the alert.
    pub alert: String,
    /// Expression; it must restrict every selector to our own topology.
    pub expr: String,
    /// How long the expression must hold, for example `10m`.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Labels: `severity` and the topology without the unit.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Texts for people.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What the receiver of rules says about them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEvent {
    /// Why the rules were refused; all rules of the relation are dropped then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<String>,
    /// Whether the rules were accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
}

/// Name of a rule group, unique over all models and applications:
/// `<model>_<first 8 of the model's UUID>_<app>_<group>_rules`, where every other character than
/// letters, digits, `_` and `:` becomes `_`.
#[must_use]
pub fn group_name(model: &str, model_uuid: &str, app: &str, group: &str) -> String {
    let short: String = model_uuid.chars().take(8).collect();
    format!("{model}_{short}_{app}_{group}_rules")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_name_has_only_characters_that_prometheus_takes() {
        let name = group_name("cm-prod", "6f1c2b8e-3f0d", "microcloud-cluster-manager-k8s", "up");
        assert_eq!(name, "cm_prod_6f1c2b8e_microcloud_cluster_manager_k8s_up_rules");
    }
}
