//! Life of a deployment under load: restarts and faults (security properties REL-*).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster_simulator::{
    CertificateSpec, ClientError, ClientOptions, Identity, Member, Pin, STATUS_PATH,
};
use end_to_end_tests::{
    Balancer, DatabaseServer, Deployment, LossyDatabase, Service, Unit, rounds,
};
use tokio::task::JoinSet;
use tokio_postgres::Client;

/// Clusters that send heartbeats without a pause, each like a member: two new connections per heartbeat, no second attempt.
#[derive(Default)]
struct Load {
    members: JoinSet<(String, i64)>,
    failures: Arc<Mutex<Vec<String>>>,
    slowest_failure: Arc<Mutex<Duration>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// `of` clusters that reach their manager at `address`. The n-th heartbeat of each says that n bytes of memory are used.
    async fn start(deployment: &Deployment, of: usize, address: &str) -> Self {
        let mut load = Self::default();
        for n in 0..of {
            let name = format!("load-{n}");
            let member = deployment.enrol(&name).await;
            let mut pin = member.pin().clone();
            pin.addresses = vec![address.to_owned()];
            // Far longer than any answer takes: a connection that hangs is a failure like any other.
            let timeout = Some(Duration::from_secs(20));
            let member = Member::new(member.identity().clone(), pin)
                .with_options(ClientOptions { timeout, ..ClientOptions::default() });
            let failures = Arc::clone(&load.failures);
            let slowest = Arc::clone(&load.slowest_failure);
            let (sent, stop) = (Arc::clone(&load.sent), Arc::clone(&load.stop));
            load.members.spawn(async move {
                let (mut acknowledged, mut n) = (0, 0);
                while !stop.load(Ordering::SeqCst) {
                    n += 1;
                    let body = format!("{{\"memory_usage\":{n}}}").into_bytes();
                    let begin = Instant::now();
                    let failure = match member.request("POST", STATUS_PATH, body).await {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged = n;
                            sent.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                        Ok(answer) => {
                            let retry_after = answer.header("retry-after").unwrap_or("-");
                            format!("{} {retry_after} {}", answer.status, answer.body)
                        }
                        Err(error) => error.to_string(),
                    };
                    failures.lock().unwrap().push(failure);
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = begin.elapsed().max(*slowest);
                }
                (name, acknowledged)
            });
        }
        load
    }

    /// Waits for `more` heartbeats from now on.
    async fn continue_for(&self, more: u64) {
        let until = self.sent.load(Ordering::SeqCst) + more;
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.sent.load(Ordering::SeqCst) < until {
            let failures = || self.failures.lock().unwrap().last().cloned();
            assert!(Instant::now() < deadline, "the load has come to a halt: {:?}", failures());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for `more` failures from now on.
    async fn fail(&self, more: usize) {
        let until = self.failures.lock().unwrap().len() + more;
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.failures.lock().unwrap().len() < until {
            assert!(Instant::now() < deadline, "nobody is refused");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load. The answer has the last acknowledged heartbeat of each cluster and a line for each one that failed.
    async fn finish(self) -> (Vec<(String, i64)>, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let acknowledged = self.members.join_all().await;
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        (acknowledged, failures)
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
    for _ in 0..rounds(4, 10) {
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
    assert_eq!(load.finish().await.1, Vec::<String>::new());
}

/// Kills of two units under load, one after the other.
const KILLS: usize = 4;
/// Time until a cluster sends its next heartbeat after one that failed: the balancer has noticed by then, as it has after the minute of
/// a real member.
const PERIOD: Duration = Duration::from_secs(1);

#[tokio::test]
async fn rel_08_a_killed_unit_fails_one_heartbeat_of_a_cluster_at_most() {
    let deployment = Deployment::new().await;
    let mut units: Vec<Unit> = Vec::new();
    for _ in 0..2 {
        units.push(deployment.start(Service::ClusterConnector).await);
    }
    let listen = Balancer::free_address();
    let _balancer = Balancer::between_ready(&deployment, listen, &units).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let mut clusters = JoinSet::new();
    for n in 0..CLUSTERS {
        let member = deployment.enrol(&format!("load-{n}")).await;
        let mut pin = member.pin().clone();
        pin.addresses = vec![format!("localhost:{}", listen.port())];
        let member = Member::new(member.identity().clone(), pin);
        let (stop, tell) = (Arc::clone(&stop), tell.clone());
        clusters.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await;
                let is_stored = answer.is_ok_and(|answer| answer.status == 200);
                tell.send((n, is_stored)).unwrap();
                if !is_stored {
                    tokio::time::sleep(PERIOD).await;
                }
            }
        });
    }
    for kill in 0..KILLS {
        let unit = &mut units[kill % 2];
        unit.process.kill();
        let (mut failed, mut stored) = ([0; CLUSTERS], [0; CLUSTERS]);
        // Everybody is served by the other unit alone, also those whose heartbeat failed.
        while stored.iter().any(|stored| *stored < 10) {
            let (n, is_stored) = sent.recv().await.unwrap();
            *(if is_stored { &mut stored[n] } else { &mut failed[n] }) += 1;
        }
        assert!(failed.iter().all(|failed| *failed <= 1), "kill {kill}: {failed:?}");
        *unit = deployment.restart(unit).await;
        // The balancer asks ten times per second: by then both take part again, and none of these fails.
        for _ in 0..10 * CLUSTERS {
            assert!(sent.recv().await.unwrap().1, "{}", unit.process.log());
        }
    }
    stop.store(true, Ordering::SeqCst);
    clusters.join_all().await;
}

/// Clusters whose heartbeats never pause.
const CLUSTERS: usize = 6;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_03_postgresql_killed_and_restarted_under_load_loses_nothing_acknowledged() {
    let mut server = DatabaseServer::start().await;
    let deployment = Deployment::on(server.database.clone());
    let connector = deployment.start(Service::ClusterConnector).await;
    let address = deployment.connector_address().to_string();
    let load = Load::start(&deployment, 4, &address).await;
    let mut joined = Vec::new();
    for round in 0..2 {
        let tokens = [0, 1, 2].map(|n| deployment.token(&format!("join-{round}-{n}")));
        let mut joins = JoinSet::new();
        for token in tokens {
            let member = deployment.member(&token);
            joins.spawn(async move { (member.join(&token).await, token, member) });
        }
        load.continue_for(10 * round).await;
        tokio::task::block_in_place(|| server.kill());
        let mut lost = Vec::new();
        while let Some(outcome) = joins.join_next().await {
            let (result, token, member) = outcome.unwrap();
            match result {
                Ok(_) => joined.push(token),
                Err(ClientError::Refused(answer)) => {
                    assert_eq!(answer.status, 503, "{}", answer.body);
                    lost.push((token, member));
                }
                Err(error) => panic!("{error}"),
            }
        }
        // Whatever comes in meanwhile gets an answer that says when to come back.
        load.fail(4).await;
        let deadline = Instant::now() + Duration::from_mins(1);
        assert_eq!(connector.probe("/alive").await, Some(200));
        while connector.probe("/ready").await != Some(500) {
            assert!(Instant::now() < deadline, "it counts as ready without a database");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::block_in_place(|| server.start_again());
        let back = Instant::now();
        load.continue_for(1).await;
        assert!(back.elapsed() <= RECOVERY, "first heartbeat after {:?}", back.elapsed());
        load.continue_for(20).await;
        for (token, member) in lost {
            member.join(&token).await.expect("the token is as it was, or the join was");
            joined.push(token);
        }
    }
    nothing_is_lost(load, &server).await;
    assert_eq!(server.database.count("SELECT count(*) FROM remote_clusters").await, 4 + 6);
    assert_eq!(joined.len(), 6);
}

/// Longest time from the database's return to the first success, and for a refusal while it is away (security.md, REL-03).
const RECOVERY: Duration = Duration::from_secs(2);
const REFUSAL: Duration = Duration::from_secs(3);

/// Ends the load: what was acknowledged is there, and everybody else was told in time when to come back.
async fn nothing_is_lost(load: Load, server: &DatabaseServer) {
    let slowest = Arc::clone(&load.slowest_failure);
    let (acknowledged, failures) = load.finish().await;
    for failure in &failures {
        assert!(failure.starts_with("503 5 "), "{failure}");
    }
    let slowest = *slowest.lock().unwrap();
    assert!(slowest <= REFUSAL, "a refusal took {slowest:?}");
    for (name, last) in acknowledged {
        let stored = format!(
            "SELECT memory_usage FROM remote_cluster_details JOIN remote_clusters ON id = remote_cluster_id
              WHERE name = '{name}'"
        );
        assert!(server.database.count(&stored).await >= last, "{name}: {last} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_03_a_database_that_stands_still_is_noticed_within_three_seconds_and_its_return_within_two()
 {
    let mut server = DatabaseServer::start().await;
    let deployment = Deployment::on(server.database.clone());
    let connector = deployment.start(Service::ClusterConnector).await;
    let address = deployment.connector_address().to_string();
    let load = Load::start(&deployment, 4, &address).await;
    load.continue_for(20).await;
    let token = deployment.token("late");
    let late = deployment.member(&token);
    server.freeze();
    // Those that were being written, and then those that came later.
    load.fail(8).await;
    for _ in 0..2 {
        let begin = Instant::now();
        let refused = super::join::refusal(late.join(&token).await);
        assert_eq!(refused.0, 503, "{}", refused.1);
        assert!(begin.elapsed() <= REFUSAL, "a refusal took {:?}", begin.elapsed());
    }
    assert_eq!(connector.probe("/alive").await, Some(200));
    assert_eq!(connector.probe("/ready").await, Some(500));
    server.thaw();
    let back = Instant::now();
    load.continue_for(1).await;
    assert!(back.elapsed() <= RECOVERY, "first heartbeat after {:?}", back.elapsed());
    load.continue_for(20).await;
    late.join(&token).await.expect("the token is as it was");
    nothing_is_lost(load, &server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_03_idle_connections_that_died_are_given_up_together() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let _connector = deployment.start(Service::ClusterConnector).await;
    let gone = deployment.enrol("gone").await;
    gone.leave().await.unwrap();
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    for dies in [true, false] {
        use_all_connections(&deployment, &line, &gone).await;
        let begin = Instant::now();
        if dies {
            line.let_connections_die();
            member.join(&token).await.expect("a new connection works");
        } else {
            line.be_silent(true);
            let refused = super::join::refusal(member.join(&token).await);
            assert_eq!(refused.0, 503, "{}", refused.1);
        }
        assert!(begin.elapsed() <= REFUSAL, "it took {:?}", begin.elapsed());
    }
}

/// Has as many connections to the database as there may be, all of them used at the same time and idle then.
async fn use_all_connections(deployment: &Deployment, line: &LossyDatabase, gone: &Member) {
    let db = deployment.database.connect().await;
    // The database still has those that died on the way, as they were when they did.
    let begin = db.query_one("SELECT clock_timestamp()::text", &[]).await.unwrap();
    let held = format!(
        "SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND query = 'COMMIT' AND query_start > '{}'",
        begin.try_get::<_, String>(0).unwrap()
    );
    line.hold_commits(true);
    let mut leaving = JoinSet::new();
    for _ in 0..10 {
        let gone = gone.clone();
        leaving.spawn(async move { gone.leave().await.unwrap() });
    }
    deployment.database.until_count(&held, 10).await;
    line.hold_commits(false);
    leaving.join_all().await;
}

/// Enrols clusters with these certificates, by hand: `name-1` and so on.
pub(super) async fn enrol(db: &Client, name: &str, fingerprints: &[String]) {
    let enrol = "WITH cluster AS (
            INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
                 SELECT $1 || '-' || n, '', decode(fingerprint, 'hex'), now(), now() + interval '1 year'
                   FROM unnest($2::text[]) WITH ORDINALITY AS herd (fingerprint, n)
              RETURNING id
        ) INSERT INTO remote_cluster_details (remote_cluster_id) SELECT id FROM cluster";
    let enrolled = db.execute(enrol, &[&name, &fingerprints]).await.unwrap();
    assert_eq!(enrolled, fingerprints.len() as u64);
}

/// So many enrolled clusters. Their certificates are their own, on one key: making keys is what takes long.
pub(super) async fn herd(deployment: &Deployment, pin: &Pin, of: usize) -> Vec<Member> {
    let spec = CertificateSpec::lxd("herd");
    let key = Identity::from_spec(&spec).unwrap();
    let herd: Vec<Member> = (0..of)
        .map(|n| CertificateSpec { common_name: format!("root@herd-{n}"), ..spec.clone() })
        .map(|spec| Member::new(key.reissued(&spec).unwrap(), pin.clone()))
        .collect();
    let fingerprints: Vec<String> =
        herd.iter().map(|member| member.identity().fingerprint()).collect();
    enrol(&deployment.database.connect().await, "herd", &fingerprints).await;
    herd
}

/// Clusters that come back at once.
const HERD: usize = 150;

#[tokio::test]
async fn rel_12_all_clusters_that_return_at_once_are_served_with_the_default_limits() {
    let mut deployment = Deployment::new().await;
    for (name, default) in [
        ("RATE_LIMIT_REFILL_RATE", "1"),
        ("RATE_LIMIT_BUCKET_SIZE", "30"),
        ("RATE_LIMIT_UNKNOWN_PER_UNIT", "1000:5000"),
        ("RATE_LIMIT_PREFLIGHT_PER_ADDRESS", "50:50"),
        ("RATE_LIMIT_PREFLIGHT_PER_UNIT", "5000:5000"),
    ] {
        deployment.extra.push((name, default.into()));
    }
    let connector = deployment.start(Service::ClusterConnector).await;
    let pin = deployment.enrol("first").await.pin().clone();
    let herd = herd(&deployment, &pin, HERD).await;

    let mut returning = JoinSet::new();
    for member in herd {
        returning.spawn(async move { member.request("POST", STATUS_PATH, b"{}".to_vec()).await });
    }
    while let Some(answer) = returning.join_next().await {
        let answer = answer.unwrap().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let written = connector.scrape().await;
    let batches = written
        .lines()
        .find_map(|line| line.strip_prefix("cluster_manager_heartbeat_batch_size_count "))
        .unwrap();
    println!("{HERD} heartbeats in {batches} statements");
}
