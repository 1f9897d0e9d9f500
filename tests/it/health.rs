//! What the probes say (security property REL-14).

use std::time::{Duration, Instant};

use end_to_end_tests::{Deployment, LossyDatabase, Service, Unit};

const SERVICES: [Service; 2] = [Service::ManagementApi, Service::ClusterConnector];

async fn probes(unit: &Unit) -> [Option<u16>; 3] {
    [unit.probe("/alive").await, unit.probe("/ready").await, unit.probe("/status").await]
}

async fn until(unit: &Unit, wanted: [u16; 3]) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let found = probes(unit).await;
        if found == wanted.map(Some) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}, not {wanted:?}: {}", unit.process.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn rel_14_a_process_without_a_database_is_alive_and_not_ready() {
    let deployment = Deployment::new().await;
    let mut units = Vec::new();
    for service in SERVICES {
        units.push(deployment.start(service).await);
    }
    for unit in &units {
        until(unit, [200, 200, 200]).await;
    }
    deployment.database.close().await;
    for unit in &units {
        until(unit, [200, 500, 500]).await;
    }
    deployment.database.open().await;
    for unit in &units {
        until(unit, [200, 200, 200]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_14_a_database_that_does_not_answer_holds_up_no_question_for_life() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    for service in SERVICES {
        let unit = deployment.start(service).await;
        line.be_silent(true);
        until(&unit, [200, 500, 500]).await;
        // Questions for readiness wait for the database, and others do not wait for them.
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let probes = unit.probes;
            waiting.spawn(async move { tokio::net::TcpStream::connect(probes).await.is_ok() });
        }
        assert!(waiting.join_all().await.into_iter().all(|connected| connected));
        let answers =
            tokio::join!(unit.probe("/ready"), unit.probe("/alive"), unit.probe("/ready"));
        assert_eq!(answers, (Some(500), Some(200), Some(500)));
        line.be_silent(false);
        until(&unit, [200, 200, 200]).await;
    }
}

#[tokio::test]
async fn rel_14_a_process_that_waits_for_its_turn_to_migrate_is_alive_and_not_ready() {
    let deployment = Deployment::new().await;
    let db = deployment.database.connect().await;
    let lock = "SELECT pg_advisory_lock(x'4d434d6967726174'::bigint)";
    db.batch_execute(lock).await.unwrap();
    for service in SERVICES {
        let unit = deployment.launch(service);
        unit.until_log("another process migrates the database: waiting").await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while unit.probe("/alive").await != Some(200) {
            assert!(Instant::now() < deadline, "{}", unit.process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(unit.probe("/ready").await, Some(500), "the schema is not there yet");
    }
    let unit = deployment.launch(Service::ManagementApi);
    db.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    until(&unit, [200, 200, 200]).await;
}
