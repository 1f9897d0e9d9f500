//! Another certificate for an enrolled cluster.

use cluster_simulator::{JoinToken, Member, STATUS_PATH};
use end_to_end_tests::Operator;
use reqwest::Method;
use serde_json::{Value, json};

use super::fleet_view::{beat, fleet};
use super::join::refusal;

pub(super) async fn rotation_token(admin: &mut Operator, name: &str) -> JoinToken {
    let path = format!("/1.0/remote-cluster/{name}/rotation-token");
    let made = admin.send(Method::POST, &path, Some(&json!({}))).await.metadata();
    JoinToken::decode(made["token"].as_str().unwrap()).unwrap()
}

async fn status_of(member: &Member) -> u16 {
    member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status
}

#[tokio::test]
async fn join_16_a_cluster_gets_another_certificate_and_keeps_everything_else() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let path = "/1.0/remote-cluster/lyon";
    let changes =
        json!({"description": "kept", "disk_threshold": 61, "ui_url": "https://lxd.example"});
    assert_eq!(fleet.admin.send(Method::PATCH, path, Some(&changes)).await.status, 200);
    let before = fleet.admin.get(path).await.metadata();
    let history = fleet.admin.get("/1.0/fleet/history/lyon").await.metadata()["points"].clone();

    let token = rotation_token(&mut fleet.admin, "lyon").await;
    let listed = fleet.admin.get("/1.0/remote-cluster-join-token").await.metadata();
    assert_eq!(
        (&listed[0]["cluster_name"], &listed[0]["rotation"]),
        (&json!("lyon"), &json!(true))
    );
    assert!(!fleet.deployment.database.dump().await.contains(token.text()));
    assert_eq!(status_of(&fleet.members[0]).await, 200, "the old certificate works until the join");
    let renewed = fleet.deployment.member(&token);
    renewed.join(&token).await.unwrap();
    renewed.join(&token).await.expect("an answer may be lost");
    assert_eq!(status_of(&fleet.members[0]).await, 403, "and no longer");
    beat(&renewed, &super::example("heartbeat-3-members.json")).await;

    let after = fleet.admin.get(path).await.metadata();
    for key in super::keys(&before) {
        let may_change = matches!(
            key,
            "cluster_certificate" | "certificate_fingerprint" | "certificate_not_after"
        ) || matches!(
            key,
            "last_heartbeat_at" | "last_status_update_at" | "heartbeat_interval_seconds"
        );
        assert!(may_change || after[key] == before[key], "{key}: {} {}", before[key], after[key]);
    }
    assert_eq!(after["certificate_fingerprint"], renewed.identity().fingerprint());
    let rows = fleet.admin.get("/1.0/fleet/history/lyon").await.metadata()["points"].clone();
    let heartbeats = |points: &Value| {
        points
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point["heartbeats"].as_i64().unwrap())
            .sum::<i64>()
    };
    assert!(heartbeats(&history) >= 1 && heartbeats(&rows) > heartbeats(&history));

    // The token has done its work.
    let thief = fleet.deployment.member(&token);
    assert_eq!(refusal(thief.join(&token).await).0, 403);
    assert_eq!(status_of(&fleet.members[1]).await, 200, "nobody else is touched");
}

#[tokio::test]
async fn join_16_a_rotation_token_is_for_an_enrolled_cluster_and_goes_with_it() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let path = |name: &str| format!("/1.0/remote-cluster/{name}/rotation-token");
    let ask = async |admin: &mut Operator, name: &str, body: Value| {
        admin.send(Method::POST, &path(name), Some(&body)).await.error()
    };
    let missing = (404, "remote cluster not found".to_owned());
    assert_eq!(ask(&mut fleet.admin, "rome", json!({})).await, missing);
    let (status, text) = ask(&mut fleet.admin, "lyon", json!({"expiry": "yesterday"})).await;
    assert!(status == 400 && text.starts_with("expiry date must be"), "{text}");
    let token = rotation_token(&mut fleet.admin, "lyon").await;
    let pending = (409, "this cluster name has a pending join token".to_owned());
    assert_eq!(ask(&mut fleet.admin, "lyon", json!({})).await, pending);

    // The certificate of another cluster is refused, and the token stays usable.
    let oslo = &fleet.members[1];
    assert_eq!(refusal(oslo.join(&token).await).0, 409);
    assert_eq!(status_of(oslo).await, 200);
    fleet.deployment.member(&token).join(&token).await.unwrap();

    let token = rotation_token(&mut fleet.admin, "lyon").await;
    assert_eq!(
        fleet.admin.send(Method::DELETE, "/1.0/remote-cluster/lyon", None).await.status,
        200
    );
    let gone = fleet.deployment.member(&token);
    assert_eq!(refusal(gone.join(&token).await).0, 403, "it goes with its cluster");
    let mut nobody = fleet.deployment.operator();
    assert_eq!(nobody.send(Method::POST, &path("oslo"), Some(&json!({}))).await.status, 401);
    let mut viewer = fleet.deployment.logged_in("viewer@example.com").await;
    assert_eq!(viewer.send(Method::POST, &path("oslo"), Some(&json!({}))).await.status, 403);
}
