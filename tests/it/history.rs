//! The history of clusters: written by heartbeats, summed up, bounded, read for charts.

use std::time::{Duration, Instant};

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service, TestDatabase};
use serde_json::{Value, json};

/// Waits until a query answers `expected`.
async fn until_count(database: &TestDatabase, sql: &str, expected: i64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let count = database.count(sql).await;
        if count == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {count} instead of {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Minutes of the past with one heartbeat each; memory grows from `1` by one per minute.
async fn fill(deployment: &Deployment, cluster: &str, from: &str, minutes: i32) {
    let sql = "
        INSERT INTO remote_cluster_history
             SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 1440), 1, 1 + n, 1 + n, 10000, 2, 2, 3, 3, 5, 6,
                    json_build_object('local', json_build_array(n % 100, 100))
               FROM remote_clusters, generate_series(0, $2::integer - 1) AS n,
                    LATERAL (SELECT date_bin('6 hours', now(), 'epoch') + $3::text::interval + n * interval '1 min') AS minute (at)
              WHERE name = $1";
    let db = deployment.database.connect().await;
    let filled = db.execute(sql, &[&cluster, &minutes, &from]).await.unwrap();
    assert_eq!(filled, u64::try_from(minutes).unwrap());
}

#[tokio::test]
async fn heartbeats_of_one_minute_share_a_row_with_average_and_maximum() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    // What the slots of this and the next minute held a round ago.
    let stale = "INSERT INTO remote_cluster_history
         SELECT id, at - interval '1 day', 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 1440), 7, 9e9, 9e9, 9e9, 9, 9, 9, 9, 9, 9
           FROM remote_clusters, generate_series(date_trunc('minute', now()), now() + interval '1 min', '1 min') AS at";
    let db = deployment.database.connect().await;
    let slots = db.execute(stale, &[]).await.unwrap();
    for usage in [10, 40, 20, 30] {
        let mut body = super::example("heartbeat-3-members.json");
        body["memory_usage"] = json!(usage);
        body["cpu_load_1"] = json!("0.50");
        let answer = member.request("POST", STATUS_PATH, body.to_string().into_bytes()).await;
        answer.unwrap().success().unwrap();
    }
    let rows =
        "SELECT jsonb_agg(to_jsonb(history) ORDER BY at) FROM remote_cluster_history AS history
                 WHERE at > now() - interval '1 hour'";
    let rows: Value = db.query_one(rows, &[]).await.unwrap().try_get(0).unwrap();
    let rows = rows.as_array().unwrap();
    let sum = |key: &str| rows.iter().map(|row| row[key].as_f64().unwrap()).sum::<f64>();
    let weighted: f64 = rows
        .iter()
        .map(|row| row["memory_avg"].as_f64().unwrap() * row["heartbeats"].as_f64().unwrap())
        .sum();
    assert!(rows.len() <= 2, "{rows:?}");
    assert_eq!((sum("heartbeats"), weighted), (4.0, 100.0), "{rows:?}");
    assert!(rows.iter().any(|row| row["memory_max"] == 40.0), "{rows:?}");
    assert!(rows.iter().all(|row| row["load_avg"] == 0.5 && row["members_max"] == 3.0), "{rows:?}");
    assert_eq!(
        rows[0]["pools"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["local", "remote"]
    );
    let all = deployment.database.count("SELECT count(*) FROM remote_cluster_history").await;
    assert_eq!(u64::try_from(all).unwrap(), slots, "a slot is overwritten, never added to");
}

#[tokio::test]
async fn intervals_that_are_over_are_summed_up_and_silent_slots_are_cleared() {
    let mut deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    for name in ["lyon", "oslo"] {
        drop(deployment.enrol(name).await);
    }
    drop(connector);
    fill(&deployment, "lyon", "-6 hours", 45).await;
    // What `oslo`, silent since, left in the first of those slots a round before.
    let db = deployment.database.connect().await;
    let silent = "INSERT INTO remote_cluster_history
         SELECT id, at - interval '1 day', 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 1440), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
           FROM remote_clusters, date_bin('6 hours', now() - interval '6 hours', 'epoch') AS at WHERE name = 'oslo'";
    db.execute(silent, &[]).await.unwrap();
    db.batch_execute(
        "UPDATE history_series SET complete_until = date_bin('6 hours', now() - interval '6 hours', 'epoch')",
    )
    .await
    .unwrap();

    // Two units take turns; each interval is made once.
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _second = deployment.start(Service::ClusterConnector).await;
    let six_hours = "SELECT count(*) FROM remote_cluster_history WHERE step_seconds = 21600";
    until_count(&deployment.database, six_hours, 1).await;
    let rows = "SELECT jsonb_agg(to_jsonb(history) - 'remote_cluster_id' - 'slot' - 'at' ORDER BY step_seconds, at)
                  FROM remote_cluster_history AS history WHERE step_seconds > 60";
    let rows: Value = db.query_one(rows, &[]).await.unwrap().try_get(0).unwrap();
    let point = |step: i32, heartbeats: i32, average: f64, highest: f64, local: f64| {
        json!({"step_seconds": step, "heartbeats": heartbeats, "memory_avg": average, "memory_max": highest,
               "memory_total": 10000.0, "load_avg": 2.0, "load_max": 2.0, "members_avg": 3.0, "members_max": 3.0,
               "instances_avg": 5.0, "instances_max": 6.0, "pools": {"local": [local, 100.0]}})
    };
    let expected = json!([
        point(1800, 30, 15.5, 30.0, 14.5),
        point(1800, 15, 38.0, 45.0, 37.0),
        point(21600, 45, 23.0, 45.0, 25.8),
    ]);
    let numbers = |value: &Value| {
        value.to_string().replace(".0,", ",").replace(".0]", "]").replace(".0}", "}")
    };
    assert_eq!(numbers(&rows), numbers(&expected));
    until_count(
        &deployment.database,
        "SELECT count(*) FROM remote_cluster_history AS h JOIN remote_clusters AS c
        ON c.id = h.remote_cluster_id WHERE c.name = 'oslo'",
        0,
    )
    .await;

    // Longer and shorter series keep what fits.
    let minutes = "SELECT count(*) FROM remote_cluster_history WHERE step_seconds = 60";
    let wrong = "SELECT count(*) FROM remote_cluster_history JOIN history_series AS s USING (step_seconds)
                  WHERE slot <> mod(floor(extract(epoch FROM at) / s.step_seconds)::bigint, s.slots)";
    for (hours, kept) in [("48", 45), ("1", 0)] {
        deployment.extra = vec![("HISTORY_MINUTES_HOURS", hours.into())];
        let _other = deployment.start(Service::ClusterConnector).await;
        let slots = format!("SELECT count(*) FROM history_series WHERE slots = {hours} * 60");
        until_count(&deployment.database, &slots, 1).await;
        assert_eq!(deployment.database.count(minutes).await, kept, "{hours} hours");
        assert_eq!(deployment.database.count(wrong).await, 0, "{hours} hours");
    }
}

#[tokio::test]
async fn a_removed_cluster_leaves_no_history() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let members = [deployment.enrol("lyon").await, deployment.enrol("oslo").await];
    for member in &members {
        let sent = member.request("POST", STATUS_PATH, b"{}".to_vec()).await;
        sent.unwrap().success().unwrap();
    }
    fill(&deployment, "lyon", "-6 hours", 300).await;
    members[0].leave().await.unwrap();
    let left = "SELECT count(DISTINCT remote_cluster_id) FROM remote_cluster_history";
    assert_eq!(deployment.database.count(left).await, 1);
    let known = "SELECT count(*) FROM remote_cluster_history JOIN remote_clusters ON id = remote_cluster_id";
    assert!(deployment.database.count(known).await > 0, "the other one keeps its own");
}

#[tokio::test]
async fn charts_get_at_most_500_points_from_the_series_that_reaches_back() {
    let mut deployment = Deployment::new().await;
    let _identity_provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _management = deployment.start(Service::ManagementApi).await;
    drop(deployment.enrol("lyon").await);
    fill(&deployment, "lyon", "-12 hours", 720).await;
    let db = deployment.database.connect().await;
    let half_hours = "INSERT INTO remote_cluster_history
         SELECT id, at, 1800, mod(floor(extract(epoch FROM at) / 1800)::bigint, 1440), 30, 500, 900, 10000, 1, 1, 3, 3, 5, 5, '{}'
           FROM remote_clusters, generate_series(date_bin('6 hours', now(), 'epoch') - interval '10 days',
                                                 date_bin('6 hours', now(), 'epoch') - interval '12 hours', '30 min') AS at
          WHERE at < date_bin('6 hours', now(), 'epoch') - interval '12 hours'";
    let before = db.execute(half_hours, &[]).await.unwrap();
    assert_eq!(before, 456);
    db.batch_execute("UPDATE history_series SET complete_until = date_bin('6 hours', now(), 'epoch') - interval '12 hours'
                       WHERE step_seconds = 1800")
        .await
        .unwrap();

    let mut operator = deployment.logged_in("admin@example.com").await;
    let day = operator.get("/1.0/fleet/history/lyon").await.metadata();
    let points = |answer: &Value| answer["points"].as_array().unwrap().clone();
    assert_eq!(day["step_seconds"], 180, "{day}");
    assert!((240..=243).contains(&points(&day).len()), "{}", points(&day).len());
    let heartbeats: i64 =
        points(&day).iter().map(|point| point["heartbeats"].as_i64().unwrap()).sum();
    assert_eq!(heartbeats, 720);

    // Ten days: half hours, and minutes for what is not summed up yet.
    let from = (time::OffsetDateTime::now_utc() - time::Duration::days(10))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let week = operator.get(&format!("/1.0/fleet/history/lyon?from={from}")).await.metadata();
    assert_eq!(week["step_seconds"], 1800);
    let points = points(&week);
    assert!(points.len() <= 500);
    let heartbeats: i64 = points.iter().map(|point| point["heartbeats"].as_i64().unwrap()).sum();
    let half_hours = heartbeats - 720;
    assert!(half_hours % 30 == 0 && half_hours > 30 * 440, "{heartbeats}");
    let last = points.last().unwrap();
    assert_eq!(last["memory"], json!({"avg": 705.5, "max": 720.0}));
    assert_eq!(last["storage"]["local"]["max"], 100.0);

    for (query, status) in [
        ("from=yesterday", 400),
        ("to=1969-12-31T23:59:59Z", 400),
        ("from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z", 400),
    ] {
        let answer = operator.get(&format!("/1.0/fleet/history/lyon?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
    assert_eq!(operator.get("/1.0/fleet/history/paris").await.status, 404);
}

#[tokio::test]
async fn rel_11_a_database_whose_clock_was_ahead_goes_on_summing_up() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    drop(deployment.enrol("lyon").await);
    drop(connector);
    let db = deployment.database.connect().await;
    // This half hour, the one before and the next one, should they begin meanwhile; and what was made while the clock was wrong.
    db.batch_execute(
        "INSERT INTO remote_cluster_history
              SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 1440), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
                FROM remote_clusters, date_bin('30 min', now(), 'epoch') AS half,
                     generate_series(half - interval '30 min', half + interval '59 min', '1 min') AS at;
         UPDATE history_series SET complete_until = complete_until + interval '1 year'",
    )
    .await
    .unwrap();
    let _connector = deployment.start(Service::ClusterConnector).await;
    let made = "SELECT least(count(*), 1) FROM remote_cluster_history WHERE step_seconds = 1800";
    until_count(&deployment.database, made, 1).await;
    let ahead =
        "SELECT count(*) FROM history_series WHERE step_seconds > 60 AND complete_until > now()";
    until_count(&deployment.database, ahead, 0).await;
}
