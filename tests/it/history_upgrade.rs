//! The history that the previous release has written.

use end_to_end_tests::{Deployment, Operator, Service};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Client;

use super::history::{
    EARLIER, HOUR, UNPACKED, between_hours, clusters, heartbeats, points, record, until_count,
};

/// What charts show of a cluster: the last day, month and year, up to the last six hours that are over.
async fn charts(operator: &mut Operator, db: &Client, cluster: &str) -> Vec<Value> {
    let end = "SELECT date_bin('6 hours', now(), 'epoch')";
    let end: OffsetDateTime = db.query_one(end, &[]).await.unwrap().try_get(0).unwrap();
    let mut charts = Vec::new();
    for hours in [17, 24 * 29, 24 * 358] {
        let [from, to] =
            [end - time::Duration::hours(hours), end].map(|time| time.format(&Rfc3339).unwrap());
        let path = format!("/1.0/fleet/history/{cluster}?from={from}&to={to}");
        charts.push(operator.get(&path).await.metadata());
    }
    charts
}

#[tokio::test]
async fn the_history_of_the_previous_release_stays_to_the_last_point_and_its_room_is_given_back() {
    let mut deployment = Deployment::new().await;
    let database = deployment.database.clone();
    between_hours(&database).await;
    let mut db = database.connect().await;
    db.batch_execute("CREATE SCHEMA cluster_manager").await.unwrap();
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let earlier = refinery::load_sql_migrations(migrations).unwrap();
    refinery::Runner::new(&earlier)
        .set_target(refinery::Target::Version(11))
        .run_async(&mut db)
        .await
        .unwrap();

    // A day of minutes with a gap, a month of half hours, a year of six hours.
    clusters(&db, &["lyon", "oslo", "rome"]).await;
    let six = "date_bin('6 hours', now(), 'epoch')";
    for (step, from) in [(60, "24 hours"), (1800, "30 days"), (21_600, "365 days")] {
        let end = if step == 60 { "date_trunc('minute', now())" } else { six };
        let from = format!("{end} - interval '{from}' + interval '{step} s'");
        record(&db, EARLIER, step, "%", &from, end).await;
    }
    let gap = format!(
        "DELETE FROM remote_cluster_history WHERE step_seconds = 60 AND at >= {six} - interval '5 hours' AND at < {six} - interval '160 min'"
    );
    assert_eq!(db.execute(&gap, &[]).await.unwrap(), 3 * 140);
    let sums =
        "UPDATE history_series SET complete_until = date_bin('6 hours', now(), 'epoch'); ANALYZE";
    db.batch_execute(sums).await.unwrap();

    // Until a connector comes, everything is read where it is.
    let _provider = deployment.start_identity_provider().await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.logged_in("admin@example.com").await;
    let before = charts(&mut operator, &db, "lyon").await;
    let counts: Vec<_> =
        before.iter().map(|chart| (points(chart).len(), heartbeats(chart))).collect();
    assert_eq!(before[0]["step_seconds"], 180);
    assert_eq!(counts, [(340 - 46, 17 * 60 - 140), (464, 29 * 24 * 60), (478, 358 * 24 * 60)]);

    // A minute in which the previous release and this one received heartbeats.
    let both = |table: &str, slots: i32, at: &str, heartbeats: i32, memory: i32| {
        format!(
            "INSERT INTO {table}
                  SELECT id, at, 60, mod(floor(extract(epoch FROM at) / 60)::bigint, {slots}), {heartbeats}, {memory}, {memory}, 100, 1, 1,
                         1, 1, 1, 1, '{{\"local\":[{memory}, 50]}}'
                    FROM remote_clusters, CAST({at} AS timestamptz) AS at WHERE name = 'rome'"
        )
    };
    let minute = format!("{HOUR} - interval '45 min'");
    db.batch_execute(&format!("DELETE FROM remote_cluster_history WHERE step_seconds = 60 AND at = {minute} AND remote_cluster_id = 3"))
        .await
        .unwrap();
    db.batch_execute(&both("remote_cluster_history", 1440, &minute, 3, 10)).await.unwrap();
    db.batch_execute(&both("cluster_history", 120, &minute, 1, 30)).await.unwrap();
    let of_minute = async |operator: &mut Operator| {
        let from: OffsetDateTime =
            db.query_one(&format!("SELECT {minute}"), &[]).await.unwrap().try_get(0).unwrap();
        let [from, to] =
            [from, from + time::Duration::MINUTE].map(|time| time.format(&Rfc3339).unwrap());
        let path = format!("/1.0/fleet/history/rome?from={from}&to={to}");
        let chart = operator.get(&path).await.metadata();
        assert_eq!(heartbeats(&chart), 4, "{chart}");
        assert_eq!(points(&chart)[0]["memory"], json!({"avg": 15.0, "max": 30.0}), "{chart}");
        assert_eq!(points(&chart)[0]["storage"]["local"], json!({"avg": 15.0, "max": 50.0}));
    };
    of_minute(&mut operator).await;

    let connector = deployment.start(Service::ClusterConnector).await;
    until_count(&database, UNPACKED, 0).await;
    let blocks = "SELECT count(DISTINCT (step_seconds, begin)) FROM cluster_history_blocks";
    assert!(database.count(blocks).await >= 130);
    assert_eq!(charts(&mut operator, &db, "lyon").await, before, "packed, nothing has changed");
    of_minute(&mut operator).await;

    // The previous release has written within the last two hours, and some of its longer intervals are not packed.
    drop(connector);
    let size = "SELECT least(pg_relation_size('remote_cluster_history'), 1)";
    assert_eq!(database.count(size).await, 1);
    let recent = "DELETE FROM remote_cluster_history WHERE step_seconds = 60 AND at > now() - interval '130 min'";
    db.batch_execute(recent).await.unwrap();
    let packed =
        "UPDATE cluster_history_series SET earlier_until = packed_until WHERE step_seconds > 60";
    db.batch_execute(packed).await.unwrap();
    let _connector = deployment.start(Service::ClusterConnector).await;
    until_count(&database, size, 0).await;
    let year = &charts(&mut operator, &db, "oslo").await[2];
    assert!(
        points(year).len() >= 468,
        "all but what this test has given up: {}",
        points(year).len()
    );

    db.batch_execute("DELETE FROM remote_clusters WHERE name = 'lyon'").await.unwrap();
    let left = "SELECT count(DISTINCT remote_cluster_id) FROM cluster_history_blocks";
    assert_eq!(database.count(left).await, 2);
    let left = "SELECT count(DISTINCT remote_cluster_id) FROM cluster_history_rows";
    assert!(database.count(left).await <= 2);
}
