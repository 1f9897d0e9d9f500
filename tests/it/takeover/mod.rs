//! Taking over the database of the earlier Cluster Manager: what its clusters and operators rely on goes on.

mod refusals;
mod safety;
mod survival;

use cluster_simulator::{Identity, JoinToken, Member, Pin, STATUS_PATH};
use end_to_end_tests::{Deployment, Earlier, Service};
use reqwest::Method;
use serde_json::{Value, json};

/// A cluster of the earlier product: it knows the certificate and the address of the connector.
fn member(deployment: &Deployment, identity: &Identity) -> Member {
    let token = JoinToken::decode(&Earlier::token_text(deployment, "any")).unwrap();
    Member::new(identity.clone(), Pin::of(&token))
}

async fn heartbeat(member: &Member) -> u16 {
    let body = super::example("heartbeat-3-members.json").to_string();
    member.request("POST", STATUS_PATH, body.into_bytes()).await.unwrap().status
}

/// The result of a command, and how it ended.
fn run(deployment: &Deployment, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = deployment.run(&[arguments, &["--format", "json"]].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), json)
}

fn clusters(deployment: &Deployment) -> Vec<Value> {
    let (code, json) = run(deployment, &["clusters"]);
    assert_eq!(code, Some(0));
    json.as_array().unwrap().clone()
}

#[tokio::test]
async fn every_schema_version_is_taken_over_with_all_that_it_holds() {
    for (schema, files) in Earlier::SCHEMAS {
        let deployment = Deployment::new().await;
        let earlier = Earlier::with_schema(&deployment, files).await;
        let lyon = earlier.enrolled("lyon-edge").await;
        let quito = earlier.enrolled("quito").await;
        let has = |file: &str| files.contains(&file);
        let (has_config, has_description) =
            (!has("thresholds-2025-06") && !has("before-2025-06"), !has("before-2025-06"));
        if has_config {
            earlier
                .execute(
                    "INSERT INTO remote_cluster_config (remote_cluster_id, key, value)
                     VALUES (1, 'disk_threshold', '70'), (1, 'memory_threshold', '90')",
                )
                .await;
        }
        if has_description {
            earlier
                .execute("UPDATE remote_clusters SET description = 'Edge rack, Lyon' WHERE id = 1")
                .await;
        }
        if !has("before-2025-12") {
            let pools = r#"[{"name": "local", "member": "a", "total": 1000, "usage": 10}]"#;
            earlier
                .execute(&format!(
                    "UPDATE remote_cluster_details SET storage_pool_usages = '{pools}'"
                ))
                .await;
        }
        let has_tokens = !has("before-2025-03-28");
        let token = if has_tokens { Some(earlier.token(&deployment, "oslo").await) } else { None };
        let before = earlier.dump().await;

        let (code, checked) = run(&deployment, &["takeover", "--check"]);
        assert_eq!((code, checked["clusters"]["copied"].as_i64()), (Some(0), Some(2)), "{schema}");
        let connector = deployment.start(Service::ClusterConnector).await;
        assert!(
            connector.process.log().contains("left (clusters: 2, join tokens: "),
            "{schema}: {}",
            connector.process.log()
        );
        let listed = clusters(&deployment);
        let names: Vec<_> = listed.iter().map(|cluster| &cluster["name"]).collect();
        assert_eq!(names, ["lyon-edge", "quito"], "{schema}");
        let expected = json!({
            "description": if has_description { "Edge rack, Lyon" } else { "" },
            "cluster_certificate": lyon.certificate_pem(),
            "disk_threshold": if has_config { 70 } else if has("thresholds-2025-06") { 65 } else { 0 },
            "memory_threshold": if has_config { 90 } else if has("thresholds-2025-06") { 75 } else { 0 },
            "joined_at": "2026-03-01T09:00:00Z",
            "created_at": "2026-03-01T09:00:00Z",
            "state": "online",
            "member_count": 3,
            "member_statuses": [{"status": "Online", "count": 3}],
            "instance_count": 7,
            "instance_statuses": [{"status": "Running", "count": 5}, {"status": "Stopped", "count": 2}],
            "memory_usage": 68_719_476_736_i64,
            "cpu_load_1": "0.50",
            "ui_url": "https://10.40.7.11:8443",
            "storage_pool_usages": if has("before-2025-12") { json!([]) } else {
                json!([{"name": "local", "member": "a", "total": 1000, "usage": 10}])
            },
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&listed[0][key], value, "{schema}: {key}");
        }
        for identity in [&lyon, &quito] {
            assert_eq!(heartbeat(&member(&deployment, identity)).await, 200, "{schema}");
        }
        let recorded = "SELECT count(DISTINCT remote_cluster_id) FROM cluster_history";
        assert_eq!(deployment.database.count(recorded).await, 2, "{schema}: history begins");
        let stranger = Identity::generate("stranger").unwrap();
        assert_eq!(heartbeat(&member(&deployment, &stranger)).await, 403);
        if let Some(token) = token {
            let token = JoinToken::decode(&token).unwrap();
            deployment.member(&token).join(&token).await.expect("a pending token is still good");
        }
        assert_eq!(earlier.dump().await, before, "{schema}: the earlier tables are only read");
    }
}

#[tokio::test]
async fn join_02_tokens_that_were_readable_keep_working_and_are_readable_no_more() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    let typed = JoinToken::decode(&earlier.token(&deployment, "typed").await).unwrap();
    let signed = JoinToken::decode(&earlier.token(&deployment, "signed").await).unwrap();
    let mut broken = Earlier::token_text(&deployment, "broken");
    broken.insert(76, '\n');
    earlier.raw_token("broken", &broken).await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (_, pending) = run(&deployment, &["tokens"]);
    let names: Vec<_> = pending.as_array().unwrap().iter().map(|t| &t["cluster_name"]).collect();
    assert_eq!(names, ["typed", "signed", "broken"]);
    let dump = deployment.database.dump().await + &connector.process.log();
    for token in [&typed, &signed] {
        assert!(!dump.contains(&token.text()[..40]));
        assert!(!dump.contains(&token.body().secret));
    }
    deployment.member(&typed).join(&typed).await.expect("the token form");
    deployment.member(&signed).join_signed(&signed).await.expect("the signed form");
    let broken = JoinToken::decode(&broken.replace('\n', "\r\n")).unwrap();
    deployment.member(&broken).join(&broken).await.expect("line breaks do not count");
    let refused = deployment.member(&typed).join(&typed).await;
    assert!(refused.is_err(), "a token serves one cluster, now as before");
}

#[tokio::test]
async fn join_11_names_that_are_refused_today_stay_readable_and_deletable() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    let names = [
        "oslo/core 1",
        "100%",
        "a\nb",
        "\u{202e}txt",
        "<b>東京</b>",
        "Lyon",
        "lyon",
        " ",
        // A browser takes these two for folders, so only the command line can name them.
        ".",
        "..",
        "-x",
        "",
    ];
    for name in names {
        earlier.enrolled(name).await;
    }
    let _provider = deployment.start_identity_provider().await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let listed = admin.get("/1.0/remote-cluster").await.metadata();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(listed, expected);

    let table = deployment.run(&["clusters"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert_eq!(table.lines().count(), names.len() + 1, "one line each:\n{table}");
    assert!(table.contains("a\\nb ") && table.contains("\\u{202e}txt "), "{table}");

    for name in &names[..8] {
        let path = format!("/1.0/remote-cluster/{}", encoded(name));
        assert_eq!(admin.get(&path).await.metadata()["name"], *name);
        let change = json!({"disk_threshold": 55});
        assert_eq!(admin.send(Method::PATCH, &path, Some(&change)).await.status, 200, "{name}");
        assert_eq!(admin.send(Method::DELETE, &path, None).await.status, 200, "{name}");
        assert_eq!(admin.get(&path).await.status, 404, "{name}");
    }
    for name in &names[8..] {
        let removed = deployment.run(&["clusters", "remove", "--", name]);
        assert!(removed.status.success(), "{name}: {}", String::from_utf8_lossy(&removed.stderr));
    }
    assert_eq!(clusters(&deployment).len(), 0);
}

#[tokio::test]
async fn a_new_token_is_taken_over_in_place_of_one_that_has_expired() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.token(&deployment, "oslo").await;
    earlier.execute("UPDATE remote_cluster_tokens SET expiry = now() - interval '1 hour'").await;
    let (_, first) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!(first["tokens"]["copied"], 1, "{first}");
    // A unit of the earlier product still runs.
    earlier.execute("DELETE FROM remote_cluster_tokens").await;
    let token = earlier.token(&deployment, "Oslo").await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let (_, pending) = run(&deployment, &["tokens"]);
    assert_eq!(pending.as_array().unwrap().len(), 1, "{pending}");
    let token = JoinToken::decode(&token).unwrap();
    deployment.member(&token).join(&token).await.expect("the new one");
    // One that still works stays, whatever comes.
    connector.process.kill();
    earlier.token(&deployment, "lyon").await;
    assert_eq!(run(&deployment, &["takeover", "--apply"]).1["tokens"]["copied"], 1);
    earlier.token(&deployment, "LYON").await;
    let (_, last) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((&last["tokens"]["copied"], &last["tokens"]["refused"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn a_certificate_from_the_year_0_keeps_no_cluster_back() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    let good = earlier.enrolled("good").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["old".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(0, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let old = params.self_signed(&key).unwrap().pem();
    earlier
        .cluster(
            "old",
            &format!("{old}-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
        )
        .await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let listed = clusters(&deployment);
    let names: Vec<_> = listed.iter().map(|cluster| &cluster["name"]).collect();
    assert_eq!(names, ["good", "old"], "the first block of a certificate's text counts");
    assert_eq!(heartbeat(&member(&deployment, &good)).await, 200);
}

fn encoded(name: &str) -> String {
    let escaped: Vec<String> = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    escaped.concat()
}

#[tokio::test]
async fn damage_is_repaired_and_what_cannot_be_taken_over_is_named() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    let good = earlier.enrolled("good").await;
    for n in 1..=2 {
        earlier.cluster(&format!("cluster-0{n}"), &format!("cert-0{n}")).await;
        earlier.raw_token(&format!("sample-{n}"), &format!("encoded-token-0{n}")).await;
    }
    earlier.cluster("twin", &good.certificate_pem().replace('\n', "\r\n")).await;
    earlier
        .execute(
            "UPDATE remote_cluster_details SET member_statuses = '{\"a\": 1}' WHERE remote_cluster_id = 1;
             UPDATE remote_clusters SET created_at = 'infinity' WHERE id = 1;
             INSERT INTO remote_cluster_config (remote_cluster_id, key, value) VALUES (1, 'disk_threshold', 'high');
             ALTER TABLE remote_cluster_details DISABLE TRIGGER USER;
             UPDATE remote_cluster_details SET updated_at = now() - interval '1 hour' WHERE remote_cluster_id = 4",
        )
        .await;
    let (code, report) = run(&deployment, &["takeover", "--check"]);
    assert_eq!(code, Some(3));
    assert_eq!(report["applied"], false);
    let text = deployment.run(&["takeover", "--check"]);
    assert_eq!(text.status.code(), Some(3));
    let text = String::from_utf8(text.stdout).unwrap();
    for words in
        ["schema version 4", "cluster-01", "no PEM block", "Nothing was changed", "sample-1"]
    {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    let (code, applied) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((code, &applied["applied"]), (Some(3), &json!(true)));
    assert_eq!(applied["items"], report["items"], "what was announced is what was done");
    assert_eq!(
        applied["clusters"],
        json!({"found": 4, "already": 0, "copied": 1, "left": 0, "refused": 3})
    );
    assert_eq!(applied["tokens"]["refused"], 2);
    let reason = |name: &str| {
        let items = applied["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["name"] == name).unwrap();
        (item["reason"].as_str().unwrap_or_default().to_owned(), item["repairs"].clone())
    };
    assert_eq!(reason("twin").0, "it has the same certificate as good, which reported last");
    assert_eq!(reason("sample-1").0, "its text is not that of a join token");
    assert_eq!(reason("good").1, json!(["enrolment_time", "threshold", "status_data"]));
    let cluster = &clusters(&deployment)[0];
    assert_eq!((&cluster["disk_threshold"], &cluster["member_statuses"]), (&json!(80), &json!([])));
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(heartbeat(&member(&deployment, &good)).await, 200);
    assert_eq!(clusters(&deployment)[0]["member_count"], 3);
}

#[tokio::test]
async fn rel_07_a_connector_that_presents_another_certificate_is_named_before_it_hurts() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.token(&deployment, "lyon").await;
    let warnings = |deployment: &Deployment| {
        run(deployment, &["takeover", "--check"]).1["warnings"].as_array().unwrap().clone()
    };
    assert_eq!(warnings(&deployment), Vec::<Value>::new());
    deployment.extra = vec![("CLUSTER_CONNECTOR_TLS_PATH", String::new())];
    assert!(warnings(&deployment)[0].as_str().unwrap().contains("has no certificate yet"));
    assert!(!deployment.file("data").exists(), "looking makes no keys");
    let other = deployment.certificates.issue("other", deployment.connector_address().ip());
    deployment.extra = vec![("CLUSTER_CONNECTOR_TLS_PATH", other.display().to_string())];
    assert!(warnings(&deployment)[0].as_str().unwrap().contains("earlier tls.crt and tls.key"));
}
