//! kill -9 between any two steps of an operator's change: it is there with its record, or neither is (security property AUD-01).

use std::time::Duration;

use end_to_end_tests::{Operator, Running, rounds};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A request whose answer may never come: its status, if it came.
async fn attempt(operator: Operator, method: Method, path: String, body: Value) -> Option<u16> {
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    operator.try_raw(method, &path, headers, body.to_string()).await
}

#[tokio::test]
async fn aud_01_after_kill_9_no_change_is_without_its_record_and_no_record_without_its_change() {
    let Running { deployment, provider: _provider, mut manager, connector: _connector, ada } =
        Running::start().await;
    for name in ["lyon", "oslo"] {
        drop(deployment.enrol(name).await);
    }
    let (mut acknowledged, mut cut) = (0, 0);
    for round in 0..u64::try_from(rounds(16, 200)).unwrap() {
        let mut asking = JoinSet::new();
        for n in 0..4 {
            let requests = [
                (
                    Method::PATCH,
                    "/1.0/remote-cluster/lyon".into(),
                    json!({"description": format!("{round} {n}")}),
                ),
                (
                    Method::PATCH,
                    "/1.0/remote-cluster/oslo".into(),
                    json!({"disk_threshold": 1 + (4 * round + n) % 99}),
                ),
                (
                    Method::POST,
                    "/1.0/remote-cluster-join-token".into(),
                    json!({"cluster_name": format!("site-{round}-{n}")}),
                ),
                (
                    Method::DELETE,
                    format!("/1.0/remote-cluster-join-token/site-{round}-{}", n / 2),
                    json!({}),
                ),
            ];
            for (method, path, body) in requests {
                let attempt = attempt(ada.clone(), method, path, body);
                asking.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(2 * n)).await;
                    attempt.await
                });
            }
        }
        // The kill comes when some have their answers, and others are at every step of their way.
        let mut count = |status| match status {
            Some(200) => acknowledged += 1,
            Some(404 | 409) => {}
            Some(other) => panic!("{other}"),
            None => cut += 1,
        };
        for _ in 0..round % 13 {
            count(asking.join_next().await.unwrap().unwrap());
        }
        manager.process.kill();
        asking.join_all().await.into_iter().for_each(count);
        manager = deployment.restart(&manager).await;
    }
    assert!(acknowledged > 0 && cut > 0, "{acknowledged} acknowledged, {cut} cut");

    // Each change names what was there before, so that the records of a cluster are a chain that ends with what is stored.
    let db = deployment.database.connect().await;
    for (cluster, field, first) in
        [("lyon", "description", json!("")), ("oslo", "disk_threshold", json!(80))]
    {
        let chain = "SELECT details -> $2::text FROM audit_events
                      WHERE event = 'cluster.changed' AND object = $1 AND outcome = 'success' ORDER BY id";
        let mut value = first;
        for row in db.query(chain, &[&cluster, &field]).await.unwrap() {
            // Nothing: the same value once more.
            let Some(change) = row.try_get::<_, Option<Value>>(0).unwrap() else { continue };
            assert_eq!(change["old"], value, "{cluster}: a change without a record");
            value = change["new"].clone();
        }
        let stored =
            "SELECT to_jsonb(cluster) -> $2::text FROM remote_clusters AS cluster WHERE name = $1";
        let stored: Value =
            db.query_one(stored, &[&cluster, &field]).await.unwrap().try_get(0).unwrap();
        assert_eq!(
            stored, value,
            "{cluster}: a record without its change, or a change without one"
        );
    }
    // Tokens: made as often as it is recorded, and gone as often.
    let odd = "
        SELECT count(*) FROM (
            SELECT object AS name, sum(CASE event WHEN 'join-token.created' THEN 1 ELSE -1 END) AS recorded
              FROM audit_events
             WHERE event IN ('join-token.created', 'join-token.revoked') AND outcome = 'success' AND object LIKE 'site-%'
             GROUP BY name) AS counted
         WHERE recorded <> (SELECT count(*) FROM join_tokens WHERE cluster_name = name AND consumed_at IS NULL)";
    assert_eq!(deployment.database.count(odd).await, 0, "tokens and their records differ");
    let unrecorded = "SELECT count(*) FROM join_tokens WHERE consumed_at IS NULL AND NOT EXISTS (
                          SELECT FROM audit_events WHERE event = 'join-token.created' AND details ->> 'token' = join_tokens.id::text)";
    assert_eq!(deployment.database.count(unrecorded).await, 0);
}
