//! What the audit log says about attempts without success, about certificates, tunnels and commands (security property AUD-01).

use std::time::Duration;

use cluster_simulator::JoinToken;
use end_to_end_tests::{Deployment, Operator, Service, TunnelDeployment};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

const TOKENS: &str = "/1.0/remote-cluster-join-token";

/// The records by people, clusters and commands, the oldest first.
async fn records(admin: &mut Operator) -> Vec<Value> {
    let page = admin.get("/1.0/audit?limit=1000").await.metadata();
    let mut records = page["records"].as_array().unwrap().clone();
    records.retain(|record| record["actor_kind"] != "system");
    records.reverse();
    records
}

fn short(record: &Value) -> [&str; 4] {
    ["event", "object", "actor_kind", "outcome"].map(|key| record[key].as_str().unwrap())
}

#[tokio::test]
async fn aud_01_each_attempt_without_success_is_one_record_and_wrong_input_is_none() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_OPERATOR_GROUPS", "ops".into())];
    let users = deployment.file("users.json");
    let people = json!([{"email": "operator@example.org", "groups": ["ops"]}]);
    std::fs::write(&users, people.to_string()).unwrap();
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("lyon").await;
    drop(deployment.token("oslo"));
    let mut admin = deployment.logged_in("admin@example.com").await;
    let mut operator = deployment.logged_in("operator@example.org").await;

    let session = "/1.0/sessions/00000000-0000-4000-8000-000000000000";
    let remove = |name| json!({"action": "remove", "names": [name]});
    let named = |name| json!({"cluster_name": name});
    let actions = "/1.0/fleet/actions";
    let cases = [
        (Method::POST, TOKENS, named("lyon"), 409, "join-token.created", "lyon"),
        (Method::POST, TOKENS, named("oslo"), 409, "join-token.created", "oslo"),
        (
            Method::DELETE,
            "/1.0/remote-cluster-join-token/x",
            json!({}),
            404,
            "join-token.revoked",
            "x",
        ),
        (
            Method::PATCH,
            "/1.0/remote-cluster/x",
            json!({"description": "a"}),
            404,
            "cluster.changed",
            "x",
        ),
        (Method::DELETE, "/1.0/remote-cluster/x", json!({}), 404, "cluster.removed", "x"),
        (
            Method::POST,
            "/1.0/remote-cluster/x/rotation-token",
            json!({}),
            404,
            "rotation-token.created",
            "x",
        ),
        (Method::DELETE, session, json!({}), 404, "session.ended", "ada-admin"),
        (Method::POST, actions, remove("y"), 200, "cluster.removed", "y"),
    ];
    let mut known = records(&mut admin).await.len();
    for (method, path, body, status, event, object) in cases {
        let answer = admin.send(method, path, Some(&body)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let all = records(&mut admin).await;
        assert_eq!(all.len(), known + 1, "{path}");
        assert_eq!(short(&all[known]), [event, object, "operator", "refused"], "{path}");
        assert_eq!(all[known]["request_id"], answer.header("x-request-id").unwrap(), "{path}");
        assert_ne!(all[known]["details"]["reason"], "", "{path}");
        known += 1;
    }
    assert_eq!(operator.send(Method::POST, actions, Some(&remove("lyon"))).await.status, 403);
    let mut foreign = HeaderMap::new();
    foreign.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    let forged = operator.raw(Method::DELETE, "/1.0/remote-cluster/lyon", foreign, String::new());
    assert_eq!(forged.await.status, 403);
    for (name, status) in [("a b", 400), ("", 400)] {
        let answer = admin.send(Method::POST, TOKENS, Some(&named(name))).await;
        assert_eq!(answer.status, status, "what is wrong already in its form was never tried");
    }
    for (arguments, _) in [
        (["clusters", "remove", "z"], "cluster.removed"),
        (["tokens", "revoke", "z"], "join-token.revoked"),
        (["tokens", "rotate", "z"], "rotation-token.created"),
    ] {
        assert_eq!(deployment.run(&arguments).status.code(), Some(1), "{arguments:?}");
    }
    let all = records(&mut admin).await;
    assert_eq!(
        all[known..].iter().map(short).collect::<Vec<_>>(),
        [
            ["permission.denied", "POST /1.0/fleet/actions", "operator", "refused"],
            ["permission.denied", "DELETE /1.0/remote-cluster/lyon", "operator", "refused"],
            ["cluster.removed", "z", "action", "refused"],
            ["join-token.revoked", "z", "action", "refused"],
            ["rotation-token.created", "z", "action", "refused"],
        ]
    );
    assert_eq!(all[known]["details"], json!({"role": "operator", "needed": "admin"}));
    assert_eq!(
        all[known + 1]["details"]["reason"],
        "Forbidden Sec-Fetch-Site header value",
        "the page of another site"
    );
    assert_eq!(admin.get("/1.0/remote-cluster/lyon").await.status, 200, "nothing was done");
}

#[tokio::test]
async fn aud_01_another_certificate_and_all_that_leads_to_it_is_recorded() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let old = deployment.enrol("lyon").await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let path = "/1.0/remote-cluster/lyon/rotation-token";
    assert_eq!(admin.send(Method::POST, path, Some(&json!({}))).await.status, 200);
    let revoked = admin.send(Method::DELETE, &format!("{TOKENS}/lyon"), None).await;
    assert_eq!(revoked.status, 200);
    let made = deployment.run(&["tokens", "rotate", "lyon"]);
    assert!(made.status.success());
    let token = JoinToken::decode(String::from_utf8(made.stdout).unwrap().trim_end()).unwrap();
    let new = deployment.member(&token);
    new.join(&token).await.unwrap();
    let link = json!({"ui_url": "https://lxd.example", "description": "Edge"});
    let changed = admin.send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&link)).await;
    assert_eq!(changed.status, 200);
    let all = records(&mut admin).await;
    assert_eq!(
        all.iter().map(short).collect::<Vec<_>>(),
        [
            ["join-token.created", "lyon", "action", "success"],
            ["cluster.joined", "lyon", "cluster", "success"],
            ["login", "ada-admin", "operator", "success"],
            ["rotation-token.created", "lyon", "operator", "success"],
            ["rotation-token.revoked", "lyon", "operator", "success"],
            ["rotation-token.created", "lyon", "action", "success"],
            ["cluster.certificate-replaced", "lyon", "cluster", "success"],
            ["cluster.changed", "lyon", "operator", "success"],
        ]
    );
    let [old, new] = [&old, &new].map(|member| member.identity().fingerprint());
    let replaced = &all[6];
    assert_eq!(replaced["actor"], new[..16], "the cluster that holds the new key");
    assert_eq!(
        (&replaced["details"]["old"], &replaced["details"]["new"]),
        (&json!(old), &json!(new))
    );
    assert_eq!(replaced["details"]["token"], all[5]["details"]["token"]);
    let differences = json!({
        "description": {"old": "", "new": "Edge"},
        "ui_url": {"old": "", "new": "https://lxd.example"},
    });
    assert_eq!(all[7]["details"], differences);
}

#[tokio::test]
async fn aud_01_tunnels_are_recorded_when_they_open_and_when_they_end() {
    let mut started = TunnelDeployment::start(&[]).await;
    let database = &started.deployment.database;
    let of = |event: &str| format!("SELECT count(*) FROM audit_events WHERE event = '{event}'");
    let (lyon, first) = started.open("lyon").await;
    let (_quito, _stays) = started.open("quito").await;
    drop(first);
    database.until_count(&of("tunnel.closed"), 1).await;
    // A tunnel that comes and goes is no news.
    drop(started.reopen(&lyon).await);
    database.until_count("SELECT count(*) FROM tunnels", 1).await;
    started.connector.process.signal("TERM");
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while started.connector.process.ended().is_none() {
        assert!(std::time::Instant::now() < deadline, "{}", started.connector.process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let all = records(&mut started.admin).await;
    let tunnels: Vec<_> = all
        .iter()
        .filter(|record| record["event"].as_str().unwrap().starts_with("tunnel."))
        .collect();
    assert_eq!(
        tunnels.iter().map(|record| short(record)).collect::<Vec<_>>(),
        [
            ["tunnel.opened", "lyon", "cluster", "success"],
            ["tunnel.opened", "quito", "cluster", "success"],
            ["tunnel.closed", "lyon", "cluster", "success"],
            ["tunnel.closed", "quito", "cluster", "success"],
        ]
    );
    assert_eq!(tunnels[0]["actor"], lyon.identity().fingerprint()[..16]);
    assert!(tunnels[0]["source"].as_str().unwrap().starts_with("127."));
    assert_eq!(tunnels[0]["request_id"].as_str().unwrap().len(), 16);
    assert_eq!(tunnels[2]["details"], json!({"reason": "gone"}));
    assert_eq!(tunnels[3]["details"], json!({"reason": "stopping"}));
}

#[tokio::test]
async fn aud_01_a_schema_that_a_command_brought_up_to_date_is_that_commands_doing() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let by_command = "SELECT count(*) FROM audit_events WHERE event = 'schema.migrated' AND actor_kind = 'action' AND actor <> ''";
    assert_eq!(deployment.database.count(by_command).await, 1);
}
