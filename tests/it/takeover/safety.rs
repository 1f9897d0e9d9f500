//! A takeover happens once and as a whole, whatever runs beside it and whenever it is cut short.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cluster_simulator::JoinToken;
use end_to_end_tests::{Deployment, Earlier, Service, program};

use super::{clusters, heartbeat, member, run};

#[tokio::test]
async fn a_second_takeover_changes_nothing_and_brings_nothing_back() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    let kept = earlier.enrolled("kept").await;
    let removed = earlier.enrolled("removed").await;
    let token = earlier.token(&deployment, "joined").await;
    earlier.token(&deployment, "revoked").await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    assert!(deployment.run(&["clusters", "remove", "removed"]).status.success());
    assert!(deployment.run(&["tokens", "revoke", "revoked"]).status.success());
    let token = JoinToken::decode(&token).unwrap();
    deployment.member(&token).join(&token).await.unwrap();
    assert_eq!(heartbeat(&member(&deployment, &kept)).await, 200);
    connector.process.kill();
    let db = deployment.database.connect().await;
    // As when a long time has passed: nothing remembers the removal but the record of the takeover.
    db.batch_execute("DELETE FROM removed_clusters; DELETE FROM join_tokens").await.unwrap();
    let before = dump(&deployment).await;

    let connector = deployment.start(Service::ClusterConnector).await;
    assert!(!connector.process.log().contains("took over"), "{}", connector.process.log());
    let (code, report) = run(&deployment, &["takeover", "--apply"]);
    assert_eq!((code, &report["clusters"]["already"]), (Some(0), &2.into()));
    assert_eq!(report["tokens"]["already"], 2);
    assert_eq!(dump(&deployment).await, before);
    assert_eq!(heartbeat(&member(&deployment, &removed)).await, 403);
    assert_eq!(heartbeat(&member(&deployment, &kept)).await, 200);
}

#[tokio::test]
async fn what_the_earlier_product_enrols_during_the_change_comes_with_the_next_start() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    earlier.enrolled("first").await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let late = earlier.enrolled("late").await;
    assert_eq!(heartbeat(&member(&deployment, &late)).await, 403);
    let (code, status) = run(&deployment, &["status"]);
    assert_eq!((code, &status["takeover"]["waiting_clusters"]), (Some(3), &1.into()));
    connector.process.kill();
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(heartbeat(&member(&deployment, &late)).await, 200);
    assert_eq!(clusters(&deployment).len(), 2);
}

#[tokio::test]
async fn rel_09_units_that_start_together_take_over_once() {
    let deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    for n in 0..5 {
        earlier.enrolled(&format!("cluster-{n}")).await;
        earlier.token(&deployment, &format!("token-{n}")).await;
    }
    // Whoever starts finds the first connector's port taken, so that each unit gets one of its own.
    let _taken = std::net::TcpListener::bind(deployment.connector_address()).unwrap();
    let mut units: Vec<_> = (0..3).map(|_| deployment.launch(Service::ClusterConnector)).collect();
    let commands: Vec<_> = (0..3)
        .map(|_| {
            let mut command = Command::new(program("microcloud-cluster-manager"));
            command.args(["takeover", "--apply"]).env_clear().envs(deployment.settings());
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for unit in &mut units {
        unit.until_ready().await;
    }
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    let count = async |sql: &str| deployment.database.count(sql).await;
    assert_eq!(count("SELECT count(*) FROM takeovers").await, 1);
    assert_eq!(count("SELECT count(*) FROM remote_clusters").await, 5);
    assert_eq!(count("SELECT count(*) FROM remote_cluster_details").await, 5);
    assert_eq!(count("SELECT count(*) FROM join_tokens").await, 5);
}

#[tokio::test]
async fn rel_01_a_takeover_cut_by_kill_9_leaves_nothing_by_halves() {
    let mut deployment = Deployment::new().await;
    let earlier = Earlier::new(&deployment).await;
    for n in 0..600 {
        earlier.cluster(&format!("sample-{n}"), &format!("cert-{n}")).await;
    }
    let identity = earlier.enrolled("lyon").await;
    earlier.token(&deployment, "quito").await;
    let old = earlier.dump().await;
    deployment.extra = vec![("TAKEOVER", "off".into())];
    assert!(deployment.run(&["migrate"]).status.success());
    deployment.extra.clear();
    let empty = dump(&deployment).await;

    // A lock holds the takeover at each of the tables that it writes, in its own order; then it is killed.
    for table in
        ["remote_clusters", "remote_cluster_details", "join_tokens", "takeovers", "takeover_rows"]
    {
        let holder = deployment.database.connect().await;
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).await.unwrap();
        let mut connector = deployment.launch(Service::ClusterConnector);
        until_waiting(&deployment, table).await;
        connector.process.kill();
        holder.batch_execute("ROLLBACK").await.unwrap();
        until_alone(&deployment).await;
        assert_eq!(dump(&deployment).await, empty, "killed before {table}");
    }
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(heartbeat(&member(&deployment, &identity)).await, 200);
    let count = async |sql: &str| deployment.database.count(sql).await;
    assert_eq!(count("SELECT count(*) FROM takeover_rows WHERE outcome = 'refused'").await, 600);
    assert_eq!(count("SELECT count(*) FROM takeover_rows WHERE outcome = 'copied'").await, 2);
    assert_eq!(earlier.dump().await, old);
}

/// Everything in our tables but the history, which a running connector keeps up by the clock.
async fn dump(deployment: &Deployment) -> String {
    let dump = deployment.database.dump().await;
    // What a running service writes all the time.
    let moving = ["history", "units: "];
    let stays = |line: &&str| !moving.iter().any(|word| line.contains(word));
    dump.lines().filter(stays).collect::<Vec<_>>().join("\n")
}

/// Waits until a connection waits for the lock on a table.
async fn until_waiting(deployment: &Deployment, table: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = 'cluster_manager.{table}'::regclass AND NOT granted"
    );
    until(deployment, &sql, |count| count > 0).await;
}

/// Waits until PostgreSQL has noticed that the killed process is gone.
async fn until_alone(deployment: &Deployment) {
    let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE 'microcloud-cluster-manager%'";
    until(deployment, sql, |count| count == 0).await;
}

async fn until(deployment: &Deployment, sql: &str, is_reached: impl Fn(i64) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_reached(deployment.database.count(sql).await) {
        assert!(Instant::now() < deadline, "never reached: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
