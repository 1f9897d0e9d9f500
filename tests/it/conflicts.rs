//! Transactions that get in each other's way, and commits that nobody hears of (security properties REL-15, REL-16, REL-02).

use std::time::{Duration, Instant};

use cluster_simulator::{ClientError, JoinToken, Member, Request, STATUS_PATH};
use end_to_end_tests::{
    Answer, Deployment, LossyDatabase, MockProvider, Operator, Running, Service, Unit,
};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

const TOKENS: &str = "/1.0/remote-cluster-join-token";
const CLUSTER: &str = "/1.0/remote-cluster/lyon";

/// Has PostgreSQL undo transactions as if others were in the way. A sequence forgets nothing when a transaction is undone.
const OBSTACLE: &str = "
    CREATE SEQUENCE obstacles;
    CREATE TABLE obstacle (code text, times bigint);
    INSERT INTO obstacle VALUES ('40001', 0);
    CREATE FUNCTION be_in_the_way() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
        wanted obstacle%ROWTYPE;
    BEGIN
        SELECT * FROM obstacle INTO wanted;
        IF nextval('obstacles') <= wanted.times THEN
            RAISE EXCEPTION 'in the way' USING ERRCODE = wanted.code;
        END IF;
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER obstacle AFTER INSERT ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION be_in_the_way();
    CREATE TRIGGER obstacle AFTER UPDATE ON remote_cluster_details FOR EACH STATEMENT EXECUTE FUNCTION be_in_the_way();";

/// Everything that changes something, with the record that it leaves.
const OPERATIONS: [(&str, &str); 8] = [
    ("token", "join-token.created"),
    ("revoke", "join-token.revoked"),
    ("join", "cluster.joined"),
    ("heartbeat", ""),
    ("change", "cluster.changed"),
    ("login", "login"),
    ("leave", "cluster.left"),
    ("remove", "cluster.removed"),
];

/// A deployment in which every operation can succeed.
struct Stage {
    ada: Operator,
    member: Member,
    token: JoinToken,
}

impl Stage {
    /// Brings the cluster into the state that an operation needs.
    async fn prepare(deployment: &Deployment, ada: &Operator, operation: &str) -> Self {
        let mut ada = ada.clone();
        drop(ada.send(Method::DELETE, CLUSTER, None).await);
        drop(ada.send(Method::DELETE, &format!("{TOKENS}/lyon"), None).await);
        let token = deployment.token("lyon");
        let member = deployment.member(&token);
        match operation {
            "token" => {
                let revoked = ada.send(Method::DELETE, &format!("{TOKENS}/lyon"), None).await;
                assert_eq!(revoked.status, 200);
            }
            "revoke" | "join" => {}
            _ => drop(member.join(&token).await.unwrap()),
        }
        Self { ada, member, token }
    }

    /// The status of one attempt, and when to come back if it says so.
    async fn attempt(
        &mut self,
        deployment: &Deployment,
        provider: &MockProvider,
        operation: &str,
    ) -> (u16, Option<String>) {
        let ada = &mut self.ada;
        let of_operator =
            |answer: Answer| (answer.status, answer.header("retry-after").map(str::to_owned));
        let answer = match operation {
            "token" => {
                let body = json!({"cluster_name": "lyon"});
                return of_operator(ada.send(Method::POST, TOKENS, Some(&body)).await);
            }
            "revoke" => {
                let path = format!("{TOKENS}/lyon");
                return of_operator(ada.send(Method::DELETE, &path, None).await);
            }
            "change" => {
                let body = json!({"description": "Edge"});
                return of_operator(ada.send(Method::PATCH, CLUSTER, Some(&body)).await);
            }
            "remove" => return of_operator(ada.send(Method::DELETE, CLUSTER, None).await),
            "login" => return of_operator(provider.log_in(&mut deployment.operator()).await),
            "join" => self.member.join(&self.token).await,
            "heartbeat" => {
                let body = br#"{"memory_usage":7}"#.to_vec();
                self.member.request("POST", STATUS_PATH, body).await
            }
            _ => self.member.leave().await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(ClientError::Refused(answer)) => *answer,
            Err(error) => panic!("{operation}: {error}"),
        };
        (answer.status, answer.header("retry-after").map(str::to_owned))
    }
}

/// Records of an event that did what it says.
async fn recorded(deployment: &Deployment, event: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM audit_events WHERE event = '{event}' AND outcome = 'success'"
    );
    deployment.database.count(&sql).await
}

#[tokio::test]
async fn rel_15_what_the_database_undoes_is_done_once_more_and_then_refused_for_a_while() {
    let Running { deployment, provider, manager: _manager, connector: _connector, ada } =
        Running::start().await;
    let db = deployment.database.connect().await;
    db.batch_execute(OBSTACLE).await.unwrap();
    for (operation, event) in OPERATIONS {
        for (code, times, succeeds) in
            [("40001", 3, true), ("40P01", 1, true), ("40P01", 1000, false)]
        {
            let mut stage = Stage::prepare(&deployment, &ada, operation).await;
            let before = recorded(&deployment, event).await;
            let begin = "UPDATE obstacle SET code = $1, times = $2";
            db.execute(begin, &[&code, &i64::from(times)]).await.unwrap();
            db.batch_execute("SELECT setval('obstacles', 1, false)").await.unwrap();
            let (status, retry_after) = stage.attempt(&deployment, &provider, operation).await;
            let met = deployment.database.count("SELECT last_value FROM obstacles").await;
            db.batch_execute("UPDATE obstacle SET times = 0").await.unwrap();
            let after = recorded(&deployment, event).await;
            let case = format!("{operation}, {times} times {code}");
            if succeeds {
                assert!(matches!(status, 200 | 303), "{case}: {status}");
                assert!(met > i64::from(times), "{case}: nothing was in the way");
                assert_eq!(after - before, i64::from(!event.is_empty()), "{case}");
            } else {
                assert_eq!((status, retry_after.is_some()), (503, true), "{case}");
                assert!((4..100).contains(&met), "{case}: {met} attempts");
                assert_eq!(after, before, "{case}");
                let (again, _) = stage.attempt(&deployment, &provider, operation).await;
                assert!(matches!(again, 200 | 303), "{case}: {again} when nothing is in the way");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_15_and_rel_02_a_commit_that_nobody_heard_of_is_not_done_twice_and_may_be_repeated() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let Running { deployment, provider, manager: _manager, connector: _connector, ada } =
        Running::of(deployment).await;
    // What the same request says when it comes again, and how often what it does is recorded in the end.
    for (operation, event, again, records) in [
        ("token", "join-token.created", 409, 1),
        ("revoke", "join-token.revoked", 404, 1),
        ("join", "cluster.joined", 200, 1),
        ("change", "cluster.changed", 200, 2),
        ("login", "login", 303, 2),
        ("leave", "cluster.left", 200, 1),
        ("remove", "cluster.removed", 404, 1),
    ] {
        let mut stage = Stage::prepare(&deployment, &ada, operation).await;
        let before = recorded(&deployment, event).await;
        line.lose_commit_of(event);
        let (status, retry_after) = stage.attempt(&deployment, &provider, operation).await;
        assert!(line.has_lost(), "{operation}: no commit was lost");
        assert_eq!((status, retry_after.is_some()), (503, true), "{operation}: nobody knows");
        assert_eq!(recorded(&deployment, event).await - before, 1, "{operation} was done, once");
        let (status, _) = stage.attempt(&deployment, &provider, operation).await;
        assert_eq!(status, again, "{operation} once more");
        assert_eq!(recorded(&deployment, event).await - before, records, "{operation} once more");
    }
}

#[tokio::test]
async fn rel_16_heartbeats_of_one_cluster_at_once_all_succeed_and_none_waits_for_another_cluster() {
    let deployment = Deployment::new().await;
    let units = [
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    ];
    let lyon = deployment.enrol("lyon").await;
    let oslo = deployment.enrol("oslo").await;
    let mut sending = JoinSet::new();
    for n in 0..60 {
        let member = deployment.member_at(if n % 3 == 0 { &oslo } else { &lyon }, &units[n % 2]);
        sending.spawn(async move {
            let body = format!("{{\"memory_usage\":{n}}}").into_bytes();
            member.request("POST", STATUS_PATH, body).await.unwrap()
        });
    }
    while let Some(answer) = sending.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(deployment.database.count(deadlocks).await, 0);

    // The later one counts, whichever unit it reaches.
    for (n, unit) in [(1, 0), (2, 1), (3, 0), (4, 0), (5, 1)] {
        let body = format!("{{\"memory_usage\":{n}}}").into_bytes();
        let member = deployment.member_at(&lyon, &units[unit]);
        assert_eq!(member.request("POST", STATUS_PATH, body).await.unwrap().status, 200);
        let stored = "SELECT memory_usage FROM remote_cluster_details
                        JOIN remote_clusters ON id = remote_cluster_id WHERE name = 'lyon'";
        assert_eq!(deployment.database.count(stored).await, n);
    }

    // Somebody holds the row of one cluster: its heartbeats are refused for a while, the other's are not.
    let db = deployment.database.connect().await;
    let hold =
        "BEGIN; SELECT 1 FROM remote_cluster_details JOIN remote_clusters ON id = remote_cluster_id
                 WHERE name = 'lyon' FOR UPDATE";
    db.batch_execute(hold).await.unwrap();
    let mut sending = JoinSet::new();
    for n in 0..4 {
        let (cluster, expected) = if n % 2 == 0 { (&lyon, 503) } else { (&oslo, 200) };
        let member = deployment.member_at(cluster, &units[0]);
        sending.spawn(async move {
            let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
            assert_eq!(answer.status, expected, "{}", answer.body);
        });
    }
    sending.join_all().await;
    db.batch_execute("ROLLBACK").await.unwrap();
    let answer = lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_06_and_rel_02_a_commit_without_an_answer_is_refused_in_time_and_may_be_repeated() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let Running {
        deployment,
        provider: _provider,
        manager: _manager,
        connector: _connector,
        mut ada,
    } = Running::of(deployment).await;
    let token = deployment.token("lyon");
    let lyon = deployment.member(&token);
    let (oslo, rome) = (deployment.enrol("oslo").await, deployment.enrol("rome").await);
    let made = "/1.0/remote-cluster/rome";
    let change = json!({"description": "Edge"});

    line.hold_commits(true);
    let begin = Instant::now();
    let mut other = ada.clone();
    let (joined, left, goodbye, changed) = tokio::join!(
        lyon.join(&token),
        oslo.leave(),
        async { rome.open_tunnel().await.unwrap().goodbye().await },
        other.send(Method::PATCH, made, Some(&change)),
    );
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    for refused in [joined, left] {
        assert_eq!(super::join::refusal(refused).0, 503);
    }
    assert_eq!(goodbye, None, "the tunnel ends and is opened again");
    assert_eq!((changed.status, changed.header("retry-after").is_some()), (503, true));

    line.hold_commits(false);
    lyon.join(&token).await.expect("it was done, and may be repeated");
    oslo.leave().await.expect("it was done, and may be repeated");
    let _tunnel = rome.open_tunnel().await.unwrap();
    deployment.database.until_count("SELECT count(*) FROM tunnels", 1).await;
    assert_eq!(ada.send(Method::PATCH, made, Some(&change)).await.status, 200);
    assert_eq!(recorded(&deployment, "cluster.joined").await, 3, "once each");
    assert_eq!(recorded(&deployment, "cluster.left").await, 1);
}

#[tokio::test]
async fn rel_02_a_leave_that_waited_for_another_one_is_done_too() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let lyon = deployment.enrol("lyon").await;
    // The other one, as far as before its end.
    let db = deployment.database.connect().await;
    let remove = "BEGIN;
        WITH removed AS (DELETE FROM remote_clusters RETURNING name, fingerprint)
        INSERT INTO removed_clusters (fingerprint, name) SELECT fingerprint, name FROM removed";
    db.batch_execute(remove).await.unwrap();
    let leaving = tokio::spawn(async move { lyon.leave().await });
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    deployment.database.until_count(waiting, 1).await;
    db.batch_execute("COMMIT").await.unwrap();
    leaving.await.unwrap().expect("the cluster is out, whoever did it");
    assert_eq!(recorded(&deployment, "cluster.left").await, 0, "this one did not");
}

/// What a cluster last reported, and whether that is not in the future.
async fn stored(deployment: &Deployment) -> (i64, bool) {
    let sql = "SELECT memory_usage, last_heartbeat_at <= now() FROM remote_cluster_details";
    let row = deployment.database.connect().await.query_one(sql, &[]).await.unwrap();
    (row.try_get(0).unwrap(), row.try_get(1).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_16_of_two_heartbeats_the_one_that_was_received_later_counts() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let late = deployment.start(Service::ClusterConnector).await;
    drop(deployment.extra.pop());
    let quick = deployment.start(Service::ClusterConnector).await;
    let lyon = deployment.enrol("lyon").await;
    let at = |unit: &Unit| deployment.member_at(&lyon, unit);
    let beat = |n: i64| {
        Request::of_member("POST", STATUS_PATH, format!("{{\"memory_usage\":{n}}}").into_bytes())
    };
    let mut overtaken = false;
    // A unit without its database refuses what waits for too long: then once more.
    for round in 1..=10 {
        let mut waiting = at(&late).raw_connection(Some(lyon.identity())).await.unwrap();
        let first = beat(0).with_header("Connection", "keep-alive");
        assert_eq!(waiting.send(&first).await.unwrap().status, 200);
        line.be_silent(true);
        let older = beat(2 * round);
        let older = tokio::spawn(async move { waiting.send(&older).await.unwrap() });
        // The other one goes over three new connections, so that it comes later.
        at(&late).preflight().await.unwrap();
        let newer = at(&quick).request("POST", STATUS_PATH, beat(2 * round + 1).body).await;
        assert_eq!(newer.unwrap().status, 200);
        line.be_silent(false);
        overtaken = older.await.unwrap().status == 200;
        assert_eq!(
            stored(&deployment).await,
            (2 * round + 1, true),
            "the older one is not written"
        );
        if overtaken {
            break;
        }
    }
    assert!(overtaken, "what another heartbeat has overtaken is acknowledged");

    // A clock of the database that was put back stops nobody.
    let db = deployment.database.connect().await;
    db.batch_execute(
        "UPDATE remote_cluster_details SET last_heartbeat_at = now() + interval '1 h'",
    )
    .await
    .unwrap();
    let answer = at(&quick).raw_request(&beat(99), Some(lyon.identity())).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(stored(&deployment).await, (99, true));
}

#[tokio::test]
async fn tun_12_a_tunnel_that_ends_while_leases_are_written_again_holds_none_for_long() {
    const LEASES: &str = "SELECT count(*) FROM tunnels";
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let lyon = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    // A renewal has three seconds, the tunnel must end meanwhile: on a busy machine at the second or third attempt.
    for _ in 0..3 {
        let tunnel = lyon.open_tunnel().await.unwrap();
        deployment.database.until_count(LEASES, 1).await;
        db.batch_execute("BEGIN; SELECT FROM units FOR UPDATE").await.unwrap();
        let renews = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        deployment.database.until_count(renews, 1).await;
        drop(tunnel);
        deployment.database.until_count(LEASES, 0).await;
        db.batch_execute("ROLLBACK").await.unwrap();
        let written_again = Instant::now();
        while written_again.elapsed() < Duration::from_secs(2) {
            if deployment.database.count(LEASES).await == 1 {
                deployment.database.until_count(LEASES, 0).await;
                let held = written_again.elapsed();
                assert!(held < Duration::from_secs(30), "nobody's lease for {held:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    panic!("no renewal was under way: {}", connector.process.log());
}
