//! The PROXY protocol in front of TLS (security property RATE-02).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use cluster_simulator::{CLUSTER_PATH, ClientOptions, Identity, Member, Pin, Request, STATUS_PATH};
use end_to_end_tests::{Balancer, Deployment, Service, Unit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 43981 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x08\x7f\0\0\x01\xab\xcd\x01\xbb";
const V2_WITH_EXTENSION: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x09\x7f\0\0\x01\xab\xcd\x01\xbb\x04\0\x02ab";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

async fn connect(unit: &Unit, source: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    socket.connect(unit.api).await.unwrap()
}

/// Sends `header`, then `GET /` over TLS. The status line of the answer, or `None` when the connection was closed.
async fn ask(
    deployment: &Deployment,
    unit: &Unit,
    source: IpAddr,
    header: &[u8],
) -> Option<String> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(deployment.certificates.ca_file()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = connect(unit, source).await;
    stream.write_all(header).await.ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    Some(String::from_utf8(line).unwrap())
}

/// Peers of the requests in a service's log.
fn peers(unit: &Unit) -> Vec<String> {
    let log = unit.process.log();
    let entries =
        log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    entries.filter_map(|entry| Some(entry["peer"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn rate_02_when_required_each_connection_needs_a_header_from_a_balancer() {
    let mut deployment = Deployment::new().await;
    let balancer = deployment.connector_address().ip();
    deployment.extra.push(("PROXY_PROTOCOL", "required".into()));
    deployment.extra.push(("PROXY_PROTOCOL_FROM", format!("192.0.2.0/24,{balancer}")));
    let elsewhere: IpAddr = "127.0.0.9".parse().unwrap();
    for service in [Service::ClusterConnector, Service::ManagementApi] {
        let unit = deployment.start(service).await;
        for header in [V1, V2, V2_WITH_EXTENSION, V2_LOCAL, b"PROXY UNKNOWN\r\n"] {
            let answer = ask(&deployment, &unit, balancer, header).await;
            assert!(answer.is_some(), "{}", header.escape_ascii());
            assert_eq!(ask(&deployment, &unit, elsewhere, header).await, None, "not from there");
        }
        for header in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"PROXY TCP4 203.0.113.7 127.0.0.1 43981\r\n",
            b"PROXY UDP4 203.0.113.7 127.0.0.1 43981 443\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\xab\xcd\x01\xbb",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x02\x09",
            &[V1, V1].concat(),
        ] {
            let answer = ask(&deployment, &unit, balancer, header).await;
            assert_eq!(answer, None, "{}", header.escape_ascii());
        }
        let peers = peers(&unit);
        for address in ["203.0.113.7:43981", "203.0.113.8:43981", "203.0.113.9:43981"] {
            assert!(peers.iter().any(|peer| peer.ends_with(address)), "{address}: {peers:?}");
        }
        let own = peers.iter().filter(|peer| peer.contains(&balancer.to_string())).count();
        assert_eq!(own, 2, "LOCAL and UNKNOWN keep the address of the socket: {peers:?}");
        assert!(unit.process.log().contains("PROXY_PROTOCOL_FROM"), "the operator learns why");
        assert_eq!(unit.probe("/ready").await, Some(200), "probes come directly");
    }
}

#[tokio::test]
async fn rate_02_when_off_a_connection_with_a_header_is_closed() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let here = deployment.connector_address().ip();
    for header in [V1, V2, V2_LOCAL] {
        assert_eq!(ask(&deployment, &connector, here, header).await, None);
    }
    assert!(ask(&deployment, &connector, here, b"").await.unwrap().contains(" 200 "));
}

#[tokio::test]
async fn rate_02_a_connection_that_keeps_its_header_back_does_not_hold_up_others() {
    let mut deployment = Deployment::new().await;
    let balancer = deployment.connector_address().ip();
    deployment.extra.push(("PROXY_PROTOCOL", "required".into()));
    deployment.extra.push(("PROXY_PROTOCOL_FROM", balancer.to_string()));
    let connector = deployment.start(Service::ClusterConnector).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(connect(&connector, balancer).await);
    }
    assert!(ask(&deployment, &connector, balancer, V2).await.unwrap().contains(" 200 "));
}

#[tokio::test]
async fn rate_02_a_real_balancer_tells_two_clients_apart() {
    let mut deployment = Deployment::new().await;
    let public = Balancer::free_address();
    deployment.extra.extend([
        ("PROXY_PROTOCOL", "required".to_owned()),
        ("PROXY_PROTOCOL_FROM", deployment.connector_address().ip().to_string()),
        ("CLUSTER_CONNECTOR_DOMAIN", "localhost".to_owned()),
        ("CLUSTER_CONNECTOR_PORT", public.port().to_string()),
        ("RATE_LIMIT_JOIN_PER_ADDRESS", "0.001:2".to_owned()),
    ]);
    let connector = deployment.start(Service::ClusterConnector).await;
    let balancer = Balancer::start(&deployment, public, "localhost", &[connector.api]).await;
    let at = |member: Member, address: &str| {
        let source: Option<IpAddr> = Some(address.parse().unwrap());
        member.with_options(ClientOptions { source, ..ClientOptions::default() })
    };

    let guesser = Member::new(
        Identity::generate("guesser").unwrap(),
        Pin { addresses: vec![format!("localhost:{}", public.port())], fingerprint: String::new() },
    );
    let guesser = at(guesser, "127.0.0.21");
    let guess = Request::of_member("POST", CLUSTER_PATH, b"{}".to_vec());
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(guesser.raw_request(&guess, Some(guesser.identity())).await.unwrap().status);
    }
    assert_eq!(seen, [400, 400, 429, 429], "{}", balancer.process.log());

    let token = deployment.token("lyon");
    assert_eq!(token.body().addresses, [format!("localhost:{}", public.port())]);
    let member = at(deployment.member(&token), "127.0.0.22");
    member.join(&token).await.unwrap();
    let reported = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(reported.status, 200, "{}", reported.body);

    let peers = peers(&connector);
    for address in ["127.0.0.21:", "127.0.0.22:"] {
        assert!(peers.iter().any(|peer| peer.contains(address)), "{address}: {peers:?}");
    }
}
