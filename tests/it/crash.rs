//! kill -9 at any moment: what was acknowledged is there, and nothing is there by halves.

use std::time::Duration;

use cluster_simulator::ClientError;
use end_to_end_tests::{Deployment, Service};

#[tokio::test]
async fn rel_01_a_join_cut_by_kill_9_leaves_a_usable_token_or_an_enrolled_cluster() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let (mut acknowledged, mut cut) = (0, 0);
    for round in 0..30_u64 {
        let token = deployment.token(&format!("lyon-{round}"));
        let member = deployment.member(&token);
        let joining = {
            let (member, token) = (member.clone(), token.clone());
            tokio::spawn(async move { member.join(&token).await })
        };
        // A join takes some 20 ms here; the kills are spread over it and a little beyond.
        tokio::time::sleep(Duration::from_millis(round % 15 * 2)).await;
        connector.process.kill();
        let name = format!("lyon-{round}");
        let joined = joining.await.unwrap();
        connector = deployment.start(Service::ClusterConnector).await;

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
        let halves = "SELECT count(*) FROM remote_clusters FULL JOIN remote_cluster_details ON id = remote_cluster_id
                       WHERE id IS NULL OR remote_cluster_id IS NULL";
        assert_eq!(deployment.database.count(halves).await, 0);
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
    assert!(
        acknowledged > 0 && cut > 0,
        "{acknowledged} acknowledged, {cut} cut: the kills miss the joins"
    );
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
