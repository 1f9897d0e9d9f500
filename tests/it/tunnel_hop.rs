//! The way between units (security property TUN-13).

use std::net::{SocketAddr, TcpListener};

use cluster_simulator::tls::{Dial, Trust};
use cluster_simulator::{Connection, Identity, Request, TunnelAnswer};
use end_to_end_tests::{TunnelDeployment, answering};
use serde_json::json;

const PATH: &str = "/1.0/remote-cluster/lyon/tunnel/1.0";

async fn hop_address(at: &TunnelDeployment) -> SocketAddr {
    let db = at.deployment.database.connect().await;
    let row = db.query_one("SELECT hop_address FROM units", &[]).await.unwrap();
    row.try_get::<_, String>(0).unwrap().parse().unwrap()
}

#[tokio::test]
async fn tun_13_only_units_get_past_the_handshake() {
    let at = TunnelDeployment::start(&[]).await;
    let (member, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    let address = hop_address(&at).await.to_string();
    let tls = at.deployment.directory().join("tls");
    let of_service = |name: &str| {
        let read = |file: &str| std::fs::read_to_string(tls.join(name).join(file)).unwrap();
        Identity::from_pem(&read("tls.crt"), &read("tls.key")).unwrap()
    };
    let (management, connector) = (of_service("management"), of_service("connector"));
    for identity in [None, Some(member.identity()), Some(&management), Some(&connector)] {
        let request = Request::new("POST", "/tunnel/1")
            .with_header("tunnel-method", "GET")
            .with_header("tunnel-path", "/1.0")
            .with_header("tunnel-operator", "intruder")
            .with_header("tunnel-request-id", "0");
        // With TLS 1.3 a client learns of the refusal when it reads.
        let opened = Connection::open(&address, &Trust::Anything, identity, Dial::default()).await;
        if let Ok(mut connection) = opened {
            assert!(connection.send(&request).await.is_err(), "{identity:?}");
        }
    }
    drop(at);
    assert!(seen.await.unwrap().is_empty());
}

#[tokio::test]
async fn tun_13_a_unit_of_another_deployment_is_no_unit_of_ours() {
    let at = TunnelDeployment::start(&[]).await;
    let other = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    // Its database shows the other deployment's Management API a unit of ours, with the proof that ours wrote.
    let ours = at.deployment.database.connect().await;
    let row = ours
        .query_one("SELECT id::text, hop_address, encode(proof, 'hex') FROM units", &[])
        .await
        .unwrap();
    let column = |n: usize| row.try_get::<_, String>(n).unwrap();
    let member = other.deployment.enrol("lyon").await;
    let theirs = other.deployment.database.connect().await;
    theirs
        .batch_execute(&format!(
            "INSERT INTO units (id, hop_address, proof, expires_at) VALUES ('{}', '{}', decode('{}', 'hex'), now() + interval '1 h');
             INSERT INTO tunnels (remote_cluster_id, unit_id, generation, fingerprint)
                  SELECT id, '{}', 1, fingerprint FROM remote_clusters",
            column(0), column(1), column(2), column(0)
        ))
        .await
        .unwrap();
    let mut admin = other.admin.clone();
    let answer = admin.get(PATH).await.error();
    assert_eq!(answer, (400, "remote cluster does not have an active tunnel".into()));
    drop((at, member));
    assert!(seen.await.unwrap().is_empty());
}

#[tokio::test]
async fn tun_13_an_address_that_no_unit_wrote_is_never_connected_to() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, tunnel) = at.open("lyon").await;
    let _seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    assert_eq!(at.admin.get(PATH).await.status, 200);
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let trap_address = trap.local_addr().unwrap().to_string();
    let genuine = hop_address(&at).await.to_string();
    let db = at.deployment.database.connect().await;
    for address in
        ["169.254.169.254:80", "metadata.example:9001", "localhost:9001", &trap_address, "", "%00"]
    {
        db.execute("UPDATE units SET hop_address = $1", &[&address]).await.unwrap();
        let refused = at.admin.get(PATH).await.error();
        assert_eq!(
            refused,
            (400, "remote cluster does not have an active tunnel".into()),
            "{address}"
        );
    }
    assert!(trap.accept().is_err(), "nobody connected");
    assert!(at.manager.process.log().contains("was not written by a unit"));
    db.execute("UPDATE units SET hop_address = $1", &[&genuine]).await.unwrap();
    assert_eq!(at.admin.get(PATH).await.status, 200);
}

#[tokio::test]
async fn a_unit_that_was_killed_is_a_502_until_its_lease_is_over() {
    let mut at = TunnelDeployment::start(&[]).await;
    let (_, _tunnel) = at.open("lyon").await;
    at.connector.process.kill();
    let answer = at.admin.get(PATH).await.error();
    assert_eq!(answer, (502, "the unit with the cluster's tunnel cannot be reached".into()));
    let db = at.deployment.database.connect().await;
    db.batch_execute("UPDATE units SET expires_at = now()").await.unwrap();
    let answer = at.admin.get(PATH).await.error();
    assert_eq!(answer, (400, "remote cluster does not have an active tunnel".into()));
}

#[tokio::test]
async fn mtls_05_a_request_that_waits_while_its_cluster_is_removed_never_reaches_it() {
    let at = TunnelDeployment::start(&[]).await;
    let (_, mut tunnel) = at.open("lyon").await;
    let ask = || {
        let mut admin = at.admin.clone();
        tokio::spawn(async move { admin.get(PATH).await })
    };
    let under_way = ask();
    let request = tunnel.next().await.unwrap().unwrap();
    let waiting = ask();
    let line = "a request goes to a cluster";
    while at.connector.process.log().matches(line).count() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let db = at.deployment.database.connect().await;
    // Without the notification the tunnel is still open.
    db.batch_execute("DROP TRIGGER remote_clusters_removed ON remote_clusters").await.unwrap();
    db.batch_execute("DELETE FROM remote_clusters").await.unwrap();
    tunnel.answer(&TunnelAnswer::json(&request, 200, &json!({}))).await.unwrap();
    assert_eq!(under_way.await.unwrap().status, 200);
    let refused = waiting.await.unwrap().error();
    assert_eq!(refused, (400, "remote cluster does not have an active tunnel".into()));
    assert_eq!(
        tunnel.goodbye().await.map(|(code, _)| code),
        Some(1008),
        "and no request before it"
    );
}
