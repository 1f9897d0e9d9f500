//! Certificates by the name that a client asks for: what a cluster pinned under an earlier name stays there.

use std::net::SocketAddr;
use std::sync::Arc;

use cluster_simulator::{Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Service};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

/// Fingerprint of the certificate that a client gets who asks for `name`.
async fn presented(
    deployment: &Deployment,
    address: SocketAddr,
    name: &str,
    trust: &[&str],
) -> String {
    let mut roots = rustls::RootCertStore::empty();
    for pem in trust {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let authority = CertificateDer::from_pem_file(deployment.certificates.ca_file()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let leaf = &stream.get_ref().1.peer_certificates().unwrap()[0];
    cluster_simulator::fingerprint(leaf)
}

fn of_file(path: &std::path::Path) -> String {
    cluster_simulator::fingerprint(&CertificateDer::from_pem_file(path).unwrap())
}

#[tokio::test]
async fn rel_07_a_new_name_has_a_new_certificate_and_clusters_at_the_old_one_notice_nothing() {
    let mut deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let address = deployment.connector_address();
    let member = deployment.enrol("lyon").await;
    let pending = deployment.token("quito");
    drop(connector);

    // The connector has another name now; what it had before is an earlier one.
    let folder = deployment.directory().join("tls/connector");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let old = of_file(&folder.join("tls.crt"));
    std::fs::write(folder.join("earlier.pem"), read("tls.crt") + &read("tls.key")).unwrap();
    let key = KeyPair::from_pem(&read("tls.key")).unwrap();
    let mut params = CertificateParams::new(vec!["clusters.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    let new = of_file(&folder.join("tls.crt"));
    assert_ne!(old, new);
    deployment.extra.push(("CLUSTER_CONNECTOR_DOMAIN", "clusters.example.com".into()));
    let connector = deployment.start(Service::ClusterConnector).await;

    // Who connects to the address asks for no name and finds what it has pinned; a pending token works, too.
    let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    deployment.member(&pending).join(&pending).await.unwrap();
    let (trusted, own) = (certificate.pem(), address.ip().to_string());
    let found = async |name| presented(&deployment, address, name, &[&trusted]).await;
    assert_eq!(found(&own).await, old);
    assert_eq!(found("localhost").await, old);
    assert_eq!(found("clusters.example.com").await, new);
    // New tokens lead to the new name with the new certificate.
    let token = deployment.token("oslo");
    let body = token.body();
    assert_eq!(body.fingerprint, new);
    assert!(body.addresses[0].starts_with("clusters.example.com:"));
    // A client of the new name is still mutual TLS: without a certificate there is no heartbeat.
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    assert_eq!(member.raw_request(&request, None).await.unwrap().status, 403);
    assert!(connector.process.log().contains(&format!("still find {old}")));
}

#[tokio::test]
async fn the_first_end_of_all_certificates_is_measured_and_half_a_file_ends_the_start() {
    let deployment = Deployment::new().await;
    let folder = deployment.directory().join("tls/connector");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["old.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2028, 3, 4);
    let earlier = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("earlier.pem"), format!("{earlier}{}", key.serialize_pem()))
        .unwrap();
    let connector = deployment.start(Service::ClusterConnector).await;
    let metrics = connector.scrape().await;
    let ends = rcgen::date_time_ymd(2028, 3, 4).unix_timestamp();
    let line = format!("cluster_manager_certificate_expiry_timestamp_seconds {ends}");
    assert!(metrics.contains(&line), "{metrics}");
    drop(connector);
    std::fs::write(folder.join("earlier.pem"), earlier).unwrap();
    let refused = deployment.run(&["cluster-connector"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error.contains("earlier.pem cannot be used: its last certificate has no key"),
        "{error}"
    );
}
