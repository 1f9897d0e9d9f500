//! The alert rules, tested by Prometheus's own tool.

#![expect(clippy::expect_used, reason = "test code outside test functions")]

use std::path::Path;
use std::process::Command;

use charm::cos::{ALERTS, DASHBOARDS, PLACEHOLDER};

/// The rules as the charm publishes them for the model of the tests.
fn published() -> String {
    let matchers = "juju_model=\"prod\", juju_model_uuid=\"u\", juju_application=\"mcm\"";
    let charm = "juju_charm: microcloud-cluster-manager-k8s\n          severity";
    ALERTS.replace(PLACEHOLDER, matchers).replace("severity", charm)
}

fn promtool(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("promtool").args(args).current_dir(folder).output();
    let output =
        output.expect("promtool comes with Debian's package prometheus: ./dev test installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn aud_05_the_rules_fire_when_they_should_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("cos/alerts.test.yaml");
    std::fs::write(folder.path().join("alerts.yaml"), published()).unwrap();
    std::fs::copy(tests, folder.path().join("test.yaml")).unwrap();
    let text = promtool(folder.path(), &["check", "rules", "alerts.yaml"]);
    assert!(text.contains("SUCCESS"), "{text}");
    promtool(folder.path(), &["test", "rules", "test.yaml"]);
}

#[test]
fn prometheus_understands_every_query_of_the_dashboards() {
    let mut rules = Vec::new();
    for (id, json) in DASHBOARDS {
        let dashboard: serde_json::Value = serde_json::from_str(json).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        for target in panels.flat_map(|panel| panel["targets"].as_array().unwrap()) {
            let expr = target["expr"].as_str().unwrap();
            let expr = expr.replace("$__rate_interval", "5m").replace("$__interval", "1m");
            let labels = serde_json::json!({"dashboard": id});
            let record = format!("panel:{}", rules.len());
            rules.push(serde_json::json!({"record": record, "expr": expr, "labels": labels}));
        }
    }
    assert!(rules.len() > 20, "{}", rules.len());
    let file = serde_json::json!({"groups": [{"name": "dashboards", "rules": rules}]});
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("queries.yaml"), file.to_string()).unwrap();
    let text = promtool(folder.path(), &["check", "rules", "queries.yaml"]);
    assert!(text.contains("SUCCESS"), "{text}");
}

#[test]
fn every_rule_has_a_test() {
    let tests = include_str!("../cos/alerts.test.yaml");
    for name in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {name}")), "{name}");
    }
}
