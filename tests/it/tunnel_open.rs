//! Opening the reverse tunnel (security properties TUN-11, TUN-16).

use cluster_simulator::{Answer, Identity, Member, Request, TUNNEL_PATH, TunnelError};
use end_to_end_tests::{Deployment, Service};

/// Status of a refused handshake.
fn refused(opened: Result<cluster_simulator::Tunnel, TunnelError>) -> (u16, String) {
    match opened {
        Err(TunnelError::Refused { status, body }) => (status, body),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn tun_16_only_enrolled_clusters_get_an_upgrade_and_no_browser_does() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let stranger = Identity::generate("stranger").unwrap();
    let expired = Identity::expired("lyon").unwrap();
    for identity in [None, Some(&stranger), Some(&expired)] {
        let (status, body) = refused(member.open_raw_tunnel(identity, &[]).await);
        assert_eq!(status, 403, "{body}");
    }
    for origin in ["https://evil.example", "null", &deployment.origin()] {
        let opened = member.open_raw_tunnel(Some(member.identity()), &[("Origin", origin)]).await;
        assert_eq!(refused(opened).0, 403, "{origin}");
    }
    let mut tunnel = member.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    member.leave().await.unwrap();
    assert_eq!(tunnel.goodbye().await.map(|(code, _)| code), Some(1008));
    let (status, _) = refused(member.open_raw_tunnel(Some(member.identity()), &[]).await);
    assert_eq!(status, 403);
}

async fn plain(member: &Member, request: &Request) -> Answer {
    member.raw_request(request, Some(member.identity())).await.unwrap()
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let answer = plain(&member, &Request::of_member("GET", TUNNEL_PATH, Vec::new())).await;
    let text = "this is no web socket handshake of version 13 over HTTP/1.1";
    assert_eq!((answer.status, answer.json().unwrap()["error"].as_str()), (400, Some(text)));
    let old = Request::new("GET", TUNNEL_PATH)
        .with_header("Connection", "Upgrade")
        .with_header("Upgrade", "websocket")
        .with_header("Sec-WebSocket-Version", "8")
        .with_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(plain(&member, &old).await.status, 400);
    let answer = plain(&member, &Request::of_member("POST", TUNNEL_PATH, Vec::new())).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    assert_eq!(deployment.database.count("SELECT count(*) FROM tunnels").await, 0);
}

#[tokio::test]
async fn mtls_09_a_tunnel_is_neither_opened_nor_forbidden_while_the_database_is_away() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let _tunnel = member.open_tunnel().await.unwrap();
    connector.until_log("a tunnel opened").await;
    deployment.database.close().await;
    let (status, body) = refused(member.open_raw_tunnel(Some(member.identity()), &[]).await);
    assert_eq!(status, 503, "{body}");
    deployment.database.open().await;
    assert!(connector.scrape().await.contains("cluster_manager_tunnels 1\n"), "the open one stays");
    member.open_tunnel().await.unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_is_no_idle_connection() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("RATE_LIMIT_BUCKET_SIZE", "100000".into())];
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut tunnel = member.open_tunnel().await.unwrap();
    // Headers must be complete after 5 s; the first ping comes after 20 s, over a connection that was silent until then.
    let message = tunnel.message().await.unwrap().unwrap();
    assert!(message.is_ping(), "{message:?}");
    assert!(connector.scrape().await.contains("cluster_manager_tunnels 1\n"));
}
