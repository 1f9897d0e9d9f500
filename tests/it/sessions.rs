//! How sessions stay verified, and how they end (security properties OIDC-10 to OIDC-12, SESS-*, DB-04, AUD-05).

use std::path::Path;
use std::time::{Duration, Instant};

use end_to_end_tests::{
    Call, Deployment, MockKeys, MockProvider, Operator, Process, Reply, Service, Unit,
};
use reqwest::Method;
use serde_json::{Value, json};

const LIST: &str = "/1.0/remote-cluster";

/// Lets the last verification of all sessions lie so far back.
async fn age(deployment: &Deployment, interval: &str) {
    let sql = format!(
        "UPDATE sessions SET verified_at = now() - interval '{interval}', verify_not_before = NULL"
    );
    deployment.database.connect().await.batch_execute(&sql).await.unwrap();
}

fn refreshes(provider: &Process) -> usize {
    provider.log().matches("grant.success: refresh_token").count()
}

fn people(file: &Path, groups: &[&str]) {
    let person =
        json!([{"email": "ora@example.com", "sub": "ora", "name": "Ora", "groups": groups}]);
    std::fs::write(file, person.to_string()).unwrap();
}

/// Waits for a request to the provider.
async fn called(provider: &MockProvider, wanted: fn(&Call) -> bool) -> Call {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(call) = provider.calls(wanted).pop() {
            return call;
        }
        assert!(Instant::now() < deadline, "the provider is not asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Mocked {
    deployment: Deployment,
    provider: MockProvider,
    unit: Unit,
    ada: Operator,
}

/// A deployment whose provider says what a test wants, and a person who has logged in.
async fn mocked() -> Mocked {
    let mut deployment = Deployment::new().await;
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    Mocked { deployment, provider, unit, ada }
}

#[tokio::test]
async fn oidc_10_of_parallel_requests_on_two_units_one_refreshes_and_all_succeed() {
    let mut deployment = Deployment::new().await;
    let provider = deployment.start_identity_provider_with(&["--rotate-refresh-tokens"]).await;
    let _first = deployment.start(Service::ManagementApi).await;
    let second = deployment.start(Service::ManagementApi).await;
    let admin = deployment.logged_in("admin@example.com").await;
    for round in 1..=3 {
        age(&deployment, "15 min").await;
        let mut requests = tokio::task::JoinSet::new();
        for n in 0..50 {
            let mut operator = if n % 2 == 0 { admin.clone() } else { admin.at(second.api) };
            requests.spawn(async move { operator.get(LIST).await.status });
        }
        let statuses = requests.join_all().await;
        assert_eq!(statuses, [200; 50]);
        assert_eq!(refreshes(&provider), round, "the token of the last round was stored");
    }
    let mut operator = admin.clone();
    age(&deployment, "14 min 50 s").await;
    assert_eq!(operator.get(LIST).await.status, 200);
    assert_eq!(refreshes(&provider), 3, "nobody is asked within 15 minutes");
}

#[tokio::test]
async fn oidc_11_changed_groups_count_at_the_next_verification_and_a_person_who_is_gone_is_out() {
    let mut deployment = Deployment::new().await;
    let users = deployment.file("users.json");
    people(&users, &["admins"]);
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut ora = deployment.logged_in("ora@example.com").await;
    people(&users, &[]);
    age(&deployment, "14 min 50 s").await;
    assert_eq!(ora.get(LIST).await.status, 200);
    age(&deployment, "15 min").await;
    assert_eq!(ora.get(LIST).await.error(), (403, "Permission denied".into()));
    people(&users, &["admins"]);
    age(&deployment, "15 min").await;
    assert_eq!(ora.get(LIST).await.status, 200);
    std::fs::write(&users, "[]").unwrap();
    age(&deployment, "15 min").await;
    assert_eq!(ora.get(LIST).await.error(), (401, "Unauthorized".into()));
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn oidc_10_only_the_providers_refusal_ends_a_session() {
    let Mocked { deployment, provider, unit: _unit, mut ada } = mocked().await;
    let oauth = |error: &str| json!({"error": error});
    let transient = [
        Reply::Close,
        Reply::Json(500, oauth("invalid_grant")),
        Reply::Json(503, oauth("temporarily_unavailable")),
        Reply::Json(429, oauth("invalid_grant")),
        Reply::Json(400, oauth("invalid_request")),
        Reply::Json(401, oauth("invalid_client")),
        Reply::Json(200, json!({"token_type": "Bearer"})),
        Reply::Raw(200, "content-type: text/html\r\n".into(), "<h1>Maintenance</h1>".into()),
        Reply::Raw(302, "location: https://elsewhere.example/\r\n".into(), String::new()),
    ];
    for reply in transient {
        let said = format!("{reply:?}");
        provider.behave(move |call| call.is_refresh().then(|| reply.clone()));
        let asked = provider.calls(Call::is_refresh).len();
        age(&deployment, "59 min").await;
        assert_eq!(ada.get(LIST).await.status, 200, "{said}");
        assert_eq!(ada.get(LIST).await.status, 200, "{said}");
        let now_asked = provider.calls(Call::is_refresh).len();
        assert_eq!(now_asked, asked + 1, "not again for ten seconds: {said}");
        age(&deployment, "60 min").await;
        let answer = ada.get(LIST).await;
        let text = "the identity provider is not available, try again later";
        assert_eq!(answer.error(), (503, text.into()), "{said}");
        assert!(answer.header("retry-after").is_some(), "{said}");
        provider.behave(|_| None);
        age(&deployment, "3 h").await;
        assert_eq!(ada.get(LIST).await.status, 200, "the provider is back: {said}");
    }
    provider
        .behave(move |call| call.is_refresh().then(|| Reply::Json(400, oauth("invalid_grant"))));
    age(&deployment, "15 min").await;
    assert_eq!(ada.get(LIST).await.status, 401);
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn oidc_10_a_lost_answer_is_asked_for_once_more_with_the_same_token() {
    let Mocked { deployment, provider, unit: _unit, mut ada } = mocked().await;
    let tokens = || -> Vec<String> {
        let calls = provider.calls(Call::is_refresh);
        calls.iter().map(|call| call.form["refresh_token"].clone()).collect()
    };
    provider.behave(|call| call.is_refresh().then_some(Reply::Close));
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200);
    provider.behave(|_| None);
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200);
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200);
    let used = tokens();
    assert_eq!((used.len(), used[0] == used[1], used[1] == used[2]), (3, true, false), "{used:?}");
}

#[tokio::test]
async fn oidc_10_a_new_refresh_token_counts_although_what_came_with_it_could_not_be_checked() {
    let Mocked { deployment, provider, unit: _unit, mut ada } = mocked().await;
    // Signed by a key that is not published yet.
    let header = json!({"alg": "RS256", "kid": "tomorrow"});
    provider.sign_with(move |keys, claims| keys.sign_by_stranger(&header, claims));
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200);
    provider.sign_with(MockKeys::sign);
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200);
    let used = provider.calls(Call::is_refresh);
    let used: Vec<_> = used.iter().map(|call| &call.form["refresh_token"]).collect();
    assert!(used.len() == 2 && used[0] != used[1], "{used:?}");
}

#[tokio::test]
async fn oidc_10_a_session_of_somebody_else_or_without_an_id_token_is_not_taken_for_ours() {
    for (edit, status) in [("subject", 401), ("issuer", 200), ("no token", 401)] {
        let Mocked { deployment, provider, unit: _unit, mut ada } = mocked().await;
        match edit {
            "subject" => provider.edit_claims(|claims| claims["sub"] = "mallory".into()),
            "issuer" => provider.edit_claims(|claims| {
                claims["iss"] = "https://evil.example".into();
                claims["mcm-idp-groups"] = json!([]);
            }),
            _ => provider.behave(|call| {
                let tokens =
                    json!({"token_type": "Bearer", "access_token": "a", "refresh_token": "b"});
                call.is_refresh().then_some(Reply::Json(200, tokens))
            }),
        }
        age(&deployment, "20 min").await;
        assert_eq!(ada.get(LIST).await.status, status, "{edit}");
        let stored = deployment.database.dump().await;
        assert!(!stored.contains("mallory"), "{edit}");
    }
}

#[tokio::test]
async fn oidc_10_when_a_unit_dies_while_it_refreshes_another_takes_over() {
    let Mocked { deployment, provider, mut unit, ada } = mocked().await;
    let second = deployment.start(Service::ManagementApi).await;
    let mut there = ada.at(second.api);
    provider.behave(|call| call.is_refresh().then_some(Reply::Stall));
    age(&deployment, "20 min").await;
    let mut here = ada.clone();
    let hanging = tokio::spawn(async move { here.client_error(LIST).await });
    called(&provider, Call::is_refresh).await;
    let leased = "SELECT count(*) FROM sessions WHERE verifying_until > now()";
    assert_eq!(deployment.database.count(leased).await, 1);
    unit.process.kill();
    assert!(hanging.await.unwrap(), "the request ends with its unit");
    provider.behave(|_| None);
    // The lease runs out by itself after half a minute; the test does not wait for that.
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE sessions SET verifying_until = now()").await.unwrap();
    assert_eq!(there.get(LIST).await.status, 200);
    assert_eq!(provider.calls(Call::is_refresh).len(), 2);
}

#[tokio::test]
async fn db_04_a_provider_that_stalls_holds_no_database_connection() {
    let Mocked { deployment, provider, unit: _unit, ada } = mocked().await;
    provider.behave(|call| call.is_refresh().then_some(Reply::Stall));
    age(&deployment, "20 min").await;
    let mut here = ada.clone();
    let hanging = tokio::spawn(async move { here.get(LIST).await.status });
    called(&provider, Call::is_refresh).await;
    let busy = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state <> 'idle' AND pid <> pg_backend_pid()",
        deployment.database.name()
    );
    // Now and then the service asks something on its own account; who waits for the provider would be there all the time.
    deployment.database.until_count(&busy, 0).await;
    assert!(!hanging.is_finished(), "it was free while the provider was waited for");
    provider.release();
    assert_eq!(hanging.await.unwrap(), 200, "the session goes on for an hour");
}

#[tokio::test]
async fn oidc_12_a_logout_revokes_the_refresh_token() {
    let Mocked { deployment: _deployment, provider, unit: _unit, mut ada } = mocked().await;
    let answer = ada.send(Method::POST, "/oidc/logout", None).await;
    assert_eq!(answer.metadata()["redirect"], "/ui/login/", "this provider has no page for it");
    let form = called(&provider, |call| call.path == "/revoke").await.form;
    assert!(form["token"].starts_with("refresh-"), "{form:?}");
    assert_eq!(form["token_type_hint"], "refresh_token");
}

#[tokio::test]
async fn sess_01_each_login_has_an_id_of_its_own_and_ends_the_one_before() {
    let Mocked { deployment, provider, unit: _unit, mut ada } = mocked().await;
    let first = ada.cookie("__Host-mcm-session").unwrap().to_owned();
    let before = ada.clone();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    let second = ada.cookie("__Host-mcm-session").unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(before.clone().get("/1.0").await.status, 401, "the old id is worth nothing");
    assert_eq!(ada.get("/1.0").await.status, 200);
    // An id that somebody planted is not adopted by the login.
    let mut victim = deployment.operator();
    let origin = ada.cookies.keys().next().unwrap().0.clone();
    let planted = "A".repeat(43);
    victim.cookies.insert((origin, "__Host-mcm-session".into()), planted.clone());
    assert_eq!(provider.log_in(&mut victim).await.status, 303);
    assert_ne!(victim.cookie("__Host-mcm-session"), Some(planted.as_str()));
}

#[tokio::test]
async fn sess_05_a_person_sees_and_ends_their_sessions_and_an_admin_anybodys() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_VIEWER_GROUPS", "staff".into())];
    let users = deployment.file("users.json");
    people(&users, &["staff"]);
    let _provider =
        deployment.start_identity_provider_with(&["--users", users.to_str().unwrap()]).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let mut desk = deployment.logged_in("ora@example.com").await;
    let mut phone = deployment.logged_in("ora@example.com").await;
    let list = |answer: Value| answer.as_array().unwrap().clone();
    let seen = list(phone.get("/1.0/sessions").await.metadata());
    assert_eq!(seen.len(), 2, "only one's own");
    assert_eq!((&seen[0]["current"], &seen[1]["current"]), (&json!(true), &json!(false)));
    assert!(seen[0]["source"].as_str().unwrap().starts_with("127."), "{}", seen[0]);
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();

    let admins = list(admin.get("/1.0/sessions").await.metadata());
    let foreign = format!("/1.0/sessions/{}", id(&admins[0]));
    let refused = phone.send(Method::DELETE, &foreign, None).await;
    assert_eq!(refused.error(), (404, "session not found".into()), "somebody else's");
    let own = format!("/1.0/sessions/{}", id(&seen[1]));
    assert_eq!(phone.send(Method::DELETE, &own, None).await.metadata(), json!({}));
    assert_eq!(desk.get("/1.0").await.status, 401);
    assert_eq!(phone.get("/1.0").await.status, 200);

    let mut desk = deployment.logged_in("ora@example.com").await;
    let ended = desk.send(Method::DELETE, "/1.0/sessions", None).await;
    assert_eq!(ended.metadata(), json!({"ended": 2}));
    assert!(desk.cookie("__Host-mcm-session").is_none());
    assert_eq!((desk.get("/1.0").await.status, phone.get("/1.0").await.status), (401, 401));

    let mut desk = deployment.logged_in("ora@example.com").await;
    let known = list(admin.get("/1.0/identities").await.metadata());
    let ora = known.iter().find(|person| person["subject"] == "ora").unwrap();
    assert_eq!((&ora["sessions"], &ora["name"]), (&json!(1), &json!("Ora")));
    let path = format!("/1.0/identities/{}/sessions", ora["id"]);
    assert_eq!(list(admin.get(&path).await.metadata()).len(), 1);
    let ended = admin.send(Method::DELETE, &path, None).await;
    assert_eq!(ended.metadata(), json!({"ended": 1}));
    assert_eq!(desk.get("/1.0").await.status, 401);
    for gone in ["/1.0/identities/999999/sessions", "/1.0/identities/x/sessions"] {
        assert_eq!(admin.get(gone).await.error(), (404, "identity not found".into()), "{gone}");
    }
}

#[tokio::test]
async fn sess_05_there_are_at_most_ten_thousand_sessions() {
    let Mocked { deployment, provider, unit: _unit, ada: _ada } = mocked().await;
    let db = deployment.database.connect().await;
    db.batch_execute(
        "WITH people AS (
             INSERT INTO identities (issuer, subject) SELECT 'x', n::text FROM generate_series(1, 10000) AS n RETURNING id)
         INSERT INTO sessions (id_hash, identity_id, last_used_at, expires_at, id_token_sealed)
         SELECT sha256(id::text::bytea), id, now() - interval '1 h', now() + interval '1 h', '' FROM people",
    )
    .await
    .unwrap();
    let mut late = deployment.operator();
    assert_eq!(provider.log_in(&mut late).await.status, 303);
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 10_000);
    assert_eq!(late.get("/1.0").await.status, 200, "those that nobody uses gave way");
}

#[tokio::test]
async fn sess_04_sessions_that_ended_are_purged() {
    let Mocked { deployment, provider, unit: _unit, ada: _ada } = mocked().await;
    for _ in 0..2 {
        provider.log_in(&mut deployment.operator()).await;
    }
    let db = deployment.database.connect().await;
    db.batch_execute(
        "WITH chosen AS (SELECT public_id, row_number() OVER () AS n FROM sessions)
         UPDATE sessions SET expires_at = CASE WHEN n = 1 THEN now() ELSE expires_at END,
                             last_used_at = CASE WHEN n = 2 THEN now() - interval '8 h' ELSE last_used_at END
           FROM chosen WHERE chosen.public_id = sessions.public_id",
    )
    .await
    .unwrap();
    let settings = deployment.settings();
    let find = |name: &str| {
        settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let config = workload_config::Config::parse(find).unwrap();
    let pool = cluster_manager::store::Pool::new(&config.database).unwrap();
    let idle = config.management.session_idle;
    let purged = cluster_manager::store::purge::purge(&pool.get().await.unwrap(), idle).await;
    assert_eq!(purged.unwrap(), 2);
    assert_eq!(deployment.database.count("SELECT count(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn sess_04_a_session_that_may_be_idle_for_a_minute_only_lives_as_long_as_it_is_used() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("SESSION_IDLE_SECONDS", "60".into())];
    let provider = MockProvider::start(&mut deployment).await;
    let _unit = deployment.start(Service::ManagementApi).await;
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    let db = deployment.database.connect().await;
    for (idle, touched) in [(10, 0), (20, 1), (55, 1)] {
        let sql = format!("UPDATE sessions SET last_used_at = now() - interval '{idle} s'");
        db.batch_execute(&sql).await.unwrap();
        assert_eq!(ada.get("/1.0").await.status, 200);
        let fresh = "SELECT count(*) FROM sessions WHERE last_used_at > now() - interval '8 s'";
        assert_eq!(deployment.database.count(fresh).await, touched, "{idle}");
    }
}

#[tokio::test]
async fn oidc_05_control_characters_in_claims_are_no_part_of_a_person() {
    let Mocked { deployment, provider, unit: _unit, ada: _ada } = mocked().await;
    provider.edit_claims(|claims| {
        claims["name"] = "Ada\0 \u{7f}L.".into();
        claims["email"] = "ada\r\n\0@example.com".into();
        claims["mcm-idp-groups"] = json!(["adm\0ins", "admins\n", "admins"]);
    });
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    age(&deployment, "20 min").await;
    let seen = ada.get("/1.0").await.metadata();
    assert_eq!((&seen["name"], &seen["email"]), (&json!("Ada L."), &json!("ada@example.com")));
    assert_eq!(seen["groups"], json!(["admins"]));
    provider.edit_claims(|claims| claims["sub"] = "ada\0".into());
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 401);
}

#[tokio::test]
async fn sess_06_a_new_master_key_and_a_new_certificate_log_nobody_out() {
    let mut deployment = Deployment::new().await;
    let key = deployment.file("first.key");
    std::fs::write(&key, "11".repeat(32)).unwrap();
    deployment.extra = vec![("MASTER_KEY_FILE", key.display().to_string())];
    let provider = MockProvider::start(&mut deployment).await;
    let mut unit = deployment.start(Service::ManagementApi).await;
    let mut ada = deployment.operator();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    unit.process.kill();

    let new = deployment.file("second.key");
    std::fs::write(&new, "22".repeat(32)).unwrap();
    deployment.extra = vec![
        ("MASTER_KEY_FILE", new.display().to_string()),
        ("MASTER_KEY_PREVIOUS_FILE", key.display().to_string()),
    ];
    drop(deployment.certificates.issue("management", unit.api.ip()));
    let mut unit = deployment.start(Service::ManagementApi).await;
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200, "the refresh token opens with the previous key");
    unit.process.kill();

    deployment.extra = vec![("MASTER_KEY_FILE", new.display().to_string())];
    let _unit = deployment.start(Service::ManagementApi).await;
    age(&deployment, "20 min").await;
    assert_eq!(ada.get(LIST).await.status, 200, "it was sealed again with the new key");
}

/// What the Management API counts of logins, and whether the last login was from a new network, as the audit log has it.
async fn told(deployment: &Deployment, unit: &Unit) -> (String, Option<String>) {
    let metrics = reqwest::get(format!("http://{}/metrics", unit.probes)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let count = |result: &str| {
        let name = format!("cluster_manager_logins_total{{result=\"{result}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
    };
    let counts = ["completed", "from_new_network", "refused", "failed"].map(count).join(" ");
    let sql = "SELECT details ->> 'new_network' FROM audit_events WHERE event = 'login' ORDER BY id DESC LIMIT 1";
    let row = deployment.database.connect().await.query_one(sql, &[]).await.unwrap();
    (counts, row.try_get(0).unwrap())
}

#[tokio::test]
async fn aud_05_a_login_from_where_the_person_never_was_is_counted_and_recorded() {
    let mut deployment = Deployment::new().await;
    // Addresses outside this network are those of clients.
    deployment.extra = vec![("PROXY_PROTOCOL_FROM", "203.0.113.0/24".into())];
    let provider = MockProvider::start(&mut deployment).await;
    let unit = deployment.start(Service::ManagementApi).await;
    let (db, mut ada) = (deployment.database.connect().await, deployment.operator());
    for completed in 1..=2 {
        assert_eq!(provider.log_in(&mut ada).await.status, 303);
        let expected = format!("{completed} 0 0 0");
        assert_eq!(told(&deployment, &unit).await, (expected, None), "at home");
    }
    let row = db.query_one("SELECT network FROM login_networks", &[]).await.unwrap();
    let network: String = row.try_get(0).unwrap();
    assert!(network.starts_with("127."), "{network}");
    // As if the person had always been somewhere else.
    db.batch_execute("UPDATE login_networks SET network = '198.51.100.7'").await.unwrap();
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    assert_eq!(told(&deployment, &unit).await, ("2 1 0 0".into(), Some(network)));
    assert_eq!(provider.log_in(&mut ada).await.status, 303);
    assert_eq!(told(&deployment, &unit).await, ("3 1 0 0".into(), None), "known by now");

    provider.edit_claims(|claims| claims["nonce"] = "another".into());
    assert_eq!(provider.log_in(&mut ada).await.status, 401);
    assert_eq!(told(&deployment, &unit).await.0, "3 1 0 1");
    provider.edit_claims(|_| ());

    // Where any address may be a balancer's, nobody comes from anywhere.
    deployment.extra.clear();
    let unit = deployment.start(Service::ManagementApi).await;
    db.batch_execute("DELETE FROM login_networks").await.unwrap();
    let mut there = deployment.operator().at(unit.api);
    assert_eq!(provider.log_in(&mut there).await.status, 303);
    assert_eq!(told(&deployment, &unit).await, ("1 0 0 0".into(), None));
    assert_eq!(deployment.database.count("SELECT count(*) FROM login_networks").await, 0);
}
