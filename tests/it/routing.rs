//! Paths and methods, to the letter.

use cluster_simulator::{Answer, Member, Request};
use end_to_end_tests::{Deployment, Service};

async fn ask(member: &Member, method: &str, path: &str) -> Answer {
    member.raw_request(&Request::new(method, path), Some(member.identity())).await.unwrap()
}

#[tokio::test]
async fn the_connector_knows_its_paths_and_methods_exactly() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let root = ask(&member, method, "/").await;
        assert_eq!(root.status, 200, "{method}");
        assert_eq!(root.json().unwrap(), super::example("service-root.json"));
    }
    assert_eq!(
        ask(&member, "GET", "/1.0/status").await.json().unwrap(),
        super::example("null-metadata-response.json")
    );
    for path in [
        "/1.0",
        "/1.0/",
        "//",
        "/1.0/remote-cluster/",
        "/1.0//remote-cluster",
        "/1.0/nothing",
        "/1.0/remote%2Dcluster/status",
        "/ui/",
    ] {
        let answer = ask(&member, "POST", path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json().unwrap(), super::example("error-404.json"), "{path}");
        assert!(answer.body.ends_with("}\n\n"), "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/1.0/remote-cluster", "DELETE, POST"),
        ("PUT", "/1.0/remote-cluster/status", "POST"),
        ("POST", "/1.0/status", "GET, HEAD"),
    ] {
        let answer = ask(&member, method, path).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.json().unwrap()["error"], "Method Not Allowed");
        let mut allowed: Vec<_> =
            answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
        allowed.sort();
        assert_eq!(allowed.join(", "), allow, "{method} {path}");
    }
    let bad = ask(&member, "GET", "/1.0/%zz").await;
    assert_eq!(bad.status, 400, "{}", bad.body);
    assert_eq!(ask(&member, "HEAD", "/1.0/status").await.status, 200);
}

#[tokio::test]
async fn the_preflight_needs_neither_certificate_nor_database() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    deployment.database.close().await;
    let found = member.preflight().await.unwrap();
    assert_eq!((found.status, found.fingerprint()), (200, token.body().fingerprint.clone()));
    assert_eq!(connector.probe("/alive").await, Some(200));
    assert_eq!(connector.probe("/nothing").await, Some(404));
    // The probes remember an answer of the database for a second.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while connector.probe("/status").await != Some(500)
        || connector.probe("/ready").await != Some(500)
    {
        assert!(
            std::time::Instant::now() < deadline,
            "the probes do not notice that the database is away"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    deployment.database.open().await;
}

#[tokio::test]
async fn a_connection_is_closed_after_its_answer_unless_the_client_asks_to_keep_it() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let preflight = Request::new("GET", "/");
    let heartbeat = Request::of_member("POST", "/1.0/remote-cluster/status", b"{}".to_vec());
    for (request, identity) in [(&preflight, None), (&heartbeat, Some(member.identity()))] {
        let mut connection = member.raw_connection(identity).await.unwrap();
        let answer = connection.send(request).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(connection.send(request).await.is_err(), "it is closed");

        let kept = request.clone().with_header("Connection", "x-other, Keep-Alive");
        let mut connection = member.raw_connection(identity).await.unwrap();
        for _ in 0..3 {
            let answer = connection.send(&kept).await.unwrap();
            assert_eq!((answer.status, answer.header("connection")), (200, None));
        }
    }
    // A body in chunks may have had a length as well.
    let chunked = Request { body: b"{}".to_vec(), ..Request::new("POST", "/") }
        .with_header("Connection", "keep-alive")
        .with_header("Transfer-Encoding", "chunked");
    let answer = member.raw_request(&chunked, None).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // Also after what no route answers.
    let unknown = ask(&member, "GET", "/nothing").await;
    assert_eq!((unknown.status, unknown.header("connection")), (404, Some("close")));
}
