//! Heartbeats: what is stored, what is refused, and what stays untouched.

use cluster_simulator::{Answer, Member, STATUS_PATH};
use end_to_end_tests::{Deployment, Service};
use serde_json::{Value, json};

async fn send(member: &Member, body: &Value) -> Answer {
    member.request("POST", STATUS_PATH, body.to_string().into_bytes()).await.unwrap()
}

async fn stored(deployment: &Deployment) -> Value {
    let db = deployment.database.connect().await;
    let row =
        db.query_one("SELECT to_jsonb(d) FROM remote_cluster_details AS d", &[]).await.unwrap();
    row.try_get(0).unwrap()
}

#[tokio::test]
async fn every_key_of_the_examples_is_stored_in_the_order_received() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    for name in ["heartbeat-3-members.json", "heartbeat-50-members.json"] {
        let body = super::example(name);
        assert_eq!(send(&member, &body).await.status, 200, "{name}");
        let row = stored(&deployment).await;
        for key in super::keys(&body) {
            if !matches!(key, "server_metrics") {
                assert_eq!(row[key], body[key], "{name}: {key}");
            }
        }
        let sum = |list: &Value| {
            list.as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["count"].as_i64().unwrap())
                .sum::<i64>()
        };
        assert_eq!(row["member_count"], sum(&body["member_statuses"]));
        assert_eq!(row["instance_count"], sum(&body["instance_statuses"]));
        assert_eq!(row["ceph_count"], sum(&body["ceph_statuses"]));
    }
    assert_eq!(send(&member, &super::example("heartbeat-minimal-nulls.json")).await.status, 200);
    let row = stored(&deployment).await;
    for key in ["ceph_statuses", "storage_pool_usages", "instance_statuses"] {
        assert_eq!(row[key], json!([]), "{key}");
    }
    assert_eq!((&row["ceph_count"], &row["instance_count"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn db_05_a_heartbeat_never_touches_what_an_operator_wrote() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    let identity = "SELECT to_jsonb(c) FROM remote_clusters AS c";
    db.batch_execute("UPDATE remote_clusters SET description = 'mine', disk_threshold = 50")
        .await
        .unwrap();
    let before: Value = db.query_one(identity, &[]).await.unwrap().try_get(0).unwrap();
    for usage in 1..20 {
        assert_eq!(
            send(&member, &json!({"memory_usage": usage, "description": "theirs"})).await.status,
            200
        );
    }
    let after: Value = db.query_one(identity, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn the_interval_is_learnt_from_the_heartbeats() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    assert_eq!(stored(&deployment).await["last_heartbeat_at"], Value::Null);
    send(&member, &json!({})).await;
    assert_eq!(stored(&deployment).await["heartbeat_interval_seconds"], 60.0);
    for _ in 0..20 {
        db.batch_execute(
            "UPDATE remote_cluster_details SET last_heartbeat_at = now() - interval '600 s'",
        )
        .await
        .unwrap();
        send(&member, &json!({})).await;
    }
    let learnt = stored(&deployment).await["heartbeat_interval_seconds"].as_f64().unwrap();
    assert!((590.0..=600.5).contains(&learnt), "{learnt}");
    db.batch_execute(
        "UPDATE remote_cluster_details SET last_heartbeat_at = now() - interval '30 days'",
    )
    .await
    .unwrap();
    send(&member, &json!({})).await;
    let after_silence = stored(&deployment).await["heartbeat_interval_seconds"].as_f64().unwrap();
    assert!(after_silence < 1200.0, "one long silence does not spoil it: {after_silence}");
}

#[tokio::test]
async fn lim_05_bad_values_are_named_and_nothing_is_stored() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let cases = [
        (json!({"memory_usage": -1}), "memory_usage must not be negative"),
        (json!({"memory_usage": 1.5}), "invalid JSON: invalid type: floating point"),
        (
            json!({"cpu_load_1": "\u{0}"}),
            "cpu_load_1 must have at most 256 bytes and no NUL character",
        ),
        (json!({"member_statuses": {}}), "invalid JSON: invalid type: map"),
        (
            json!({"member_statuses": [["Online", 3]]}),
            "invalid JSON: invalid type: sequence, expected an object",
        ),
        (
            json!({"storage_pool_usages": [[]]}),
            "invalid JSON: invalid type: sequence, expected an object",
        ),
        (
            json!({"member_statuses": [{"status": "Online", "count": -3}]}),
            "member_statuses must not be negative",
        ),
        (
            json!({"member_statuses": [{"status": "x".repeat(257), "count": 1}]}),
            "member_statuses must have at most 256",
        ),
        (
            json!({"storage_pool_usages": [{"name": "a", "total": -1, "usage": 0}]}),
            "invalid JSON: invalid value",
        ),
        (json!({"ui_url": "x".repeat(2049)}), "ui_url must have at most 2048 bytes"),
        (json!([]), "invalid JSON"),
    ];
    for (body, expected) in cases {
        let answer = send(&member, &body).await;
        let error = answer.json().unwrap()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400, "{error}");
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(stored(&deployment).await["last_heartbeat_at"], Value::Null);
    let huge = json!({"member_statuses": [
        {"status": "Online", "count": i64::MAX}, {"status": "Offline", "count": i64::MAX}
    ]});
    assert_eq!(send(&member, &huge).await.status, 200);
    assert_eq!(stored(&deployment).await["member_count"], i64::MAX);
}

#[tokio::test]
async fn lim_01_the_length_of_a_heartbeat_is_bounded_by_the_setting() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("LIMITS", "heartbeat-bytes=1KiB".into())];
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let body = |length: usize| {
        let mut text = String::from("{}");
        text.extend(std::iter::repeat_n(' ', length - 2));
        text.into_bytes()
    };
    for (length, status) in [(1024, 200), (1025, 413), (102_400, 413)] {
        let answer = member.request("POST", STATUS_PATH, body(length)).await.unwrap();
        assert_eq!(answer.status, status, "{length}: {}", answer.body);
    }
}

#[tokio::test]
async fn web_08_a_link_of_a_cluster_never_leads_to_the_manager() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    for bad in ["javascript:alert(1)".to_owned(), format!("{}/1.0", deployment.origin())] {
        assert_eq!(send(&member, &json!({"ui_url": bad})).await.status, 200);
        assert_eq!(stored(&deployment).await["ui_url"], "");
    }
    send(&member, &json!({"ui_url": "https://10.40.7.11:8443"})).await;
    assert_eq!(stored(&deployment).await["ui_url"], "https://10.40.7.11:8443");
}

#[tokio::test]
async fn lim_05_a_load_of_next_to_nothing_or_beyond_all_bounds_is_no_obstacle() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    for load in ["1e-45", "0.00", "1e-45", "3.4e38", "0.00", "3.4e38", "0.01"] {
        let answer = send(&member, &json!({"cpu_load_1": load})).await;
        assert_eq!(answer.status, 200, "{load}: {}", answer.body);
    }
}
