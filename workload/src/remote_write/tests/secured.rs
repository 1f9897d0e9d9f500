//! Against a receiver behind TLS whose certificate a private authority has issued.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::super::{Options, RemoteWrite};
use super::{moment, stats, text};
use crate::tls;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Answers every request with 204, under a certificate for `localhost` by `authority`.
async fn serve(authority: &Authority) -> Url {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust the certificate leaves.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    format!("https://localhost:{port}/api/v1/write").parse().unwrap()
}

#[tokio::test]
async fn met_02_a_private_authority_is_trusted_from_its_file_and_a_new_one_without_a_restart() {
    let (known, other) = (authority(), authority());
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, other.pem()).unwrap();
    let wait = (Duration::from_millis(1), Duration::from_millis(50));
    let options = Options { wait, ..super::one_worker() };
    let trust = tls::client_config(Some(&ca_file)).unwrap();
    let client = RemoteWrite::new(&[serve(&known).await], &trust, &options).unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    client.run(&stop, &tasks);
    let trusting = client.clone();
    let follow = tls::follow_authorities(ca_file.clone(), "tests", stop.clone(), move |tls| {
        trusting.trust(&tls)
    });
    tasks.spawn(follow);

    client.enqueue("oslo", moment(1), vec![text("n1", "lxd_a 1")]);
    while stats(&client).retries.get() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stats(&client).samples_sent.get(), 0, "an authority that nobody named is trusted");
    // A file that cannot be used changes nothing.
    std::fs::write(&ca_file, "not a certificate").unwrap();
    let tried = stats(&client).retries.get();
    while stats(&client).retries.get() < tried + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write(&ca_file, [other.pem(), known.pem()].concat()).unwrap();
    while stats(&client).samples_sent.get() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
