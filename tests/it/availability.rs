//! Life of a deployment under load: restarts, faults, renewals (security properties REL-*).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster_simulator::{ClientError, ClientOptions, Member, STATUS_PATH};
use end_to_end_tests::{Balancer, Deployment, Service, Unit};
use tokio::task::JoinSet;

/// Clusters that send heartbeats without a pause, each like a member: two new connections per heartbeat, no second attempt.
#[derive(Default)]
struct Load {
    members: JoinSet<()>,
    failures: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// `of` clusters that reach their manager at `address`.
    async fn start(deployment: &Deployment, of: usize, address: &str) -> Self {
        let mut load = Self::default();
        for n in 0..of {
            let member = deployment.enrol(&format!("load-{n}")).await;
            let mut pin = member.pin().clone();
            pin.addresses = vec![address.to_owned()];
            // Far longer than any answer takes: a connection that hangs is a failure like any other.
            let options = ClientOptions {
                timeout: Some(Duration::from_secs(20)),
                ..ClientOptions::default()
            };
            let member = Member::new(member.identity().clone(), pin).with_options(options);
            let (failures, sent, stop) =
                (Arc::clone(&load.failures), Arc::clone(&load.sent), Arc::clone(&load.stop));
            load.members.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match member.request("POST", STATUS_PATH, b"{}".to_vec()).await {
                        Ok(answer) if answer.status == 200 => {
                            sent.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(answer) => failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {}", answer.status, answer.body)),
                        Err(error) => failures.lock().unwrap().push(error.to_string()),
                    }
                }
            });
        }
        load
    }

    /// Waits for `more` heartbeats from now on.
    async fn continue_for(&self, more: u64) {
        let until = self.sent.load(Ordering::SeqCst) + more;
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.sent.load(Ordering::SeqCst) < until {
            assert!(
                Instant::now() < deadline,
                "the load has come to a halt: {:?}",
                self.failures.lock().unwrap().last()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load. The answer has a line for each heartbeat that failed.
    async fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.members.join_all().await;
        std::mem::take(&mut *self.failures.lock().unwrap())
    }
}

#[tokio::test]
async fn rel_08_units_restart_one_after_the_other_without_a_failed_heartbeat() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("SHUTDOWN_DRAIN_SECONDS", "1".into()));
    let mut units: Vec<Unit> = Vec::new();
    for _ in 0..2 {
        units.push(deployment.start(Service::ClusterConnector).await);
    }
    let listen = Balancer::free_address();
    let _balancer = Balancer::between_ready(&deployment, listen, &units).await;
    let load = Load::start(&deployment, 6, &format!("localhost:{}", listen.port())).await;
    load.continue_for(20).await;
    for _ in 0..2 {
        for unit in &mut units {
            unit.process.signal("TERM");
            assert_eq!(unit.process.wait().await.code(), Some(0), "{}", unit.process.log());
            let alone = load.sent.load(Ordering::SeqCst);
            load.continue_for(20).await;
            assert!(load.sent.load(Ordering::SeqCst) > alone, "one unit bears the load");
            *unit = deployment.restart(unit).await;
            // The balancer asks ten times per second: by then both take part again.
            load.continue_for(60).await;
        }
    }
    assert_eq!(load.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn rel_08_a_draining_unit_is_not_ready_and_still_answers() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("SHUTDOWN_DRAIN_SECONDS", "300".into()));
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    connector.process.signal("TERM");
    let deadline = Instant::now() + Duration::from_secs(10);
    while connector.probe("/ready").await != Some(500) {
        assert!(Instant::now() < deadline, "{}", connector.process.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(connector.probe("/alive").await, Some(200));
    assert_eq!(connector.probe("/status").await, Some(200));
    let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    connector.process.signal("TERM");
    assert_eq!(connector.process.wait().await.code(), Some(0), "a second signal ends it");
    let gone = member.request("POST", STATUS_PATH, b"{}".to_vec()).await;
    assert!(matches!(gone, Err(ClientError::Connect { .. })), "{gone:?}");
}
