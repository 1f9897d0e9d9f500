//! Authentication of clusters (security properties MTLS-*).

use std::io::Write;
use std::process::{Command, Stdio};

use cluster_simulator::{
    CLUSTER_PATH, CertificateSpec, Connection, Identity, KeyKind, Member, Request, STATUS_PATH,
    SpoiltProof,
};
use end_to_end_tests::{Deployment, Operator, Service, TunnelDeployment, Unit, rounds};
use reqwest::Method;
use rustls::SignatureScheme;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::availability::{enrol, herd};
use super::fleet_rotation::rotation_token;
use super::fleet_view::fleet;

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
async fn mtls_01_a_spoilt_proof_of_the_key_does_not_pass_the_handshake() {
    use SpoiltProof::{Called, Corrupted, Empty, Lengthened, OfAnotherHandshake, Truncated, Under};
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let for_all = [
        Corrupted(0),
        Corrupted(8 * 5 + 3),
        Corrupted(8 * 40 + 7),
        Truncated,
        Lengthened,
        Empty,
        OfAnotherHandshake,
        Called(SignatureScheme::RSA_PKCS1_SHA1),
        Called(SignatureScheme::ECDSA_SHA1_Legacy),
        Called(SignatureScheme::Unknown(0xfefe)),
    ];
    let ecdsa = SignatureScheme::ECDSA_NISTP256_SHA256;
    let pss = SignatureScheme::RSA_PSS_SHA256;
    let (mut members, mut tried) = (Vec::new(), 0);
    for (key, name, others) in [
        (KeyKind::P384, "p384", [Called(ecdsa), Called(pss), Called(SignatureScheme::ED25519)]),
        (KeyKind::Ed25519, "ed25519", [Called(ecdsa), Called(pss), Called(SignatureScheme::ED448)]),
        // Its own signature of the old kind is a right one, which TLS 1.3 forbids.
        (
            KeyKind::Rsa2048,
            "rsa",
            [Called(ecdsa), Called(pss), Under(SignatureScheme::RSA_PKCS1_SHA256)],
        ),
    ] {
        let token = deployment.token(name);
        let spec = CertificateSpec { key, ..CertificateSpec::lxd(name) };
        let member =
            Member::new(Identity::from_spec(&spec).unwrap(), cluster_simulator::Pin::of(&token));
        member.join(&token).await.unwrap();
        for spoilt in for_all.into_iter().chain(others) {
            let forged = member.identity().with_spoilt_proof(spoilt);
            let answer = member.raw_request(&request, Some(&forged)).await;
            assert!(answer.is_err(), "{name}, {spoilt:?}: {answer:?}");
            tried += 1;
        }
        members.push(member);
    }
    // It was the connector that refused each of them, in the handshake.
    let refused = format!("cluster_manager_tls_handshakes_total{{result=\"failed\"}} {tried}\n");
    let metrics = connector.scrape().await;
    assert!(metrics.contains(&refused), "{refused}{metrics}");
    let heard = "SELECT count(*) FROM remote_cluster_details WHERE last_heartbeat_at IS NOT NULL";
    assert_eq!(deployment.database.count(heard).await, 0);
    for member in members {
        assert_eq!(heartbeat(&member, Some(member.identity())).await, 200);
    }
}

#[tokio::test]
async fn mtls_01_self_signed_certificates_of_every_kind_of_key_pass() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    for (name, key) in [
        ("p384", KeyKind::P384),
        ("p256", KeyKind::P256),
        ("p521", KeyKind::P521),
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

/// What openssl says of a connection over which it sends a request and reads until the end.
fn openssl(unit: &Unit, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-connect", &unit.api.to_string()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Refused handshakes end before it is read.
    let request = b"GET / HTTP/1.1\r\nHost: manager\r\nConnection: close\r\n\r\n";
    drop(child.stdin.take().unwrap().write_all(request));
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Protocols and ciphers that the connector speaks, in the words of openssl.
const SPOKEN: [&str; 3] = [
    "TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256",
    "TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384",
    "TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256",
];

#[tokio::test]
async fn mtls_03_the_connector_speaks_tls_1_3_with_three_ciphers_and_nothing_else() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let mut spoken = Vec::new();
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ] {
        let said = openssl(&connector, &["-tls1_3", "-ciphersuites", suite]);
        spoken.extend(said.lines().find_map(|line| line.strip_prefix("New, ")).map(str::to_owned));
    }
    for version in ["-tls1", "-tls1_1", "-tls1_2"] {
        let said = openssl(&connector, &[version, "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
        assert!(said.contains(":SSL alert number "), "the connector refuses {version}: {said}");
        spoken.extend(said.lines().find_map(|line| line.strip_prefix("New, ")).map(str::to_owned));
    }
    spoken.retain(|what| what != "(NONE), Cipher is (NONE)");
    assert_eq!(spoken, SPOKEN);
}

#[tokio::test]
async fn mtls_03_the_connector_gives_no_ticket_takes_none_and_reads_no_early_data() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    // The other service, which browsers come back to, gives tickets: openssl would say so of this one, too.
    let management = deployment.start(Service::ManagementApi).await;
    let ticket = deployment.file("ticket.pem");
    let ticket = ticket.to_str().unwrap();
    let given = "New Session Ticket arrived";
    let said = openssl(&management, &["-tls1_3", "-sess_out", ticket]);
    assert!(said.contains(given) && said.contains("Max Early Data: 0"), "{said}");
    let resumed = openssl(&management, &["-tls1_3", "-sess_in", ticket]);
    assert!(resumed.contains("Reused, TLSv1.3"), "{resumed}");

    let early = deployment.file("early");
    std::fs::write(&early, "GET / HTTP/1.1\r\n\r\n").unwrap();
    let early = early.to_str().unwrap();
    for arguments in [
        &["-tls1_3"][..],
        &["-tls1_3", "-sess_in", ticket],
        &["-tls1_3", "-sess_in", ticket, "-early_data", early],
    ] {
        let said = openssl(&connector, arguments);
        assert!(said.contains("New, TLSv1.3") && said.contains("HTTP/1.1 "), "{said}");
        assert!(!said.contains(given) && !said.contains("Early data was accepted"), "{said}");
    }
}

/// Clients that hammer one unit while the cluster is removed through another.
const HAMMERING: usize = 50;

/// What the hammering clients know of the round.
#[derive(Clone, Copy)]
struct Round {
    number: usize,
    is_removed: bool,
}

/// Sends heartbeats over a connection that stays open, round after round, and tells of the first status of each kind, or what must
/// not be.
async fn hammer(
    mut connection: Connection,
    mut round: watch::Receiver<Round>,
    tell: mpsc::UnboundedSender<Result<u16, String>>,
) {
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec())
        .with_header("Connection", "keep-alive");
    for number in 0.. {
        if round.wait_for(|round| round.number == number).await.is_err() {
            return;
        }
        let mut accepted = false;
        loop {
            let began_after_the_removal = round.borrow().is_removed;
            let told = match connection.send(&request).await {
                Ok(answer) if answer.status == 200 && began_after_the_removal => {
                    Err("accepted after the removal".to_owned())
                }
                Ok(answer) => Ok(answer.status),
                Err(error) => Err(error.to_string()),
            };
            let is_stored = told == Ok(200);
            if !(is_stored && accepted) && tell.send(told).is_err() {
                return;
            }
            if !is_stored {
                break;
            }
            accepted = true;
        }
    }
}

#[tokio::test]
async fn mtls_04_a_removed_cluster_is_refused_at_once_on_every_unit() {
    let mut at = TunnelDeployment::start(&[]).await;
    let second = at.deployment.start(Service::ClusterConnector).await;
    let member = at.deployment.enrol("lyon").await;
    let renewed = {
        let spec = CertificateSpec::lxd("renewed");
        Member::new(member.identity().reissued(&spec).unwrap(), member.pin().clone())
    };
    let there = at.deployment.member_at(&member, &second);
    let (tell_round, round) = watch::channel(Round { number: usize::MAX, is_removed: false });
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..HAMMERING {
        let connection = there.raw_connection(Some(there.identity())).await.unwrap();
        clients.spawn(hammer(connection, round.clone(), tell.clone()));
    }
    drop(tell);
    let db = at.deployment.database.connect().await;
    let fingerprint = member.identity().fingerprint();
    for number in 0..rounds(30, 1_000) {
        db.execute("DELETE FROM remote_clusters", &[]).await.unwrap();
        enrol(&db, "lyon", std::slice::from_ref(&fingerprint)).await;
        tell_round.send_replace(Round { number, is_removed: false });
        for _ in 0..HAMMERING {
            assert_eq!(told.recv().await, Some(Ok(200)), "round {number}");
        }
        match number % 3 {
            0 => drop(member.leave().await.unwrap()),
            1 => {
                let path = "/1.0/remote-cluster/lyon-1";
                assert_eq!(at.admin.send(Method::DELETE, path, None).await.status, 200);
            }
            _ => {
                let token = rotation_token(&mut at.admin, "lyon-1").await;
                renewed.join(&token).await.unwrap();
            }
        }
        tell_round.send_replace(Round { number, is_removed: true });
        for _ in 0..HAMMERING {
            assert_eq!(told.recv().await, Some(Ok(403)), "round {number}");
        }
    }
    drop(tell_round);
    clients.join_all().await;
}

/// Clusters that a restarted unit has never seen.
const STRANGE: usize = 500;

#[tokio::test]
async fn mtls_06_the_first_heartbeat_after_a_restart_is_accepted() {
    let deployment = Deployment::new().await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let second = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let there = deployment.member_at(&member, &second);
    let status = heartbeat(&there, Some(there.identity())).await;
    assert_eq!(status, 200, "a join counts on every unit");
    let members = herd(&deployment, member.pin(), STRANGE).await;
    connector.process.kill();
    let _restarted = deployment.start(Service::ClusterConnector).await;
    let mut returning = JoinSet::new();
    for some in members.chunks(STRANGE / 20) {
        let some = some.to_vec();
        returning.spawn(async move {
            for member in some {
                assert_eq!(heartbeat(&member, Some(member.identity())).await, 200);
            }
        });
    }
    returning.join_all().await;
    assert_eq!(heartbeat(&member, Some(member.identity())).await, 200);
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
async fn mtls_08_the_end_of_a_certificate_is_announced_30_14_and_3_days_ahead_and_once() {
    let mut fleet = fleet(&["lyon", "oslo"]).await;
    let second = fleet.deployment.start(Service::ManagementApi).await;
    let mut there = fleet.admin.at(second.api);
    let db = fleet.deployment.database.connect().await;
    let end_in = async |days: i32| {
        let end = "UPDATE remote_clusters SET certificate_not_after = date_trunc('minute', now()) + make_interval(days => $1)
                    WHERE name = 'lyon'";
        assert_eq!(db.execute(end, &[&days]).await.unwrap(), 1);
    };
    let records = async |admin: &mut Operator| {
        let path = "/1.0/audit?event=cluster.certificate-ending";
        let records = admin.get(path).await.metadata()["records"].take();
        let records = records.as_array().unwrap().iter().rev();
        records.map(|record| record["details"]["within_days"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let mut expected = Vec::new();
    for (days, within) in [(31, None), (30, Some(30)), (14, Some(14)), (3, Some(3)), (0, Some(3))] {
        end_in(days).await;
        // Each certificate is announced for itself: this one has another end.
        expected.extend(within);
        for admin in [&mut fleet.admin, &mut there] {
            let warnings =
                admin.get("/1.0/remote-cluster/lyon").await.metadata()["warnings"].take();
            let urgent = warnings.as_array().unwrap().iter().find(|w| w["kind"] == "certificate");
            assert_eq!(urgent.and_then(|warning| warning["within"].as_i64()), within, "{warnings}");
            let summary = admin.get("/1.0/fleet/summary").await.metadata();
            assert_eq!(summary["warnings"]["certificate"], i64::from(within.is_some()));
        }
        if days > 0 {
            assert_eq!(records(&mut fleet.admin).await, expected, "whatever units there are");
        }
    }
    assert_eq!(records(&mut fleet.admin).await, [30, 14, 3], "no threshold was passed again");
    // A fresh unit, whose metrics are not ten seconds old.
    let third = fleet.deployment.start(Service::ManagementApi).await;
    let metrics = third.scrape().await;
    let left = metrics.lines().find_map(|line| line.strip_prefix(EXPIRY)).unwrap();
    assert!((-3600.0..=0.0).contains(&left.parse::<f64>().unwrap()), "{left}");
    assert!(!metrics.contains("lyon"));
}

/// The metric with the soonest end of a cluster's certificate.
const EXPIRY: &str = "cluster_manager_cluster_certificate_expiry_seconds ";

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
