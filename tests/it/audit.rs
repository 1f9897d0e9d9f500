//! The audit log (security properties AUD-01, AUD-04, JOIN-15).

use cluster_manager::store::purge::purge;
use cluster_simulator::JoinToken;
use end_to_end_tests::{Answer, Deployment, MockProvider, Operator, Reply, Running, Service};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

const TOKENS: &str = "/1.0/remote-cluster-join-token";

async fn create(admin: &mut Operator, name: &str) -> Answer {
    admin.send(Method::POST, TOKENS, Some(&json!({"cluster_name": name}))).await
}

/// All records, the oldest first, without those that the program writes at its start.
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
async fn aud_01_each_change_is_recorded_once_with_who_where_and_what() {
    let Running { deployment, provider, manager, connector, mut ada } = Running::start().await;
    let created = create(&mut ada, "lyon").await;
    let request_id = created.header("x-request-id").unwrap().to_owned();
    let token = JoinToken::decode(created.metadata()["token"].as_str().unwrap()).unwrap();
    let member = deployment.member(&token);
    member.join(&token).await.unwrap();
    member.join(&token).await.expect("a join whose answer was lost is repeated");
    let change = json!({"description": "Edge", "disk_threshold": 70, "memory_threshold": 80});
    let path = "/1.0/remote-cluster/lyon";
    assert_eq!(ada.send(Method::PATCH, path, Some(&change)).await.status, 200);
    member.leave().await.unwrap();
    member.leave().await.expect("a leave is repeated");
    let made = deployment.run(&["enroll", "oslo"]);
    assert!(made.status.success());
    assert_eq!(ada.send(Method::DELETE, &format!("{TOKENS}/oslo"), None).await.status, 200);
    let second = deployment.enrol("rome").await;
    let removed = ada.send(Method::DELETE, "/1.0/remote-cluster/rome", None).await;
    assert_eq!(removed.status, 200);
    let mut other = deployment.operator();
    assert_eq!(provider.log_in(&mut other).await.status, 303);
    assert_eq!(other.send(Method::POST, "/oidc/logout", None).await.status, 200);
    assert_eq!(ada.send(Method::DELETE, "/1.0/sessions", None).await.status, 200);
    assert_eq!(provider.log_in(&mut ada).await.status, 303);

    let all = records(&mut ada).await;
    let expected = [
        ["login", "ada", "operator", "success"],
        ["join-token.created", "lyon", "operator", "success"],
        ["cluster.joined", "lyon", "cluster", "success"],
        ["cluster.changed", "lyon", "operator", "success"],
        ["cluster.left", "lyon", "cluster", "success"],
        ["join-token.created", "oslo", "action", "success"],
        ["join-token.revoked", "oslo", "operator", "success"],
        ["join-token.created", "rome", "action", "success"],
        ["cluster.joined", "rome", "cluster", "success"],
        ["cluster.removed", "rome", "operator", "success"],
        ["login", "ada", "operator", "success"],
        ["logout", "ada", "operator", "success"],
        ["session.ended", "ada", "operator", "success"],
        ["login", "ada", "operator", "success"],
    ];
    assert_eq!(all.iter().map(short).collect::<Vec<_>>(), expected);
    assert_eq!(all[1]["request_id"], request_id.as_str(), "the log of that request is found by it");
    assert_eq!((&all[1]["actor"], &all[1]["actor_name"]), (&json!("ada"), &json!("Ada")));
    assert_eq!(all[1]["details"]["token"], all[2]["details"]["token"], "the token goes by its id");
    let differences = json!({
        "description": {"old": "", "new": "Edge"}, "disk_threshold": {"old": 80, "new": 70},
    });
    assert_eq!(all[3]["details"], differences, "only what differs");
    let beginning = &second.identity().fingerprint()[..16];
    assert_eq!((&all[8]["actor"], &all[8]["actor_name"]), (&json!(beginning), &json!("rome")));
    for record in all.iter().filter(|record| record["actor_kind"] != "action") {
        assert!(record["source"].as_str().unwrap().starts_with("127."), "{record}");
        assert_eq!(record["request_id"].as_str().unwrap().len(), 16, "{record}");
    }
    assert_ne!(all[5]["actor"], "", "the host on which the command ran");

    let secret = &token.body().secret;
    let told = serde_json::to_string(&all).unwrap();
    for part in [&secret[..8], &secret[secret.len() - 8..], &token.text()[..24]] {
        assert!(!told.contains(part), "join_15: the audit log holds no part of a token");
        assert!(!manager.process.log().contains(part) && !connector.process.log().contains(part));
    }
}

#[tokio::test]
async fn aud_01_what_cannot_be_recorded_is_not_done() {
    let Running { deployment, provider, manager: _manager, connector: _connector, mut ada } =
        Running::start().await;
    let lyon = deployment.enrol("lyon").await;
    let oslo = deployment.token("oslo");
    let db = deployment.database.connect().await;
    db.batch_execute("ALTER TABLE audit_events ADD CONSTRAINT broken CHECK (false) NOT VALID")
        .await
        .unwrap();
    let before = deployment.database.dump().await;
    let status = |answer: Answer| answer.status;
    assert_eq!(status(create(&mut ada, "rome").await), 500);
    assert_eq!(status(ada.send(Method::DELETE, &format!("{TOKENS}/oslo"), None).await), 500);
    let change = json!({"description": "never"});
    let path = "/1.0/remote-cluster/lyon";
    assert_eq!(status(ada.send(Method::PATCH, path, Some(&change)).await), 500);
    assert_eq!(status(ada.send(Method::DELETE, path, None).await), 500);
    assert_eq!(status(ada.send(Method::DELETE, "/1.0/sessions", None).await), 500);
    assert_eq!(status(ada.send(Method::POST, "/oidc/logout", None).await), 500);
    assert_eq!(status(provider.log_in(&mut deployment.operator()).await), 500);
    assert!(deployment.member(&oslo).join(&oslo).await.is_err());
    assert!(lyon.leave().await.is_err());
    assert_eq!(deployment.database.dump().await, before);
}

#[tokio::test]
async fn aud_01_refusals_are_recorded_and_those_of_strangers_sampled() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let manager = deployment.start(Service::ManagementApi).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let mut viewer = deployment.logged_in("viewer@example.com").await;
    for _ in 0..2 {
        assert_eq!(viewer.send(Method::DELETE, "/1.0/remote-cluster/x", None).await.status, 403);
    }
    assert_eq!(viewer.get("/1.0/remote-cluster").await.status, 403);
    let oslo = deployment.token("oslo");
    let first = deployment.member(&oslo);
    first.join(&oslo).await.unwrap();
    for _ in 0..5 {
        assert!(deployment.member(&oslo).join(&oslo).await.is_err(), "used by another certificate");
    }
    let mut person = deployment.operator();
    let callback = person.log_in_until_callback("admin@example.com", "/oidc/login").await;
    let state = callback.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
    let denied = format!("/oidc/callback?state={state}&error=access_denied");
    let answer = person.raw(Method::GET, &denied, HeaderMap::new(), String::new()).await;
    assert_eq!(answer.status, 401);
    let all = records(&mut admin).await;
    let refused: Vec<_> =
        all.iter().filter(|record| record["outcome"] == "refused").map(short).collect();
    assert_eq!(
        refused,
        [
            ["permission.denied", "DELETE /1.0/remote-cluster/x", "operator", "refused"],
            ["permission.denied", "DELETE /1.0/remote-cluster/x", "operator", "refused"],
            ["cluster.joined", "oslo", "cluster", "refused"],
            ["login", "", "anonymous", "refused"],
        ]
    );
    drop(manager);
}

#[tokio::test]
async fn aud_01_a_session_that_the_provider_ends_and_what_the_program_meets_at_its_start_are_recorded()
 {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let mut unit = deployment.start(Service::ManagementApi).await;
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    provider.behave(|call| {
        call.is_refresh().then(|| Reply::Json(400, json!({"error": "invalid_grant"})))
    });
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE sessions SET verified_at = now() - interval '1 h'").await.unwrap();
    assert_eq!(ada.get("/1.0").await.status, 401);
    provider.behave(|_| None);
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    let ended = ada.get("/1.0/audit?event=session.ended").await.metadata()["records"][0].take();
    assert_eq!(short(&ended), ["session.ended", "ada", "system", "success"]);

    let count = async |event: &str| {
        let sql = format!("SELECT count(*) FROM audit_events WHERE event = '{event}'");
        deployment.database.count(&sql).await
    };
    assert_eq!(count("schema.migrated").await, 1);
    assert_eq!((count("configuration.changed").await, count("master-key.changed").await), (1, 1));
    unit.process.kill();
    unit = deployment.start(Service::ManagementApi).await;
    assert_eq!((count("configuration.changed").await, count("master-key.changed").await), (1, 1));
    unit.process.kill();
    let key = deployment.file("other.key");
    std::fs::write(&key, "33".repeat(32)).unwrap();
    deployment.extra = vec![
        ("MASTER_KEY_FILE", key.display().to_string()),
        ("GRAFANA_BASE_URL", "https://grafana.example".into()),
    ];
    let _unit = deployment.start(Service::ManagementApi).await;
    let count = async |event: &str| {
        let sql = format!("SELECT count(*) FROM audit_events WHERE event = '{event}'");
        deployment.database.count(&sql).await
    };
    assert_eq!((count("configuration.changed").await, count("master-key.changed").await), (2, 2));
}

#[tokio::test]
async fn aud_01_records_are_never_changed_and_go_when_their_time_is_over() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let _token = deployment.token("lyon");
    let db = deployment.database.connect().await;
    for forbidden in [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ] {
        let error = db.batch_execute(forbidden).await.unwrap_err();
        let text = error.as_db_error().unwrap().message();
        assert!(text.contains("records of the audit log are not changed"), "{forbidden}: {text}");
    }
    let old = "INSERT INTO audit_events (at, actor_kind, actor, actor_name, source, event, object, outcome, request_id)
               SELECT now() - make_interval(days => n), 'system', '', '', '', 'old', n::text, 'success', ''
                 FROM generate_series(399, 402) AS n";
    db.batch_execute(old).await.unwrap();
    let settings = deployment.settings();
    let find = |name: &str| {
        settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let config = workload_config::Config::parse(find).unwrap();
    let pool = cluster_manager::store::Pool::new(&config.database).unwrap();
    let idle = config.management.session_idle;
    assert_eq!(purge(&pool.get().await.unwrap(), idle).await.unwrap(), 3, "400 days by default");
    let left = "SELECT count(*) FROM audit_events WHERE event = 'old' AND object = '399'";
    assert_eq!(deployment.database.count(left).await, 1);
}

#[tokio::test]
async fn aud_04_admins_filter_page_and_export_the_log() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    for n in 0..5 {
        assert_eq!(create(&mut admin, &format!("c{n}")).await.status, 200);
    }
    let db = deployment.database.connect().await;
    db.batch_execute(
        "INSERT INTO audit_events (at, actor_kind, actor, actor_name, source, event, object, outcome, request_id)
         SELECT '2020-01-01T00:00:00Z', 'operator', 'bo', '', '', 'many', n::text, 'failed', ''
           FROM generate_series(1, 2500) AS n",
    )
    .await
    .unwrap();
    let mut seen = Vec::new();
    let mut next = json!("");
    loop {
        let query = format!("/1.0/audit?event=join-token.created&limit=2&before={next}");
        let query = if seen.is_empty() { query.replace("&before=\"\"", "") } else { query };
        let page = admin.get(&query).await.metadata();
        let records = page["records"].as_array().unwrap().clone();
        seen.extend(records.iter().map(|record| record["object"].as_str().unwrap().to_owned()));
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["c4", "c3", "c2", "c1", "c0"], "the newest first, each once");
    for (query, count) in [
        ("object=c1", 1),
        ("actor=ada-admin", 6),
        ("actor=bo&outcome=failed&limit=1000", 1000),
        ("outcome=refused", 0),
        ("until=2020-01-01T00:00:01Z&object=7", 1),
        ("since=2020-01-01T00:00:01Z&actor=bo", 0),
        ("since=2020-01-01T01:00:00%2B01:00&until=2020-01-02T00:00:00Z&limit=3", 3),
        ("event=login%20", 0),
        ("object=c1'%20OR%20'1'='1", 0),
    ] {
        let page = admin.get(&format!("/1.0/audit?{query}")).await.metadata();
        assert_eq!(page["records"].as_array().unwrap().len(), count, "{query}");
    }
    for (query, text) in [
        ("limit=0", "limit must be 1 to 1000"),
        ("limit=1001", "limit must be 1 to 1000"),
        ("limit=ten", "limit must be a whole number"),
        ("before=x", "before must be a whole number"),
        ("outcome=maybe", "outcome must be success, refused or failed"),
        ("since=yesterday", "since must be an RFC 3339 time such as 2026-11-30T18:00:00Z"),
        ("object=%00", "object must not have a NUL character"),
    ] {
        let answer = admin.get(&format!("/1.0/audit?{query}")).await;
        assert_eq!(answer.error(), (400, text.into()), "{query}");
    }
    let lines = admin.get("/1.0/audit/export?actor=bo").await;
    assert_eq!(lines.header("content-type"), Some("application/jsonl"));
    assert_eq!(lines.header("cache-control"), Some("no-store"));
    let objects: Vec<String> = lines
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["object"].as_str().unwrap().into())
        .collect();
    let expected: Vec<String> = (1..=2500).map(|n: i32| n.to_string()).collect();
    assert_eq!(objects, expected, "all of them, the oldest first");
    let table = admin.get("/1.0/audit/export?format=csv&event=join-token.created").await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(table.header("content-disposition"), Some("attachment; filename=\"audit.csv\""));
    let rows: Vec<_> = table.body.split("\r\n").collect();
    assert!(rows[0].starts_with("id,at,actor_kind,actor,"), "{}", rows[0]);
    assert_eq!((rows.len(), rows[6]), (7, ""), "a line for each and one for the names");
    let nothing = admin.get("/1.0/audit/export?format=csv&event=none").await;
    assert_eq!(nothing.body.lines().count(), 1);
    let unknown = admin.get("/1.0/audit/export?format=xml").await;
    assert_eq!(unknown.error(), (400, "format must be jsonl or csv".into()));
}
