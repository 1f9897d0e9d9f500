//! Which labels a series has: the manager's own are its to give, a cluster's only what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exposition::Label;

/// The labels that the manager sets, and what a label of a cluster with the same name becomes.
#[derive(Debug, Clone)]
pub(super) struct OwnNames(Arc<[(String, String)]>);

impl OwnNames {
    /// `cluster`, `job` and `member`, and those of `further`.
    pub(super) fn new(further: &BTreeMap<String, String>) -> Self {
        let all =
            ["cluster", "job", "member"].into_iter().chain(further.keys().map(String::as_str));
        Self(all.map(|name| (name.to_owned(), format!("exported_{name}"))).collect())
    }
}

/// The value of the label `job`: the cluster's name with each `-` as `_`, as dashboards expect it.
pub(super) fn job(cluster: &str) -> String {
    cluster.replace('-', "_")
}

/// Brings a sample's labels into the form that remote write demands: no empty value, no name that starts with `__`,
/// none of the manager's own names, every name once (the first one counts), sorted bytewise by name.
///
/// A label with one of the manager's names gets the prefix `exported_`; it is left out if the sample has that one, too, or if
/// that one is the manager's as well.
pub(super) fn normalise<'a>(labels: &mut Vec<Label<'a>>, own: &'a OwnNames) {
    labels.retain(|label| !label.value.is_empty() && !label.name.starts_with("__"));
    sort_unique(labels);
    let mut renamed = false;
    for (name, exported) in own.0.iter() {
        if let Some(at) = labels.iter().position(|label| label.name == name) {
            let taken = labels.iter().any(|label| label.name == exported)
                || own.0.iter().any(|(other, _)| other == exported);
            if taken {
                labels.remove(at);
            } else if let Some(label) = labels.get_mut(at) {
                label.name = exported;
                renamed = true;
            }
        }
    }
    if renamed {
        sort_unique(labels);
    }
}

fn sort_unique(labels: &mut Vec<Label<'_>>) {
    // LXD's labels are sorted already.
    if !labels.is_sorted_by(|a, b| a.name < b.name) {
        labels.sort_by(|a, b| a.name.cmp(b.name));
        labels.dedup_by(|later, first| later.name == first.name);
    }
}
