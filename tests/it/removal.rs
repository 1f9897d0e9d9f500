//! The removal of a cluster while everything else happens to it (security property REL-20).

use std::time::Duration;

use cluster_simulator::{
    ClusterModel, Connection, Lxd, Member, Request, STATUS_PATH, Trusts, TunnelError, TunnelManner,
};
use end_to_end_tests::{Operator, Service, TunnelDeployment, rounds};
use reqwest::Method;
use serde_json::json;

const CLUSTER: &str = "/1.0/remote-cluster/lyon";

/// What somebody got who did the same again and again, and a few times more once the cluster was gone.
#[derive(Debug, Default)]
struct Seen(Vec<u16>);

impl Seen {
    /// Notes an answer: `false` once there were enough with the status `gone`.
    fn and(&mut self, status: u16, gone: u16) -> bool {
        self.0.push(status);
        self.0.iter().filter(|status| **status == gone).count() < 3
    }

    /// How often it went well, if nothing but `good` came before the first `gone`, and nothing else after it.
    fn before(&self, good: &[u16], gone: u16) -> Result<usize, String> {
        let end = self.0.iter().position(|status| *status == gone).unwrap_or(self.0.len());
        let (before, after) = self.0.split_at(end);
        let is_right = before.iter().all(|status| good.contains(status))
            && after.iter().all(|status| *status == gone);
        if is_right { Ok(before.len()) } else { Err(format!("{:?}", self.0)) }
    }
}

/// Heartbeats over a connection that stays open.
async fn beat(mut connection: Connection) -> Seen {
    let body = br#"{"memory_usage":7,"member_statuses":[{"status":"ONLINE","count":3}]}"#;
    let request = Request::of_member("POST", STATUS_PATH, body.to_vec())
        .with_header("Connection", "keep-alive");
    let mut seen = Seen::default();
    while seen.and(connection.send(&request).await.unwrap().status, 403) {}
    seen
}

async fn edit(mut operator: Operator) -> Seen {
    let mut seen = Seen::default();
    for number in 0.. {
        let body = json!({"description": format!("edit {number}"), "memory_threshold": 70});
        if !seen.and(operator.send(Method::PATCH, CLUSTER, Some(&body)).await.status, 404) {
            break;
        }
    }
    seen
}

/// An operator's requests through the tunnel.
async fn look(mut operator: Operator) -> Seen {
    let mut seen = Seen::default();
    while seen.and(operator.get(&format!("{CLUSTER}/tunnel/1.0/instances")).await.status, 404) {}
    seen
}

/// Opens the tunnel anew as soon as it is closed or has served for a moment.
async fn open(member: Member) -> Seen {
    let mut seen = Seen::default();
    loop {
        let status = match member.open_raw_tunnel(Some(member.identity()), &[]).await {
            Ok(tunnel) => {
                let mut lxd = Lxd::new(ClusterModel::new(1, "lyon"), Trusts::Anybody);
                let serving = tunnel.serve(&mut lxd, TunnelManner::Plausible);
                drop(tokio::time::timeout(Duration::from_millis(20), serving).await);
                101
            }
            Err(TunnelError::Refused { status, .. }) => status,
            Err(error) => panic!("{error}"),
        };
        if !seen.and(status, 403) {
            return seen;
        }
    }
}

/// Removes the cluster as its operator does, or has it leave by itself.
async fn remove(round: usize, operator: &mut Operator, member: &Member) -> u16 {
    if round.is_multiple_of(3) {
        member.leave().await.unwrap().status
    } else {
        operator.send(Method::DELETE, CLUSTER, None).await.status
    }
}

/// Rows about clusters that are not there, in every table that has some.
const ORPHANS: &str = "
    DO $$
    DECLARE
        place text;
        orphans bigint;
    BEGIN
        FOR place IN SELECT table_name FROM information_schema.columns
                      WHERE column_name = 'remote_cluster_id' AND table_schema = current_schema() LOOP
            EXECUTE format('SELECT count(*) FROM %I WHERE remote_cluster_id NOT IN (SELECT id FROM remote_clusters)', place)
               INTO orphans;
            IF orphans > 0 THEN
                RAISE EXCEPTION '% rows of % are about nothing', orphans, place;
            END IF;
        END LOOP;
    END
    $$";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rel_20_what_happens_to_a_cluster_while_it_is_removed_does_not_bring_it_back() {
    let mut at = TunnelDeployment::start(&[]).await;
    let second = at.deployment.start(Service::ClusterConnector).await;
    let db = at.deployment.database.connect().await;
    let mut before = [0; 5];
    for round in 0..rounds(40, 1_000) {
        let member = at.deployment.enrol("lyon").await;
        let there = at.deployment.member_at(&member, &second);
        let connection = there.raw_connection(Some(there.identity())).await.unwrap();
        let (beats, beats_there) = (
            tokio::spawn(beat(member.raw_connection(Some(member.identity())).await.unwrap())),
            tokio::spawn(beat(connection)),
        );
        let edits = tokio::spawn(edit(at.admin.clone()));
        let looks = tokio::spawn(look(at.admin.clone()));
        let tunnel = if round.is_multiple_of(2) { member.clone() } else { there };
        let tunnels = tokio::spawn(open(tunnel));
        // From before the first of these until each of them has happened a few times.
        tokio::time::sleep(Duration::from_millis(7 * u64::try_from(round % 20).unwrap())).await;
        assert_eq!(remove(round, &mut at.admin, &member).await, 200, "round {round}");
        // What has no tunnel, one that ends, or one whose unit has just lost it, is told apart from what is not enrolled.
        let seen = [
            (beats.await, &[200][..], 403),
            (beats_there.await, &[200], 403),
            (edits.await, &[200], 404),
            (looks.await, &[200, 400, 502, 503], 404),
            (tunnels.await, &[101], 403),
        ];
        for ((seen, good, gone), before) in seen.into_iter().zip(&mut before) {
            let count = seen.unwrap().before(good, gone);
            *before += count.unwrap_or_else(|seen| panic!("round {round}: {seen}"));
        }
        db.batch_execute(ORPHANS).await.unwrap();
        assert_eq!(at.deployment.database.count("SELECT count(*) FROM remote_clusters").await, 0);
        assert_eq!(at.admin.get("/1.0/remote-cluster").await.metadata(), json!([]));
        let fleet = at.admin.get("/1.0/fleet/clusters").await.metadata();
        assert_eq!(fleet, json!([]), "round {round}");
    }
    println!("{before:?} were done before the removals");
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
}
