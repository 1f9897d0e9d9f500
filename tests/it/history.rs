//! The history of clusters: written by heartbeats, summed up, packed, bounded, read for charts.

use std::time::{Duration, Instant};

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service, TestDatabase};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Client;

/// Waits until a query answers `expected`.
pub(super) async fn until_count(database: &TestDatabase, sql: &str, expected: i64) {
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
        INSERT INTO cluster_history
             SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 120), 1, 1 + n, 1 + n, 10000, 2, 2, 3, 3, 5, 6,
                    json_build_object('local', json_build_array(n % 100, 100))
               FROM remote_clusters, generate_series(0, $2::integer - 1) AS n,
                    LATERAL (SELECT date_bin('6 hours', now(), 'epoch') + $3::text::interval + n * interval '1 min') AS minute (at)
              WHERE name = $1";
    let db = deployment.database.connect().await;
    let filled = db.execute(sql, &[&cluster, &minutes, &from]).await.unwrap();
    assert_eq!(filled, u64::try_from(minutes).unwrap());
}

/// Clusters that nobody can speak for, after the first ones.
pub(super) async fn clusters(db: &Client, names: &[&str]) {
    let sql = "
        INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
             SELECT name, '', sha256(name::bytea), now(), now() + interval '1 year' FROM unnest($1::text[]) AS name ORDER BY name";
    db.execute(sql, &[&names]).await.unwrap();
    let details = "INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM remote_clusters ON CONFLICT DO NOTHING";
    db.execute(details, &[]).await.unwrap();
}

/// Points as real clusters make them, one per interval within `[from, to)`: of all clusters whose name is like `names`, in the rings of
/// `table`, whose sizes are in `series`.
pub(super) async fn record(
    db: &Client,
    (table, series): (&str, &str),
    step: i32,
    names: &str,
    from: &str,
    to: &str,
) {
    let sql = format!(
        "INSERT INTO {table}
              SELECT id, at, step_seconds, mod(floor(extract(epoch FROM at) / step_seconds)::bigint, slots), step_seconds / 60, memory,
                     CASE step_seconds WHEN 60 THEN memory ELSE memory * (1 + random() / 50) END, 2e11, load,
                     CASE step_seconds WHEN 60 THEN load ELSE load + random() END, 3, 3, instances, instances,
                     json_build_object('local', json_build_array(local, local + 6.5), 'remote', json_build_array(21.3, remote))
                FROM {series} AS series
          CROSS JOIN remote_clusters
          CROSS JOIN generate_series($3, $4, make_interval(secs => step_seconds)) AS at
          CROSS JOIN LATERAL (
                     SELECT 6e10 + 5e9 * sin(id + extract(epoch FROM at)::float8 / 7200) + 1e9 * random() AS memory,
                            (400 * random())::integer::numeric / 100 AS load, 12 + (id + extract(epoch FROM at)::bigint / 7200) % 3 AS instances,
                            round((40 + 5 * sin(extract(epoch FROM at)::float8 / 86400) + random() / 10)::numeric, 1) AS local,
                            round((22 + random() / 5)::numeric, 1) AS remote) AS cluster
               WHERE step_seconds = $1 AND name LIKE $2 AND at < $4"
    );
    let time = async |sql: &str| -> OffsetDateTime {
        db.query_one(&format!("SELECT {sql}"), &[]).await.unwrap().try_get(0).unwrap()
    };
    let step = i16::try_from(step).unwrap();
    db.execute(&sql, &[&step, &names, &time(from).await, &time(to).await]).await.unwrap();
}

const RINGS: (&str, &str) = ("cluster_history", "cluster_history_series");
/// Where the previous release writes.
pub(super) const EARLIER: (&str, &str) = ("remote_cluster_history", "history_series");
/// The beginning of the hour in which the database is.
pub(super) const HOUR: &str = "date_bin('1 hour', now(), 'epoch')";
/// Blocks that are over and not packed.
pub(super) const UNPACKED: &str = "
    SELECT count(*) FROM cluster_history_series
     WHERE packed_until <> date_bin(make_interval(secs => step_seconds::integer * block), now(), 'epoch')";

/// A statement that waits for a lock.
const WAITING: &str = "
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

/// Waits until no hour is about to end or has just begun: blocks of minutes that are over stay the same for the rest of a test.
pub(super) async fn between_hours(database: &TestDatabase) {
    let db = database.connect().await;
    let sql = "SELECT extract(epoch FROM now())::bigint % 3600 BETWEEN 20 AND 3500";
    while !db.query_one(sql, &[]).await.unwrap().try_get::<_, bool>(0).unwrap() {
        db.batch_execute("SELECT pg_sleep(1)").await.unwrap();
    }
}

#[tokio::test]
async fn heartbeats_of_one_minute_share_a_row_with_average_and_maximum() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    // What the slots of this and the next minute held a round ago.
    let stale = "INSERT INTO cluster_history
         SELECT id, at - interval '2 hours', 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 120), 7, 9e9, 9e9, 9e9, 9, 9, 9, 9, 9, 9
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
    let rows = "SELECT jsonb_agg(to_jsonb(history) ORDER BY at) FROM cluster_history AS history
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
    let all = deployment.database.count("SELECT count(*) FROM cluster_history").await;
    assert_eq!(u64::try_from(all).unwrap(), slots, "a slot is overwritten, never added to");

    // Their number stops where the column ends.
    db.execute("UPDATE cluster_history SET heartbeats = 32767", &[]).await.unwrap();
    member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().success().unwrap();
    let most = "SELECT max(heartbeats)::bigint FROM cluster_history";
    assert_eq!(deployment.database.count(most).await, 32_767);
}

#[tokio::test]
async fn intervals_that_are_over_are_summed_up_once() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    for name in ["lyon", "oslo"] {
        drop(deployment.enrol(name).await);
    }
    drop(connector);
    fill(&deployment, "lyon", "-6 hours", 45).await;
    // `oslo` sent more heartbeats than a column counts.
    let db = deployment.database.connect().await;
    let busy = "INSERT INTO cluster_history
         SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 120), 32767, 1, 1, 1, NULL, NULL, 1, 1, 1, 1, '{}'
           FROM remote_clusters, date_bin('6 hours', now() - interval '6 hours', 'epoch') AS begin,
                generate_series(begin, begin + interval '2 min', '1 min') AS at WHERE name = 'oslo'";
    db.execute(busy, &[]).await.unwrap();
    db.batch_execute(
        "UPDATE cluster_history_series SET complete_until = date_bin('6 hours', now() - interval '6 hours', 'epoch')",
    )
    .await
    .unwrap();

    // Two units take turns; each interval is made once.
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _second = deployment.start(Service::ClusterConnector).await;
    let six_hours = "SELECT count(*) FROM cluster_history WHERE step_seconds = 21600";
    until_count(&deployment.database, six_hours, 2).await;
    let busy = "SELECT count(*) FROM cluster_history JOIN remote_clusters ON id = remote_cluster_id
                 WHERE name = 'oslo' AND step_seconds > 60 AND heartbeats = 32767 AND memory_avg = 1 AND load_avg IS NULL";
    assert_eq!(deployment.database.count(busy).await, 2);
    let rows = "SELECT jsonb_agg(to_jsonb(history) - 'remote_cluster_id' - 'slot' - 'at' ORDER BY step_seconds, at)
                  FROM cluster_history AS history JOIN remote_clusters ON id = remote_cluster_id
                 WHERE step_seconds > 60 AND name = 'lyon'";
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
}

pub(super) fn points(chart: &Value) -> &[Value] {
    chart["points"].as_array().unwrap()
}

pub(super) fn heartbeats(chart: &Value) -> i64 {
    points(chart).iter().map(|point| point["heartbeats"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn a_year_of_history_takes_160_kb_per_cluster() {
    const CLUSTERS: i64 = 12;
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let (database, db) = (&deployment.database, deployment.database.connect().await);
    let names: Vec<String> = (0..CLUSTERS).map(|n| format!("site-{n:02}")).collect();
    clusters(&db, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (step, length) in [(60, "24 hours"), (1800, "30 days"), (21_600, "365 days")] {
        let end = format!("date_bin('{step} s', now(), 'epoch')");
        record(&db, EARLIER, step, "%", &format!("{end} - interval '{length}'"), &end).await;
    }
    for (step, slots) in [(60, 120), (1800, 36), (21_600, 32)] {
        let end = format!("date_bin('{step} s', now(), 'epoch')");
        let from = format!("{end} - {slots} * interval '{step} s'");
        record(&db, RINGS, step, "%", &from, &end).await;
    }
    // Everything is still to be packed, longer intervals of the earlier table included.
    db.batch_execute(
        "UPDATE cluster_history_series
            SET earlier_until = now(), packed_until = date_bin(make_interval(secs => step_seconds::integer * block),
                                                               now() - make_interval(secs => step_seconds) * keep, 'epoch');
         ANALYZE",
    )
    .await
    .unwrap();
    let _connector = deployment.start(Service::ClusterConnector).await;
    until_count(database, UNPACKED, 0).await;
    let blocks = "SELECT count(*) FROM cluster_history_blocks WHERE octet_length(points) > 250";
    let packed = database.count(blocks).await;
    assert!(packed >= CLUSTERS * (23 + 59 + 51), "{packed}");
    let total = "SELECT (pg_total_relation_size('cluster_history') + pg_total_relation_size('cluster_history_blocks'))::bigint";
    let total = database.count(total).await;
    println!("{} bytes per cluster", total / CLUSTERS);
    assert!(total <= CLUSTERS * 160_000, "{} bytes per cluster", total / CLUSTERS);
}

#[tokio::test]
async fn a_changed_length_rewrites_nothing_and_deletes_whole_blocks_that_are_too_old() {
    let mut deployment = Deployment::new().await;
    let database = deployment.database.clone();
    between_hours(&database).await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = database.connect().await;
    clusters(&db, &["lyon", "oslo"]).await;
    record(&db, RINGS, 60, "%", &format!("{HOUR} - interval '1 hour'"), HOUR).await;
    db.batch_execute(&format!(
        "INSERT INTO cluster_history_blocks
              SELECT id, {HOUR} - n * interval '1 hour', 60, '\\x010000' FROM remote_clusters, generate_series(2, 400) AS n"
    ))
    .await
    .unwrap();
    let versions = async || -> Vec<String> {
        let rows = "SELECT ROW (ctid, xmin, xmax)::text FROM cluster_history WHERE step_seconds = 60 ORDER BY 1";
        db.query(rows, &[]).await.unwrap().iter().map(|row| row.try_get(0).unwrap()).collect()
    };
    let before = versions().await;
    for (hours, oldest) in [("48", 48), ("168", 48), ("1", 1)] {
        deployment.extra = vec![("HISTORY_MINUTES_HOURS", hours.into())];
        let _connector = deployment.start(Service::ClusterConnector).await;
        let kept = format!("SELECT count(*) FROM cluster_history_series WHERE keep = {hours} * 60");
        until_count(&database, &kept, 1).await;
        let too_old = format!(
            "SELECT count(*) FROM cluster_history_blocks WHERE begin < {HOUR} - {oldest} * interval '1 hour'"
        );
        until_count(&database, &too_old, 0).await;
        let left = database.count("SELECT count(*) FROM cluster_history_blocks").await;
        assert_eq!(left, 2 * (oldest - 1), "{hours} hours");
        assert_eq!(versions().await, before, "{hours} hours");
    }
}

#[tokio::test]
async fn a_block_has_whoever_reported_within_it_and_nobody_who_was_removed() {
    let deployment = Deployment::new().await;
    between_hours(&deployment.database).await;
    assert!(deployment.run(&["migrate"]).status.success());
    let (database, mut db) = (&deployment.database, deployment.database.connect().await);
    clusters(&db, &["gone", "going", "late", "silent", "whole"]).await;
    let hour = format!("{HOUR} - interval '1 hour'");
    for name in ["gone", "going", "whole"] {
        record(&db, RINGS, 60, name, &hour, HOUR).await;
    }
    record(&db, RINGS, 60, "late", &format!("{HOUR} - interval '7 min'"), HOUR).await;
    // What one that fell silent left a round ago.
    record(&db, RINGS, 60, "silent", &format!("{hour} - interval '2 hours'"), &hour).await;
    db.batch_execute("DELETE FROM remote_clusters WHERE name = 'gone'").await.unwrap();
    let back = "UPDATE cluster_history_series SET packed_until = packed_until - interval '1 hour' WHERE step_seconds = 60";
    db.batch_execute(back).await.unwrap();

    // A removal that is under way when the block is packed.
    let removal = db.transaction().await.unwrap();
    removal.batch_execute("DELETE FROM remote_clusters WHERE name = 'going'").await.unwrap();
    let _connector = deployment.start(Service::ClusterConnector).await;
    until_count(database, WAITING, 1).await;
    removal.commit().await.unwrap();
    until_count(database, UNPACKED, 0).await;
    let blocks = "SELECT string_agg(name, ' ' ORDER BY name) FROM cluster_history_blocks LEFT JOIN remote_clusters ON id = remote_cluster_id";
    let packed: String = db.query_one(blocks, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(packed, "late whole", "left out: removed before, removed meanwhile, silent");
    let rows = "SELECT string_agg(DISTINCT name, ' ' ORDER BY name), count(*) FROM cluster_history JOIN remote_clusters ON id = remote_cluster_id WHERE step_seconds = 60";
    let rows = db.query_one(rows, &[]).await.unwrap();
    // Of what the silent one left, half was in slots of this block; the rest goes with the next one.
    let (names, rows): (String, i64) = (rows.try_get(0).unwrap(), rows.try_get(1).unwrap());
    assert_eq!((names.as_str(), rows), ("late silent whole", 127));
}

#[tokio::test]
async fn packing_goes_on_where_a_killed_unit_was_and_two_units_pack_nothing_twice() {
    let deployment = Deployment::new().await;
    between_hours(&deployment.database).await;
    assert!(deployment.run(&["migrate"]).status.success());
    let (database, mut db) = (&deployment.database, deployment.database.connect().await);
    let names: Vec<String> = (0..600).map(|n| format!("site-{n:03}")).collect();
    clusters(&db, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    record(&db, RINGS, 60, "%", &format!("{HOUR} - interval '5 min'"), HOUR).await;
    let back = "UPDATE cluster_history_series SET packed_until = packed_until - interval '1 hour' WHERE step_seconds = 60";
    db.batch_execute(back).await.unwrap();

    // The first clusters are packed, the next ones wait for one of them.
    let holding = db.transaction().await.unwrap();
    holding
        .batch_execute("SELECT FROM remote_clusters WHERE name = 'site-300' FOR UPDATE")
        .await
        .unwrap();
    let mut connector = deployment.start(Service::ClusterConnector).await;
    until_count(database, WAITING, 1).await;
    connector.process.kill();
    holding.rollback().await.unwrap();
    let packed = "SELECT count(*) FROM cluster_history_blocks";
    assert_eq!(database.count(packed).await, 256);
    let cursor = "SELECT count(*) FROM remote_clusters JOIN cluster_history_series ON id = packed_cluster AND name = 'site-255'";
    assert_eq!(database.count(cursor).await, 1);
    let first = "SELECT min(xmin::text::bigint) FROM cluster_history_blocks";
    let before = database.count(first).await;

    let _units = [
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    ];
    until_count(database, UNPACKED, 0).await;
    assert_eq!(database.count(packed).await, 600);
    assert_eq!(database.count(first).await, before, "what was packed is not packed again");
}

#[tokio::test]
async fn a_connector_that_is_told_to_stop_does_not_wait_for_the_history() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = deployment.database.connect().await;
    clusters(&db, &["lyon"]).await;
    let half = "date_bin('30 min', now(), 'epoch') - interval '60 min'";
    record(&db, RINGS, 60, "%", half, &format!("{half} + interval '5 min'")).await;
    // Summing them up takes minutes.
    db.batch_execute(
        "ALTER VIEW cluster_history_rows RENAME TO quick_rows;
         CREATE VIEW cluster_history_rows AS
              SELECT quick_rows.* FROM quick_rows CROSS JOIN (SELECT pg_sleep(60) OFFSET 0) AS nap;
         UPDATE cluster_history_series SET complete_until = complete_until - interval '1 hour'",
    )
    .await
    .unwrap();
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let sleeping = "SELECT least(count(*), 1) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    deployment.database.until_count(sleeping, 1).await;
    let told = Instant::now();
    connector.process.signal("TERM");
    assert_eq!(connector.process.wait().await.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_removed_cluster_leaves_no_history() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let members = [deployment.enrol("lyon").await, deployment.enrol("oslo").await];
    fill(&deployment, "lyon", "-6 hours", 100).await;
    for member in &members {
        let sent = member.request("POST", STATUS_PATH, b"{}".to_vec()).await;
        sent.unwrap().success().unwrap();
    }
    let db = deployment.database.connect().await;
    // The oldest and the newest block of each series, and rows of the previous release.
    db.batch_execute(
        "INSERT INTO cluster_history_blocks
              SELECT id, date_bin(length, at, 'epoch'), step_seconds, ''
                FROM remote_clusters, cluster_history_series, make_interval(secs => step_seconds::integer * block) AS length,
                     unnest(ARRAY[now() - make_interval(secs => step_seconds) * keep, now()]) AS at;
         INSERT INTO remote_cluster_history
              SELECT id, now(), step_seconds, slot, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, '{}'
                FROM remote_clusters, history_series, unnest(ARRAY[0, slots - 1]) AS slot",
    )
    .await
    .unwrap();
    members[0].leave().await.unwrap();
    for table in ["cluster_history", "cluster_history_blocks", "remote_cluster_history"] {
        let left = format!("SELECT count(DISTINCT remote_cluster_id) FROM {table}");
        assert_eq!(deployment.database.count(&left).await, 1, "{table}");
        let known =
            format!("SELECT count(*) FROM {table} JOIN remote_clusters ON id = remote_cluster_id");
        assert!(
            deployment.database.count(&known).await > 0,
            "{table}: the other one keeps its own"
        );
    }
}

#[tokio::test]
async fn charts_get_at_most_500_points_from_the_series_that_reaches_back() {
    let mut deployment = Deployment::new().await;
    let _identity_provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _management = deployment.start(Service::ManagementApi).await;
    drop(deployment.enrol("lyon").await);
    let db = deployment.database.connect().await;
    // Whether they are packed by now or not makes no difference: nothing is summed up from them.
    db.batch_execute(
        "INSERT INTO remote_cluster_history
              SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 1440), 1, 1 + n, 1 + n, 10000, 2, 2, 3, 3, 5, 6,
                     json_build_object('local', json_build_array(n % 100, 100))
                FROM remote_clusters, generate_series(0, 719) AS n,
                     LATERAL (SELECT date_bin('6 hours', now(), 'epoch') - interval '12 hours' + n * interval '1 min') AS minute (at);
         INSERT INTO remote_cluster_history
              SELECT id, at, 1800, mod(floor(extract(epoch FROM at) / 1800)::bigint, 1440), 30, 500, 900, 10000, 1, 1, 3, 3, 5, 5, '{}'
                FROM remote_clusters, generate_series(date_bin('6 hours', now(), 'epoch') - interval '10 days',
                                                      date_bin('6 hours', now(), 'epoch') - interval '12 hours', '30 min') AS at
               WHERE at < date_bin('6 hours', now(), 'epoch') - interval '12 hours';
         UPDATE cluster_history_series
            SET packed_until = date_bin(make_interval(secs => step_seconds::integer * block), now() - interval '11 days', 'epoch');
         UPDATE cluster_history_series SET complete_until = date_bin('6 hours', now(), 'epoch') - interval '12 hours'
          WHERE step_seconds = 1800",
    )
    .await
    .unwrap();

    let mut operator = deployment.logged_in("admin@example.com").await;
    let day = operator.get("/1.0/fleet/history/lyon").await.metadata();
    assert_eq!(day["step_seconds"], 180, "{day}");
    assert!((240..=243).contains(&points(&day).len()), "{}", points(&day).len());
    assert_eq!(heartbeats(&day), 720);

    // Ten days: half hours, and minutes for what is not summed up yet.
    let from = (OffsetDateTime::now_utc() - time::Duration::days(10)).format(&Rfc3339).unwrap();
    let week = operator.get(&format!("/1.0/fleet/history/lyon?from={from}")).await.metadata();
    assert_eq!(week["step_seconds"], 1800);
    assert!(points(&week).len() <= 500);
    let half_hours = heartbeats(&week) - 720;
    assert!(half_hours % 30 == 0 && half_hours > 30 * 440, "{half_hours}");
    let last = points(&week).last().unwrap();
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
    between_hours(&deployment.database).await;
    let db = deployment.database.connect().await;
    // This half hour, the two before and the next one, should they begin meanwhile; and what was made while the clock was wrong.
    db.batch_execute(
        "INSERT INTO cluster_history
              SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, 120), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
                FROM remote_clusters, date_bin('30 min', now(), 'epoch') AS half,
                     generate_series(half - interval '60 min', half + interval '59 min', '1 min') AS at;
         INSERT INTO cluster_history_blocks
              SELECT id, now() + n * interval '1 hour', 60, '' FROM remote_clusters, generate_series(1, 300) AS n;
         UPDATE cluster_history_series
            SET complete_until = complete_until + interval '1 year', packed_until = packed_until + interval '1 year'",
    )
    .await
    .unwrap();
    let _connector = deployment.start(Service::ClusterConnector).await;
    let made = "SELECT least(count(*), 1) FROM cluster_history WHERE step_seconds = 1800";
    until_count(&deployment.database, made, 1).await;
    let ahead = "SELECT count(*) FROM cluster_history_series WHERE step_seconds > 60 AND complete_until > now()";
    until_count(&deployment.database, ahead, 0).await;
    // The last block is packed, and none is left of a time that has not come.
    until_count(&deployment.database, UNPACKED, 0).await;
    let blocks = "SELECT count(*) FROM cluster_history_blocks WHERE begin > now()";
    until_count(&deployment.database, blocks, 0).await;
    let last = format!(
        "SELECT count(*) FROM cluster_history_blocks WHERE step_seconds = 60 AND begin = {HOUR} - interval '1 hour' AND points > ''"
    );
    assert_eq!(deployment.database.count(&last).await, 1);
}
