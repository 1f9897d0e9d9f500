//! Every request has its answer in time, whatever the database does (security property LIM-06).

use std::time::{Duration, Instant};

use cluster_simulator::{Answer, ClientError, STATUS_PATH};
use end_to_end_tests::{Deployment, LossyDatabase, Running, Service};

/// That of an answer, also of one that a member takes for an error.
fn status(answer: Result<Answer, ClientError>) -> u16 {
    match answer {
        Ok(answer) => answer.status,
        Err(ClientError::Refused(answer)) => answer.status,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn lim_06_every_route_answers_while_the_database_is_frozen() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, oslo) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    let token = deployment.token("late");
    let late = deployment.member(&token);
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_clusters, remote_cluster_details, join_tokens")
        .await
        .unwrap();
    let bounded = async {
        tokio::join!(
            async { status(late.join(&token).await) },
            async { status(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await) },
            async { status(oslo.leave().await) },
        )
    };
    let statuses = tokio::time::timeout(Duration::from_secs(30), bounded).await;
    assert_eq!(statuses.expect("each route has its bound"), (503, 503, 503));
    assert_eq!(connector.probe("/alive").await, Some(200));
    db.batch_execute("ROLLBACK").await.unwrap();
    late.join(&token).await.expect("nothing of the refused join remains");
    assert_eq!(oslo.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_06_every_route_answers_while_the_line_to_the_database_is_dead() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let running = Running::of(deployment).await;
    let Running {
        deployment,
        manager: _manager,
        connector: _connector,
        provider: _provider,
        mut ada,
    } = running;
    let (lyon, oslo) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    let token = deployment.token("late");
    let late = deployment.member(&token);
    assert_eq!(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    line.be_silent(true);
    let asked = async |path: &str| ada.clone().get(path).await.status;
    let statuses = async {
        tokio::join!(
            async { status(late.join(&token).await) },
            async { status(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await) },
            async { status(oslo.leave().await) },
            asked("/1.0/remote-cluster"),
            asked("/1.0/remote-cluster/lyon"),
            asked("/1.0/fleet/clusters"),
        )
    };
    let bounded = tokio::time::timeout(Duration::from_secs(40), statuses).await;
    assert_eq!(bounded.expect("each route has its bound"), (503, 503, 503, 503, 503, 503));
    line.be_silent(false);
    let deadline = Instant::now() + Duration::from_secs(30);
    while lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status != 200 {
        assert!(Instant::now() < deadline, "heartbeats are not taken again");
    }
    assert_eq!(ada.get("/1.0/remote-cluster").await.status, 200);
}

#[tokio::test]
async fn lim_06_an_answer_takes_no_longer_than_the_setting_says() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("LIMITS", "connector-answer-seconds=1".into()));
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_cluster_details").await.unwrap();
    let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("the service takes too long"), "{}", answer.body);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("connection"), Some("close"));
    db.batch_execute("ROLLBACK").await.unwrap();
    // The heartbeat was not taken away with its request: the next one is stored beside it.
    let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}
