//! A system that grants few open files.

use std::time::{Duration, Instant};

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service};
use tokio::net::TcpStream;

/// What the system grants in the end, and how many connections that allows.
const FILES: usize = 256;
const CONNECTIONS: usize = 192;

#[tokio::test]
async fn rel_13_a_low_limit_of_open_files_is_raised_and_never_used_up() {
    let mut deployment = Deployment::new().await;
    deployment.under = vec!["prlimit", "--nofile=64:256"];
    let connector = deployment.start(Service::ClusterConnector).await;
    let limits = format!("/proc/{}/limits", connector.process.id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some("256"), "{line}");
    assert!(connector.process.log().contains("192 connections at a time"));

    let mut silent = Vec::new();
    for _ in 0..FILES {
        silent.push(TcpStream::connect(connector.api).await.unwrap());
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while connector.process.open_files() < CONNECTIONS {
        assert!(Instant::now() < deadline, "{} files", connector.process.open_files());
        tokio::task::yield_now().await;
    }
    assert_eq!(connector.probe("/alive").await, Some(200));
    assert_eq!(connector.probe("/ready").await, Some(200), "the database has its share");
    assert!(connector.process.open_files() < FILES);

    drop(silent);
    let member = deployment.enrol("oslo").await;
    assert_eq!(member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    assert!(!connector.process.log().contains("accept connection failed"));
}
