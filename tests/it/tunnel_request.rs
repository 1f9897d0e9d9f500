//! Requests of operators to clusters through tunnels (security properties TUN-01 to TUN-04, TUN-06 to TUN-09, TUN-14, TUN-15).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cluster_simulator::tls::{Dial, Trust};
use cluster_simulator::{
    Answer, ClusterModel, Connection, Lxd, Request, Trusts, TunnelAnswer, TunnelManner,
};
use end_to_end_tests::{Operator, Service, TunnelDeployment, answering};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

const LYON: &str = "/1.0/remote-cluster/lyon/tunnel";

fn lxd(trusts: Trusts) -> Lxd {
    Lxd::new(ClusterModel::new(1, "lyon"), trusts)
}

/// A request with exactly this path, which a client of the URL standard would change.
async fn raw(at: &TunnelDeployment, method: &str, path: &str) -> Answer {
    let address = at.manager.api.to_string();
    let mut connection =
        Connection::open(&address, &Trust::Anything, None, Dial::default()).await.unwrap();
    let request = Request::new(method, path)
        .with_header("Cookie", &at.admin.cookie_header())
        .with_header("Sec-Fetch-Site", "same-origin")
        .with_header("Sec-Fetch-Dest", "empty");
    connection.send(&request).await.unwrap()
}

#[tokio::test]
async fn an_operator_lists_instances_and_stops_one_through_the_tunnel_of_whichever_unit() {
    let mut at = TunnelDeployment::start(&[]).await;
    let other = at.deployment.start(Service::ClusterConnector).await;
    let cluster = "/1.0/remote-cluster/lyon";
    let member = at.deployment.enrol("lyon").await;
    assert_eq!(at.admin.get(cluster).await.metadata()["tunnel_registered"], false);
    let none = at.admin.get(&format!("{LYON}/1.0")).await.error();
    assert_eq!(none, (400, "remote cluster does not have an active tunnel".into()));

    let tunnel = at.reopen(&at.deployment.member_at(&member, &other)).await;
    let mut behind = lxd(Trusts::Anybody);
    let served =
        tokio::spawn(async move { tunnel.serve(&mut behind, TunnelManner::Plausible).await });
    assert_eq!(at.admin.get(cluster).await.metadata()["tunnel_registered"], true);
    let list = at.admin.get("/1.0/remote-cluster").await.metadata();
    assert_eq!(list[0]["tunnel_registered"], true);
    let path = format!("{LYON}/1.0/instances?recursion=1&all-projects=true");
    let instances = at.admin.get(&path).await.metadata();
    let first = &instances[0];
    let state = format!(
        "{LYON}/1.0/instances/{}/state?project={}",
        first["name"].as_str().unwrap(),
        first["project"].as_str().unwrap()
    );
    let stopped = at.admin.send(Method::PUT, &state, Some(&json!({"action": "stop"}))).await;
    assert_eq!((stopped.status, stopped.header("x-answered-by")), (202, Some("cluster")));
    let operation = stopped.json()["operation"].as_str().unwrap().to_owned();
    assert_eq!(at.admin.get(&format!("{LYON}{operation}")).await.metadata()["status"], "Success");
    assert_eq!(at.admin.get(&state).await.metadata()["status"], "Stopped");
    let missing = at.admin.get(&format!("{LYON}/1.0/instances/none")).await;
    assert_eq!((missing.status, missing.header("x-answered-by")), (404, Some("cluster")));
    let unknown = at.admin.get("/1.0/remote-cluster/nobody/tunnel/1.0").await;
    assert_eq!(unknown.error(), (404, "remote cluster not found".into()));
    assert_eq!(unknown.header("x-answered-by"), None);

    served.abort();
    at.deployment.database.until_count("SELECT count(*) FROM tunnels", 0).await;
    assert_eq!(at.admin.get(cluster).await.metadata()["tunnel_registered"], false);
}

#[tokio::test]
async fn tun_02_the_path_reaches_the_cluster_unchanged_or_not_at_all() {
    let at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    let good = [
        "/1.0",
        "/1.0/instances?recursion=1&filter=name%20eq%20%22a%22",
        "/1.0/instances%3Fproject=x",
        "/1.0/instances/web%201;v=1/state?project=a%2Fb&x=../..",
        "/1.0/storage-pools/%E2%82%AC",
    ];
    for path in good {
        assert_eq!(raw(&at, "GET", &format!("{LYON}{path}")).await.status, 200, "{path}");
    }
    for bad in [
        "",
        "/",
        "/1.0/",
        "/1.0?a=b",
        "/1.0//x",
        "/2.0/x",
        "/1%2E0/x",
        "/1.0/../internal",
        "/1.0/%2e%2e/internal",
        "/../../../configuration",
        "/1.0/a%2Fb",
        "/1.0/a%5cb",
        "/1.0/a%00b",
        "/1.0/a%zz",
        "/1.0/a%",
    ] {
        let answer = raw(&at, "GET", &format!("{LYON}{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.body);
        assert_eq!(answer.json().unwrap()["error_code"], 400, "{bad}");
    }
    let long = format!("{LYON}/1.0/{}", "x".repeat(8192 - 4));
    assert_eq!(raw(&at, "GET", &long).await.status, 400);
    drop(at);
    let paths: Vec<_> = seen.await.unwrap().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, good);
}

#[tokio::test]
async fn tun_03_five_methods_reach_the_cluster_with_their_body_and_others_do_not() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    let path = format!("{LYON}/1.0/instances");
    let body = json!({"name": "web", "é": "\u{0}"});
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(at.admin.send(method, &path, Some(&body)).await.status, 200);
    }
    for method in ["HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        assert_ne!(raw(&at, method, &path).await.status, 200, "{method}");
    }
    assert_eq!(raw(&at, "BREW", &path).await.status, 405);
    drop(at);
    let seen = seen.await.unwrap();
    let methods: Vec<_> = seen.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["GET", "POST", "PUT", "PATCH", "DELETE"]);
    for request in seen {
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), body);
    }
}

async fn with_headers(
    admin: &mut Operator,
    method: Method,
    headers: &[(&'static str, &str)],
) -> u16 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let body = if method == Method::GET { String::new() } else { "{}".into() };
    admin.raw(method, &format!("{LYON}/1.0/x"), map, body).await.status
}

#[tokio::test]
async fn tun_06_only_programs_of_our_origin_get_an_answer() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    let admin = &mut at.admin;
    let browser = ("user-agent", "Mozilla/5.0");
    for (site, dest, mode) in [
        ("none", "document", "navigate"),
        ("same-origin", "document", "navigate"),
        ("same-origin", "iframe", "navigate"),
        ("same-origin", "image", "no-cors"),
        ("same-origin", "script", "no-cors"),
        ("same-origin", "serviceworker", "same-origin"),
        ("same-site", "empty", "cors"),
        ("cross-site", "empty", "cors"),
        ("cross-site", "document", "navigate"),
    ] {
        let headers =
            [browser, ("sec-fetch-site", site), ("sec-fetch-dest", dest), ("sec-fetch-mode", mode)];
        assert_eq!(with_headers(admin, Method::GET, &headers).await, 403, "{headers:?}");
    }
    assert_eq!(with_headers(admin, Method::GET, &[browser]).await, 403, "an old browser's link");
    let json = ("content-type", "application/json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let ours = [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty"), browser];
    assert_eq!(with_headers(admin, Method::POST, &[ours[0], ours[1], browser, form]).await, 415);
    assert_eq!(
        with_headers(admin, Method::POST, &[browser, json, ("origin", "https://evil.example")])
            .await,
        403
    );
    assert_eq!(with_headers(admin, Method::POST, &[ours[0], ours[1], browser, json]).await, 200);
    assert_eq!(with_headers(admin, Method::GET, &ours).await, 200);
    assert_eq!(with_headers(admin, Method::GET, &[("x-requested-with", "script")]).await, 200);
    drop(at);
    assert_eq!(seen.await.unwrap().len(), 3, "what is refused does not reach the cluster");
}

#[tokio::test]
async fn tun_04_and_tun_08_nothing_of_the_operators_request_reaches_the_cluster_by_default() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    headers.insert("sec-fetch-dest", HeaderValue::from_static("empty"));
    for name in [
        "proxy-authorization",
        "accept",
        "accept-language",
        "if-match",
        "user-agent",
        "referer",
        "x-forwarded-for",
        "x-user-secret",
        "x-lxd-anything",
        "tunnel-access-token",
        "tunnel-session",
    ] {
        headers.insert(name, HeaderValue::from_str(&format!("Bearer canary-{name}")).unwrap());
    }
    at.admin.cookies.insert((at.deployment.origin(), "session".into()), "canary-cookie".into());
    let answer = at.admin.raw(Method::GET, &format!("{LYON}/1.0"), headers, String::new()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let session = at.admin.cookie("__Host-mcm-session").unwrap().to_owned();
    let dump = at.deployment.database.dump().await;
    assert!(dump.contains("\"access_token_sealed\": null"), "no token is kept");
    drop(at);
    let request = seen.await.unwrap().remove(0);
    assert_eq!(request.headers, None);
    assert!(
        !format!("{request:?}").contains("canary") && !format!("{request:?}").contains(&session)
    );
}

#[tokio::test]
async fn tun_08_a_forwarded_token_goes_only_where_it_is_needed_and_earns_a_session_per_cluster() {
    let mut at = TunnelDeployment::start(&[("TUNNEL_FORWARD_ACCESS_TOKEN", "true")]).await;
    let mut clusters = Vec::new();
    for name in ["lyon", "quito"] {
        let (_, tunnel) = at.open(name).await;
        let (mut behind, mut asked) = (lxd(Trusts::Tokens), 0);
        clusters.push(answering(tunnel, move |request| {
            asked += 1;
            // After two requests LXD forgets its sessions.
            if asked == 3 {
                behind.end_sessions();
            }
            let mut answer = behind.answer(request);
            for cookie in answer.cookies.iter_mut().flatten() {
                cookie["Value"] = format!("{name}-{asked}").into();
            }
            answer
        }));
    }
    let quito = "/1.0/remote-cluster/quito/tunnel";
    assert_eq!(at.admin.get(&format!("{LYON}/1.0/cluster/members")).await.status, 200);
    let log = at.manager.process.log() + &at.connector.process.log();
    let dump = at.deployment.database.dump().await;
    let mut seen = Vec::new();
    let token = {
        let second = at.admin.get(&format!("{LYON}/1.0")).await;
        assert_eq!(second.status, 200);
        let other = at.admin.get(&format!("{quito}/1.0/cluster/members")).await;
        assert_eq!(other.status, 200);
        drop(at);
        for cluster in clusters {
            seen.push(cluster.await.unwrap());
        }
        seen[0][0].header("Authorization").unwrap().to_owned()
    };
    assert!(token.starts_with("Bearer ") && seen[0][0].header("Cookie").is_none());
    assert_eq!(seen[0][1].header("Cookie"), Some("session=lyon-1"));
    assert_eq!(seen[0][1].header("Authorization"), None, "with a session no token is needed");
    assert_eq!(seen[1][0].header("Authorization"), Some(token.as_str()));
    assert_eq!(seen[1][0].header("Cookie"), None, "a session of one cluster never goes to another");
    let bare = token.trim_start_matches("Bearer ");
    assert!(
        !log.contains(bare) && !dump.contains(bare),
        "the token is neither logged nor readable at rest"
    );
    assert!(!log.contains("lyon-1"));
}

#[tokio::test]
async fn tun_09_a_refusal_is_answered_once_more_with_the_whole_body_and_then_passed_on() {
    let mut at = TunnelDeployment::start(&[("TUNNEL_FORWARD_ACCESS_TOKEN", "true")]).await;
    let (_, tunnel) = at.open("lyon").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let seen = answering(tunnel, move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => TunnelAnswer::json(request, 200, &json!({})).with_cookie("session", "first"),
        _ => TunnelAnswer::json(request, 401, &json!({"error": "not authorized"})),
    });
    let path = format!("{LYON}/1.0/instances");
    let body = json!({"name": "x".repeat(100_000)});
    assert_eq!(at.admin.send(Method::POST, &path, Some(&body)).await.status, 200);
    let refused = at.admin.send(Method::POST, &path, Some(&body)).await;
    assert_eq!((refused.status, refused.header("x-answered-by")), (401, Some("cluster")));
    assert_eq!(refused.json()["error"], "not authorized");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    let again = at.admin.send(Method::POST, &path, Some(&body)).await;
    assert_eq!(
        (again.status, asked.load(Ordering::Relaxed)),
        (401, 4),
        "the session is forgotten: one attempt"
    );
    assert_eq!(at.admin.get("/1.0").await.status, 200, "the session here goes on");
    drop(at);
    for request in seen.await.unwrap() {
        assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), body);
    }
}

#[tokio::test]
async fn tun_14_a_session_of_lxd_ends_with_the_operators_session_here() {
    let mut at = TunnelDeployment::start(&[("TUNNEL_FORWARD_ACCESS_TOKEN", "true")]).await;
    let (_, tunnel) = at.open("lyon").await;
    let mut behind = lxd(Trusts::Tokens);
    let seen = answering(tunnel, move |request| behind.answer(request));
    let path = format!("{LYON}/1.0/cluster/members");
    assert_eq!(at.admin.get(&path).await.status, 200);
    assert_eq!(at.admin.get(&path).await.status, 200);
    at.admin.send(Method::POST, "/oidc/logout", None).await;
    assert_eq!(at.admin.get(&path).await.status, 401);
    let mut again = at.deployment.logged_in("admin@example.com").await;
    assert_eq!(again.get(&path).await.status, 200);
    drop(at);
    let cookies: Vec<_> = seen
        .await
        .unwrap()
        .iter()
        .map(|request| request.header("Cookie").map(str::to_owned))
        .collect();
    assert_eq!(cookies, [None, Some("session=lxd-session-0".into()), None]);
}

#[tokio::test]
async fn tun_07_bodies_have_a_limit_and_a_busy_cluster_is_told_from_a_silent_one() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, mut tunnel) = at.open("lyon").await;
    let path = format!("{LYON}/1.0/x");
    let too_long = at.admin.send(Method::POST, &path, Some(&json!("x".repeat(8 << 20)))).await;
    assert_eq!(too_long.error(), (413, "the request body must have at most 8388608 bytes".into()));
    let longest = json!("x".repeat((8 << 20) - 2));
    let mut admin = at.admin.clone();
    let long_path = path.clone();
    let sent =
        tokio::spawn(async move { admin.send(Method::POST, &long_path, Some(&longest)).await });
    let request = tunnel.next().await.unwrap().unwrap();
    assert_eq!(request.body.len(), 8 << 20);
    tunnel.answer(&TunnelAnswer::json(&request, 200, &json!({}))).await.unwrap();
    assert_eq!(sent.await.unwrap().status, 200);

    let results = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..18 {
        let (mut admin, path, results) = (at.admin.clone(), path.clone(), Arc::clone(&results));
        tasks.spawn(async move {
            let answer = admin.get(&path).await;
            let retry = answer.header("retry-after").map(str::to_owned);
            results.lock().unwrap().push((answer.status, retry));
        });
    }
    tasks.join_next().await;
    assert_eq!(results.lock().unwrap().drain(..).collect::<Vec<_>>(), [(503, Some("5".into()))]);
    // The first one is never answered, the others wait for it: one time limit of 30 s ends them all.
    let mut requests = vec![tunnel.next().await.unwrap().unwrap()];
    tasks.join_next().await;
    while requests.len() < 2 {
        requests.push(tunnel.next().await.unwrap().unwrap());
    }
    drop(tunnel);
    while tasks.join_next().await.is_some() {}
    let mut statuses: Vec<u16> =
        results.lock().unwrap().iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert!(statuses.contains(&504), "{statuses:?}");
    assert!(statuses.iter().all(|status| [400, 502, 503, 504].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn tun_15_every_request_leaves_one_line_and_one_record() {
    let mut at = TunnelDeployment::start(&[]).await;
    let lines = |at: &TunnelDeployment| -> Vec<Value> {
        let log = at.manager.process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == "tunnel request").collect()
    };
    let (_, tunnel) = at.open("lyon").await;
    let _seen =
        answering(tunnel, |request| TunnelAnswer::refusal(request, 200).with_body(b"12345"));
    let path = format!("{LYON}/1.0/instances?secret=query");
    assert_eq!(at.admin.send(Method::PUT, &path, Some(&json!({}))).await.status, 200);
    at.manager.until_log("tunnel request").await;
    assert_eq!(at.admin.get("/1.0/remote-cluster/nobody/tunnel/1.0/x").await.status, 404);
    assert_eq!(at.admin.get(&format!("{LYON}/1.0//x")).await.status, 400);
    let lines = lines(&at);
    let expected = [
        ("lyon", "PUT", "/1.0/instances", 200),
        ("nobody", "GET", "/1.0/x", 404),
        ("lyon", "GET", "", 400),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, (cluster, method, path, status)) in lines.iter().zip(expected) {
        assert_eq!(line["user"], "admin@example.com");
        assert_eq!((&line["cluster.name"], &line["method"]), (&json!(cluster), &json!(method)));
        assert_eq!((&line["path"], &line["status"]), (&json!(path), &json!(status)));
        assert!(
            line["duration_ms"].is_number() && line["span"]["request.id"].is_string(),
            "{line}"
        );
    }
    assert_eq!((&lines[0]["bytes_sent"], &lines[0]["bytes_received"]), (&json!(2), &json!(5)));
    assert!(!at.manager.process.log().contains("secret=query"));

    // The audit log says the same.
    let recorded = "SELECT count(*) FROM audit_events WHERE event = 'tunnel.request'";
    at.deployment.database.until_count(recorded, 3).await;
    let records = at.admin.get("/1.0/audit?event=tunnel.request").await.metadata();
    assert!(!records.to_string().contains("secret=query"), "{records}");
    for (line, (cluster, method, path, status)) in lines.iter().zip(expected) {
        let id = &line["span"]["request.id"];
        let same = |record: &&Value| record["request_id"] == *id;
        let record = records["records"].as_array().unwrap().iter().find(same).unwrap();
        let outcome = if status < 400 { "success" } else { "failed" };
        for (key, value) in [
            ("actor_kind", "operator"),
            ("actor_name", "Ada Admin"),
            ("object", cluster),
            ("outcome", outcome),
        ] {
            assert_eq!(record[key], value, "{record}");
        }
        let details = json!({
            "method": method, "path": path, "status": status, "bytes_sent": line["bytes_sent"],
            "bytes_received": line["bytes_received"], "duration_ms": line["duration_ms"],
        });
        assert_eq!(record["details"], details);
    }
}
