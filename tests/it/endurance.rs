//! Time and attacks cost no memory (security property REL-13).

use cluster_simulator::{Identity, Member, STATUS_PATH};
use end_to_end_tests::{Deployment, MockProvider, Operator, Running, Unit};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::task::JoinSet;

/// Rounds after which caches and pools are as large as they get, and rounds in which nothing may grow any more.
const WARM: usize = 4;
const ROUNDS: usize = 10;
/// What allocators and the odd buffer may add in all these rounds.
const SLACK: u64 = 12 << 20;

/// Everything that clusters, operators and strangers do, several times.
async fn round(
    deployment: &Deployment,
    provider: &MockProvider,
    members: &[Member],
    stranger: &Member,
    admin: &Operator,
) {
    let body = super::example("heartbeat-3-members.json").to_string().into_bytes();
    let mut work = JoinSet::new();
    for _ in 0..6 {
        for member in members.iter().chain([stranger]) {
            let (member, body) = (member.clone(), body.clone());
            work.spawn(async move {
                let answer = member.request("POST", STATUS_PATH, body).await.unwrap();
                assert!(matches!(answer.status, 200 | 403), "{}", answer.status);
            });
        }
        for path in ["/1.0/remote-cluster", "/1.0/fleet/clusters", "/1.0/audit", "/1.0/warnings"] {
            let mut admin = admin.clone();
            work.spawn(async move { assert_eq!(admin.get(path).await.status, 200, "{path}") });
        }
        let (mut admin, mut nobody) = (admin.clone(), deployment.operator());
        work.spawn(async move {
            drop(admin.events("/1.0/fleet/events", None).await);
            let body = json!({"cluster_name": "nobody", "description": "x".repeat(60_000)});
            let path = "/1.0/remote-cluster-join-token";
            assert_eq!(admin.send(Method::POST, path, Some(&body)).await.status, 400);
            for n in 0..10 {
                let path = format!("/1.0/unknown-{n}?{}", "x".repeat(8000));
                let answer = nobody.raw(Method::GET, &path, HeaderMap::new(), String::new()).await;
                assert!(matches!(answer.status, 401 | 403 | 404), "{}", answer.status);
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    // A large one alone: how many meet is chance, and with them how much memory is in use at a time.
    let body = super::example("heartbeat-50-members.json").to_string().into_bytes();
    assert_eq!(members[0].request("POST", STATUS_PATH, body).await.unwrap().status, 200);
    for _ in 0..3 {
        let mut person = deployment.operator();
        assert_eq!(provider.log_in(&mut person).await.status, 303);
        assert_eq!(person.send(Method::POST, "/oidc/logout", None).await.status, 200);
    }
}

#[tokio::test]
async fn rel_13_memory_and_open_files_do_not_grow_with_time_or_attacks() {
    let mut deployment = Deployment::new().await;
    // As in production: what is written to the log in such numbers is not the question here.
    deployment.extra.push(("LOG_LEVEL", "warn".into()));
    let Running { deployment, provider, manager, connector, ada: admin } =
        Running::of(deployment).await;
    let mut members = Vec::new();
    for n in 0..6 {
        members.push(deployment.enrol(&format!("site-{n}")).await);
    }
    let stranger = Member::new(Identity::generate("stranger").unwrap(), members[0].pin().clone());
    let units = [&manager, &connector];
    let mut warm = [(0, 0); 2];
    for n in 0..WARM + ROUNDS {
        round(&deployment, &provider, &members, &stranger, &admin).await;
        if n + 1 == WARM {
            warm = units.map(used);
        }
    }
    for (unit, (memory, files)) in units.into_iter().zip(warm) {
        // Connections that clients leave open end within some seconds.
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while used(unit).1 > files + 8 {
            assert!(std::time::Instant::now() < deadline, "{files} files, then {}", used(unit).1);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let now = used(unit).0;
        println!("{:?}: {} KiB, then {} KiB", unit.service, memory >> 10, now >> 10);
        assert!(now < memory + SLACK, "{:?}: {memory} bytes, then {now}", unit.service);
        assert!(unit.process.peak_memory_bytes() < 256 << 20, "{:?}", unit.service);
    }
}

/// Memory and open files.
fn used(unit: &Unit) -> (u64, usize) {
    (unit.process.memory_bytes(), unit.process.open_files())
}
