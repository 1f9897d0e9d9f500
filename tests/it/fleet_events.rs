//! What operators hear and see without asking: events, and the history of the fleet.

use std::time::{Duration, Instant};

use end_to_end_tests::{Balancer, EventStream, Service};
use reqwest::Method;
use serde_json::{Value, json};

use super::fleet_view::{beat, fleet};

const EVENTS: &str = "/1.0/fleet/events";

/// The names in the next event that has some; every event on the way adds to what was heard of the tokens.
async fn next(events: &mut EventStream) -> (u64, Value) {
    let block = events.next().await.unwrap();
    let field = |name: &str| {
        let mut lines =
            block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next_back().unwrap_or_else(|| panic!("no {name} in {block:?}")).to_owned()
    };
    assert_eq!(field("event"), "fleet");
    (field("id").parse().unwrap(), serde_json::from_str(&field("data")).unwrap())
}

#[tokio::test]
async fn events_name_what_changed_and_heartbeats_alone_are_silent() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    // So that what happened before is no news.
    fleet.until("/1.0/fleet/summary", |summary| summary["clusters"]["online"] == 2).await;
    let mut here = fleet.admin.events(EVENTS, None).await;
    let mut there = fleet.admin.at(second.api).events(EVENTS, None).await;
    let settled =
        async |events: &mut EventStream, fleet: &mut super::fleet_view::Fleet, text: &str| {
            let changes = json!({"description": text});
            assert_eq!(
                fleet
                    .admin
                    .send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&changes))
                    .await
                    .status,
                200
            );
            loop {
                let (id, data) = next(events).await;
                if data["clusters"].as_array().is_some_and(|names| names.contains(&json!("lyon"))) {
                    return (id, data);
                }
            }
        };
    settled(&mut here, &mut fleet, "first").await;
    for _ in 0..3 {
        beat(&fleet.members[1], &super::example("heartbeat-3-members.json")).await;
    }
    let (last, data) = settled(&mut here, &mut fleet, "second").await;
    assert_eq!(data, json!({"clusters": ["lyon"], "tokens": false}), "no heartbeat is news");
    let (_, elsewhere) = next(&mut there).await;
    assert!(elsewhere["clusters"].is_null() || elsewhere["clusters"].to_string().contains("lyon"));

    // A state in the heartbeat is news.
    let mut ill = super::example("heartbeat-3-members.json");
    ill["member_statuses"] =
        json!([{"status": "Online", "count": 2}, {"status": "Offline", "count": 1}]);
    beat(&fleet.members[1], &ill).await;
    let (id, data) = next(&mut here).await;
    assert_eq!(data, json!({"clusters": ["oslo"], "tokens": false}));
    assert!(id > last);
    drop(fleet.deployment.token("rome"));
    assert_eq!(next(&mut here).await.1, json!({"clusters": [], "tokens": true}));
    drop(here);

    // Who comes back hears what was missed; who comes to another unit loads everything.
    let mut again = fleet.admin.events(EVENTS, Some(last)).await;
    assert_eq!(next(&mut again).await.1, json!({"clusters": ["oslo"], "tokens": true}));
    let mut other = fleet.admin.at(second.api).events(EVENTS, Some(last)).await;
    assert_eq!(next(&mut other).await.1, json!({"clusters": null, "tokens": true}));
}

#[tokio::test]
async fn events_come_once_a_second_at_most_and_end_with_the_service() {
    let mut fleet = fleet(&["lyon"]).await;
    let mut events = fleet.admin.events(EVENTS, None).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream".to_owned()));
    assert_eq!(events.header("cache-control"), Some("no-store".to_owned()));
    let began = Instant::now();
    for round in 0..40 {
        let changes = json!({"description": round.to_string()});
        assert_eq!(
            fleet
                .admin
                .send(Method::PATCH, "/1.0/remote-cluster/lyon", Some(&changes))
                .await
                .status,
            200
        );
    }
    // The last change arrives; on the way there were no more events than seconds, and one for what had gone before.
    drop(fleet.deployment.enrol("rome").await);
    let mut heard = 1;
    let has_rome = |event: &Value| {
        event["clusters"].as_array().is_some_and(|clusters| clusters.contains(&json!("rome")))
    };
    while !has_rome(&next(&mut events).await.1) {
        heard += 1;
    }
    assert!(heard <= began.elapsed().as_secs() + 2, "{heard} events in {:?}", began.elapsed());

    let management = &mut fleet.running().2;
    management.process.signal("TERM");
    let deadline = Instant::now() + Duration::from_secs(4);
    assert_eq!(management.process.wait().await.code(), Some(0));
    assert!(Instant::now() < deadline, "an open stream must not use up the grace period of 5 s");
    while let Some(block) = events.next().await {
        assert!(block.starts_with(':'), "{block}");
    }
}

#[tokio::test]
async fn events_pass_a_proxy_that_speaks_http_and_an_idle_stream_stays_open() {
    let fleet = fleet(&["lyon"]).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    let own = fleet.deployment.connector_address().ip();
    let listen = std::net::TcpListener::bind((own, 0)).unwrap().local_addr().unwrap();
    // A comment comes every 15 seconds: this proxy has hardly more patience.
    let units = [second];
    let _proxy = Balancer::speaking_http(&fleet.deployment, listen, &units, 20).await;
    let mut admin = fleet.admin.at(listen);
    let deadline = Instant::now() + Duration::from_mins(1);
    while admin.get("/1.0/fleet/summary").await.status != 200 {
        assert!(Instant::now() < deadline, "the proxy finds no unit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut events = admin.events(EVENTS, None).await;
    let begin = events.next_block().await.unwrap();
    assert_eq!(begin, "retry: 2000\n: connected", "the beginning is not held back");
    // Nothing happens for longer than the proxy waits; what comes then comes on the same answer.
    let mut comments = 0;
    while comments < 2 {
        let block = events.next_block().await.expect("the proxy has closed an idle stream");
        comments += i32::from(block == ":");
    }
    let change = json!({"description": "later"});
    let path = "/1.0/remote-cluster/lyon";
    assert_eq!(admin.send(Method::PATCH, path, Some(&change)).await.status, 200);
    let (last, heard) = next(&mut events).await;
    assert_eq!(heard, json!({"clusters": ["lyon"], "tokens": false}));

    // The unit ends. Who comes back with the last id, to whichever unit, hears what is known or loads everything.
    let [mut second] = units;
    second.process.signal("TERM");
    assert_eq!(second.process.wait().await.code(), Some(0));
    while let Some(block) = events.next_block().await {
        assert!(!block.contains("event:"), "{block}");
    }
    let _second = fleet.deployment.restart(&second).await;
    while admin.get("/1.0/fleet/summary").await.status != 200 {
        assert!(Instant::now() < deadline + Duration::from_mins(1), "the proxy finds no unit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut again = admin.events(EVENTS, Some(last)).await;
    assert_eq!(next(&mut again).await.1, json!({"clusters": null, "tokens": true}));
}

#[tokio::test]
async fn oidc_09_nobody_follows_events_without_the_right() {
    let fleet = fleet(&[]).await;
    let mut nobody = fleet.deployment.operator();
    assert_eq!(nobody.get(EVENTS).await.status, 401);
    let mut stranger = fleet.deployment.logged_in("viewer@example.com").await;
    assert_eq!(stranger.get(EVENTS).await.status, 403);
}

#[tokio::test]
async fn the_history_of_the_fleet_has_one_sample_per_minute_whoever_writes_it() {
    let mut fleet = fleet(&["lyon"]).await;
    let _second = fleet.deployment.start(Service::ManagementApi).await;
    let path = "/1.0/fleet/history";
    let day = fleet.until(path, |history| !history["points"][0].is_null()).await;
    assert_eq!(day["step_seconds"], 180);
    let db = fleet.deployment.database.connect().await;
    // A day of minutes, 20 days of half hours, and what should be long gone.
    let fill = "
        DELETE FROM fleet_history;
        INSERT INTO fleet_history
             SELECT 60, date_trunc('minute', now()) - n * interval '1 min', 1, n, 2, 3, 4, 5, 6, 7 FROM generate_series(1, 1400) AS n;
        INSERT INTO fleet_history
             SELECT 1800, date_bin('30 min', now(), 'epoch') - n * interval '30 min', 30, 10, 5, 1, 40, 50, 600, 700
               FROM generate_series(1, 1000) AS n;
        INSERT INTO fleet_history SELECT 60, now() - interval '2 days', 1, 1, 1, 1, 1, 1, 1, 1";
    db.batch_execute(fill).await.unwrap();
    let day = fleet.admin.get(path).await.metadata();
    let points = day["points"].as_array().unwrap();
    assert!((460..=480).contains(&points.len()), "{}", points.len());
    let middle = &points[points.len() / 2];
    assert_eq!(
        (&middle["online"], &middle["memory_total"]),
        (&json!(2.0), &json!(7.0)),
        "{middle}"
    );
    let from = (time::OffsetDateTime::now_utc() - time::Duration::days(10))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let days = fleet.admin.get(&format!("{path}?from={from}")).await.metadata();
    assert_eq!(days["step_seconds"], 1800);
    assert!((478..=481).contains(&days["points"].as_array().unwrap().len()));
    assert_eq!(fleet.admin.get(&format!("{path}?from=yesterday")).await.status, 400);

    // The first look of a unit writes the minute, unless it is written, and deletes what is too old.
    let minute = "SELECT count(*) FROM fleet_history WHERE step_seconds = 60 AND at > now() - interval '2 min' AND clusters = 1";
    let old = "SELECT count(*) FROM fleet_history WHERE at < now() - interval '25 hours' AND step_seconds = 60";
    let mut units = Vec::new();
    for _ in 0..3 {
        units.push(fleet.deployment.start(Service::ManagementApi).await);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while fleet.deployment.database.count(old).await != 0 {
        assert!(Instant::now() < deadline, "old samples stay");
    }
    let samples = fleet.deployment.database.count(minute).await;
    assert!(
        (1..=2).contains(&samples),
        "{samples} samples of this minute and the one before, which has 1 cluster, too"
    );
    let now = "SELECT clusters::bigint FROM fleet_history WHERE step_seconds = 60 ORDER BY at DESC LIMIT 1";
    assert_eq!(fleet.deployment.database.count(now).await, 1);
}
