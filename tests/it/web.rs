//! What browsers are let do, what answers and logs give away (security properties SESS-03, WEB-*, CONF-04, DB-02, AUD-02, AUD-03).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster_manager::management_api::access::{Access, ROUTES};
use cluster_simulator::tls::{Dial, Trust};
use cluster_simulator::{Connection, Identity, Request, STATUS_PATH};
use end_to_end_tests::{Deployment, MockProvider, Operator, Running, Service, Unit};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

/// Where the identity provider tells of logouts.
const TELLING: &str = "/oidc/backchannel-logout";

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    list.iter().map(header).collect()
}

/// A path that a pattern of the table matches.
fn sample(pattern: &str) -> String {
    pattern
        .replace("{**path}", "clusters")
        .replace("{name}", "none")
        .replace("{id}", "0")
        .replace("{session}", "none")
}

/// A request that is not put right by a client of the URL standard.
async fn raw(unit: &Unit, request: Request) -> cluster_simulator::Answer {
    let address = unit.api.to_string();
    let mut connection =
        Connection::open(&address, &Trust::Anything, None, Dial::default()).await.unwrap();
    connection.send(&request.with_header("host", &address)).await.unwrap()
}

#[tokio::test]
async fn sess_03_a_login_attempt_is_a_sealed_cookie_of_its_own() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut browser = deployment.operator();
    let begin = async |browser: &mut end_to_end_tests::Operator| {
        browser.raw(Method::GET, "/oidc/login", HeaderMap::new(), String::new()).await
    };
    let (first, second) = (begin(&mut browser).await, begin(&mut browser).await);
    let cookies = [&first, &second].map(|answer| answer.header(SET_COOKIE.as_str()).unwrap());
    for (cookie, answer) in cookies.iter().zip([&first, &second]) {
        for attribute in ["__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"]
        {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let target: url::Url = answer.header("location").unwrap().parse().unwrap();
        for (name, value) in target.query_pairs().filter(|(name, _)| name != "client_id") {
            let open = cookie.contains(&*value) || cookie.contains(&hex::encode(value.as_bytes()));
            assert!(!open, "{name} can be read in {cookie}");
        }
    }
    let name = |cookie: &str| cookie.split('=').next().unwrap().to_owned();
    assert_ne!(name(cookies[0]), name(cookies[1]), "two tabs do not get in each other's way");
    assert_eq!(provider.log_in(&mut browser).await.status, 303);
    let left = browser.cookies.keys().filter(|(_, name)| name.contains("login")).count();
    assert_eq!(left, 2, "an attempt that came to its end is forgotten, the others stay");
}

#[tokio::test]
async fn sess_03_of_many_begun_logins_the_newest_eight_stay_and_the_last_one_logs_in() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut browser = deployment.operator();
    let longest = format!("/oidc/login?next=/ui/{}", "x".repeat(1020));
    let mut begun = None;
    for _ in 0..100 {
        let answer = browser.raw(Method::GET, &longest, HeaderMap::new(), String::new()).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        let size = answer.headers.get_all(SET_COOKIE).iter().map(HeaderValue::len).max();
        assert!(size < Some(4096), "browsers keep none of more than 4096 bytes");
        begun = Some(answer);
    }
    let attempts = browser.cookies.keys().filter(|(_, name)| name.contains("login"));
    assert_eq!(attempts.count(), 8);
    let answer = provider.come_back(&mut browser, &begun.unwrap()).await;
    assert_eq!((answer.status, answer.header("location").map(str::len)), (303, Some(1024)));
    assert_eq!(browser.get("/1.0").await.status, 200);
}

#[tokio::test]
async fn oidc_03_a_login_begins_under_the_public_name_whichever_name_is_used() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![(
        "MANAGEMENT_API_ALLOWED_HOSTS",
        "Alias.example.com:443,alias.example.com:8443".into(),
    )];
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let ask = async |browser: &mut Operator, host: &str, path: &str| {
        browser.raw(Method::GET, path, headers(&[("host", host)]), String::new()).await
    };
    let mut browser = deployment.operator();
    for host in ["alias.example.com", "ALIAS.example.com:443", "alias.example.com:8443"] {
        let answer = ask(&mut browser, host, "/oidc/login?next=/ui/clusters?a=b%26c").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (302, None), "{host}");
        let target = answer.header("location").unwrap().to_owned();
        let path = target.strip_prefix(&deployment.origin()).unwrap();
        let begun = browser.raw(Method::GET, path, HeaderMap::new(), String::new()).await;
        let answer = provider.come_back(&mut browser, &begun).await;
        let page = answer.header("location");
        assert_eq!((answer.status, page), (303, Some("/ui/clusters?a=b&c")), "{host}");
        // A proxy that changes the name sends the browser in no circle.
        let begun = ask(&mut browser, host, path).await;
        assert!(begun.header("set-cookie").is_some(), "{host}");
        assert_eq!(provider.come_back(&mut browser, &begun).await.status, 303, "{host}");
    }
    let answer = ask(&mut browser, "other.example.com:443", "/oidc/login").await;
    assert_eq!(answer.status, 421);
}

#[tokio::test]
async fn oidc_03_requests_for_other_hosts_ask_the_provider_nothing() {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut stranger = deployment.operator();
    for n in 0..50 {
        let host = headers(&[("host", &format!("evil-{n}.example"))]);
        let answer = stranger.raw(Method::GET, "/oidc/login", host, String::new()).await;
        assert_eq!(answer.status, 421);
        assert!(answer.header("set-cookie").is_none());
    }
    assert!(provider.calls(|_| true).is_empty());
    for _ in 0..5 {
        assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    }
    let discovered = provider.calls(|call| call.path.ends_with("openid-configuration")).len();
    assert_eq!(discovered, 1, "once for all logins");
}

#[tokio::test]
async fn web_01_only_requests_with_json_and_the_right_method_change_anything() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let json = serde_json::json!({"cluster_name": "lyon"});
    let made = admin.send(Method::POST, "/1.0/remote-cluster-join-token", Some(&json)).await;
    assert_eq!(made.status, 200);
    let changing = ROUTES.iter().filter(|row| !matches!(row.0, "GET" | "*"));
    for (method, pattern, access) in changing.clone() {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let headers = headers(&[
                ("sec-fetch-site", "same-origin"),
                ("user-agent", "Mozilla/5.0"),
                ("content-type", kind),
            ]);
            let method: Method = method.parse().unwrap();
            let body = json.to_string();
            let answer = admin.raw(method.clone(), &sample(pattern), headers, body).await;
            // Where a provider tells of logouts, a form is what the standard wants; this one has no signed token.
            let told = *pattern == TELLING && kind.ends_with("urlencoded");
            let expected = if told { 400 } else { 415 };
            assert_eq!(answer.status, expected, "{method} {pattern} {kind} {access:?}");
        }
    }
    // What a request claims to be in a header does not count.
    for (method, pattern, _) in changing {
        let path = sample(pattern).replace("none", "lyon");
        let claims = headers(&[
            ("sec-fetch-site", "same-origin"),
            ("x-http-method-override", method),
            ("x-http-method", method),
            ("x-method-override", method),
        ]);
        if path != "/oidc/logout" {
            admin
                .raw(Method::GET, &format!("{path}?_method={method}"), claims, String::new())
                .await;
        }
    }
    assert_eq!(deployment.database.count("SELECT count(*) FROM join_tokens").await, 1);
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn web_03_links_from_other_sites_reach_the_pages() {
    let deployment = Deployment::new().await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let navigation = headers(&[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ]);
    for path in ["/ui/", "/ui/clusters", "/ui/cluster/lyon", "/ui/clusters/tokens", "/ui/login/"] {
        let mut person = deployment.operator();
        let answer = person.raw(Method::GET, path, navigation.clone(), String::new()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn web_06_no_other_origin_is_ever_allowed() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let preflight = headers(&[
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ]);
    for (_, pattern, _) in ROUTES {
        let path = sample(pattern);
        // An event stream goes on: its head tells as much.
        let read = if path == "/1.0/fleet/events" { Method::HEAD } else { Method::GET };
        for method in [Method::OPTIONS, read] {
            if path.starts_with("/oidc/") && method == Method::GET {
                continue; // they lead elsewhere, and one of them ends the session
            }
            let answer = admin.raw(method.clone(), &path, preflight.clone(), String::new()).await;
            let allowed =
                answer.headers.keys().any(|name| name.as_str().starts_with("access-control"));
            assert!(!allowed, "{method} {path}: {:?}", answer.headers);
        }
    }
}

/// Where a page of another site could learn who is logged in here, and what there is.
const DATA: [&str; 8] = [
    "/1.0",
    "/1.0/remote-cluster",
    "/1.0/remote-cluster/lyon",
    "/1.0/remote-cluster/none",
    "/1.0/remote-cluster/lyon/tunnel/1.0",
    "/1.0/remote-cluster/none/tunnel/1.0",
    "/1.0/audit",
    "/1.0/fleet/clusters",
];

#[tokio::test]
async fn web_10_answers_tell_a_page_of_another_site_nothing() {
    let mut running = Running::start().await;
    drop(running.deployment.enrol("lyon").await);
    let mut nobody = running.deployment.operator();
    running.provider.edit_claims(|claims| claims["mcm-idp-groups"] = serde_json::json!([]));
    let mut without_role = running.deployment.operator();
    assert_eq!(running.provider.log_in(&mut without_role).await.status, 303);
    let mut alike = |sites: [&'static str; 2]| {
        let people = [&mut running.ada, &mut without_role, &mut nobody].map(|one| one.clone());
        async move {
            let mut answers = std::collections::BTreeSet::new();
            for mut person in people {
                for (site, path) in sites.into_iter().flat_map(|site| DATA.map(|path| (site, path)))
                {
                    let headers = headers(&[("sec-fetch-site", site), ("sec-fetch-dest", "empty")]);
                    let answer = person.raw(Method::GET, path, headers, String::new()).await;
                    let mut told = answer.headers.clone();
                    for own in ["x-request-id", "date"] {
                        told.remove(own);
                    }
                    answers.insert((answer.status, answer.body, format!("{told:?}")));
                }
            }
            answers
        }
    };
    let answers = alike(["cross-site", "same-site"]).await;
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(answers.first().unwrap().0, 403);
    assert!(alike(["same-origin", "none"]).await.len() > 5, "our own pages are told");
    // Nothing is looked up: the answer takes the same time whoever asks for what.
    running.deployment.database.close().await;
    let without_database = alike(["cross-site", "same-site"]).await;
    running.deployment.database.open().await;
    assert_eq!(without_database, answers);
}

#[tokio::test]
async fn web_08_a_link_to_a_name_of_ours_that_the_connector_does_not_know_is_not_shown() {
    let mut deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _provider = deployment.start_identity_provider().await;
    let member = deployment.enrol("lyon").await;
    let alias = "https://alias.example.com:8443/1.0/remote-cluster/lyon/tunnel/1.0";
    let body = serde_json::json!({"ui_url": alias}).to_string();
    member.request("POST", STATUS_PATH, body.into_bytes()).await.unwrap().success().unwrap();
    deployment.extra.push(("MANAGEMENT_API_ALLOWED_HOSTS", "alias.example.com:8443".into()));
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let stored = "SELECT count(*) FROM remote_cluster_details WHERE ui_url <> ''";
    assert_eq!(deployment.database.count(stored).await, 1);
    let list = "/1.0/remote-cluster";
    for path in [list.to_owned(), format!("{list}?fields=ui_url"), format!("{list}/lyon")] {
        let shown = admin.get(&path).await.metadata();
        let cluster = shown.get(0).unwrap_or(&shown);
        assert_eq!(cluster["ui_url"], "", "{path}");
    }
    let output = deployment.run(&["clusters", "show", "lyon", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["ui_url"], "");
}

#[tokio::test]
async fn web_09_only_the_uis_own_files_are_served() {
    let deployment = Deployment::new().await;
    let unit = deployment.start(Service::ManagementApi).await;
    let shell = raw(&unit, Request::new("GET", "/ui/clusters")).await.body;
    for path in [
        "/ui/../Cargo.toml",
        "/ui/..%2f..%2fCargo.toml",
        "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/ui/%2e%2e%5c%2e%2e%5cetc%5cpasswd",
        "/ui//etc/passwd",
        "/ui/assets/../../Cargo.toml",
        "/ui/assets/%2e%2e/index.html",
        "/ui/assets",
        "/ui/index.html.br",
        "/ui/.gitignore",
        "/ui/a%00b",
        "/etc/passwd",
        "/../etc/passwd",
    ] {
        let answer = raw(&unit, Request::new("GET", path)).await;
        let page = answer.status == 200 && answer.body == shell;
        assert!(page || answer.status == 404, "{path}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn conf_04_an_error_is_a_fixed_phrase_whatever_is_broken() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let unit = deployment.start(Service::ManagementApi).await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let member = deployment.enrol("lyon").await;
    let reads = || ROUTES.iter().filter(|row| row.0 == "GET" && row.1.starts_with("/1.0"));
    let phrases = ["Internal Server Error", "the database is not available, try again later"];
    let clean = |path: &str, status: u16, body: &str| {
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let text = json["error"].as_str().unwrap().to_owned();
        assert!(phrases.contains(&text.as_str()), "{path}: {body}");
        assert!(matches!(status, 500 | 503), "{path}: {status}");
    };
    let db = deployment.database.connect().await;
    db.batch_execute(
        "ALTER TABLE remote_clusters RENAME TO canary_a; ALTER TABLE audit_events RENAME TO canary_b;
         ALTER TABLE join_tokens RENAME TO canary_c",
    )
    .await
    .unwrap();
    for path in ["/1.0/remote-cluster", "/1.0/remote-cluster/x", "/1.0/audit", "/1.0/audit/export"]
    {
        let answer = admin.get(path).await;
        clean(path, answer.status, &answer.body);
    }
    let refused = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    clean(STATUS_PATH, refused.status, &refused.body);
    deployment.database.close().await;
    for (_, pattern, _) in reads() {
        let mut answer = admin.get(&sample(pattern)).await;
        // What it says may be a second old.
        while *pattern == "/1.0/status" && answer.status == 200 {
            answer = admin.get(pattern).await;
        }
        clean(pattern, answer.status, &answer.body);
        assert!(answer.header("retry-after").is_some(), "{pattern}");
    }
    let refused = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    clean(STATUS_PATH, refused.status, &refused.body);
    deployment.database.open().await;
    assert!(unit.process.log().contains("canary") || unit.process.log().contains("does not exist"));
    drop(connector);
}

#[tokio::test]
async fn aud_02_every_request_is_logged_once_on_one_line_without_its_query() {
    let deployment = Deployment::new().await;
    let unit = deployment.start(Service::ManagementApi).await;
    let requests = [
        Request::new("GET", "/1.0/status?canary-query=1"),
        Request::new("GET", "/1.0/logged-upgrade")
            .with_header("upgrade", "websocket")
            .with_header("connection", "upgrade"),
        Request::new("GET", "/1.0/logged-quiet").with_header("x-no-log", "1"),
        Request::new("PUT", "/1.0/logged-method"),
        Request::new("GET", "/1.0/remote-cluster/a%0Ab%E2%80%AEc"),
        Request::new("BREW", "/1.0/logged-brew"),
        Request::new("GET", "/1.0/%zz"),
    ];
    for request in requests {
        raw(&unit, request).await;
    }
    let wanted = [
        "GET /1.0/status",
        "GET /1.0/logged-upgrade",
        "GET /1.0/logged-quiet",
        "PUT /1.0/logged-method",
        "GET /1.0/remote-cluster/a%0Ab%E2%80%AEc",
        "BREW /1.0/logged-brew",
        "GET /1.0/%zz",
    ];
    let count = |wanted: &str| {
        let log = unit.process.log();
        let lines = log.lines().map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"))
        });
        lines.filter(|line| line["message"] == wanted && line["level"] == "INFO").count()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    for message in wanted {
        while count(message) == 0 {
            assert!(Instant::now() < deadline, "{message} is not logged");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(count(message), 1, "{message}");
    }
    assert!(!unit.process.log().contains("canary-query"));
}

#[tokio::test]
async fn aud_03_a_heartbeat_is_one_line_of_log_at_most() {
    let mut deployment = Deployment::new().await;
    for (every, most) in [(1, 50), (10, 5)] {
        deployment.extra =
            vec![("LOG_LEVEL", "info".into()), ("LOG_HEARTBEATS_EVERY", every.to_string())];
        let connector = deployment.start(Service::ClusterConnector).await;
        let token = deployment.token(&format!("lyon-{every}"));
        let member = deployment.member_at(&deployment.member(&token), &connector);
        member.join(&token).await.unwrap();
        let before = connector.process.log().lines().count();
        for _ in 0..50 {
            let canary = br#"{"ui_url": "https://canary-body.example/"}"#.to_vec();
            member.request("POST", STATUS_PATH, canary).await.unwrap().success().unwrap();
        }
        let log = connector.process.log();
        let lines = log.lines().count() - before;
        assert!((1..=most).contains(&lines), "{lines} lines for 50 heartbeats, one of {every}");
        assert!(!log.contains("canary-body"));
        // What goes wrong is always there.
        let stranger = Identity::generate("stranger").unwrap();
        let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
        for _ in 0..3 {
            let refused = member.raw_request(&request, Some(&stranger)).await.unwrap();
            assert_eq!(refused.status, 403);
        }
        let refused = connector.process.log().matches("\"status\":403").count();
        assert_eq!(refused, 3, "one of {every}");
    }
}

#[test]
fn db_02_statements_are_literals_and_all_in_the_store() {
    fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workload/src");
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources of the server");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if file.starts_with(root.join("store")) {
            assert!(
                !text.contains("format!("),
                "{}: a statement that is put together",
                file.display()
            );
        } else {
            let words =
                ["SELECT ", "INSERT INTO", "DELETE FROM", "batch_execute", "prepare_cached("];
            for word in words {
                assert!(!text.contains(word), "{}: {word} outside of the store", file.display());
            }
        }
    }
}

#[test]
fn web_02_no_route_that_changes_anything_is_open_to_everybody() {
    for (method, pattern, access) in ROUTES {
        let open = access == Access::Anyone && !matches!(method, "GET" | "*");
        assert!(!open || ["/oidc/logout", TELLING].contains(&pattern), "{method} {pattern}");
    }
}
