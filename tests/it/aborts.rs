//! What is left of a request whose client went away in the middle of it.

use end_to_end_tests::Running;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_change_shows_at_once_although_the_client_that_would_have_seen_it_first_went_away() {
    let running = Running::start().await;
    let Running { deployment, manager, connector: _connector, provider: _provider, mut ada } =
        running;
    drop(deployment.enrol("lyon").await);
    let list = "/1.0/fleet/clusters";
    assert!(ada.get(list).await.body.contains("lyon"));

    // The unit hears of the change and cannot read it while the client goes away.
    let change = json!({"description": "Edge"});
    let changed = ada.send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&change)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_cluster_details").await.unwrap();
    let mut impatient = ada.clone();
    let asking = tokio::spawn(async move { impatient.get(list).await.status });
    let waits = "SELECT least(count(*), 1) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'";
    deployment.database.until_count(waits, 1).await;
    asking.abort();
    manager.until_log("the client went away").await;
    db.batch_execute("ROLLBACK").await.unwrap();
    let shown = ada.get(list).await.body;
    assert!(shown.contains("Edge"), "{shown}");
}
