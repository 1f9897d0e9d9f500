//! What was recorded before a takeover is there after it, and the takeover itself is recorded.

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Earlier, Service};
use reqwest::Method;
use serde_json::{Value, json};

use super::{heartbeat, member, run};

/// Rows of a table as text, in their order.
async fn rows(deployment: &Deployment, sql: &str) -> Vec<String> {
    let db = deployment.database.connect().await;
    let rows = db.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

const AUDIT: &str = "SELECT audit_events::text FROM audit_events ORDER BY id";
const HISTORY: &str = "
    SELECT cluster_history::text FROM cluster_history
     WHERE remote_cluster_id = (SELECT id FROM remote_clusters WHERE name = 'ours') ORDER BY 1";

#[tokio::test]
async fn aud_01_the_audit_log_and_the_history_survive_a_takeover_which_is_recorded() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let mut management = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let ours = deployment.enrol("ours").await;
    let body = super::super::example("heartbeat-3-members.json").to_string();
    let beat = async || {
        let sent = ours.request("POST", STATUS_PATH, body.clone().into_bytes()).await;
        assert_eq!(sent.unwrap().status, 200);
    };
    beat().await;
    let change = json!({"description": "before"});
    let path = "/1.0/remote-cluster/ours";
    assert_eq!(admin.send(Method::PATCH, path, Some(&change)).await.status, 200);
    // Both services stop; the earlier product's tables appear, as when its database is restored into this one.
    connector.process.kill();
    management.process.kill();
    let earlier = Earlier::new(&deployment).await;
    let lyon = earlier.enrolled("lyon").await;
    earlier.cluster("broken", "no certificate").await;
    let (audit, history) = (rows(&deployment, AUDIT).await, rows(&deployment, HISTORY).await);
    assert!(audit.len() >= 4 && !history.is_empty(), "{audit:?} {history:?}");

    let (code, report) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((code, &report["clusters"]["copied"]), (Some(3), &json!(1)), "{report}");
    let after = rows(&deployment, AUDIT).await;
    assert_eq!(after[..audit.len()], audit, "no record is changed or lost");
    assert_eq!(rows(&deployment, HISTORY).await, history, "nor a point of the history");
    let told = rows(
        &deployment,
        "SELECT concat_ws(' ', event, object, actor_kind, outcome) FROM audit_events
          WHERE event LIKE '%taken-over' OR event LIKE 'takeover.%' ORDER BY id",
    )
    .await;
    assert_eq!(
        told,
        [
            "takeover.applied  action success",
            "cluster.taken-over lyon action success",
            "cluster.taken-over broken action refused",
        ]
    );

    let _connector = deployment.start(Service::ClusterConnector).await;
    let _management = deployment.start(Service::ManagementApi).await;
    beat().await;
    assert_eq!(heartbeat(&member(&deployment, &lyon)).await, 200);
    let records = admin.get("/1.0/audit?limit=1000").await.metadata()["records"].clone();
    let find = |event: &str| {
        let found = records.as_array().unwrap().iter().find(|record| record["event"] == event);
        found.cloned().unwrap_or(Value::Null)
    };
    assert_eq!(find("cluster.changed")["details"]["description"]["new"], "before");
    assert_eq!(find("takeover.applied")["details"]["clusters"]["copied"], 1);
    let heartbeats = async |admin: &mut end_to_end_tests::Operator, name: &str| {
        let history = admin.get(&format!("/1.0/fleet/history/{name}")).await.metadata();
        let points = history["points"].as_array().unwrap().clone();
        points.iter().map(|point| point["heartbeats"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(heartbeats(&mut admin, "ours").await, 2, "before and after");
    assert_eq!(heartbeats(&mut admin, "lyon").await, 1);
    let (code, again) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((code, &again["clusters"]["already"]), (Some(3), &json!(1)), "{again}");
}
