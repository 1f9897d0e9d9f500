//! What one member sends, and what it refuses.

use std::time::Duration;

use cluster_simulator::{
    CertificateSpec, ClientError, ClientOptions, ClusterModel, ExtendedKeyUsagePurpose, Identity,
    KeyKind, Member, PREFLIGHT_USER_AGENT, Pin, Request, sign_join,
};
use time::OffsetDateTime;

use crate::server::{Server, server_spec, until};

fn member(server: &Server) -> Member {
    Member::new(Identity::generate("lyon-a01").unwrap(), server.pin())
}

fn preflight_head(server: &Server) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: {PREFLIGHT_USER_AGENT}\r\nAccept-Encoding: gzip",
        server.address
    )
}

#[tokio::test]
async fn a_join_is_an_anonymous_preflight_and_then_a_request_with_the_certificate() {
    let server = Server::start().await;
    let member = member(&server);
    let token = server.token("lyon-edge");
    let answer = member.join(&token).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    assert_eq!(answer.header("X-Test"), Some("yes"));

    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].head, preflight_head(&server));
    assert!(seen[0].certificates.is_empty() && seen[0].body.is_empty());
    let length = seen[1].body.len();
    assert_eq!(
        seen[1].head,
        format!(
            "POST /1.0/remote-cluster HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {length}\r\nAccept-Encoding: gzip",
            server.address
        )
    );
    assert_eq!(seen[1].certificates, [member.identity().der()]);
    assert_ne!(seen[0].connection, seen[1].connection);
    let body = seen[1].json();
    assert_eq!(body.as_object().unwrap().len(), 3);
    assert_eq!(body["cluster_name"], "lyon-edge");
    assert_eq!(body["cluster_certificate"], member.identity().certificate_pem());
    assert_eq!(body["token"], token.text());
    for connection in &seen {
        assert_eq!(connection.alpn, None, "members offer no ALPN");
        assert_eq!(connection.server_name, None, "there is no SNI for an IP address");
        assert!(connection.full_handshake);
    }
}

#[tokio::test]
async fn heartbeat_and_leave_look_like_those_of_a_member() {
    let server = Server::start().await;
    let pin = Pin {
        addresses: vec![format!("localhost:{}", server.address.port())],
        fingerprint: server.identity.fingerprint().to_uppercase(),
    };
    let member = Member::new(Identity::generate("lyon-a01").unwrap(), pin);
    let status = ClusterModel::new(1, "lyon-edge").status(OffsetDateTime::now_utc());
    member.heartbeat(&status).await.unwrap();
    member.leave().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    let host = format!("localhost:{}", server.address.port());
    assert_eq!(
        seen[1].head,
        format!(
            "POST /1.0/remote-cluster/status HTTP/1.1\r\nHost: {host}\r\n\
             User-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\nAccept-Encoding: gzip",
            seen[1].body.len()
        )
    );
    assert_eq!(seen[1].body, serde_json::to_vec(&status).unwrap());
    assert_eq!(
        seen[3].head,
        format!(
            "DELETE /1.0/remote-cluster HTTP/1.1\r\nHost: {host}\r\n\
             User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip"
        )
    );
    assert!(seen.iter().all(|seen| seen.server_name.as_deref() == Some("localhost")));
    let certificates: Vec<usize> = seen.iter().map(|seen| seen.certificates.len()).collect();
    assert_eq!(certificates, [0, 1, 0, 1]);
}

#[tokio::test]
async fn another_fingerprint_ends_the_operation_after_the_preflight() {
    let server = Server::start().await;
    let expected = "0".repeat(64);
    let pin = Pin { fingerprint: expected.clone(), ..server.pin() };
    let member = Member::new(Identity::generate("lyon-a01").unwrap(), pin);
    let error = member.leave().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Invalid cluster manager certificate fingerprint, expected {expected}, got {}",
            server.identity.fingerprint()
        )
    );
    until("the preflight is closed", || server.open_connections() == 0).await;
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.refused_handshakes(), 0, "there is no second connection at all");
}

#[tokio::test]
async fn only_status_200_is_success_and_refusals_are_quoted() {
    for status in ["201 Created", "204 No Content", "308 Permanent Redirect", "403 Forbidden"] {
        let server = Server::answering(move |seen| {
            let preflight = seen.head.starts_with("GET / ");
            // Any answer to the preflight will do.
            let status = if preflight { "500 Internal Server Error" } else { status };
            (status.into(), if status.starts_with("204") { "" } else { "{\"error\":\"x\"}" }.into())
        })
        .await;
        let error = member(&server).leave().await.unwrap_err();
        let body = if status.starts_with("204") { "" } else { "{\"error\":\"x\"}" };
        let quoted = format!("Failed to send request to cluster manager: {status}, body: {body}");
        assert_eq!(error.to_string(), quoted);
        let ClientError::Refused(answer) = error else { panic!("{error}") };
        assert_eq!(answer.status.to_string(), status[..3]);
    }
}

#[tokio::test]
async fn addresses_are_tried_in_order_until_one_answers_the_preflight() {
    let server = Server::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = closed.local_addr().unwrap().to_string();
    drop(closed);
    let with = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Member::new(Identity::generate("lyon-a01").unwrap(), Pin { addresses, ..server.pin() })
    };
    let live = server.address.to_string();
    let found = with(&[&dead, &live]).preflight().await.unwrap();
    assert_eq!((found.address.as_str(), found.status), (live.as_str(), 200));
    assert_eq!(found.fingerprint(), server.identity.fingerprint());
    let error = with(&["not an address", &dead]).preflight().await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {dead}: ")), "{error}");
    assert!(matches!(with(&[]).leave().await, Err(ClientError::NoAddress)));
}

#[tokio::test]
async fn the_pinned_leaf_must_name_the_host_be_valid_and_be_for_servers() {
    let now = OffsetDateTime::now_utc();
    let day = time::Duration::days(1);
    let bad = [
        CertificateSpec {
            dns_names: vec!["unspecified".into()],
            ip_addresses: Vec::new(),
            ..server_spec()
        },
        CertificateSpec { not_before: now - day * 9, not_after: now - day, ..server_spec() },
        CertificateSpec { not_before: now + day, ..server_spec() },
        CertificateSpec {
            extended_key_usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
            ..server_spec()
        },
    ];
    for spec in bad {
        let identity = Identity::from_spec(&spec).unwrap();
        let server = Server::with(identity, |_| ("200 OK".into(), String::new())).await;
        let error = member(&server).leave().await.unwrap_err();
        assert!(matches!(error, ClientError::Connect(_)), "{error}");
        until("the second handshake is refused", || server.refused_handshakes() == 1).await;
        assert_eq!(server.count("DELETE"), 0);
    }
    let good = [
        CertificateSpec { ca: true, ..server_spec() },
        CertificateSpec { key: KeyKind::P256, ..server_spec() },
        CertificateSpec { extended_key_usages: Vec::new(), ..server_spec() },
    ];
    for spec in good {
        let identity = Identity::from_spec(&spec).unwrap();
        let server = Server::with(identity, |_| ("200 OK".into(), String::new())).await;
        member(&server).leave().await.unwrap();
    }
}

#[tokio::test]
async fn a_leaf_that_changes_after_the_preflight_gets_no_request() {
    let server = Server::start().await;
    server.change_certificate(1, &Identity::from_spec(&server_spec()).unwrap());
    let error = member(&server).leave().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)), "{error}");
    until("the second handshake is refused", || server.refused_handshakes() == 1).await;
    assert_eq!((server.count("GET / "), server.count("DELETE")), (1, 0));
}

#[tokio::test]
async fn odd_identities_reach_the_server_and_a_foreign_key_does_not() {
    let server = Server::start().await;
    let (first, second) = (Identity::generate("a").unwrap(), Identity::generate("b").unwrap());
    let kind = |key| Identity::from_spec(&CertificateSpec { key, ..CertificateSpec::lxd("c") });
    for (identity, certificates) in [
        (Identity::expired("a").unwrap(), 1),
        (Identity::not_yet_valid("a").unwrap(), 1),
        (kind(KeyKind::P256).unwrap(), 1),
        (kind(KeyKind::Ed25519).unwrap(), 1),
        (kind(KeyKind::Rsa2048).unwrap(), 1),
        (first.with_extra_certificate(&second), 2),
    ] {
        Member::new(identity.clone(), server.pin()).leave().await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.certificates.len(), certificates);
        assert_eq!(seen.certificates[0], identity.der());
    }
    let before = server.count("DELETE");
    let stolen = Member::new(first.with_key_of(&second), server.pin());
    let error = stolen.leave().await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. } | ClientError::Connect(_)), "{error}");
    until("the handshake is refused", || server.refused_handshakes() == 1).await;
    assert_eq!(server.count("DELETE"), before);
}

#[tokio::test]
async fn connections_are_closed_by_default_and_left_open_as_members_do_on_request() {
    let server = Server::start().await;
    let member = member(&server);
    member.leave().await.unwrap();
    until("both connections are closed", || server.open_connections() == 0).await;
    let options = ClientOptions { leave_connections_open: true, ..ClientOptions::default() };
    let member = member.with_options(options);
    member.leave().await.unwrap();
    member.leave().await.unwrap();
    // Later operations give the server the time to see connections close.
    let closing = member.clone().with_options(ClientOptions::default());
    for _ in 0..3 {
        closing.leave().await.unwrap();
        until("only the later ones are closed", || server.open_connections() == 4).await;
    }
}

#[tokio::test]
async fn anything_can_be_sent_over_one_connection_with_and_without_a_certificate() {
    let server = Server::start().await;
    let member = member(&server);
    let request = Request::new("PATCH", "/odd?path=1")
        .with_header("Host", "elsewhere")
        .with_header("Content-Type", "text/plain")
        .with_body(b"not json".to_vec());
    let mut connection = member.raw_connection(None).await.unwrap();
    connection.send(&request).await.unwrap();
    connection.send(&Request::new("GET", "/")).await.unwrap();
    member.raw_request(&request, Some(member.identity())).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        seen[0].head,
        "PATCH /odd?path=1 HTTP/1.1\r\nHost: elsewhere\r\nContent-Type: text/plain\r\n\
         Content-Length: 8"
    );
    assert_eq!(seen[0].body, b"not json");
    assert_eq!(seen[0].connection, seen[1].connection);
    assert_eq!(seen[1].head, format!("GET / HTTP/1.1\r\nHost: {}", server.address));
    let certificates: Vec<usize> = seen.iter().map(|seen| seen.certificates.len()).collect();
    assert_eq!(certificates, [0, 0, 1]);
    let bad = Request::new("GET", "/").with_header("X-Bad", "line\nbreak");
    let error = member.raw_request(&bad, None).await.unwrap_err();
    assert!(error.to_string().starts_with("the request is not valid HTTP: "), "{error}");
}

#[tokio::test]
async fn a_signed_join_leaves_the_token_at_home() {
    let server = Server::start().await;
    let token = server.token("lyon-edge");
    member(&server).join_signed(&token).await.unwrap();
    let seen = server.seen().pop().unwrap();
    let signature = sign_join(&token.body().secret, &seen.body);
    assert!(seen.head.ends_with(&format!("\r\nAuthorization: {signature}")), "{}", seen.head);
    assert_eq!(seen.json()["cluster_name"], "lyon-edge");
    assert_eq!(seen.json().as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_member_waits_for_ever_unless_it_is_told_not_to() {
    let server = Server::answering(|seen| {
        if seen.head.starts_with("GET / ") {
            ("200 OK".into(), String::new())
        } else {
            (String::new(), String::new())
        }
    })
    .await;
    let limit = Duration::from_millis(200);
    let patient = member(&server);
    assert!(tokio::time::timeout(limit * 3, patient.leave()).await.is_err());
    let options = ClientOptions { timeout: Some(limit), ..ClientOptions::default() };
    let error = patient.with_options(options).leave().await.unwrap_err();
    assert_eq!(error.to_string(), "no answer from the cluster manager within 200ms");
}
