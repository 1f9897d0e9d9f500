//! Who may use which route (security property OIDC-09).

use std::collections::BTreeSet;

use cluster_manager::management_api::access::ROUTES;
use end_to_end_tests::{Answer, Deployment, Operator, Service};
use reqwest::Method;
use serde_json::json;

/// Every route with a request for it, and what the answer is to nobody, to people without a role, and to a viewer, an operator and an
/// admin. Where a request succeeds for somebody it asks for a thing that is not there, so that the order of requests does not matter.
const EXPECTED: [(&str, &str, &str, [u16; 5]); 41] = [
    ("*", "/", "/", [308, 308, 308, 308, 308]),
    ("GET", "/ui/{**path}", "/ui/clusters", [200, 200, 200, 200, 200]),
    ("GET", "/oidc/login", "/oidc/login", [302, 302, 302, 302, 302]),
    ("GET", "/oidc/callback", "/oidc/callback", [403, 403, 403, 403, 403]),
    ("GET", "/1.0/status", "/1.0/status", [200, 200, 200, 200, 200]),
    ("GET", "/1.0", "/1.0", [401, 200, 200, 200, 200]),
    ("GET", "/1.0/configuration", "/1.0/configuration", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/login-check", "/1.0/login-check", [401, 403, 403, 403, 200]),
    ("GET", "/1.0/remote-cluster", "/1.0/remote-cluster", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/remote-cluster/{name}", "/1.0/remote-cluster/none", [401, 403, 404, 404, 404]),
    ("PATCH", "/1.0/remote-cluster/{name}", "/1.0/remote-cluster/none", [401, 403, 403, 404, 404]),
    ("DELETE", "/1.0/remote-cluster/{name}", "/1.0/remote-cluster/none", [401, 403, 403, 403, 404]),
    (
        "GET",
        "/1.0/remote-cluster/{name}/tunnel/{**path}",
        "/1.0/remote-cluster/none/tunnel/1.0",
        [401, 403, 403, 404, 404],
    ),
    (
        "POST",
        "/1.0/remote-cluster/{name}/tunnel/{**path}",
        "/1.0/remote-cluster/none/tunnel/1.0",
        [401, 403, 403, 404, 404],
    ),
    (
        "PUT",
        "/1.0/remote-cluster/{name}/tunnel/{**path}",
        "/1.0/remote-cluster/none/tunnel/1.0",
        [401, 403, 403, 404, 404],
    ),
    (
        "PATCH",
        "/1.0/remote-cluster/{name}/tunnel/{**path}",
        "/1.0/remote-cluster/none/tunnel/1.0",
        [401, 403, 403, 404, 404],
    ),
    (
        "DELETE",
        "/1.0/remote-cluster/{name}/tunnel/{**path}",
        "/1.0/remote-cluster/none/tunnel/1.0",
        [401, 403, 403, 404, 404],
    ),
    (
        "GET",
        "/1.0/remote-cluster-join-token",
        "/1.0/remote-cluster-join-token",
        [401, 403, 200, 200, 200],
    ),
    (
        "POST",
        "/1.0/remote-cluster-join-token",
        "/1.0/remote-cluster-join-token",
        [401, 403, 403, 400, 400],
    ),
    (
        "DELETE",
        "/1.0/remote-cluster-join-token/{name}",
        "/1.0/remote-cluster-join-token/none",
        [401, 403, 403, 404, 404],
    ),
    (
        "POST",
        "/1.0/remote-cluster/{name}/rotation-token",
        "/1.0/remote-cluster/none/rotation-token",
        [401, 403, 403, 403, 404],
    ),
    ("GET", "/1.0/openapi.json", "/1.0/openapi.json", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/warnings", "/1.0/warnings", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/fleet/clusters", "/1.0/fleet/clusters", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/fleet/summary", "/1.0/fleet/summary", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/fleet/history", "/1.0/fleet/history", [401, 403, 200, 200, 200]),
    ("GET", "/1.0/fleet/events", EVENTS, [401, 403, 200, 200, 200]),
    ("POST", "/1.0/fleet/actions", "/1.0/fleet/actions", [401, 403, 403, 400, 400]),
    ("GET", "/1.0/fleet/history/{name}", "/1.0/fleet/history/none", [401, 403, 404, 404, 404]),
    ("GET", "/1.0/sessions", "/1.0/sessions", [401, 403, 200, 200, 200]),
    ("DELETE", "/1.0/sessions/{id}", "/1.0/sessions/none", [401, 403, 404, 404, 404]),
    ("GET", "/1.0/identities", "/1.0/identities", [401, 403, 403, 403, 200]),
    (
        "GET",
        "/1.0/identities/{id}/sessions",
        "/1.0/identities/0/sessions",
        [401, 403, 403, 403, 404],
    ),
    (
        "DELETE",
        "/1.0/identities/{id}/sessions",
        "/1.0/identities/0/sessions",
        [401, 403, 403, 403, 404],
    ),
    (
        "DELETE",
        "/1.0/identities/{id}/sessions/{session}",
        "/1.0/identities/0/sessions/none",
        [401, 403, 403, 403, 404],
    ),
    ("GET", "/1.0/audit", "/1.0/audit", [401, 403, 403, 403, 200]),
    ("GET", "/1.0/audit/export", "/1.0/audit/export", [401, 403, 403, 403, 200]),
    // What is not signed by the provider is refused, whoever sends it.
    ("POST", "/oidc/backchannel-logout", "/oidc/backchannel-logout", [415, 415, 415, 415, 415]),
    // Each of these ends the session that it is asked with.
    ("DELETE", "/1.0/sessions", "/1.0/sessions", [401, 403, 200, 200, 200]),
    ("GET", "/oidc/logout", "/oidc/logout", [302, 302, 302, 302, 302]),
    ("POST", "/oidc/logout", "/oidc/logout", [200, 200, 200, 200, 200]),
];

const EVENTS: &str = "/1.0/fleet/events";

async fn ask(operator: &mut Operator, method: &str, path: &str) -> Answer {
    let method: Method = match method {
        "*" => Method::GET,
        // An event stream goes on: its head tells as much.
        _ if path == EVENTS => Method::HEAD,
        method => method.parse().unwrap(),
    };
    let body = (method == Method::PATCH || method == Method::POST || method == Method::PUT)
        .then(|| json!({}));
    operator.send(method, path, body.as_ref()).await
}

#[tokio::test]
async fn oidc_09_every_route_is_open_to_those_with_the_role_and_to_nobody_else() {
    let declared: BTreeSet<_> = ROUTES.iter().map(|(method, path, _)| (*method, *path)).collect();
    let expected: BTreeSet<_> = EXPECTED.iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(declared, expected, "a route is missing in the table of this test");

    let mut deployment = Deployment::new().await;
    deployment.extra = vec![
        ("OIDC_OPERATOR_GROUPS", "ops, others".into()),
        ("OIDC_VIEWER_GROUPS", "staff".into()),
    ];
    let users = deployment.file("users.json");
    let people = json!([
        {"email": "viewer@example.org", "groups": ["staff"]},
        {"email": "operator@example.org", "groups": ["staff", "ops"]},
    ]);
    std::fs::write(&users, people.to_string()).unwrap();
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let database = deployment.database.connect().await;
    let people =
        ["viewer@example.com", "viewer@example.org", "operator@example.org", "admin@example.com"];
    for (n, email) in people.into_iter().enumerate() {
        let logged_in = deployment.logged_in(email).await;
        for (method, _, path, statuses) in EXPECTED {
            let mut operator = logged_in.clone();
            let ends_it = path == "/1.0/sessions" && method == "DELETE" || path == "/oidc/logout";
            if ends_it {
                operator = deployment.logged_in(email).await;
            }
            let answer = ask(&mut operator, method, path).await;
            assert_eq!(answer.status, statuses[n + 1], "{email}: {method} {path}: {}", answer.body);
            // The answer to `HEAD` has no body.
            if answer.status == 403 && path.starts_with("/1.0") && path != EVENTS {
                assert_eq!(answer.json(), super::example("error-403-permission.json"));
            }
        }
        let mut expired = deployment.logged_in(email).await;
        database.batch_execute("UPDATE sessions SET expires_at = now()").await.unwrap();
        for nobody in [&mut expired, &mut deployment.operator()] {
            for (method, _, path, statuses) in EXPECTED {
                let answer = ask(nobody, method, path).await;
                assert_eq!(answer.status, statuses[0], "nobody: {method} {path}: {}", answer.body);
                if answer.status == 401 && path != EVENTS {
                    assert_eq!(answer.json(), super::example("error-401.json"));
                }
            }
        }
    }
}

#[tokio::test]
async fn oidc_09_a_method_that_nobody_declared_does_not_exist() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    for (_, pattern, path, _) in EXPECTED.iter().filter(|row| row.1.starts_with("/1.0")) {
        let answer = admin.send(Method::OPTIONS, path, None).await;
        assert_eq!(answer.status, 405, "{path}");
        // The router itself names its methods here: one that the table does not know fails.
        for method in answer.header("allow").unwrap().split(", ").filter(|name| *name != "HEAD") {
            let known = ROUTES.iter().any(|route| (route.0, route.1) == (method, *pattern));
            assert!(known, "{method} {path} is not in the table");
        }
    }
}

#[tokio::test]
async fn oidc_09_by_default_only_admins_get_in_and_the_role_is_told() {
    let mut deployment = Deployment::new().await;
    let users = deployment.file("users.json");
    let people = json!([
        {"email": "text@example.org", "groups": "admins"},
        {"email": "case@example.org", "groups": ["Admins"]},
        {"email": "mixed@example.org", "groups": ["admins", 1]},
        {"email": "staff@example.org", "groups": ["staff", "operators", "viewers", "operator"]},
    ]);
    std::fs::write(&users, people.to_string()).unwrap();
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    for email in ["text@example.org", "case@example.org", "mixed@example.org", "staff@example.org"]
    {
        let mut operator = deployment.logged_in(email).await;
        assert_eq!(operator.get("/1.0/remote-cluster").await.status, 403, "{email}");
        assert_eq!(operator.get("/1.0").await.metadata()["role"], json!(null), "{email}");
    }
    let mut admin = deployment.logged_in("admin@example.com").await;
    assert_eq!(admin.get("/1.0").await.metadata()["role"], "admin");
}
