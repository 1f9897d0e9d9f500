//! What was recorded over months makes no request slower: nothing that people or clusters ask for reads the whole of it.

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service};
use reqwest::Method;
use serde_json::json;

/// The history of many clusters, sixty of which are still there, and the records of a busy year.
const FILL: &str = r"
    INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
         SELECT 'site-' || n, '', sha256(n::text::bytea), now(), now() + interval '1 year' FROM generate_series(1, 60) AS n;
    INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM remote_clusters ON CONFLICT DO NOTHING;
    INSERT INTO cluster_history
                (remote_cluster_id, at, step_seconds, slot, heartbeats, memory_avg, memory_max, memory_total, load_avg, load_max,
                 members_avg, members_max, instances_avg, instances_max, pools)
         SELECT id, minute, 60, mod(floor(extract(epoch FROM minute) / 60)::bigint, series.slots), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, '{}'
           FROM generate_series(1, 600) AS id, cluster_history_series AS series,
                generate_series(date_trunc('minute', now()) - interval '115 min', date_trunc('minute', now()) - interval '5 min', '1 min') AS minute
          WHERE series.step_seconds = 60;
    INSERT INTO cluster_history_blocks
         SELECT id, begin, step_seconds, '\x010000'
           FROM generate_series(1, 600) AS id, cluster_history_series AS series, make_interval(secs => step_seconds::integer * block) AS length,
                generate_series(date_bin(length, now() - make_interval(secs => step_seconds) * keep, 'epoch'),
                                date_bin(length, now(), 'epoch') - length, length) AS begin;
    INSERT INTO audit_events (at, actor_kind, actor, actor_name, source, event, object, outcome, request_id)
         SELECT now() - n * interval '5 min', 'operator', 'somebody-' || n % 50, '', '', 'cluster.changed', 'site-' || n % 60, 'success', ''
           FROM generate_series(1, 60000) AS n;
    ANALYZE";

/// How often everything is asked for.
const TIMES: i64 = 30;

#[tokio::test]
async fn no_request_reads_the_whole_history_or_the_whole_audit_log() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = deployment.database.connect().await;
    db.batch_execute(FILL).await.unwrap();
    let counted = async |column: &str, table: &str| {
        let sql = format!(
            "SELECT coalesce(sum({column}), 0)::bigint FROM pg_stat_user_tables WHERE relname = '{table}'"
        );
        deployment.database.count(&sql).await
    };
    let mut manager = deployment.start(Service::ManagementApi).await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    for _ in 0..TIMES {
        for path in [
            "/1.0/remote-cluster",
            "/1.0/remote-cluster/site-7",
            "/1.0/fleet/clusters",
            "/1.0/fleet/summary",
            "/1.0/fleet/history",
            "/1.0/fleet/history/site-7",
            "/1.0/warnings",
            "/1.0/audit",
            "/1.0/audit?object=site-7&limit=20",
            "/1.0/audit?event=login&limit=20",
            "/1.0/audit?actor=somebody-7&limit=20",
        ] {
            assert_eq!(admin.get(path).await.status, 200, "{path}");
        }
        let change = json!({"description": "changed"});
        let path = "/1.0/remote-cluster/lyon";
        assert_eq!(admin.send(Method::PATCH, path, Some(&change)).await.status, 200);
        let sent = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(sent.status, 200, "{}", sent.body);
    }
    // Connections that end tell PostgreSQL's statistics what they have read.
    for unit in [&mut manager, &mut connector] {
        unit.process.signal("TERM");
        unit.process.wait().await;
    }
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'microcloud%'";
    deployment.database.until_count(connected, 0).await;
    for (table, rows) in
        [("audit_events", 60_000), ("cluster_history", 60_000), ("cluster_history_blocks", 70_000)]
    {
        // To count them would be to read them all.
        let estimate = format!("SELECT reltuples::bigint FROM pg_class WHERE relname = '{table}'");
        assert!(deployment.database.count(&estimate).await > rows / 2);
        let by_index = counted("idx_scan", table).await;
        assert!(by_index >= TIMES, "{table}: the statistics know {by_index} looks into an index");
        let read = counted("seq_tup_read", table).await;
        assert!(read < rows, "{read} rows of {table} were read one after the other");
    }
}
