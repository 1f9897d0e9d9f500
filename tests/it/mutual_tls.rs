//! Authentication of clusters (security properties MTLS-*).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster_simulator::{
    CLUSTER_PATH, CertificateSpec, Identity, KeyKind, Member, Request, STATUS_PATH,
};
use end_to_end_tests::{Deployment, Service};
use tokio::task::JoinSet;

async fn heartbeat(member: &Member, identity: Option<&Identity>) -> u16 {
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    member.raw_request(&request, identity).await.unwrap().status
}

#[tokio::test]
async fn mtls_01_a_certificate_without_its_key_does_not_pass_the_handshake() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let victim = deployment.enrol("victim").await;
    let thief = Identity::generate("thief").unwrap();
    let forged = victim.identity().with_key_of(&thief);
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let refused = victim.raw_request(&request, Some(&forged)).await.unwrap_err().to_string();
    assert!(
        refused.contains("DecryptError") || refused.contains("closed the connection"),
        "{refused}"
    );
    assert_eq!(heartbeat(&victim, Some(victim.identity())).await, 200);
}

#[tokio::test]
async fn mtls_01_self_signed_certificates_of_every_kind_of_key_pass() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    for (name, key) in [
        ("p384", KeyKind::P384),
        ("p256", KeyKind::P256),
        ("ed25519", KeyKind::Ed25519),
        ("rsa", KeyKind::Rsa2048),
    ] {
        let token = deployment.token(name);
        let spec = CertificateSpec { key, ..CertificateSpec::lxd(name) };
        let member =
            Member::new(Identity::from_spec(&spec).unwrap(), cluster_simulator::Pin::of(&token));
        member.join(&token).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(heartbeat(&member, Some(member.identity())).await, 200, "{name}");
    }
    let token = deployment.token("authority");
    let spec = CertificateSpec {
        ca: true,
        extended_key_usages: vec![],
        ..CertificateSpec::lxd("authority")
    };
    let member =
        Member::new(Identity::from_spec(&spec).unwrap(), cluster_simulator::Pin::of(&token));
    member.join(&token).await.unwrap();
}

#[tokio::test]
async fn mtls_02_only_the_exact_certificate_is_the_cluster() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let stranger = Identity::generate("test").unwrap();
    assert_eq!(heartbeat(&member, None).await, 403);
    assert_eq!(heartbeat(&member, Some(&stranger)).await, 403, "the same names, another key");
    let chain = member.identity().with_extra_certificate(&stranger);
    assert_eq!(heartbeat(&member, Some(&chain)).await, 403, "a cluster's certificate comes alone");
    let chain = stranger.with_extra_certificate(member.identity());
    assert_eq!(heartbeat(&member, Some(&chain)).await, 403);

    let spec = CertificateSpec::lxd("near");
    let token = deployment.token("near");
    let near = Member::new(Identity::from_spec(&spec).unwrap(), cluster_simulator::Pin::of(&token));
    near.join(&token).await.unwrap();
    let other = CertificateSpec { common_name: "root@other".into(), ..spec.clone() };
    for (near_miss, what) in [
        (near.identity().reissued(&spec), "the same certificate, signed again"),
        (near.identity().reissued(&other), "the same key in another certificate"),
        (Identity::from_spec(&spec), "the same words with another key"),
    ] {
        assert_eq!(heartbeat(&near, Some(&near_miss.unwrap())).await, 403, "{what}");
    }
    assert_eq!(heartbeat(&near, Some(near.identity())).await, 200);
}

#[tokio::test]
async fn mtls_03_the_connector_speaks_tls_1_3_only_and_never_resumes() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let openssl = |arguments: &[&str]| {
        let address = connector.api.to_string();
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-connect", &address, "-brief"]).args(arguments);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let modern = openssl(&["-tls1_3"]);
    assert!(modern.contains("Protocol version: TLSv1.3"), "{modern}");
    let old = openssl(&["-tls1_2"]);
    assert!(!old.contains("CONNECTION ESTABLISHED"), "{old}");
}

#[tokio::test]
async fn mtls_04_a_removed_cluster_is_refused_at_once_on_every_unit() {
    let deployment = Deployment::new().await;
    let first = deployment.start(Service::ClusterConnector).await;
    let second = deployment.start(Service::ClusterConnector).await;
    for round in 0..20 {
        let member = deployment.enrol(&format!("lyon-{round}")).await;
        let mut elsewhere = member.pin().clone();
        elsewhere.addresses = vec![second.api.to_string()];
        let there = Member::new(member.identity().clone(), elsewhere);
        assert_eq!(
            heartbeat(&there, Some(there.identity())).await,
            200,
            "a join counts on every unit"
        );
        assert_eq!(first.api.to_string(), member.pin().addresses[0]);
        // The second unit is never idle while the cluster is removed through the first one.
        let removed = Arc::new(AtomicBool::new(false));
        let mut hammering = JoinSet::new();
        for _ in 0..4 {
            let (there, removed) = (there.clone(), Arc::clone(&removed));
            hammering.spawn(async move {
                let (mut accepted, mut refused) = (0, 0);
                while refused == 0 {
                    let began_after_the_removal = removed.load(Ordering::SeqCst);
                    match heartbeat(&there, Some(there.identity())).await {
                        200 if began_after_the_removal => panic!("accepted after the removal"),
                        200 => accepted += 1,
                        status => {
                            assert_eq!(status, 403);
                            refused += 1;
                        }
                    }
                }
                accepted
            });
        }
        member.leave().await.unwrap();
        removed.store(true, Ordering::SeqCst);
        hammering.join_all().await;
    }
}

#[tokio::test]
async fn mtls_06_the_first_heartbeat_after_a_restart_is_accepted() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let mut members = Vec::new();
    for n in 0..10 {
        members.push(deployment.enrol(&format!("lyon-{n}")).await);
    }
    connector.process.kill();
    let _restarted = deployment.start(Service::ClusterConnector).await;
    for member in &members {
        assert_eq!(heartbeat(member, Some(member.identity())).await, 200);
    }
}

#[tokio::test]
async fn mtls_07_authentication_looks_nothing_up_but_the_cluster_itself() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    db.batch_execute(
        "INSERT INTO remote_clusters (name, certificate, fingerprint, certificate_not_before, certificate_not_after)
              SELECT 'idle-' || n, '', sha256(n::text::bytea), now(), now() + interval '1 year'
                FROM generate_series(1, 20000) AS n;
         INSERT INTO remote_cluster_details (remote_cluster_id)
              SELECT id FROM remote_clusters WHERE name LIKE 'idle-%';
         ANALYZE",
    )
    .await
    .unwrap();
    let scanned = "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'remote_cluster%'";
    let found =
        "SELECT sum(idx_scan)::bigint FROM pg_stat_user_tables WHERE relname = 'remote_clusters'";
    let before = (deployment.database.count(scanned).await, deployment.database.count(found).await);
    for _ in 0..30 {
        assert_eq!(heartbeat(&member, Some(member.identity())).await, 200);
    }
    // The statistics arrive when the connector's connections have been idle for a moment.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while deployment.database.count(found).await < before.1 + 30 {
        assert!(std::time::Instant::now() < deadline, "the index is not used");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(heartbeat(&member, Some(member.identity())).await, 200);
    }
    assert_eq!(deployment.database.count(scanned).await, before.0, "no table was read through");
}

#[tokio::test]
async fn mtls_08_a_certificate_out_of_its_validity_is_refused_with_the_reason() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let stranger = Identity::generate("test").unwrap();
    let db = deployment.database.connect().await;
    let over = "UPDATE remote_clusters SET certificate_not_after = now() - interval '1 s'";
    let early = "UPDATE remote_clusters SET certificate_not_before = now() + interval '6 min',
                                            certificate_not_after = now() + interval '1 h'";
    for (validity, reason) in [(over, "has expired"), (early, "is not valid yet")] {
        db.batch_execute(validity).await.unwrap();
        let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains(reason), "{}", answer.body);
        assert_eq!(heartbeat(&member, Some(&stranger)).await, 403, "others learn nothing");
    }
    db.batch_execute(
        "UPDATE remote_clusters SET certificate_not_before = now() + interval '4 min'",
    )
    .await
    .unwrap();
    assert_eq!(heartbeat(&member, Some(member.identity())).await, 200, "five minutes of tolerance");
}

#[tokio::test]
async fn mtls_09_without_a_database_the_answer_is_503_and_never_403() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let name = deployment.database.name();
    deployment.database.close().await;
    for (method, path) in [("POST", STATUS_PATH), ("DELETE", CLUSTER_PATH)] {
        let answer = member.request(method, path, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(!answer.body.contains(name), "{}", answer.body);
    }
    assert_eq!(connector.probe("/alive").await, Some(200));
    deployment.database.open().await;
    assert_eq!(heartbeat(&member, Some(member.identity())).await, 200, "it recovers by itself");
}

#[tokio::test]
async fn mtls_10_a_cluster_cannot_speak_for_another() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, quito) = (deployment.enrol("lyon").await, deployment.enrol("quito").await);
    let claim = serde_json::json!({"name": "quito", "cluster_name": "quito", "memory_usage": 77});
    let answer = lyon.request("POST", STATUS_PATH, claim.to_string().into_bytes()).await.unwrap();
    assert_eq!(answer.status, 200);
    let usage = |name: &str| {
        format!(
            "SELECT memory_usage FROM remote_cluster_details JOIN remote_clusters ON id = remote_cluster_id WHERE name = '{name}'"
        )
    };
    assert_eq!(deployment.database.count(&usage("lyon")).await, 77);
    assert_eq!(deployment.database.count(&usage("quito")).await, 0);
    lyon.leave().await.unwrap();
    assert_eq!(heartbeat(&quito, Some(quito.identity())).await, 200);
}
