//! Which labels a series has: the manager's own are its to give, a cluster's only what is left.

use super::exposition::Label;

/// Labels that the manager sets, and what a label of a cluster with the same name becomes.
const OWN: [(&str, &str); 3] =
    [("cluster", "exported_cluster"), ("job", "exported_job"), ("member", "exported_member")];

/// The value of the label `job`: the cluster's name with each `-` as `_`, as dashboards expect it.
pub(super) fn job(cluster: &str) -> String {
    cluster.replace('-', "_")
}

/// Brings a sample's labels into the form that remote write demands: no empty value, no name that starts with `__`,
/// none of the manager's own names, every name once (the first one counts), sorted bytewise by name.
///
/// A label with one of the manager's names gets the prefix `exported_`; it is left out if the sample has that one, too.
pub(super) fn normalise(labels: &mut Vec<Label<'_>>) {
    labels.retain(|label| !label.value.is_empty() && !label.name.starts_with("__"));
    sort_unique(labels);
    let mut renamed = false;
    for (own, exported) in OWN {
        if let Some(at) = labels.iter().position(|label| label.name == own) {
            if labels.iter().any(|label| label.name == exported) {
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
