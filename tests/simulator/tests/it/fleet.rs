//! Many clusters: joins with patience, heartbeats, failures, stored state.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster_simulator::{Failure, Fleet, FleetOptions, JoinError, Site, StateDir, Status};
use tokio_util::sync::CancellationToken;

use crate::server::{Server, until};

fn quick() -> FleetOptions {
    FleetOptions {
        interval: Duration::from_millis(400),
        first_heartbeat_at_once: true,
        ..FleetOptions::default()
    }
}

fn tokens(server: &Server, count: usize) -> Vec<(String, String)> {
    Site::first(count)
        .map(|site| (site.name.clone(), server.token(&site.name).text().to_owned()))
        .collect()
}

fn heartbeats(server: &Server) -> usize {
    server.count("POST /1.0/remote-cluster/status ")
}

#[tokio::test]
async fn a_fleet_joins_reports_and_stops() {
    let server = Server::start().await;
    let stop = CancellationToken::new();
    let fleet = Fleet::new(quick(), stop.clone());
    let mut names = Vec::new();
    fleet
        .enrol(tokens(&server, 6), |joined| {
            joined.result.as_ref().unwrap();
            names.push(joined.name.clone());
        })
        .await;
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 6);
    assert_eq!(fleet.counters().joined, 6);
    until("every cluster reported three times", || fleet.counters().heartbeats_ok >= 18).await;
    stop.cancel();
    fleet.finished().await;
    let counters = fleet.counters();
    assert_eq!((counters.join_failures, counters.heartbeats_failed), (0, 0));
    assert_eq!(counters.last_error, None);
    assert!(counters.slowest_heartbeat > Duration::ZERO);
    assert!(counters.heartbeat_time >= counters.slowest_heartbeat);

    let mut by_certificate = HashMap::<Vec<u8>, usize>::new();
    for seen in server.seen().into_iter().filter(|seen| seen.head.starts_with("POST")) {
        *by_certificate.entry(seen.certificates[0].clone()).or_default() += 1;
        if seen.head.starts_with("POST /1.0/remote-cluster/status ") {
            let status: Status = serde_json::from_slice(&seen.body).unwrap();
            assert!(status.server_metrics.is_some());
        }
    }
    assert_eq!(by_certificate.len(), 6, "each cluster has a certificate of its own");
    assert!(by_certificate.values().all(|requests| *requests >= 2), "{by_certificate:?}");
    assert!(server.seen().iter().all(|seen| seen.from.ip().to_string() == "127.0.0.1"));
}

#[tokio::test]
async fn silent_clusters_fall_silent() {
    let server = Server::start().await;
    let stop = CancellationToken::new();
    let names: Vec<String> = Site::first(3).map(|site| site.name).collect();
    let silent = |after_heartbeats| Failure::Silent { after_heartbeats };
    let failures = HashMap::from([(names[0].clone(), silent(0)), (names[1].clone(), silent(2))]);
    let fleet = Fleet::new(FleetOptions { failures, metrics: false, ..quick() }, stop.clone());
    fleet.enrol(tokens(&server, 3), |_| {}).await;
    until("the healthy one reported six times", || heartbeats(&server) >= 8).await;
    stop.cancel();
    fleet.finished().await;
    let seen = server.seen();
    let reports = |name: &str| {
        let join = seen
            .iter()
            .find(|seen| !seen.body.is_empty() && seen.json()["cluster_name"] == name)
            .unwrap();
        let same = seen.iter().filter(|seen| seen.certificates == join.certificates);
        same.filter(|seen| seen.head.contains("/status ")).count()
    };
    assert_eq!((reports(&names[0]), reports(&names[1])), (0, 2));
    assert!(reports(&names[2]) >= 6);
}

#[tokio::test]
async fn a_busy_manager_is_asked_again_and_a_refusal_is_final() {
    let joins = AtomicUsize::new(0);
    let server = Server::answering(move |seen| {
        if !seen.head.starts_with("POST /1.0/remote-cluster ") {
            return ("200 OK".into(), String::new());
        }
        let status = if seen.json()["cluster_name"] == "quito-lab" {
            "403 Forbidden"
        } else if joins.fetch_add(1, Ordering::SeqCst) < 2 {
            "429 Too Many Requests"
        } else {
            "200 OK"
        };
        (status.into(), status.into())
    })
    .await;
    let stop = CancellationToken::new();
    let fleet = Fleet::new(quick(), stop.clone());
    let mut list = tokens(&server, 3);
    list[2].1 = list[0].1.clone();
    list.push(("bergen-x".into(), "no token".into()));
    let mut failed = HashMap::new();
    fleet
        .enrol(list, |joined| {
            if let Err(e) = &joined.result {
                assert!(!matches!(e, JoinError::Stopped));
                failed.insert(joined.name.clone(), e.to_string());
            }
        })
        .await;
    stop.cancel();
    fleet.finished().await;
    assert_eq!(
        failed["quito-lab"],
        "Failed to send request to cluster manager: 403 Forbidden, body: 403 Forbidden"
    );
    assert_eq!(failed["oslo-core"], "the token is for the cluster lyon-edge");
    assert!(failed["bergen-x"].starts_with("the join token is not valid base64: "));
    assert_eq!((fleet.counters().joined, fleet.counters().join_failures), (1, 3));
    let names: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.head.starts_with("POST /1.0/remote-cluster "))
        .map(|seen| seen.json()["cluster_name"].as_str().unwrap().to_owned())
        .collect();
    let tries = |name: &str| names.iter().filter(|seen| *seen == name).count();
    assert_eq!((tries("lyon-edge"), tries("quito-lab"), names.len()), (3, 1, 4));
}

#[tokio::test]
async fn failed_heartbeats_are_counted_and_the_cluster_goes_on() {
    let reports = AtomicUsize::new(0);
    let server = Server::answering(move |seen| {
        let report = seen.head.contains("/status ");
        let refused = report && reports.fetch_add(1, Ordering::SeqCst) < 2;
        (if refused { "503 Service Unavailable" } else { "200 OK" }.into(), "late".into())
    })
    .await;
    let stop = CancellationToken::new();
    let fleet = Fleet::new(quick(), stop.clone());
    fleet.enrol(tokens(&server, 1), |_| {}).await;
    until("a heartbeat got through", || fleet.counters().heartbeats_ok >= 1).await;
    stop.cancel();
    fleet.finished().await;
    assert_eq!(fleet.counters().heartbeats_failed, 2);
    assert_eq!(
        fleet.counters().last_error.unwrap(),
        "lyon-edge: Failed to send request to cluster manager: 503 Service Unavailable, body: late"
    );
}

#[tokio::test]
async fn stored_clusters_go_on_without_tokens_and_repeat_a_join_with_the_same_certificate() {
    let home = tempfile::tempdir().unwrap();
    let state = StateDir::open(home.path()).unwrap();
    let server = Server::start().await;
    let refusing = Server::answering(|_| ("403 Forbidden".into(), String::new())).await;
    let options = FleetOptions { state: Some(state.clone()), ..quick() };
    let run = async |server: &Server, list: Vec<(String, String)>| {
        let stop = CancellationToken::new();
        let fleet = Fleet::new(options.clone(), stop.clone());
        for cluster in state.list().unwrap() {
            if !list.iter().any(|(name, _)| *name == cluster.name) {
                fleet.resume(&cluster).unwrap();
            }
        }
        fleet.enrol(list, |_| {}).await;
        let (joined, before) = (fleet.counters().joined, heartbeats(server));
        if joined > 0 {
            until("clusters report", || heartbeats(server) >= before + 3).await;
        }
        stop.cancel();
        fleet.finished().await;
        joined
    };
    assert_eq!(run(&refusing, tokens(&refusing, 2)).await, 0);
    let refused: HashSet<_> = state.list().unwrap().into_iter().map(|c| c.certificate).collect();
    assert_eq!(refused.len(), 2);
    assert!(state.list().unwrap().iter().all(|cluster| cluster.pin.is_none()));

    assert_eq!(run(&server, tokens(&server, 2)).await, 2);
    let joined = state.list().unwrap();
    assert!(joined.iter().all(|cluster| cluster.pin.as_ref() == Some(&server.pin())));
    assert_eq!(refused, joined.into_iter().map(|cluster| cluster.certificate).collect());

    assert_eq!(run(&server, Vec::new()).await, 2);
    // Spent tokens of clusters that joined are not sent again.
    assert_eq!(run(&server, tokens(&server, 2)).await, 2);
    assert_eq!(server.count("POST /1.0/remote-cluster "), 2);
}

#[tokio::test]
async fn clusters_can_come_from_addresses_of_their_own() {
    let server = Server::start().await;
    let stop = CancellationToken::new();
    let fleet = Fleet::new(FleetOptions { distinct_sources: true, ..quick() }, stop.clone());
    fleet.enrol(tokens(&server, 4), |_| {}).await;
    stop.cancel();
    fleet.finished().await;
    let joins: Vec<_> =
        server.seen().into_iter().filter(|seen| !seen.certificates.is_empty()).collect();
    let by_certificate: HashMap<_, _> =
        joins.iter().map(|seen| (&seen.certificates, seen.from.ip())).collect();
    assert!(joins.iter().all(|seen| by_certificate[&seen.certificates] == seen.from.ip()));
    assert_eq!(by_certificate.values().collect::<HashSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_fleet_that_is_stopped_while_it_joins_ends_at_once() {
    let server = Server::answering(|seen| {
        let preflight = seen.head.starts_with("GET / ");
        (if preflight { "200 OK".into() } else { String::new() }, String::new())
    })
    .await;
    let stop = CancellationToken::new();
    let fleet = Fleet::new(FleetOptions { concurrency: 2, ..quick() }, stop.clone());
    let stopping = async {
        until("joins hang", || server.count("POST") == 2).await;
        stop.cancel();
    };
    let joining = fleet.enrol(tokens(&server, 50), |joined| {
        assert!(matches!(joined.result, Err(JoinError::Stopped)));
    });
    tokio::join!(joining, stopping);
    fleet.finished().await;
    assert_eq!((fleet.counters().joined, fleet.counters().join_failures), (0, 0));
    assert_eq!(server.count("POST"), 2);
}
