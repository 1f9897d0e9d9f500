//! The service's own metrics.

use std::collections::BTreeSet;

use cluster_simulator::{Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Service};

#[tokio::test]
async fn conf_03_metrics_count_what_happens_and_name_nobody() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("PROMETHEUS_BASE_URL", "http://127.0.0.1:1/api/v1/write".into())];
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon-edge").await;
    let send = async |body: &[u8]| {
        member.request("POST", STATUS_PATH, body.to_vec()).await.unwrap().status
    };
    assert_eq!(
        (send(b"{}").await, send(b"{}").await, send(br#"{"memory_usage":-1}"#).await),
        (200, 200, 400)
    );
    let stranger = cluster_simulator::Identity::generate("stranger").unwrap();
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    assert_eq!(member.raw_request(&request, Some(&stranger)).await.unwrap().status, 403);
    let odd = Request::new("BREW", "/no/such/path");
    assert_eq!(member.raw_request(&odd, None).await.unwrap().status, 404);
    let mut tunnel = member.open_tunnel().await.unwrap();
    tunnel.send(cluster_simulator::Message::text("{")).await.unwrap();
    drop(tunnel);
    connector.until_log("a tunnel ended").await;

    let not_tls = tokio::net::TcpStream::connect(connector.api).await.unwrap();
    not_tls.writable().await.unwrap();
    assert_eq!(not_tls.try_write(b"GET / HTTP/1.1\r\n\r\n").unwrap(), 18);
    while not_tls.readable().await.is_ok() && !matches!(not_tls.try_read(&mut [0; 64]), Ok(0)) {}

    let text = connector.scrape().await;
    for line in [
        r#"cluster_manager_heartbeats_total{result="stored"} 2"#,
        r#"cluster_manager_heartbeats_total{result="invalid"} 1"#,
        r#"cluster_manager_heartbeats_total{result="unknown"} 1"#,
        r#"cluster_manager_http_requests_total{method="POST",route="/1.0/remote-cluster",status="200"} 1"#,
        r#"cluster_manager_http_requests_total{method="POST",route="/1.0/remote-cluster/status",status="403"} 1"#,
        r#"cluster_manager_http_requests_total{method="other",route="/",status="404"} 1"#,
        r#"cluster_manager_clusters{state="online"} 1"#,
        r#"cluster_manager_clusters{state="offline"} 0"#,
        r"cluster_manager_heartbeat_queue_length 0",
        r#"cluster_manager_tls_handshakes_total{result="failed"} 1"#,
        r"cluster_manager_heartbeat_batch_size_count 2",
        r#"cluster_manager_rate_limit_clients{limit="known",scope="cluster"} 1"#,
        r#"cluster_manager_rate_limit_clients{limit="clusters",scope="cluster"} 1"#,
        r#"cluster_manager_rate_limit_clients{limit="strangers",scope="address"} 0"#,
        r"cluster_manager_tunnels 0",
        r#"cluster_manager_tunnels_closed_total{reason="gone"} 1"#,
        r"cluster_manager_tunnel_stray_answers_total 1",
        r"cluster_manager_tunnel_request_duration_seconds_count 0",
        r#"cluster_manager_tunnel_requests_total{outcome="answered"} 0"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("lyon-edge") && !text.contains("no/such"));

    let named = |line: &str| line.strip_prefix("# HELP ")?.split(' ').next().map(str::to_owned);
    let shown: BTreeSet<String> = text.lines().filter_map(named).collect();
    let page = include_str!("../../docs/metrics.md");
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, listed);
}

#[tokio::test]
async fn clusters_over_their_thresholds_are_counted_by_what_they_have_too_much_of() {
    let deployment = Deployment::new().await;
    let management = deployment.start(Service::ManagementApi).await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon-edge").await;
    let full = br#"{"memory_total_amount":100,"memory_usage":81}"#;
    assert_eq!(member.request("POST", STATUS_PATH, full.to_vec()).await.unwrap().status, 200);
    let line = |kind: &str, count: u32| {
        format!("cluster_manager_clusters_with_warnings{{kind=\"{kind}\"}} {count}\n")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !management.scrape().await.contains(&line("memory", 1)) {
        assert!(std::time::Instant::now() < deadline, "{}", management.scrape().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Every unit of both services tells the same.
    let text = connector.scrape().await;
    assert!(text.contains(&line("memory", 1)) && text.contains(&line("pool", 0)), "{text}");
}

#[tokio::test]
async fn a_scrape_looks_at_the_clusters_every_ten_seconds_at_most_and_does_not_wait_for_them() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon-edge").await;
    assert_eq!(member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    let online = "cluster_manager_clusters{state=\"online\"} 1\n";
    assert!(connector.scrape().await.contains(online));
    // From now on nobody else reads the clusters.
    let mut db = deployment.database.connect().await;
    let locked = db.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE remote_clusters IN ACCESS EXCLUSIVE MODE").await.unwrap();
    assert!(connector.scrape().await.contains(online), "as a moment ago");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let text = connector.scrape().await;
        assert!(text.contains("cluster_manager_build_info"), "{text}");
        if !text.contains("cluster_manager_clusters{") {
            assert!(!text.contains("cluster_manager_cluster_certificate_expiry_seconds "));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "an old number stays: {text}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
