//! Files of certificates that change under load (security properties REL-06 and REL-07).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster_simulator::tls::{Dial, Trust};
use cluster_simulator::{ClientError, Connection, Member, Request, STATUS_PATH, TunnelAnswer};
use end_to_end_tests::{Deployment, Service, TunnelDeployment, Unit, answering};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use tokio::task::JoinSet;

/// How often the connector's files change under load, and how many times without a pause. It looks at them every two seconds, so that
/// more pairs than each tenth would only take longer; some looks meet files that are half written.
const ROTATIONS: usize = 100;
const AT_ONCE: usize = 10;
/// Time between two requests of a client meanwhile.
const PACE: Duration = Duration::from_millis(10);

#[tokio::test]
async fn rel_06_the_connector_follows_new_files_without_a_failed_request_or_a_dropped_connection() {
    let mut at = TunnelDeployment::start(&[("CLUSTER_CONNECTOR_CERTIFICATE", "follow")]).await;
    let (member, tunnel) = at.open("lyon").await;
    let _seen = answering(tunnel, |request| TunnelAnswer::json(request, 200, &json!({})));
    // Clients without a pin, as health checks and balancers are, and one whose connection stays open all the time.
    let (failed, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for n in 0..4 {
        let (member, failed, stop) = (member.clone(), Arc::clone(&failed), Arc::clone(&stop));
        let mut kept = member.raw_connection(Some(member.identity())).await.unwrap();
        clients.spawn(async move {
            let heartbeat = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
            let kept_heartbeat = heartbeat.clone().with_header("Connection", "keep-alive");
            let mut pace = tokio::time::interval(PACE);
            while !stop.load(Ordering::SeqCst) {
                pace.tick().await;
                let answer = match n {
                    0 => kept.send(&kept_heartbeat).await,
                    _ => member.raw_request(&heartbeat, Some(member.identity())).await,
                };
                match answer {
                    Ok(answer) if answer.status == 200 => {}
                    other => failed.lock().unwrap().push(format!("{other:?}")),
                }
            }
        });
    }
    let address = at.deployment.connector_address();
    for _ in 0..ROTATIONS / AT_ONCE {
        for _ in 0..AT_ONCE {
            drop(at.deployment.certificates.issue("connector", address.ip()));
        }
        until_presented(&member, &fingerprint(&at.deployment), &at.connector).await;
        let through = at.admin.get("/1.0/remote-cluster/lyon/tunnel/1.0").await;
        assert_eq!(through.status, 200, "{}", through.body);
    }
    stop.store(true, Ordering::SeqCst);
    clients.join_all().await;
    assert_eq!(*failed.lock().unwrap(), Vec::<String>::new());
    // Whoever pinned the first one notices.
    let pinned = member.request("POST", STATUS_PATH, b"{}".to_vec()).await;
    assert!(matches!(pinned, Err(ClientError::Fingerprint { .. })), "{pinned:?}");
}

#[tokio::test]
async fn rel_06_new_tokens_name_the_certificate_that_a_following_connector_presents_now() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("CLUSTER_CONNECTOR_CERTIFICATE", "follow".into()));
    let _provider = deployment.start_identity_provider().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let key = deployment.directory().join("tls/connector/tls.key");
    let mut create = async |name: &str| {
        let path = "/1.0/remote-cluster-join-token";
        let body = serde_json::json!({"cluster_name": name});
        let made = admin.send(reqwest::Method::POST, path, Some(&body)).await.metadata();
        cluster_simulator::JoinToken::decode(made["token"].as_str().unwrap()).unwrap()
    };
    let first = fingerprint(&deployment);
    assert_eq!(create("lyon").await.body().fingerprint, first);
    drop(deployment.certificates.issue("connector", deployment.connector_address().ip()));
    let token = create("quito").await;
    assert_eq!(token.body().fingerprint, fingerprint(&deployment));
    connector.until_log("a new certificate is presented").await;
    deployment.member(&token).join(&token).await.expect("the token leads to the connector");
    // Half a pair is not presented, and no token names it.
    std::fs::write(key, "").unwrap();
    assert_eq!(create("oslo").await.body().fingerprint, token.body().fingerprint);
}

#[tokio::test]
async fn rel_06_the_connector_keeps_its_pair_until_the_new_one_is_written_completely() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("CLUSTER_CONNECTOR_CERTIFICATE", "follow".into()));
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let old = fingerprint(&deployment);
    let new = deployment.certificates.issue("next", deployment.connector_address().ip());
    let [certificate, key] =
        ["tls.crt", "tls.key"].map(|name| std::fs::read(new.join(name)).unwrap());
    let write = |name: &str, content: &[u8]| {
        std::fs::write(deployment.directory().join("tls/connector").join(name), content).unwrap();
    };
    let half = &certificate[..certificate.len() / 2];
    for (times, state) in [half, &certificate].into_iter().enumerate() {
        write("tls.crt", state);
        let deadline = Instant::now() + Duration::from_secs(30);
        let refused = "the new certificate cannot be used";
        while connector.process.log().matches(refused).count() <= times {
            assert!(Instant::now() < deadline, "{}", connector.process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(member.preflight().await.unwrap().fingerprint(), old);
        let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(connector.scrape().await.contains(&not_presented("unusable", 1)));
    write("tls.key", &key);
    until_presented(&member, &fingerprint(&deployment), &connector).await;
    assert!(connector.scrape().await.contains(&not_presented("unusable", 0)));
}

/// Waits until new handshakes with the connector get this certificate.
async fn until_presented(member: &Member, fingerprint: &str, connector: &Unit) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while member.preflight().await.unwrap().fingerprint() != fingerprint {
        assert!(Instant::now() < deadline, "{}", connector.process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn rel_07_new_files_do_not_cut_off_clusters_that_pinned_the_old_certificate() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    drop(deployment.certificates.issue("connector", deployment.connector_address().ip()));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !connector.process.log().contains("the certificate's files have changed") {
        assert!(Instant::now() < deadline, "{}", connector.process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(connector.scrape().await.contains(&not_presented("pinned", 1)));
}

fn not_presented(reason: &str, value: u8) -> String {
    format!("cluster_manager_certificate_files_not_presented{{reason=\"{reason}\"}} {value}\n")
}

/// Of the certificate in the connector's files.
fn fingerprint(deployment: &Deployment) -> String {
    let file = deployment.directory().join("tls/connector/tls.crt");
    cluster_simulator::fingerprint(&CertificateDer::from_pem_file(file).unwrap())
}

#[tokio::test]
async fn rel_06_a_renewed_certificate_is_presented_without_a_failed_request() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let manager = deployment.start(Service::ManagementApi).await;
    let presented = async || {
        let origin = deployment.origin();
        let leaf = Connection::open(
            origin.trim_start_matches("https://"),
            &Trust::Anything,
            None,
            Dial::default(),
        );
        leaf.await.unwrap().leaf().to_vec()
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    let in_time = || assert!(Instant::now() < deadline, "the files are not followed");
    let before = presented().await;
    let mut nobody = deployment.operator();
    std::fs::write(deployment.file("tls/management/tls.crt"), "half written").unwrap();
    let renewed = |log: &str| log.contains("the new certificate cannot be used");
    while !renewed(&manager.process.log()) {
        in_time();
        assert_eq!(nobody.get("/1.0/status").await.status, 200);
    }
    assert_eq!(presented().await, before, "a pair that cannot be used changes nothing");
    let address = manager.api.ip();
    drop(deployment.certificates.issue("management", address));
    while presented().await == before {
        in_time();
        assert_eq!(nobody.get("/1.0/status").await.status, 200);
    }
}
