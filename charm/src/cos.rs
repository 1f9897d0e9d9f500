//! What the observability stack gets: scrape jobs, alert rules, dashboards.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relations::alert_rules::{AlertRules, group_name};
use relations::grafana_dashboard::{Dashboard, Dashboards};
use relations::prometheus_scrape::{ScrapeJob, StaticTargets};
use relations::topology::Topology;

use crate::addresses::{CONNECTOR_STATUS_PORT, MANAGEMENT_STATUS_PORT};
use crate::observe::Inputs;
use crate::{CHARM, pki, workload};

/// The rules as a Prometheus rule file; `%%juju_topology%%` stands for the matchers of one deployment.
pub const ALERTS: &str = include_str!("../cos/alerts.yaml");

/// The dashboards: template id and JSON.
pub const DASHBOARDS: [(&str, &str); 3] = [
    ("file:fleet", include_str!("../cos/dashboards/fleet.json")),
    (OF_A_CLUSTER, include_str!("../cos/dashboards/lxd.json")),
    ("file:manager", include_str!("../cos/dashboards/manager.json")),
];

/// The dashboard about one cluster. Its series come from the cluster and not from a unit of ours, so that a reader must not look
/// for our topology in them.
const OF_A_CLUSTER: &str = "file:lxd";

/// Stands for the topology in rules.
pub const PLACEHOLDER: &str = "%%juju_topology%%";

/// Where metrics come from.
#[must_use]
pub fn topology(inputs: &Inputs) -> Topology {
    Topology {
        model: inputs.model_name.clone(),
        model_uuid: inputs.model_uuid.clone(),
        application: inputs.app.clone(),
        unit: Some(inputs.unit.to_string()),
        charm_name: Some(CHARM.to_owned()),
    }
}

/// The labels that say which deployment something comes from, the same on all units. A cluster's heartbeats reach one unit now and
/// another one then, so that the unit's name would make new series each time: it is left out.
#[must_use]
pub fn application_labels(inputs: &Inputs) -> [(&'static str, &str); 4] {
    [
        ("juju_application", &inputs.app),
        ("juju_charm", CHARM),
        ("juju_model", &inputs.model_name),
        ("juju_model_uuid", &inputs.model_uuid),
    ]
}

/// The metrics of both services, of every unit.
#[must_use]
pub fn jobs() -> Vec<ScrapeJob> {
    [(workload::MANAGEMENT, MANAGEMENT_STATUS_PORT), (workload::CONNECTOR, CONNECTOR_STATUS_PORT)]
        .into_iter()
        .map(|(name, port)| ScrapeJob {
            job_name: name.to_owned(),
            metrics_path: "/metrics".to_owned(),
            static_configs: vec![StaticTargets { targets: vec![format!("*:{port}")] }],
        })
        .collect()
}

/// The rules with matchers for this deployment. A test reads the file, so that it is right here.
#[must_use]
pub fn alert_rules(inputs: &Inputs) -> AlertRules {
    let (model, uuid, app) = (&inputs.model_name, &inputs.model_uuid, &inputs.app);
    let matchers =
        format!("juju_model=\"{model}\", juju_model_uuid=\"{uuid}\", juju_application=\"{app}\"");
    let mut rules: AlertRules = serde_yaml::from_str(ALERTS).unwrap_or_default();
    for group in &mut rules.groups {
        group.name = group_name(model, uuid, app, &group.name);
        for rule in &mut group.rules {
            rule.expr = rule.expr.replace(PLACEHOLDER, &matchers);
            for (name, value) in application_labels(inputs) {
                rule.labels.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    rules
}

/// The dashboards, compressed. The text differs only when a dashboard or the leader does.
#[must_use]
pub fn dashboards(inputs: &Inputs) -> Dashboards {
    static COMPRESSED: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
        DASHBOARDS.iter().map(|(id, json)| (*id, compress(json.as_bytes()))).collect()
    });
    let unit = format!("{}/0", inputs.app);
    let templates: BTreeMap<String, Dashboard> = COMPRESSED
        .iter()
        .map(|(id, content)| {
            let ours = *id != OF_A_CLUSTER;
            let dashboard = Dashboard {
                charm: CHARM.to_owned(),
                content: content.clone(),
                // Any unit will do; the leader's name would change the text with each election.
                juju_topology: ours.then(|| Topology {
                    unit: Some(unit.clone()),
                    charm_name: None,
                    ..topology(inputs)
                }),
                inject_dropdowns: ours,
                dashboard_alt_uid: None,
            };
            ((*id).to_owned(), dashboard)
        })
        .collect();
    let all: String = DASHBOARDS.iter().map(|(_, json)| *json).collect();
    Dashboards { templates, uuid: pki::fingerprint(all.as_bytes()) }
}

/// Base64 of an XZ stream.
fn compress(content: &[u8]) -> String {
    let mut stream = Vec::new();
    // Writing to memory cannot fail.
    let _ = lzma_rs::xz_compress(&mut &*content, &mut stream);
    STANDARD.encode(stream)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_dashboard_survives_its_compression() {
        for (id, json) in DASHBOARDS {
            let stream = STANDARD.decode(compress(json.as_bytes())).unwrap();
            assert!(stream.starts_with(b"\xfd7zXZ\0"), "{id}");
            let mut read = Vec::new();
            lzma_rs::xz_decompress(&mut stream.as_slice(), &mut read).unwrap();
            assert_eq!(read, json.as_bytes(), "{id}");
        }
    }

    #[test]
    fn dashboards_have_what_grafanas_charm_wants() {
        let mut uids = BTreeSet::new();
        for (id, json) in DASHBOARDS {
            let dashboard: Value = serde_json::from_str(json).unwrap();
            let uid = dashboard["uid"].as_str().unwrap();
            assert!(uid.len() == 40 && uid.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
            assert!(uids.insert(uid.to_owned()));
            assert!(dashboard["version"].is_u64(), "{id}");
            assert!(
                dashboard["tags"].as_array().unwrap().contains(&format!("charm: {CHARM}").into())
            );
            for panel in dashboard["panels"].as_array().unwrap() {
                assert_eq!(panel["datasource"]["uid"], "${prometheusds}", "{id}: {panel}");
                assert!(!panel["title"].as_str().unwrap().is_empty());
            }
        }
    }

    /// Names of our own metrics in an expression.
    fn metrics(text: &str) -> BTreeSet<String> {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let names = text.split(word).filter(|name| name.starts_with("cluster_manager_"));
        names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
    }

    #[test]
    fn rules_and_dashboards_use_metrics_that_the_services_have() {
        let page = include_str!("../../docs/metrics.md");
        let known: BTreeSet<&str> =
            page.split('`').filter(|word| word.starts_with("cluster_")).collect();
        for text in DASHBOARDS.map(|(_, json)| json).into_iter().chain([ALERTS]) {
            for metric in metrics(text) {
                assert!(known.contains(metric.as_str()), "{metric} is not in docs/metrics.md");
            }
        }
    }

    #[test]
    fn the_dashboard_of_a_cluster_is_the_one_that_the_web_page_leads_to() {
        let json = DASHBOARDS.iter().find(|(id, _)| *id == OF_A_CLUSTER).unwrap().1;
        let dashboard: Value = serde_json::from_str(json).unwrap();
        let page = include_str!("../../ui/src/lib/grafana.ts");
        assert!(page.contains(&format!("\"{}\"", dashboard["uid"].as_str().unwrap())));
        assert!(page.contains("/lxd?") && page.contains("&var-job="));
        assert_eq!(dashboard["templating"]["list"][0]["name"], "job");
        // Metrics that members send, each of the one cluster.
        let sent = include_str!("../../tests/simulator/src/model/metrics.rs");
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                for part in expr.split("lxd_").skip(1) {
                    let (name, rest) = part.split_once('{').unwrap();
                    assert!(sent.contains(&format!("\"lxd_{name}\"")), "lxd_{name}");
                    assert!(rest.starts_with("job=\"$job\""), "{expr}");
                }
            }
        }
    }

    #[test]
    fn every_rule_is_about_one_deployment() {
        let rules: AlertRules = serde_yaml::from_str(ALERTS).unwrap();
        let rules: Vec<_> = rules.groups.iter().flat_map(|group| &group.rules).collect();
        assert!(rules.len() >= 6);
        for rule in rules {
            let selectors = rule.expr.matches('{').count();
            assert_eq!(rule.expr.matches(PLACEHOLDER).count(), selectors, "{}", rule.expr);
            assert!(selectors > 0 && rule.labels.contains_key("severity"), "{}", rule.alert);
            assert!(rule.annotations.contains_key("summary"), "{}", rule.alert);
            assert!(!rule.expr.contains("juju_unit"), "{}", rule.alert);
        }
    }
}
