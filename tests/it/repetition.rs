//! Whoever hears nothing asks again, and that does no harm (security property REL-02): random histories against a small model.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_simulator::{
    CertificateSpec, ClientError, Identity, JoinToken, Member, Pin, STATUS_PATH,
};
use end_to_end_tests::{Deployment, Operator, Service, Unit, rounds};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::json;

const TOKENS: &str = "/1.0/remote-cluster-join-token";
const CLUSTERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    CreateToken,
    RevokeToken,
    Join,
    Heartbeat,
    Change,
    Remove,
    Leave,
}

/// Something that one of the clusters or its operator does.
#[derive(Debug, Clone)]
struct Step {
    cluster: usize,
    operation: Operation,
    /// An attempt whose answer gets lost, so many milliseconds before the one that counts.
    lost: Option<u64>,
    /// How often it comes once more after the answer.
    repeated: usize,
    /// Which unit the n-th attempt reaches.
    units: [usize; 4],
}

fn step() -> impl Strategy<Value = Step> {
    use Operation::{Change, CreateToken, Heartbeat, Join, Leave, Remove, RevokeToken};
    let operation = prop_oneof![
        3 => Just(CreateToken),
        1 => Just(RevokeToken),
        4 => Just(Join),
        3 => Just(Heartbeat),
        2 => Just(Change),
        1 => Just(Remove),
        1 => Just(Leave),
    ];
    let lost = prop::option::of(0_u64..60);
    (0..CLUSTERS, operation, lost, 0_usize..2, prop::array::uniform4(0_usize..2)).prop_map(
        |(cluster, operation, lost, repeated, units)| Step {
            cluster,
            operation,
            lost,
            repeated,
            units,
        },
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum State {
    #[default]
    Absent,
    Pending,
    Enrolled,
}

/// What is known of a cluster.
struct Cluster {
    name: String,
    state: State,
    identity: Identity,
    /// The token that its operator has, if any.
    token: Option<JoinToken>,
    /// Whether a cluster with its certificate was ever removed.
    was_removed: bool,
    description: String,
    memory: i64,
    /// How often each thing happened that is recorded.
    events: BTreeMap<&'static str, i64>,
}

impl Cluster {
    fn new(name: String, identity: Identity) -> Self {
        Self {
            name,
            state: State::Absent,
            identity,
            token: None,
            was_removed: false,
            description: String::new(),
            memory: 0,
            events: BTreeMap::new(),
        }
    }

    fn count(&mut self, event: &'static str) {
        *self.events.entry(event).or_default() += 1;
    }

    /// What happens when the operation is done once, and the statuses that may be answered: the first when nothing was asked before,
    /// the second when the same was asked a moment ago.
    fn apply(&mut self, operation: Operation, n: i64) -> [u16; 2] {
        use Operation::{Change, CreateToken, Heartbeat, Join, Leave, Remove, RevokeToken};
        match (operation, self.state) {
            (CreateToken, State::Absent) => {
                self.state = State::Pending;
                self.count("join-token.created");
                [200, 409]
            }
            (CreateToken, State::Pending | State::Enrolled) => [409, 409],
            (RevokeToken, State::Pending) => {
                self.state = State::Absent;
                self.count("join-token.revoked");
                [200, 404]
            }
            (RevokeToken, State::Absent | State::Enrolled)
            | (Remove | Change, State::Absent | State::Pending) => [404, 404],
            (Join, State::Pending) => {
                self.state = State::Enrolled;
                self.description = String::new();
                self.memory = 0;
                self.count("cluster.joined");
                [200, 200]
            }
            (Join, State::Enrolled) => [200, 200],
            (Join | Heartbeat, State::Absent) | (Heartbeat, State::Pending) => [403, 403],
            (Heartbeat, State::Enrolled) => {
                self.memory = n;
                [200, 200]
            }
            (Change, State::Enrolled) => {
                self.description = format!("change {n}");
                [200, 200]
            }
            (Remove, State::Enrolled) => {
                self.state = State::Absent;
                self.was_removed = true;
                self.count("cluster.removed");
                [200, 404]
            }
            (Leave, State::Enrolled) => {
                self.state = State::Absent;
                self.was_removed = true;
                self.count("cluster.left");
                [200, 200]
            }
            (Leave, State::Absent | State::Pending) => {
                if self.was_removed {
                    [200, 200]
                } else {
                    [403, 403]
                }
            }
        }
    }
}

/// Two units of each service and an operator.
struct Stage {
    deployment: Deployment,
    managers: [Unit; 2],
    connectors: [Unit; 2],
    admin: Operator,
    pin: Pin,
}

impl Stage {
    /// One attempt: its status, and the token that it made.
    async fn attempt(
        &self,
        cluster: &Cluster,
        operation: Operation,
        n: i64,
        unit: usize,
    ) -> (u16, Option<JoinToken>) {
        use Operation::{Change, CreateToken, Heartbeat, Join, Leave, Remove, RevokeToken};
        let mut admin = self.admin.at(self.managers[unit].api);
        let of_cluster = format!("/1.0/remote-cluster/{}", cluster.name);
        let answer = match operation {
            CreateToken => {
                let body = json!({"cluster_name": cluster.name});
                admin.send(Method::POST, TOKENS, Some(&body)).await
            }
            RevokeToken => {
                admin.send(Method::DELETE, &format!("{TOKENS}/{}", cluster.name), None).await
            }
            Change => {
                let body = json!({"description": format!("change {n}")});
                admin.send(Method::PATCH, &of_cluster, Some(&body)).await
            }
            Remove => admin.send(Method::DELETE, &of_cluster, None).await,
            Join | Heartbeat | Leave => {
                let pin = Pin {
                    addresses: vec![self.connectors[unit].api.to_string()],
                    fingerprint: self.pin.fingerprint.clone(),
                };
                let member = Member::new(cluster.identity.clone(), pin);
                let answer = match operation {
                    Join => member.join(cluster.token.as_ref().unwrap()).await,
                    Leave => member.leave().await,
                    _ => {
                        let body = format!("{{\"memory_usage\":{n}}}").into_bytes();
                        member.request("POST", STATUS_PATH, body).await
                    }
                };
                return match answer {
                    Ok(answer) => (answer.status, None),
                    Err(ClientError::Refused(answer)) => (answer.status, None),
                    Err(error) => panic!("{operation:?}: {error}"),
                };
            }
        };
        let token = (operation == CreateToken && answer.status == 200)
            .then(|| JoinToken::decode(answer.metadata()["token"].as_str().unwrap()).unwrap());
        (answer.status, token)
    }

    /// Plays a step with all its losses and repetitions, and holds the answers against the model.
    async fn play(&self, cluster: &mut Cluster, step: &Step, n: i64) {
        let Step { operation, lost, repeated, units, .. } = step;
        if *operation == Operation::Join && cluster.token.is_none() {
            return; // nobody ever gave it a token
        }
        let mut units = units.iter().copied().cycle();
        let mut next = || units.next().unwrap();
        let before = cluster.state;
        let lost = async |unit: usize| match lost {
            Some(_) => Some(self.attempt(cluster, *operation, n, unit).await.0),
            None => None,
        };
        let counted = async |unit: usize| {
            tokio::time::sleep(Duration::from_millis(step.lost.unwrap_or_default())).await;
            self.attempt(cluster, *operation, n, unit).await
        };
        // Both may be under way at a time.
        let (lost, (status, mut token)) = tokio::join!(lost(next()), counted(next()));
        let [first, again] = cluster.apply(*operation, n);
        let statuses: Vec<u16> = lost.into_iter().chain([status]).collect();
        let of_first = statuses.iter().filter(|status| **status == first).count();
        let done_once = if first == again { of_first == statuses.len() } else { of_first == 1 };
        let known = statuses.iter().all(|status| [first, again].contains(status));
        assert!(done_once && known, "{step:?} of {before:?}: {statuses:?}, not {first} {again}");
        if *operation == Operation::CreateToken && before == State::Absent && token.is_none() {
            // The answer with the token was lost: its operator revokes it and makes another one.
            let (revoked, _) = self.attempt(cluster, Operation::RevokeToken, n, next()).await;
            let (created, made) = self.attempt(cluster, Operation::CreateToken, n, next()).await;
            assert_eq!((revoked, created), (200, 200), "{step:?}");
            cluster.count("join-token.revoked");
            cluster.count("join-token.created");
            token = made;
        }
        cluster.token = token.or(cluster.token.take());
        for _ in 0..*repeated {
            let (status, _) = self.attempt(cluster, *operation, n, next()).await;
            assert_eq!(status, again, "{step:?} of {before:?} once more");
        }
    }

    /// Holds what is stored against the model.
    async fn compare(&self, clusters: &[Cluster]) {
        let database = &self.deployment.database;
        for Cluster { name, state, description, memory, events, .. } in clusters {
            let enrolled = format!(
                "SELECT count(*) FROM remote_clusters JOIN remote_cluster_details ON id = remote_cluster_id
                  WHERE name = '{name}' AND description = '{description}' AND memory_usage = {memory}"
            );
            let is_enrolled = i64::from(*state == State::Enrolled);
            assert_eq!(
                database.count(&enrolled).await,
                is_enrolled,
                "{name}: {description} {memory}"
            );
            let any = format!("SELECT count(*) FROM remote_clusters WHERE name = '{name}'");
            assert_eq!(database.count(&any).await, is_enrolled, "{name}");
            let pending = format!(
                "SELECT count(*) FROM join_tokens WHERE cluster_name = '{name}' AND consumed_at IS NULL"
            );
            assert_eq!(
                database.count(&pending).await,
                i64::from(*state == State::Pending),
                "{name}"
            );
            for (event, times) in events {
                let recorded = format!(
                    "SELECT count(*) FROM audit_events
                      WHERE object = '{name}' AND event = '{event}' AND outcome = 'success'"
                );
                assert_eq!(database.count(&recorded).await, *times, "{name}: {event}");
            }
        }
        let orphans = "SELECT count(*) FROM remote_clusters FULL JOIN remote_cluster_details ON id = remote_cluster_id
                        WHERE id IS NULL OR remote_cluster_id IS NULL";
        assert_eq!(database.count(orphans).await, 0);
    }
}

#[test]
fn rel_02_whatever_is_lost_and_repeated_is_done_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(async {
        let mut deployment = Deployment::new().await;
        let _provider = deployment.start_identity_provider().await;
        let managers = [
            deployment.start(Service::ManagementApi).await,
            deployment.start(Service::ManagementApi).await,
        ];
        let connectors = [
            deployment.start(Service::ClusterConnector).await,
            deployment.start(Service::ClusterConnector).await,
        ];
        let admin = deployment.logged_in("admin@example.com").await;
        let pin = Pin::of(&deployment.token("pin"));
        Stage { deployment, managers, connectors, admin, pin }
    });
    let cases = u32::try_from(rounds(12, 200)).unwrap();
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    // Certificates of their own on one key: making keys is what takes long.
    let spec = CertificateSpec::lxd("test");
    let key = Identity::from_spec(&spec).unwrap();
    let history = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 10..25), |steps| {
            history.set(history.get() + 1);
            runtime.block_on(async {
                let mut clusters: Vec<_> = (0..CLUSTERS)
                    .map(|n| {
                        let name = format!("site-{}-{n}", history.get());
                        let common_name = format!("root@{name}");
                        let certificate = CertificateSpec { common_name, ..spec.clone() };
                        Cluster::new(name, key.reissued(&certificate).unwrap())
                    })
                    .collect();
                for (n, step) in (1..).zip(&steps) {
                    stage.play(&mut clusters[step.cluster], step, n).await;
                }
                stage.compare(&clusters).await;
            });
            Ok(())
        })
        .unwrap();
}
