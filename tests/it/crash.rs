//! kill -9 at any moment: what was acknowledged is there, and nothing is there by halves.

use std::time::{Duration, Instant};

use cluster_simulator::ClientError;
use end_to_end_tests::{Deployment, LossyDatabase, Service, rounds};
use tokio::task::JoinSet;

/// Joins per kill: 300 with 60 kills.
const JOINS: u64 = 5;

#[tokio::test]
async fn rel_01_joins_cut_by_kill_9_leave_usable_tokens_or_enrolled_clusters() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let (mut acknowledged, mut cut) = (0, 0);
    let begin = Instant::now();
    drop(deployment.enrol("first").await);
    let two_joins = begin.elapsed().max(Duration::from_millis(40)); // the token took some of it
    for round in 0..rounds(60, 1_000) {
        let mut joining = JoinSet::new();
        for n in 0..JOINS {
            let name = format!("lyon-{round}-{n}");
            let token = deployment.token(&name);
            let member = deployment.member(&token);
            joining.spawn(async move {
                // Spread, so that a kill finds them in different places.
                tokio::time::sleep(Duration::from_millis(7 * n)).await;
                let joined = member.join(&token).await;
                (name, token, member, joined)
            });
        }
        // The kills are spread over the joins and a little beyond.
        tokio::time::sleep(two_joins / 20 * u32::try_from(round % 20).unwrap()).await;
        connector.process.kill();
        let outcomes = joining.join_all().await;
        connector = deployment.restart(&connector).await;

        for (name, token, member, joined) in outcomes {
            let clusters = format!("SELECT count(*) FROM remote_clusters WHERE name = '{name}'");
            let enrolled = deployment.database.count(&clusters).await;
            match joined {
                Ok(_) => {
                    acknowledged += 1;
                    assert_eq!(enrolled, 1, "an acknowledged join is there");
                }
                Err(ClientError::Refused(answer)) => panic!("refused: {}", answer.body),
                Err(_) => cut += 1,
            }
            let consumed = format!(
                "SELECT count(*) FROM join_tokens WHERE cluster_name = '{name}' AND consumed_at IS NOT NULL"
            );
            assert_eq!(
                deployment.database.count(&consumed).await,
                enrolled,
                "token and cluster change together"
            );
            member.join(&token).await.expect("the same command works the second time");
            assert_eq!(deployment.database.count(&clusters).await, 1);
        }
    }
    let halves = "SELECT count(*) FROM remote_clusters FULL JOIN remote_cluster_details ON id = remote_cluster_id
                   WHERE id IS NULL OR remote_cluster_id IS NULL";
    assert_eq!(deployment.database.count(halves).await, 0);
    assert!(
        acknowledged > 0 && cut > 0,
        "{acknowledged} acknowledged, {cut} cut: the kills miss the joins"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_07_a_join_that_was_committed_and_not_answered_succeeds_the_second_time() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let mut connector = deployment.start(Service::ClusterConnector).await;
    for way in ["killed", "hung-up"] {
        let token = deployment.token(way);
        let member = deployment.member(&token);
        line.hold_commits(true);
        let (joining, with) = (member.clone(), token.clone());
        let joining = tokio::spawn(async move { joining.join(&with).await });
        let clusters = format!("SELECT count(*) FROM remote_clusters WHERE name = '{way}'");
        deployment.database.until_count(&clusters, 1).await;
        if way == "killed" {
            connector.process.kill();
            let cut = joining.await.unwrap();
            assert!(matches!(cut, Err(ClientError::NoAnswer { .. })), "{cut:?}");
        } else {
            joining.abort();
            assert!(joining.await.unwrap_err().is_cancelled(), "nobody answered");
        }
        line.hold_commits(false);
        if way == "killed" {
            connector = deployment.restart(&connector).await;
        }
        member.join(&token).await.expect("the same command works the second time");
        assert_eq!(deployment.database.count(&clusters).await, 1);
        let stranger = deployment.member(&token).join(&token).await;
        assert_eq!(super::join::refusal(stranger), (403, "Forbidden".into()), "{way}");
    }
    let joined =
        "SELECT count(*) FROM audit_events WHERE event = 'cluster.joined' AND outcome = 'success'";
    assert_eq!(deployment.database.count(joined).await, 2, "each of them once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_08_a_database_that_holds_up_a_stop_costs_no_tunnel_its_goodbye() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut tunnel = member.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    line.hold_commits(true);
    connector.process.signal("TERM");
    assert_eq!(tunnel.goodbye().await, Some((1001, "the service stops".into())));
    assert_eq!(connector.process.wait().await.code(), Some(0), "{}", connector.process.log());
}

#[tokio::test]
async fn rel_08_a_stopping_service_finishes_its_requests_and_ends_with_success() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    connector.process.signal("TERM");
    assert_eq!(connector.process.wait().await.code(), Some(0), "{}", connector.process.log());
    let _again = deployment.start(Service::ClusterConnector).await;
    member.leave().await.unwrap();
}

#[tokio::test]
async fn rel_08_a_service_that_is_told_to_stop_while_it_starts_stops() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let db = deployment.database.connect().await;
    // What each of them writes before it listens, and the schema is up to date.
    for (service, table) in
        [(Service::ClusterConnector, "units"), (Service::ManagementApi, "audit_events")]
    {
        db.batch_execute(&format!("BEGIN; LOCK TABLE {table}")).await.unwrap();
        let mut unit = deployment.launch(service);
        let waits = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND wait_event_type = 'Lock'";
        deployment.database.until_count(waits, 1).await;
        unit.process.signal("TERM");
        db.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(unit.process.wait().await.code(), Some(0), "{}", unit.process.log());
    }
}
