//! What a sleeping cluster costs. A process of its own, since it measures the whole process.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail the test")]

use std::time::Duration;

use cluster_simulator::{
    CertificateSpec, Fleet, FleetOptions, Identity, KeyKind, Pin, Site, StoredCluster,
};
use tokio_util::sync::CancellationToken;

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_sleeping_cluster_costs_less_than_eight_kib() {
    const CLUSTERS: usize = 5000;
    let stop = CancellationToken::new();
    let options = FleetOptions { interval: Duration::from_hours(24), ..FleetOptions::default() };
    let fleet = Fleet::new(options, stop.clone());
    let pin = Pin { addresses: vec!["127.0.0.1:9".into()], fingerprint: "0".repeat(64) };
    let spec = CertificateSpec { key: KeyKind::P384, ..CertificateSpec::lxd("lyon-a01") };
    let cluster = StoredCluster {
        pin: Some(pin),
        ..StoredCluster::new("", &Identity::from_spec(&spec).unwrap())
    };
    // Every cluster reads its own copy of certificate and key.
    let resume = |name: String| fleet.resume(&StoredCluster { name, ..cluster.clone() }).unwrap();
    resume("first".into());
    tokio::task::yield_now().await;
    let before = resident();
    Site::first(CLUSTERS).for_each(|site| resume(site.name));
    tokio::task::yield_now().await;
    let each = (resident() - before) / u64::try_from(CLUSTERS).unwrap();
    assert!(each < 8 * 1024, "a sleeping cluster takes {each} bytes");
    assert!(each > 256, "{each} bytes cannot be right");
    println!("a sleeping cluster takes {each} bytes");
    stop.cancel();
    fleet.finished().await;
    assert_eq!(fleet.counters().joined, 5001);
    assert_eq!(fleet.counters().heartbeats_failed, 0);
}
