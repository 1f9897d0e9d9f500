//! The clusters' metrics on their way through the connector to a real Prometheus.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use cluster_manager::domain::dropped_metrics;
use cluster_manager::model::MemberMetrics;
use cluster_manager::remote_write::{Limits, Options, RemoteWrite};
use cluster_manager::store::Pool;
use cluster_simulator::tls::{Dial, Trust};
use cluster_simulator::{Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Process, Service};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// Heartbeats while Prometheus hangs. One that waited for it would take the 10 s of a request. A heartbeat may take 100 ms at the 99th
/// percentile; on a machine that builds and runs other tests at the same time that is the median's bound, and no single one may take
/// twenty times as long.
const HEARTBEATS: usize = 100;

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
    let heartbeat =
        Request::of_member("POST", STATUS_PATH, body).with_header("Connection", "keep-alive");
    let mut connection = member.raw_connection(Some(member.identity())).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..HEARTBEATS {
        let begin = Instant::now();
        connection.send(&heartbeat).await.unwrap().success().unwrap();
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let (median, longest) = (times[HEARTBEATS / 2], times[HEARTBEATS - 1]);
    assert!(median <= Duration::from_millis(100), "{times:?}");
    assert!(longest <= Duration::from_secs(2), "{times:?}");
    let metrics = connector.scrape().await;
    let of_receiver = |name, value| {
        format!("cluster_manager_remote_write_{name}{{receiver=\"{address}\"}} {value}")
    };
    assert!(metrics.contains(&of_receiver("samples_sent_total", 0)), "{metrics}");
    assert!(
        metrics.lines().any(|line| line
            == format!("cluster_manager_heartbeats_total{{result=\"stored\"}} {HEARTBEATS}")),
        "{metrics}"
    );
    assert!(!metrics.contains(&of_receiver("queue_heartbeats", 0)), "some wait: {metrics}");
}

/// Reads a request with a length and answers that it was stored.
async fn take_one(stream: &mut TcpStream) {
    let mut received = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "a whole request comes");
        let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if received.len() >= end + 4 + length.unwrap().parse::<usize>().unwrap() {
            break;
        }
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn rel_08_metrics_of_a_heartbeat_that_is_answered_while_the_unit_stops_are_still_sent() {
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = receiver.local_addr().unwrap();
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("PROMETHEUS_BASE_URL", format!("http://{address}/api/v1/write"))];
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let body = super::example("heartbeat-3-members.json").to_string();
    let (first, rest) = body.as_bytes().split_at(body.len() / 2);
    let at = connector.api.to_string();
    let mut slow = cluster_simulator::tls::connect(
        &at,
        &Trust::Anything,
        Some(member.identity()),
        Dial::default(),
    )
    .await
    .unwrap();
    let head = format!(
        "POST {STATUS_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.flush().await.unwrap();
    // It is waiting for the body by then.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(first).await.unwrap();

    connector.process.signal("TERM");
    // Nobody is served any more but this request.
    connector.until_log("connections to close").await;
    assert!(connector.process.ended().is_none(), "it waits for the rest of the request");
    slow.write_all(rest).await.unwrap();
    slow.flush().await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let taken = async { take_one(&mut receiver.accept().await.unwrap().0).await };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("the metrics come");
    assert_eq!(connector.process.wait().await.code(), Some(0), "{}", connector.process.log());
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
    let records = "SELECT concat_ws(', ', object, outcome, actor_kind, details ->> 'reason', details ->> 'samples')
                     FROM audit_events WHERE event = 'cluster.metrics-dropped' AND at > now() - interval '50 min'
                 ORDER BY object";
    let found = db.query(records, &[]).await.unwrap();
    let found: Vec<String> = found.iter().map(|row| row.try_get(0).unwrap()).collect();
    let said = "refused, system, more than 20 different series within an hour, 20";
    assert_eq!(found, [format!("flood, {said}"), format!("lyon, {said}")]);
}

/// Enrolled clusters.
const FLEET: usize = 10_000;
/// Of which so many report at the same moment: of a minute's heartbeats those of two seconds.
const AT_ONCE: usize = 300;

#[tokio::test]
async fn lim_08_a_container_of_512_mib_holds_200_kib_of_metrics_of_each_cluster() {
    // The worst receiver takes the connection and never answers: all that waits for it is in memory.
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = receiver.local_addr().unwrap();
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("PROMETHEUS_BASE_URL", format!("http://{address}/api/v1/write"))];
    let connector = deployment.start(Service::ClusterConnector).await;
    let pin = deployment.enrol("first").await.pin().clone();
    let members = super::availability::herd(&deployment, &pin, FLEET).await;
    let mut metrics = String::new();
    for line in 0.. {
        if metrics.len() >= 200 << 10 {
            break;
        }
        writeln!(metrics, "lxd_cpu_seconds_total{{name=\"instance-{line}\",cpu=\"0\"}} {line}.5")
            .unwrap();
    }
    let entry = json!({"member": "micro1", "service": "LXD", "metrics": metrics});
    let body = json!({"server_metrics": [entry]}).to_string().into_bytes();
    for round in 0..2 {
        let mut reports = tokio::task::JoinSet::new();
        for member in members.iter().skip(round * AT_ONCE).take(AT_ONCE) {
            let (member, body) = (member.clone(), body.clone());
            reports.spawn(async move {
                member.request("POST", STATUS_PATH, body).await.unwrap().status
            });
        }
        assert_eq!(reports.join_all().await, vec![200; AT_ONCE]);
    }
    let peak = connector.process.peak_memory_bytes();
    println!("{} MiB at most", peak >> 20);
    assert!(peak < 512 << 20, "{peak} bytes");
    drop(receiver);
}
