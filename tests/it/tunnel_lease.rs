//! Who holds a tunnel, and how it is taken away (security properties TUN-12, MTLS-05).

use std::time::{Duration, Instant};

use cluster_simulator::{Member, Tunnel};
use end_to_end_tests::{Deployment, Service, Unit};

const LEASES: &str = "SELECT count(*) FROM tunnels";

/// A tunnel whose lease is there.
async fn open(deployment: &Deployment, member: &Member) -> Tunnel {
    let before = newest(deployment).await;
    let tunnel = member.open_tunnel().await.unwrap();
    let newer = format!("SELECT count(*) FROM tunnels WHERE generation > {before}");
    deployment.database.until_count(&newer, 1).await;
    tunnel
}

async fn newest(deployment: &Deployment) -> i64 {
    deployment.database.count("SELECT coalesce(max(generation), 0) FROM tunnels").await
}

/// Leases held by the unit that logged this address.
async fn held_by(deployment: &Deployment, unit: &Unit) -> i64 {
    let log = unit.process.log();
    let line = log.lines().find(|line| line.contains("reaches this unit's tunnels at")).unwrap();
    let address = line.split("tunnels at ").nth(1).unwrap().split('"').next().unwrap();
    let sql = format!(
        "SELECT count(*) FROM tunnels JOIN units ON id = unit_id WHERE hop_address = '{address}'"
    );
    deployment.database.count(&sql).await
}

#[tokio::test]
async fn tun_12_a_lease_goes_with_its_socket() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, quito) = (deployment.enrol("lyon").await, deployment.enrol("quito").await);
    let first = lyon.open_tunnel().await.unwrap();
    let _second = quito.open_tunnel().await.unwrap();
    deployment.database.until_count(LEASES, 2).await;
    drop(first);
    deployment.database.until_count(LEASES, 1).await;
    let life = "SELECT count(*) FROM units WHERE expires_at BETWEEN now() + interval '15 s' AND now() + interval '30 s'";
    assert_eq!(deployment.database.count(life).await, 1);
    let stale = "UPDATE units SET expires_at = now() + interval '1 s'";
    deployment.database.connect().await.batch_execute(stale).await.unwrap();
    deployment.database.until_count(life, 1).await; // renewed
    assert!(connector.scrape().await.contains("cluster_manager_tunnels 1\n"));
}

#[tokio::test]
async fn tun_12_a_cluster_that_comes_back_elsewhere_is_held_there_and_the_first_unit_clears_nothing()
 {
    let deployment = Deployment::new().await;
    let (a, b) = (
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    );
    let member = deployment.enrol("lyon").await;
    let mut at_a = open(&deployment, &member).await;
    assert_eq!((held_by(&deployment, &a).await, held_by(&deployment, &b).await), (1, 0));
    let elsewhere = deployment.member_at(&member, &b);
    let mut at_b = open(&deployment, &elsewhere).await;
    assert_eq!(
        at_a.goodbye().await.map(|(code, _)| code),
        Some(1008),
        "the first unit was notified"
    );
    a.until_log("a tunnel ended").await;
    assert_eq!((held_by(&deployment, &a).await, held_by(&deployment, &b).await), (0, 1));
    // On the same unit the newer socket wins, too.
    let _newer = open(&deployment, &elsewhere).await;
    assert_eq!(at_b.goodbye().await.map(|(code, _)| code), Some(1000));
    b.until_log("a tunnel ended").await;
    assert_eq!((held_by(&deployment, &b).await, deployment.database.count(LEASES).await), (1, 1));
}

#[tokio::test]
async fn tun_12_a_killed_unit_holds_nothing_for_longer_than_thirty_seconds() {
    let deployment = Deployment::new().await;
    let (mut a, b) = (
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    );
    let member = deployment.enrol("lyon").await;
    let _tunnel = open(&deployment, &member).await;
    a.process.kill();
    let alive = "SELECT count(*) FROM tunnels JOIN units ON id = unit_id WHERE expires_at > now()";
    let longer = "SELECT count(*) FROM units WHERE expires_at > now() + interval '30 s'";
    assert_eq!(
        (deployment.database.count(alive).await, deployment.database.count(longer).await),
        (1, 0)
    );
    // It may come back at another unit at once.
    let _again = open(&deployment, &deployment.member_at(&member, &b)).await;
    assert_eq!(held_by(&deployment, &b).await, 1);
}

#[tokio::test]
async fn tun_12_leases_that_got_lost_are_written_again_and_unused_ones_are_cleared() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, quito) = (deployment.enrol("lyon").await, deployment.enrol("quito").await);
    let _tunnel = open(&deployment, &lyon).await;
    let db = deployment.database.connect().await;
    db.batch_execute("DELETE FROM units").await.unwrap();
    deployment.database.until_count(LEASES, 1).await;
    let unused = "INSERT INTO tunnels (remote_cluster_id, unit_id, generation, fingerprint, opened_at)
        SELECT cluster.id, units.id, 99, fingerprint, now() - interval '2 min' FROM remote_clusters AS cluster, units WHERE name = 'quito'";
    db.batch_execute(unused).await.unwrap();
    assert_eq!(deployment.database.count(LEASES).await, 2);
    deployment.database.until_count(LEASES, 1).await;
    assert!(connector.scrape().await.contains("cluster_manager_tunnels 1\n"));
    drop(quito);
}

#[tokio::test]
async fn mtls_05_tunnels_of_removed_and_changed_clusters_are_closed_within_two_seconds_on_every_unit()
 {
    let deployment = Deployment::new().await;
    let (_a, b) = (
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    );
    let (lyon, quito, oslo) = (
        deployment.enrol("lyon").await,
        deployment.enrol("quito").await,
        deployment.enrol("oslo").await,
    );
    let mut removed_at_a = open(&deployment, &lyon).await;
    let mut removed_at_b = open(&deployment, &deployment.member_at(&quito, &b)).await;
    let mut changed = open(&deployment, &oslo).await;
    let db = deployment.database.connect().await;
    let begin = Instant::now();
    db.batch_execute(
        "DELETE FROM remote_clusters WHERE name IN ('lyon', 'quito');
         UPDATE remote_clusters SET fingerprint = sha256('other') WHERE name = 'oslo'",
    )
    .await
    .unwrap();
    for tunnel in [&mut removed_at_a, &mut removed_at_b, &mut changed] {
        assert_eq!(tunnel.goodbye().await.map(|(code, _)| code), Some(1008));
    }
    // The poll alone would take up to ten seconds.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn mtls_05_the_poll_closes_tunnels_when_the_notification_is_lost() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut tunnel = open(&deployment, &member).await;
    let db = deployment.database.connect().await;
    db.batch_execute("DROP TRIGGER remote_clusters_removed ON remote_clusters").await.unwrap();
    let begin = Instant::now();
    db.batch_execute("DELETE FROM remote_clusters").await.unwrap();
    assert_eq!(tunnel.goodbye().await.map(|(code, _)| code), Some(1008));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

const LISTENERS: &str =
    "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";

#[tokio::test]
async fn mtls_05_a_listener_that_was_cut_off_listens_again() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut tunnel = open(&deployment, &member).await;
    let cut = format!("SELECT count(pg_terminate_backend(pid)) {LISTENERS}");
    assert_eq!(deployment.database.count(&cut).await, 1);
    connector.until_log("notifications about tunnels are not heard").await;
    deployment.database.until_count(&format!("SELECT count(*) {LISTENERS}"), 1).await;
    let db = deployment.database.connect().await;
    let begin = Instant::now();
    db.batch_execute("DELETE FROM remote_clusters").await.unwrap();
    assert_eq!(tunnel.goodbye().await.map(|(code, _)| code), Some(1008));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn rel_08_a_unit_that_stops_says_goodbye_and_leaves_no_lease() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut tunnel = open(&deployment, &member).await;
    connector.process.signal("TERM");
    assert_eq!(tunnel.goodbye().await, Some((1001, "the service stops".into())));
    assert_eq!(connector.process.wait().await.code(), Some(0));
    assert_eq!(deployment.database.count(LEASES).await, 0);
    assert_eq!(deployment.database.count("SELECT count(*) FROM units").await, 0);
}
