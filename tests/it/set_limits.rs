//! Limits that the setting `LIMITS` changes: each holds at its number, and not beyond it (security properties LIM-*).

use std::time::{Duration, Instant};

use cluster_simulator::tls::{self, Dial, Trust};
use cluster_simulator::{STATUS_PATH, TunnelAnswer};
use end_to_end_tests::{Deployment, Running, Service, TunnelDeployment, answering};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::limits::{exchange, statuses};

async fn with(limits: &str) -> Deployment {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("LIMITS", limits.into()));
    deployment
}

#[tokio::test]
async fn lim_05_the_content_of_heartbeats_is_bounded_by_the_setting() {
    let deployment = with(
        "heartbeat-entries=20, heartbeat-metrics=3, heartbeat-text-bytes=16,
         heartbeat-ui-url-bytes=40, json-depth=5",
    )
    .await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let states =
        |count| json!({"member_statuses": vec![json!({"status": "x", "count": 1}); count]});
    let pools = |count| json!({"storage_pool_usages": vec![json!({}); count]});
    let metrics = |count| json!({"server_metrics": vec![json!({}); count]});
    let text = |bytes| json!({"ceph_statuses": [{"status": "x".repeat(bytes), "count": 1}]});
    let url =
        |bytes: usize| json!({"ui_url": format!("https://a.example/{:x<1$}", "", bytes - 18)});
    let depth = |levels| (1..levels).fold(json!({}), |inner, _| json!({"deeper": inner}));
    let cases: [(usize, &dyn Fn(usize) -> Value); 6] =
        [(20, &states), (20, &pools), (3, &metrics), (16, &text), (40, &url), (5, &depth)];
    for (most, body) in cases {
        for (size, status) in [(most, 200), (most + 1, 400), (100 * most, 400)] {
            let body = body(size).to_string();
            let answer = member.request("POST", STATUS_PATH, body.clone().into()).await.unwrap();
            let begin = body.get(..60).unwrap_or(&body);
            assert_eq!(answer.status, status, "{size} of {most}: {begin}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn lim_03_headers_and_bodies_of_the_connector_are_bounded_by_the_setting() {
    let limits = "connector-headers=20, connector-header-bytes=8KiB, join-bytes=16KiB";
    let deployment = with(limits).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let headers = |count: usize| "a: b\r\n".repeat(count);
    let long = |bytes: usize| format!("a: {}\r\n", "x".repeat(bytes));
    for (headers, status) in [
        (headers(20 - 2), "200"),
        (headers(21 - 2), "431"),
        (headers(2000), "431"),
        (long(8000), "200"),
        (long(8192), "431"),
        (long(819_200), "431"),
    ] {
        let request = format!(
            "POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{headers}\r\n{{}}"
        );
        let answer = exchange(&member, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{} bytes of headers", headers.len());
    }
    for (bytes, status) in [(16 << 10, 400), (16385, 413), (100 << 14, 413)] {
        let body = vec![b' '; bytes];
        let answer = member.request("POST", "/1.0/remote-cluster", body).await.unwrap();
        assert_eq!(answer.status, status, "{bytes}: {}", answer.body);
    }
}

#[tokio::test]
async fn lim_02_connections_beyond_the_setting_wait_for_a_place() {
    let deployment = with("connector-connections=2").await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let silent = [TcpStream::connect(connector.api).await, TcpStream::connect(connector.api).await];
    let waiting =
        tokio::spawn(async move { member.request("POST", STATUS_PATH, b"{}".to_vec()).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "a third connection is served");
    drop(silent);
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn lim_02_a_head_that_has_begun_has_less_time_than_an_idle_connection() {
    let mut deployment =
        with("management-header-seconds=1, management-keep-alive-seconds=60").await;
    let _provider = deployment.start_identity_provider().await;
    let manager = deployment.start(Service::ManagementApi).await;
    let address = manager.api.to_string();
    let mut stream = tls::connect(&address, &Trust::Anything, None, Dial::default()).await.unwrap();
    let request = b"GET /1.0/status HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut answer = [0; 12];
    for pause in [0, 3] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[..9], b"HTTP/1.1 ", "idle for {pause} s");
        // The rest of it has arrived before the next request begins.
        let mut rest = vec![0; 64 << 10];
        assert!(stream.read(&mut rest).await.unwrap() > 0);
    }
    let begin = Instant::now();
    stream.write_all(&request[..20]).await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut rest));
    assert!(closed.await.is_ok(), "the connection is not closed");
    assert!(begin.elapsed() < Duration::from_secs(30), "it had the time of an idle connection");
}

#[tokio::test]
async fn lim_01_requests_to_the_management_api_are_bounded_by_the_setting() {
    let deployment =
        with("management-body-bytes=1KiB, join-tokens=2, sessions-per-user=2, json-depth=4").await;
    let Running { provider, mut ada, deployment, manager: _manager, .. } =
        Running::of(deployment).await;
    let tokens = "/1.0/remote-cluster-join-token";
    let body = |name: &str, bytes: usize| {
        let body = json!({"cluster_name": name, "unknown": ""}).to_string();
        body.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - body.len())))
    };
    for (bytes, status) in [(1024, 200), (1025, 413), (102_400, 413)] {
        let body: Value = serde_json::from_str(&body("lyon", bytes)).unwrap();
        let answer = ada.send(Method::POST, tokens, Some(&body)).await;
        assert_eq!(answer.status, status, "{bytes}: {}", answer.body);
    }
    let deep = json!({"cluster_name": "oslo", "unknown": [[[[]]]]});
    let (status, error) = ada.send(Method::POST, tokens, Some(&deep)).await.error();
    assert_eq!((status, error.contains("more than 4 levels")), (400, true), "{error}");
    for (name, status) in [("oslo", 200), ("riga", 409)] {
        let answer = ada.send(Method::POST, tokens, Some(&json!({"cluster_name": name}))).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let (mut second, mut third) = (deployment.operator(), deployment.operator());
    assert_eq!(provider.log_in(&mut second).await.status, 303);
    assert_eq!(ada.get(tokens).await.status, 200, "two sessions are allowed");
    assert_eq!(provider.log_in(&mut third).await.status, 303);
    let mut alive = 0;
    for operator in [&mut ada, &mut second, &mut third] {
        alive += usize::from(operator.get(tokens).await.status == 200);
    }
    assert_eq!(alive, 2);
    let shown = third.get("/1.0/configuration").await.metadata();
    assert_eq!(shown["limit_management_body_bytes"]["value"], "1KiB");
    assert_eq!(shown["limit_join_bytes"]["value"], "64KiB");
}

#[tokio::test]
async fn tun_07_what_goes_through_a_tunnel_is_bounded_by_the_setting() {
    let limits = "tunnel-body-bytes=1KiB, tunnel-message-bytes=64KiB, tunnel-waiting=0";
    let mut at = TunnelDeployment::start(&[("LIMITS", limits)]).await;
    let (member, tunnel) = at.open("lyon").await;
    let served = answering(tunnel, |request| {
        let bytes: usize = request.path.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap();
        TunnelAnswer::json(request, 200, &json!("x".repeat(bytes)))
    });
    let path = |bytes: usize| format!("/1.0/remote-cluster/lyon/tunnel/1.0/{bytes}");
    for (bytes, status) in [(1024, 200), (1025, 413), (102_400, 413)] {
        let body = json!("x".repeat(bytes - 2));
        let answer = at.admin.send(Method::POST, &path(1), Some(&body)).await;
        assert_eq!(answer.status, status, "{bytes}: {}", answer.body);
    }
    assert_eq!(at.admin.get(&path(40 << 10)).await.status, 200);
    // In base64 that is too much for one message, and the tunnel ends.
    assert_ne!(at.admin.get(&path(60 << 10)).await.status, 200);
    served.await.unwrap();
    let mut silent = at.reopen(&member).await;
    let (mut first, mut second) = (at.admin.clone(), at.admin.clone());
    let one = tokio::spawn(async move { first.get("/1.0/remote-cluster/lyon/tunnel/1.0").await });
    silent.next().await.unwrap().expect("the first request");
    let (status, error) = second.get("/1.0/remote-cluster/lyon/tunnel/1.0").await.error();
    assert_eq!(status, 503, "{error}");
    one.abort();
}
