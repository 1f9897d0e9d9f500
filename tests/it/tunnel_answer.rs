//! What clusters answer through tunnels (security properties TUN-05, TUN-07, TUN-10).

use std::time::{Duration, Instant};

use cluster_simulator::{
    ClusterModel, HOSTILE_HEADERS, Lxd, Message, Trusts, TunnelAnswer, TunnelManner,
};
use end_to_end_tests::{TunnelDeployment, answering};
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/1.0/remote-cluster/lyon/tunnel/1.0";

#[tokio::test]
async fn tun_05_no_header_of_a_hostile_cluster_reaches_the_browser() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let page = b"<script>fetch('/1.0/configuration')</script>";
    let _seen = answering(tunnel, move |request| {
        let mut answer = TunnelAnswer::refusal(request, 200)
            .with_body(page)
            .with_cookie("__Host-mcm-session", "stolen");
        for (name, value) in HOSTILE_HEADERS {
            answer = answer.with_header(name, value);
        }
        answer.with_header("ETag", "\"v1\"").with_header("Bad Name\r\nX: y", "z")
    });
    let answer = at.admin.get(PATH).await;
    assert_eq!((answer.status, answer.body.as_bytes()), (200, page.as_slice()));
    for (name, expected) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("strict-transport-security", "max-age=31536000"),
        ("etag", "\"v1\""),
    ] {
        assert_eq!(answer.header(name), Some(expected), "{name}");
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name}");
    }
    let known = [
        "content-type",
        "content-disposition",
        "x-content-type-options",
        "content-security-policy",
        "cache-control",
        "cross-origin-resource-policy",
        "cross-origin-opener-policy",
        "x-frame-options",
        "strict-transport-security",
        "referrer-policy",
        "permissions-policy",
        "etag",
        "x-request-id",
        "x-answered-by",
        "date",
        "transfer-encoding",
        "content-length",
    ];
    for name in answer.headers.keys() {
        assert!(known.contains(&name.as_str()), "{name}: {:?}", answer.headers.get(name));
    }
    assert_eq!(at.admin.get("/1.0").await.status, 200, "the session is still ours");
}

#[tokio::test]
async fn tun_05_json_is_json_and_an_empty_refusal_stays_the_clusters() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let mut asked = 0;
    let _seen = answering(tunnel, move |request| {
        asked += 1;
        match asked {
            1 => TunnelAnswer::json(request, 200, &json!({"a": 1}))
                .with_header("Content-Type", "application/json; charset=utf-8"),
            2 => TunnelAnswer::refusal(request, 500),
            _ => TunnelAnswer::refusal(request, 204),
        }
    });
    let json = at.admin.get(PATH).await;
    assert_eq!(
        (json.header("content-type"), json.header("content-disposition")),
        (Some("application/json"), None)
    );
    assert_eq!(json.json(), json!({"a": 1}));
    let refused = at.admin.get(PATH).await;
    assert_eq!(
        (refused.status, refused.body.as_str(), refused.header("x-answered-by")),
        (500, "", Some("cluster"))
    );
    assert_eq!(at.admin.get(PATH).await.status, 204);
}

#[tokio::test]
async fn tun_05_impossible_statuses_and_redirects_are_502() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let statuses = [0, -5, 99, 100, 101, 199, 301, 302, 304, 308, 600, 1000, i64::MAX];
    let mut left = statuses.into_iter();
    let _seen = answering(tunnel, move |request| {
        TunnelAnswer::refusal(request, left.next().unwrap_or(200))
            .with_header("Location", "https://evil.example/")
    });
    for status in statuses {
        let answer = at.admin.get(PATH).await;
        assert_eq!(answer.error(), (502, "the cluster's answer cannot be used".into()), "{status}");
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(at.admin.get(PATH).await.status, 200, "the tunnel is still open");
}

#[tokio::test]
async fn tun_10_a_cluster_that_floods_is_cut_off_and_may_come_back() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (member, mut tunnel) = at.open("lyon").await;
    let stray = json!({"uuid": "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21", "status": 200}).to_string();
    for _ in 0..100 {
        tunnel.send(Message::text(stray.clone())).await.unwrap();
    }
    assert_eq!(tunnel.goodbye().await.map(|(code, _)| code), Some(1008));
    let text = at.connector.scrape().await;
    assert!(text.contains("cluster_manager_tunnel_stray_answers_total 100\n"), "{text}");
    assert!(text.contains("cluster_manager_tunnels_closed_total{reason=\"abuse\"} 1\n"), "{text}");
    let tunnel = at.reopen(&member).await;
    let _seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    assert_eq!(at.admin.get(PATH).await.status, 200);
}

fn lxd() -> Lxd {
    Lxd::new(ClusterModel::new(1, "lyon"), Trusts::Anybody)
}

#[tokio::test]
async fn tun_07_huge_answers_arrive_and_longer_ones_do_not() {
    let mut at = TunnelDeployment::start(&[]).await;
    let huge = 20 << 20;
    let _lyon = at.serve("lyon", lxd(), TunnelManner::Huge(huge)).await;
    let answer = at.admin.get(PATH).await;
    assert_eq!((answer.status, answer.body.len()), (200, huge));
    let _quito = at.serve("quito", lxd(), TunnelManner::Huge(25 << 20)).await;
    let longer = at.admin.get("/1.0/remote-cluster/quito/tunnel/1.0").await;
    assert_eq!(longer.error(), (502, "the cluster's tunnel broke off".into()));
}

#[tokio::test]
async fn a_slow_cluster_answers_one_request_after_the_other() {
    let mut at = TunnelDeployment::start(&[]).await;
    let thinking = Duration::from_millis(500);
    let _lyon = at.serve("lyon", lxd(), TunnelManner::Slow(thinking)).await;
    let begin = Instant::now();
    let mut second = at.admin.clone();
    let (first, second) = tokio::join!(at.admin.get(PATH), second.get(PATH));
    assert_eq!((first.status, second.status), (200, 200));
    assert!(begin.elapsed() >= 2 * thinking, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn tun_05_a_hostile_cluster_reaches_no_browser_and_keeps_its_tunnel() {
    let mut at = TunnelDeployment::start(&[]).await;
    let _lyon = at.serve("lyon", lxd(), TunnelManner::Hostile).await;
    // Every other answer comes after strays and has an impossible status, each of six in its turn.
    for _ in 0..6 {
        let page = at.admin.get(PATH).await;
        assert_eq!((page.status, page.header("x-answered-by")), (200, Some("cluster")));
        for (name, ours) in [
            ("content-type", Some("application/octet-stream")),
            ("content-disposition", Some("attachment")),
            ("location", None),
            ("refresh", None),
            ("set-cookie", None),
            ("clear-site-data", None),
            ("service-worker-allowed", None),
            ("access-control-allow-origin", None),
            ("x-evil", None),
        ] {
            assert_eq!(page.header(name), ours, "{name}");
        }
        let nonsense = at.admin.get(PATH).await;
        assert_eq!(nonsense.error(), (502, "the cluster's answer cannot be used".into()));
    }
    let metrics = at.connector.scrape().await;
    for line in [
        "cluster_manager_tunnels 1",
        "cluster_manager_tunnel_stray_answers_total 12",
        "cluster_manager_tunnel_requests_total{outcome=\"nonsense\"} 6",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}: {metrics}");
    }
    assert_eq!(at.admin.get("/1.0").await.status, 200, "the session is still ours");
}

#[tokio::test]
async fn tun_07_a_cluster_that_does_not_read_is_cut_off_and_others_do_not_notice() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (member, dead) = at.open("lyon").await;
    let mut behind = lxd();
    let dead = tokio::spawn(async move { dead.serve(&mut behind, TunnelManner::Dead).await });
    let _quito = at.serve("quito", lxd(), TunnelManner::Plausible).await;
    // More than the sockets' buffers hold.
    let mut tasks = tokio::task::JoinSet::new();
    let mut admin = at.admin.clone();
    tasks.spawn(async move {
        admin.send(Method::POST, PATH, Some(&json!("x".repeat(8_000_000)))).await
    });
    let other = "/1.0/remote-cluster/quito/tunnel/1.0";
    while tasks.try_join_next().is_none() && !at.connector.process.log().contains("\"stuck\"") {
        assert_eq!(at.admin.get(other).await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    at.connector.until_log("\"stuck\"").await;
    dead.abort();
    let tunnel = at.reopen(&member).await;
    let _seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    assert_eq!(at.admin.get(PATH).await.status, 200, "the same cluster's next socket works");
}
