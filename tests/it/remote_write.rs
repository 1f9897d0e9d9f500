//! The clusters' metrics on their way through the connector to a real Prometheus.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Process, Service};
use serde_json::Value;

/// A Prometheus that takes remote writes, and its address.
async fn prometheus(deployment: &Deployment) -> (Process, String) {
    let settings = deployment.file("prometheus.yml");
    std::fs::write(&settings, "{}").unwrap();
    let mut command = Command::new("prometheus");
    command
        .args(["--web.enable-remote-write-receiver", "--web.listen-address=127.0.0.1:0"])
        .arg(format!("--config.file={}", settings.display()))
        .arg(format!("--storage.tsdb.path={}", deployment.file("prometheus").display()))
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let mut process = Process::start(&command, &deployment.file("prometheus.log"));
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let log = process.log();
        let address =
            log.lines().find_map(|line| line.split("msg=\"Listening on\" address=").nth(1));
        if let (Some(address), true) = (address, log.contains("Server is ready")) {
            return (process, address.trim().to_owned());
        }
        assert!(
            process.ended().is_none() && Instant::now() < deadline,
            "Prometheus does not start: {log}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn met_02_every_sample_of_a_heartbeat_arrives_under_the_managers_labels() {
    let mut deployment = Deployment::new().await;
    let (_prometheus, address) = prometheus(&deployment).await;
    // Another receiver that is not there changes nothing.
    let urls = format!("http://127.0.0.1:1/api/v1/write http://{address}/api/v1/write");
    deployment.extra = vec![("PROMETHEUS_BASE_URL", urls)];
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon-edge").await;
    let heartbeat = super::example("heartbeat-50-members.json");
    let is_sample = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let samples: usize = heartbeat["server_metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["metrics"].as_str().unwrap().lines().filter(is_sample).count())
        .sum();
    assert!(samples > 1000, "{samples}");
    member
        .request("POST", STATUS_PATH, heartbeat.to_string().into_bytes())
        .await
        .unwrap()
        .success()
        .unwrap();

    let mut operator = deployment.plain_client(&format!("http://{address}"));
    let query = r#"/api/v1/query?query=count({job="lyon_edge",cluster="lyon-edge",member!=""})"#
        .replace('"', "%22");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer: Value = operator.get(&query).await.json();
        let count = answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned();
        if count == samples.to_string() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{count} of {samples} samples arrived: {}",
            connector.process.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let metrics = connector.scrape().await;
    let name = "cluster_manager_remote_write_samples";
    for expected in [
        format!("{name}_sent_total{{receiver=\"{address}\"}} {samples}"),
        format!("{name}_dropped_total{{reason=\"refused\",receiver=\"{address}\"}} 0"),
    ] {
        assert!(metrics.lines().any(|line| line == expected), "{expected}: {metrics}");
    }
}

#[tokio::test]
async fn rel_05_heartbeats_do_not_wait_for_a_prometheus_that_hangs() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut deployment = Deployment::new().await;
    let address = silent.local_addr().unwrap();
    deployment.extra = vec![("PROMETHEUS_BASE_URL", format!("http://{address}/api/v1/write"))];
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let body = super::example("heartbeat-3-members.json").to_string().into_bytes();
    for _ in 0..20 {
        member.request("POST", STATUS_PATH, body.clone()).await.unwrap().success().unwrap();
    }
    let metrics = connector.scrape().await;
    let of_receiver = |name, value| {
        format!("cluster_manager_remote_write_{name}{{receiver=\"{address}\"}} {value}")
    };
    assert!(metrics.contains(&of_receiver("samples_sent_total", 0)), "{metrics}");
    assert!(
        metrics.contains(r#"cluster_manager_heartbeats_total{result="stored"} 20"#),
        "{metrics}"
    );
    assert!(!metrics.contains(&of_receiver("queue_heartbeats", 0)), "some wait: {metrics}");
}
