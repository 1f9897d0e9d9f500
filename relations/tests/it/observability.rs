//! The interfaces of the observability stack.

use relations::Databag;
use relations::grafana_dashboard::{DashboardEvent, Dashboards};
use relations::grafana_metadata::GrafanaMetadata;
use relations::loki_push_api::{LokiRequest, LokiUnit};
use relations::prometheus_remote_write::{
    RemoteWriteEvent, RemoteWriteRules, RemoteWriteUnit, distinct_urls,
};
use relations::prometheus_scrape::{ScrapeApp, ScrapeUnit};
use relations::tracing::{TracingAnswer, TracingRequest};

use super::sample::{Sample, both_ways};

#[test]
fn remote_write_gives_every_distinct_url_once() {
    for case in ["two-units", "ingress-dedup"] {
        let sample = Sample::load(&format!("prometheus_remote_write-{case}"));
        let units: Vec<RemoteWriteUnit> =
            sample.remote_unit_data.values().map(|bag| both_ways(bag, &[])).collect();
        assert_eq!(&distinct_urls(&units), sample.expect["urls"].as_array().unwrap(), "{case}");
        let rules: RemoteWriteRules = both_ways(&sample.local_app_data, &["alert_rules"]);
        assert_eq!(rules.0.groups.len(), 1);
        assert_eq!(rules.0.groups[0].rules[0].hold.as_deref(), Some("10m"));
    }
}

#[test]
fn remote_write_reports_refused_rules() {
    let sample = Sample::load("prometheus_remote_write-rule-error");
    let event: RemoteWriteEvent = both_ways(&sample.remote_app_data, &[]);
    assert!(event.0.errors.is_some());
    let fine = Sample::load("prometheus_remote_write-two-units");
    let event: RemoteWriteEvent = both_ways(&fine.remote_app_data, &[]);
    assert!(event.0.errors.is_none());
}

#[test]
fn no_rules_are_written_as_an_empty_object() {
    let bag = RemoteWriteRules::default().encode();
    assert_eq!(bag["alert_rules"], "{}");
}

#[test]
fn dashboards_and_complaints_about_them_are_read_and_written() {
    for case in ["xz", "lzma-alone", "rejected"] {
        let sample = Sample::load(&format!("grafana_dashboard-{case}"));
        let dashboards: Dashboards = both_ways(&sample.local_app_data, &[]);
        assert!(dashboards.templates.contains_key("file:lxd"), "{case}");
    }
    let sample = Sample::load("grafana_dashboard-rejected");
    let event: DashboardEvent = both_ways(&sample.remote_app_data, &[]);
    assert_eq!(event.errors[0].dashboard_id, "file:lxd");
}

#[test]
fn links_to_grafana_prefer_the_public_url() {
    for case in ["ready", "no-ingress"] {
        let sample = Sample::load(&format!("grafana_metadata-{case}"));
        let metadata: GrafanaMetadata = both_ways(&sample.remote_app_data, &[]);
        assert_eq!(metadata.base_url(), sample.expect["base_url"], "{case}");
    }
}

#[test]
fn metrics_are_announced_per_unit() {
    let sample = Sample::load("prometheus_scrape-published");
    let app: ScrapeApp = both_ways(&sample.local_app_data, &["alert_rules"]);
    assert_eq!(app.jobs.len(), 2);
    let units: Vec<ScrapeUnit> =
        sample.local_unit_data.values().map(|bag| both_ways(bag, &[])).collect();
    assert_eq!(units.len() as u64, sample.expect["targets"]);
}

#[test]
fn loki_gives_one_url_per_unit() {
    let sample = Sample::load("loki_push_api-two-units");
    let request: LokiRequest = both_ways(&sample.local_app_data, &[]);
    assert_eq!(request.metadata.application, "microcloud-cluster-manager-k8s");
    for (unit, bag) in &sample.remote_unit_data {
        let loki: LokiUnit = both_ways(bag, &[]);
        assert_eq!(loki.url, sample.expect["log_targets"][unit]["location"]);
    }
}

#[test]
fn traces_go_to_the_receiver_that_we_asked_for() {
    for case in ["charm-otlp-http", "workload-otlp-http", "grpc-only"] {
        let sample = Sample::load(&format!("tracing-{case}"));
        let request: TracingRequest = both_ways(&sample.local_app_data, &[]);
        assert_eq!(request, TracingRequest::otlp_http());
        let answer: TracingAnswer = both_ways(&sample.remote_app_data, &[]);
        let wanted = sample.expect.get("traces_url").and_then(|url| url.as_str());
        assert_eq!(answer.traces_url().as_deref(), wanted, "{case}");
    }
}
