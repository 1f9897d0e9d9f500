//! The Management API: clusters, tokens, rights, and what every answer carries.

use cluster_simulator::{CLUSTER_PATH, JoinToken, Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Operator, Process, Service, TunnelDeployment, Unit};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

struct Manager {
    deployment: Deployment,
    _provider: Process,
    unit: Unit,
}

async fn manager() -> Manager {
    let mut deployment = Deployment::new().await;
    let provider = deployment.start_identity_provider().await;
    let unit = deployment.start(Service::ManagementApi).await;
    Manager { deployment, _provider: provider, unit }
}

async fn post(operator: &mut Operator, path: &str, body: Value) -> end_to_end_tests::Answer {
    operator.send(Method::POST, path, Some(&body)).await
}

const TOKENS: &str = "/1.0/remote-cluster-join-token";

#[tokio::test]
async fn an_operator_enrols_sees_changes_and_removes_a_cluster() {
    let manager = manager().await;
    let _connector = manager.deployment.start(Service::ClusterConnector).await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    assert_eq!(admin.get("/1.0/remote-cluster").await.metadata(), json!([]));
    let who = admin.get("/1.0").await.metadata();
    assert_eq!(
        who,
        json!({"email": "admin@example.com", "name": "Ada Admin", "groups": ["admins"], "trusted": true, "role": "admin"})
    );

    let created = post(
        &mut admin,
        TOKENS,
        json!({"cluster_name": "lyon-edge", "description": "Edge rack, Lyon"}),
    )
    .await;
    let token = JoinToken::decode(created.metadata()["token"].as_str().unwrap()).unwrap();
    let listed = admin.get(TOKENS).await.metadata();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for key in super::keys(&super::example("join-token-list.json")["metadata"][0]) {
        assert!(listed[0].get(key).is_some(), "{key}");
    }
    assert_eq!(listed[0]["expired"], false);
    assert!(!listed.to_string().contains(token.text()));

    let member = manager.deployment.member(&token);
    member.join(&token).await.unwrap();
    assert_eq!(admin.get(TOKENS).await.metadata(), json!([]));
    let cluster = admin.get("/1.0/remote-cluster/lyon-edge").await.metadata();
    let example = super::example("remote-cluster-never-reported.json")["metadata"].take();
    for (key, value) in example.as_object().unwrap() {
        let ours = &cluster[key];
        assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(value), "{key}: {ours}");
        if !matches!(key.as_str(), "name" | "description" | "cluster_certificate")
            && !key.ends_with("_at")
        {
            assert_eq!(ours, value, "{key}");
        }
    }
    assert_eq!(cluster["description"], "Edge rack, Lyon");
    assert_eq!(cluster["cluster_certificate"], member.identity().certificate_pem());
    assert_eq!(cluster["certificate_fingerprint"], member.identity().fingerprint());
    assert_eq!(
        (&cluster["state"], &cluster["last_heartbeat_at"]),
        (&json!("waiting"), &Value::Null)
    );
    assert_eq!(cluster["last_status_update_at"], cluster["joined_at"]);

    let heartbeat = super::example("heartbeat-3-members.json");
    member
        .request("POST", STATUS_PATH, heartbeat.to_string().into_bytes())
        .await
        .unwrap()
        .success()
        .unwrap();
    let list = admin.get("/1.0/remote-cluster").await.metadata();
    let expected = super::example("remote-cluster-list.json")["metadata"][0].take();
    for (key, value) in expected.as_object().unwrap() {
        if !matches!(key.as_str(), "cluster_certificate" | "tunnel_registered")
            && !key.ends_with("_at")
        {
            assert_eq!(&list[0][key], value, "{key}");
        }
    }
    assert_eq!((&list[0]["state"], &list[0]["warnings"]), (&json!("online"), &json!([])));
    assert_eq!(
        list[0],
        admin.get("/1.0/remote-cluster/lyon-edge").await.metadata(),
        "list and detail agree"
    );

    let changes = json!({"disk_threshold": 10, "memory_threshold": 43});
    let path = "/1.0/remote-cluster/lyon-edge";
    assert_eq!(admin.send(Method::PATCH, path, Some(&changes)).await.metadata(), json!({}));
    let after = admin.get(path).await.metadata();
    assert_eq!(after["description"], "Edge rack, Lyon", "what is absent stays");
    assert_eq!(
        after["warnings"][0],
        json!({"kind": "pool", "name": "local", "member": "lyon-a01", "percent": 13, "threshold": 10})
    );
    assert_eq!(
        after["warnings"].as_array().unwrap().len(),
        4,
        "memory stands at 43 %: {}",
        after["warnings"]
    );

    assert_eq!(admin.send(Method::DELETE, path, None).await.metadata(), json!({}));
    let refused = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(admin.get(path).await.error(), (404, "remote cluster not found".into()));
    assert_eq!(
        admin.send(Method::DELETE, path, None).await.error(),
        (404, "no remote cluster found with name: lyon-edge".into())
    );
    member.leave().await.expect("a cluster that was removed here may still leave");
}

#[tokio::test]
async fn the_time_of_the_last_status_moves_with_heartbeats_only() {
    const PATH: &str = "/1.0/remote-cluster/lyon";
    let mut running = TunnelDeployment::start(&[]).await;
    let (member, tunnel) = running.open("lyon").await;
    let beat = async || member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(beat().await.status, 200);
    let seen = running.admin.get(PATH).await.metadata();
    assert_eq!(seen["tunnel_registered"], true);
    let reported = &seen["last_status_update_at"];

    drop(tunnel);
    running.deployment.database.until_count("SELECT count(*) FROM tunnels", 0).await;
    let closed = running.admin.get(PATH).await.metadata();
    assert_eq!(
        (&closed["last_status_update_at"], &closed["tunnel_registered"]),
        (reported, &json!(false))
    );
    let _again = running.reopen(&member).await;
    let body = json!({"description": "Edge", "disk_threshold": 10});
    assert_eq!(running.admin.send(Method::PATCH, PATH, Some(&body)).await.status, 200);
    let changed = running.admin.get(PATH).await.metadata();
    assert_eq!(
        (&changed["last_status_update_at"], &changed["description"]),
        (reported, &json!("Edge"))
    );
    assert_eq!(changed["tunnel_registered"], true);

    assert_eq!(beat().await.status, 200);
    assert_ne!(&running.admin.get(PATH).await.metadata()["last_status_update_at"], reported);
}

#[tokio::test]
async fn join_11_refused_names_leave_one_json_object_per_line_in_the_log() {
    let manager = manager().await;
    let connector = manager.deployment.start(Service::ClusterConnector).await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    let token = manager.deployment.token("lyon");
    let member = manager.deployment.member(&token);
    let names = [
        "a\nb",
        "a\r\n{\"level\":\"ERROR\"}",
        "../lyon",
        "\u{1b}[2Jlyon",
        "a\u{202e}b",
        "a\u{2028}b",
        "lyon\u{0}",
        "\"",
        "{}",
    ];
    for name in names.map(str::to_owned).into_iter().chain(["\u{85}".repeat(32 << 10)]) {
        let refused = post(&mut admin, TOKENS, json!({"cluster_name": name})).await.error();
        assert_eq!(refused.0, 400, "{name:.20}");
        let path = format!("{TOKENS}/{}", "%0A%22".repeat(20));
        assert!(matches!(admin.send(Method::DELETE, &path, None).await.status, 400 | 404));
        let body = json!({
            "cluster_name": name,
            "cluster_certificate": member.identity().certificate_pem(),
            "token": token.text(),
        });
        let request = Request::of_member("POST", CLUSTER_PATH, body.to_string().into_bytes());
        let joined = member.raw_request(&request, Some(member.identity())).await.unwrap();
        assert!(matches!(joined.status, 400 | 403 | 413), "{}", joined.body);
    }
    for unit in [&manager.unit, &connector] {
        let log = unit.process.log();
        assert!(log.lines().count() > 10, "{log}");
        for line in log.lines() {
            let object = serde_json::from_str::<serde_json::Map<String, Value>>(line);
            assert!(object.is_ok(), "not one JSON object: {line}");
        }
    }
}

#[tokio::test]
async fn every_bad_input_gets_its_status_and_one_sentence() {
    let manager = manager().await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    let long = "x".repeat(513);
    let cases = [
        (json!({}), "cluster name is required"),
        (json!({"cluster_name": "a/b"}), "cluster name must begin and end with"),
        (json!({"cluster_name": "x".repeat(64)}), "cluster name must have at most 63 characters"),
        (
            json!({"cluster_name": "a", "description": long}),
            "description must have at most 512 characters",
        ),
        (
            json!({"cluster_name": "a", "description": "\u{0}"}),
            "description must not have control characters",
        ),
        (
            json!({"cluster_name": "a", "expiry": "tomorrow"}),
            "expiry date must be an RFC 3339 time",
        ),
        (
            json!({"cluster_name": "", "expiry": "2020-01-01T00:00:00Z"}),
            "expiry date must be in the future",
        ),
        (
            json!({"cluster_name": "a", "expiry": "2999-01-01T00:00:00Z"}),
            "expiry date must be at most 30 days ahead",
        ),
        (json!({"cluster_name": 1}), "invalid JSON"),
        (json!([1]), "invalid JSON"),
    ];
    for (body, expected) in cases {
        let (status, text) = post(&mut admin, TOKENS, body.clone()).await.error();
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.starts_with(expected), "{body}: {text}");
    }
    let no_time = json!({"cluster_name": "lyon", "expiry": "0001-01-01T00:00:00Z"});
    assert!(post(&mut admin, TOKENS, no_time).await.metadata()["token"].is_string());
    let pending = post(&mut admin, TOKENS, json!({"cluster_name": "Lyon"})).await.error();
    assert_eq!(pending, (409, "this cluster name has a pending join token".into()));
    assert_eq!(
        admin.send(Method::DELETE, &format!("{TOKENS}/lyon"), None).await.metadata(),
        Value::Null
    );
    let gone = admin.send(Method::DELETE, &format!("{TOKENS}/lyon"), None).await.error();
    assert_eq!(gone, (404, "no remote cluster token found with name: lyon".into()));
    assert_eq!(admin.get(TOKENS).await.metadata(), json!([]));
    let huge = admin.send(Method::POST, TOKENS, Some(&json!("x".repeat(300_000)))).await.error();
    assert_eq!(huge, (413, "the request body must have at most 262144 bytes".into()));
}

#[tokio::test]
async fn a_name_is_one_encoded_segment() {
    let manager = manager().await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    let db = manager.deployment.database.connect().await;
    for (n, name) in ["oslo/core 1", "100%", "a+b", "%2F", "..", "é"].into_iter().enumerate() {
        let digest = format!("{n:064x}");
        db.execute(
            "WITH c AS (INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
             VALUES ($1, '', decode($2, 'hex'), now(), now()) RETURNING id)
             INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM c",
            &[&name, &digest],
        )
        .await
        .unwrap();
        let encoded = format!(
            "%{}",
            name.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join("%")
        );
        if name != ".." {
            // A client of the URL standard takes the segment `..` away before it sends anything.
            let cluster = admin.get(&format!("/1.0/remote-cluster/{encoded}")).await.metadata();
            assert_eq!(cluster["name"], name);
        }
    }
    assert_eq!(admin.get("/1.0/remote-cluster/a+b").await.metadata()["name"], "a+b");
    assert_eq!(admin.get("/1.0/remote-cluster/%252F").await.metadata()["name"], "%2F");
    for path in
        ["/1.0/remote-cluster/oslo/core%201", "/1.0/remote-cluster/%FF", "/1.0/remote-cluster/a%00"]
    {
        assert_eq!(admin.get(path).await.error(), (404, "Not Found".into()), "{path}");
    }
    let names: Vec<_> = admin
        .get("/1.0/remote-cluster")
        .await
        .metadata()
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["%2F", "..", "100%", "a+b", "oslo/core 1", "é"], "byte order");
}

#[tokio::test]
async fn conf_01_the_configuration_is_complete_and_masked() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("DB_PASSWORD", "canary-password".into())];
    let _provider = deployment.start_identity_provider().await;
    let unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let configuration = admin.get("/1.0/configuration").await;
    for key in super::keys(&super::example("configuration.json")["metadata"]) {
        assert!(configuration.metadata()[key]["value"].is_string(), "{key}");
    }
    for secret in ["canary-password", "secret-of-the-tests"] {
        assert!(!configuration.body.contains(secret) && !unit.process.log().contains(secret));
    }
    assert_eq!(configuration.metadata()["oidc_client_secret"]["value"], "***");
}

#[tokio::test]
async fn web_05_every_answer_carries_the_headers() {
    let manager = manager().await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    let mut nobody = manager.deployment.operator();
    for path in [
        "/1.0",
        "/1.0/remote-cluster",
        "/1.0/nothing",
        "/ui/",
        "/ui/assets/missing.js",
        "/oidc/callback",
        "/",
    ] {
        for operator in [&mut admin, &mut nobody] {
            let answer = operator.get(path).await;
            let csp = answer.header("content-security-policy").unwrap();
            assert!(
                csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self'")
                    && !csp.contains("unsafe")
            );
            assert_eq!(
                answer.header("strict-transport-security"),
                Some("max-age=31536000"),
                "{path}"
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
            assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
            assert!(
                answer.header("permissions-policy").unwrap().contains("interest-cohort=()"),
                "{path}"
            );
            assert_eq!(answer.header("x-request-id").map(str::len), Some(16), "{path}");
            assert!(
                answer.header("server").is_none()
                    && answer.header("access-control-allow-origin").is_none()
            );
            if path.starts_with("/1.0") {
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn web_02_requests_of_other_sites_are_refused() {
    let manager = manager().await;
    let mut admin = manager.deployment.logged_in("admin@example.com").await;
    let body = json!({"cluster_name": "lyon"}).to_string();
    let headers = |list: &[(&'static str, &'static str)]| {
        list.iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    };
    let json = ("content-type", "application/json");
    for site in ["cross-site", "same-site"] {
        let answer = admin
            .raw(Method::POST, TOKENS, headers(&[("sec-fetch-site", site), json]), body.clone())
            .await;
        assert_eq!(answer.error(), (403, "Forbidden Sec-Fetch-Site header value".into()));
        let answer = admin
            .raw(Method::GET, "/1.0", headers(&[("sec-fetch-site", site)]), String::new())
            .await;
        assert_eq!(answer.status, 403);
        let answer = admin
            .raw(Method::GET, "/oidc/logout", headers(&[("sec-fetch-site", site)]), String::new())
            .await;
        assert_eq!(answer.status, 403, "nobody else logs a person out");
        let link = admin
            .raw(Method::GET, "/ui/clusters", headers(&[("sec-fetch-site", site)]), String::new())
            .await;
        assert_eq!(link.status, 200, "web_03: links from elsewhere work");
    }
    let foreign = [("origin", "https://evil.example"), json];
    assert_eq!(admin.raw(Method::POST, TOKENS, headers(&foreign), body.clone()).await.status, 403);
    let form = [("user-agent", "Mozilla/5.0"), ("content-type", "text/plain")];
    let answer = admin.raw(Method::POST, TOKENS, headers(&form), body.clone()).await;
    assert_eq!(answer.json(), super::example("error-415.json"));
    assert_eq!(admin.get(TOKENS).await.metadata(), json!([]), "nothing got through");
    let script =
        [("user-agent", "curl/8.0"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(admin.raw(Method::POST, TOKENS, headers(&script), body).await.status, 200);
}

#[tokio::test]
async fn oidc_03_only_our_own_host_is_served() {
    let mut manager = manager().await;
    let mut nobody = manager.deployment.operator();
    let host = |name: &str| HeaderMap::from_iter([(reqwest::header::HOST, name.parse().unwrap())]);
    for path in ["/ui/", "/1.0", "/oidc/login", "/"] {
        let answer = nobody.raw(Method::GET, path, host("evil.example"), String::new()).await;
        assert_eq!(answer.error(), (421, "this host name is not served here".into()), "{path}");
    }
    assert_eq!(
        nobody.raw(Method::GET, "/1.0/status", host("10.0.0.7:9000"), String::new()).await.status,
        200
    );
    manager.deployment.extra =
        vec![("MANAGEMENT_API_ALLOWED_HOSTS", "other.example, third.example:8443".into())];
    manager.unit.process.kill();
    let _again = manager.deployment.start(Service::ManagementApi).await;
    for (name, status) in
        [("other.example", 200), ("third.example:8443", 200), ("third.example", 421)]
    {
        assert_eq!(
            nobody.raw(Method::GET, "/ui/", host(name), String::new()).await.status,
            status,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_ui_is_served_as_a_single_page() {
    let manager = manager().await;
    let mut nobody = manager.deployment.operator();
    for path in ["/", "/ui"] {
        let answer = nobody.get(path).await;
        let expected = super::example("redirect-308.json");
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, expected["headers"]["Location"].as_str())
        );
        assert_eq!(answer.json(), expected["body"]);
    }
    let page = nobody.get("/ui/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for path in ["/ui/clusters", "/ui/cluster/a.b", "/ui/assets/", "/ui/settings"] {
        assert_eq!(nobody.get(path).await.body, page.body, "{path}");
    }
    assert_eq!(nobody.get("/ui/index.html").await.header("location"), Some("./"));
    for path in ["/ui/assets/missing.js", "/ui/assets/missing.css"] {
        assert_eq!(nobody.get(path).await.error(), (404, "Not Found".into()), "{path}");
    }
    assert_eq!(
        nobody.send(Method::POST, "/", None).await.json(),
        super::example("service-root.json")
    );
}

#[tokio::test]
async fn the_ui_is_cached_and_compressed() {
    let manager = manager().await;
    let mut nobody = manager.deployment.operator();
    let page = nobody.get("/ui/").await;
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let etag = page.header("etag").expect("the tests run with a built UI").to_owned();
    let known = HeaderMap::from_iter([(reqwest::header::IF_NONE_MATCH, etag.parse().unwrap())]);
    let unchanged = nobody.raw(Method::GET, "/ui/", known, String::new()).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    let script = page
        .body
        .split('"')
        .find(|part| part.starts_with("/ui/assets/") && part.rsplit('.').next() == Some("js"))
        .unwrap();
    let asset = nobody.get(script).await;
    assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(asset.header("content-type"), Some("text/javascript; charset=utf-8"));
    for encoding in ["br", "gzip"] {
        let accept =
            HeaderMap::from_iter([(reqwest::header::ACCEPT_ENCODING, encoding.parse().unwrap())]);
        let packed = nobody.raw(Method::HEAD, script, accept, String::new()).await;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        assert_ne!(packed.header("etag"), asset.header("etag"));
    }
}
