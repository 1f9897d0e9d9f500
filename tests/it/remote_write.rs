//! The clusters' metrics on their way through the connector to a real Prometheus.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use cluster_manager::domain::dropped_metrics;
use cluster_manager::model::MemberMetrics;
use cluster_manager::remote_write::{Limits, Options, RemoteWrite};
use cluster_manager::store::Pool;
use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Process, Service};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

/// What a unit does whose two receivers are away, when a cluster brings twice as many series as it may.
async fn bring_too_many_series(pool: &Pool, cluster: &str) {
    let limits = Limits { series: 20, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let urls = ["http://127.0.0.1:1/", "http://127.0.0.1:2/"].map(|url| url.parse().unwrap());
    let tls = cluster_manager::tls::client_config(None).unwrap();
    let forward = RemoteWrite::new(&urls, &tls, &options).unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    dropped_metrics::record(pool, &forward, &stop, &tasks);
    forward.run(&stop, &tasks);
    let metrics: Vec<_> = (0..40).map(|n| format!("lxd_a{{n=\"{n}\"}} 1\n")).collect();
    let text =
        MemberMetrics { member: "m1".into(), service: "LXD".into(), metrics: metrics.concat() };
    forward.enqueue(cluster, OffsetDateTime::now_utc(), vec![text]);
    let deadline = Instant::now() + Duration::from_mins(1);
    while forward.receivers().any(|(_, stats)| stats.samples_dropped_over_budget.get() < 20) {
        assert!(Instant::now() < deadline, "{forward:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    forward.shutdown(Duration::ZERO).await;
    drop(forward);
    tasks.close();
    // Ends once all that was told is recorded.
    tasks.wait().await;
}

#[tokio::test]
async fn met_05_operators_see_once_an_hour_that_series_of_a_cluster_are_dropped() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = deployment.database.connect().await;
    let old = "INSERT INTO audit_events (at, actor_kind, actor, actor_name, source, event, object, outcome, request_id)
               SELECT now() - interval '51 min', 'system', '', '', '', 'cluster.metrics-dropped', 'lyon', 'refused', ''";
    db.batch_execute(old).await.unwrap();
    let settings = deployment.settings();
    let find = |name: &str| {
        settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let config = workload_config::Config::parse(find).unwrap();
    let pool = Pool::new(&config.database).unwrap();
    for cluster in ["flood", "lyon", "flood"] {
        bring_too_many_series(&pool, cluster).await;
    }
    let records = "SELECT object, outcome, actor_kind, details ->> 'reason', (details ->> 'samples')::bigint
                     FROM audit_events WHERE event = 'cluster.metrics-dropped' AND at > now() - interval '50 min'
                 ORDER BY object";
    let found = db.query(records, &[]).await.unwrap();
    let found: Vec<(String, String, String, String, i64)> = found
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
        .collect();
    let record = |cluster: &str| {
        let reason = "more than 20 different series within an hour".to_owned();
        (cluster.to_owned(), "refused".to_owned(), "system".to_owned(), reason, 20)
    };
    assert_eq!(found, [record("flood"), record("lyon")]);
}
