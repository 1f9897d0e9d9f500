//! Enrolment with one-shot tokens (security properties JOIN-*).

use std::time::{Duration, Instant};

use cluster_simulator::{Answer, CLUSTER_PATH, ClientError, Identity, JoinToken, Member, Request};
use end_to_end_tests::{Deployment, Service};
use serde_json::{Value, json};

/// Sends a join with any body, from a fresh connection, with or without a client certificate.
async fn join(member: &Member, identity: Option<&Identity>, body: &Value) -> Answer {
    member.raw_request(&request(body), identity).await.unwrap()
}

pub(super) fn body(token: &JoinToken, identity: &Identity) -> Value {
    json!({
        "cluster_name": token.body().server_name,
        "cluster_certificate": identity.certificate_pem(),
        "token": token.text(),
    })
}

pub(super) fn error(answer: &Answer) -> (u16, String) {
    let json = answer.json().unwrap_or_else(|| panic!("not JSON: {}", answer.body));
    assert_eq!(json["error_code"], answer.status);
    assert_eq!(json["type"], "error");
    (answer.status, json["error"].as_str().unwrap().to_owned())
}

pub(crate) fn refusal(result: Result<Answer, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::Refused(answer)) => error(&answer),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_member_joins_reports_and_leaves() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon-edge");
    assert_eq!(token.body().addresses, [deployment.connector_address().to_string()]);

    let member = deployment.member(&token);
    let joined = member.join(&token).await.unwrap();
    assert_eq!(joined.json().unwrap(), super::example("empty-object-response.json"));

    let example = super::example("heartbeat-3-members.json");
    let sent = member
        .request("POST", "/1.0/remote-cluster/status", example.to_string().into_bytes())
        .await
        .unwrap();
    assert_eq!(sent.status, 200, "{}", sent.body);
    let reply = sent.json().unwrap();
    assert_eq!(
        super::keys(&reply["metadata"]),
        super::keys(&super::example("heartbeat-response.json")["metadata"])
    );
    assert_eq!(reply["metadata"]["next_update_in_seconds"], "60");
    assert_eq!(
        reply["metadata"]["cluster_manager_address"],
        deployment.connector_address().to_string()
    );

    member.leave().await.unwrap();
    assert_eq!(deployment.database.count("SELECT count(*) FROM remote_clusters").await, 0);
    assert_eq!(deployment.database.count("SELECT count(*) FROM remote_cluster_details").await, 0);
    member.leave().await.expect("a cluster that is gone already may leave again");
    assert_eq!(refusal(member.heartbeat(&cluster_status()).await), (403, "Forbidden".into()));
}

fn cluster_status() -> cluster_simulator::Status {
    cluster_simulator::ClusterModel::new(1, "lyon-edge").status(time::OffsetDateTime::now_utc())
}

#[tokio::test]
async fn join_02_the_database_holds_nothing_of_a_token() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let (used, pending) = (deployment.token("used"), deployment.token("pending"));
    deployment.member(&used).join(&used).await.unwrap();
    let dump = deployment.database.dump().await;
    assert!(dump.contains("pending"), "the dump shows the tables: {dump}");
    for token in [used, pending] {
        assert!(!dump.contains(token.text()) && !dump.contains(&token.body().secret));
    }
}

#[tokio::test]
async fn join_04_a_join_may_be_signed_and_every_proof_that_is_brought_must_be_right() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("signed");
    let member = deployment.member(&token);
    let mut unsigned = body(&token, member.identity());
    let with_token = unsigned.to_string();
    unsigned.as_object_mut().unwrap().remove("token");
    let unsigned = unsigned.to_string();
    let other = deployment.token("other");
    let sign = |token: &JoinToken, body: &str| {
        cluster_simulator::sign_join(&token.body().secret, body.as_bytes())
    };
    let garbage = with_token.replace(&token.text()[..40], &other.text()[..40]);
    for (body, header, what) in [
        (&unsigned, sign(&other, &unsigned), "the secret of another token"),
        (&unsigned, sign(&token, &with_token), "the signature of another body"),
        (&unsigned, sign(&token, &unsigned).replace("1.0", "2.0"), "another version"),
        (&unsigned, "Bearer x".to_owned(), "another scheme"),
        (&with_token, sign(&other, &with_token), "a right token with a wrong signature"),
        (&garbage, sign(&token, &garbage), "a wrong token with a right signature"),
    ] {
        let request = Request::of_member("POST", CLUSTER_PATH, body.clone().into_bytes())
            .with_header("Authorization", &header);
        let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
        assert_eq!(error(&answer), (403, "Forbidden".into()), "{what}");
    }
    member.join_signed(&token).await.expect("a signature is enough");
    member.join_signed(&token).await.expect("and may be repeated");

    let member = deployment.member(&other);
    let both = body(&other, member.identity()).to_string();
    let request = Request::of_member("POST", CLUSTER_PATH, both.clone().into_bytes())
        .with_header("Authorization", &sign(&other, &both));
    assert_eq!(member.raw_request(&request, Some(member.identity())).await.unwrap().status, 200);
}

/// The request of [`join`].
pub(super) fn request(body: &Value) -> Request {
    Request::of_member("POST", CLUSTER_PATH, body.to_string().into_bytes())
}

#[tokio::test]
async fn join_12_a_name_is_taken_once_and_an_expired_token_does_not_block_it() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let refused = |name: &str| {
        let output = deployment.run(&["enroll", name]);
        assert!(!output.status.success(), "{name}");
        String::from_utf8(output.stderr).unwrap()
    };
    drop(deployment.enrol("lyon-edge").await);
    for name in ["lyon-edge", "Lyon-Edge", "lyon_edge"] {
        let reason = refused(name);
        assert!(reason.contains("cluster name already exists"), "{name}: {reason}");
    }
    let old = deployment.token("oslo");
    for name in ["oslo", "OSLO"] {
        let reason = refused(name);
        assert!(reason.contains("this cluster name has a pending join token"), "{reason}");
    }
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE join_tokens SET expires_at = now() WHERE cluster_name = 'oslo'")
        .await
        .unwrap();
    let new = deployment.token("oslo");
    assert_eq!(refusal(deployment.member(&old).join(&old).await), (403, "Forbidden".into()));
    deployment.member(&new).join(&new).await.unwrap();
    // Whoever has no token creates no name, enrolled or not.
    let enrolled = deployment.enrol("quito").await;
    let mut made_up = body(&new, enrolled.identity());
    made_up["cluster_name"] = json!("made-up");
    let answer = join(&enrolled, Some(enrolled.identity()), &made_up).await;
    assert_eq!(error(&answer), (403, "Forbidden".into()));
}

#[tokio::test]
async fn join_06_a_token_serves_until_it_expires_or_is_revoked() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("late");
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE join_tokens SET expires_at = now()").await.unwrap();
    let member = deployment.member(&token);
    assert_eq!(refusal(member.join(&token).await), (403, "tokenFromDb has expired".into()));
    // In the last second it is good, whenever that is over for a join that takes long.
    loop {
        let begin = Instant::now();
        let last_second = "UPDATE join_tokens SET expires_at = clock_timestamp() + interval '1 s'";
        db.batch_execute(last_second).await.unwrap();
        match member.join(&token).await {
            Ok(_) => break,
            late => assert!(begin.elapsed() > Duration::from_secs(1), "{late:?}"),
        }
    }

    let revoked = deployment.token("revoked");
    db.batch_execute("DELETE FROM join_tokens WHERE consumed_at IS NULL").await.unwrap();
    assert_eq!(
        refusal(deployment.member(&revoked).join(&revoked).await),
        (403, "Forbidden".into())
    );
}

#[tokio::test]
async fn join_07_a_join_can_be_repeated_with_the_same_certificate_only() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    member.join(&token).await.unwrap();
    member.join(&token).await.expect("the answer may have been lost");
    assert_eq!(deployment.database.count("SELECT count(*) FROM remote_clusters").await, 1);
    assert_eq!(refusal(deployment.member(&token).join(&token).await), (403, "Forbidden".into()));
    member.leave().await.unwrap();
    assert_eq!(refusal(member.join(&token).await), (403, "Forbidden".into()));
}

#[tokio::test]
async fn join_08_the_certificate_must_be_the_one_of_the_handshake() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let victim = deployment.enrol("victim").await;
    let token = deployment.token("thief");
    let thief = deployment.member(&token);
    let stolen = body(&token, victim.identity());
    let answer = join(&thief, Some(thief.identity()), &stolen).await;
    assert_eq!(error(&answer), (403, "Forbidden".into()));
    let answer = join(&thief, None, &body(&token, thief.identity())).await;
    assert_eq!(error(&answer), (403, "Forbidden".into()));
    thief.join(&token).await.expect("the token is still good");
}

#[tokio::test]
async fn join_10_a_cluster_with_a_key_on_p_521_joins_and_reports() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("p521");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["unspecified".into()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let identity = Identity::from_pem(&certificate, &key.serialize_pem()).unwrap();
    let member = Member::new(identity, cluster_simulator::Pin::of(&token));
    member.join(&token).await.unwrap();
    member.heartbeat(&cluster_status()).await.unwrap();
}

#[tokio::test]
async fn mtls_08_a_certificate_out_of_its_validity_takes_no_cluster_out() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    let validity = |from: &str, to: &str| {
        format!(
            "UPDATE remote_clusters SET certificate_not_before = now() {from}, certificate_not_after = now() {to}"
        )
    };
    for (from, to, reason) in [
        ("- interval '1 h'", "- interval '1 s'", "has expired"),
        ("+ interval '6 min'", "+ interval '1 h'", "is not valid yet"),
    ] {
        db.batch_execute(&validity(from, to)).await.unwrap();
        let (status, text) = refusal(member.leave().await);
        assert!(status == 403 && text.contains(reason), "{status} {text}");
        assert_eq!(deployment.database.count("SELECT count(*) FROM remote_clusters").await, 1);
    }
    db.batch_execute(&validity("+ interval '4 min'", "+ interval '1 h'")).await.unwrap();
    member.leave().await.expect("five minutes of tolerance");
    assert_eq!(deployment.database.count("SELECT count(*) FROM remote_clusters").await, 0);
}

#[tokio::test]
async fn join_09_a_certificate_belongs_to_one_cluster() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("first").await;
    let token = deployment.token("second");
    let again = Member::new(member.identity().clone(), cluster_simulator::Pin::of(&token));
    let conflict = (409, "this certificate is already enrolled under another name".into());
    assert_eq!(refusal(again.join(&token).await), conflict);
    let mut reformatted = body(&token, member.identity());
    let pem = reformatted["cluster_certificate"].as_str().unwrap().replace('\n', "\r\n");
    reformatted["cluster_certificate"] = format!("\n{pem}\n").into();
    assert_eq!(error(&join(&again, Some(again.identity()), &reformatted).await), conflict);
    deployment.member(&token).join(&token).await.expect("the token is still good");
}

#[tokio::test]
async fn join_11_and_12_names_that_look_alike_get_no_second_token() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("Lyon-edge").await;
    let _pending = deployment.token("quito_lab");
    let refused = |name: &str| {
        let made = deployment.run(&["enroll", name]);
        assert_eq!(made.status.code(), Some(1), "{name}");
        assert!(made.stdout.is_empty());
        String::from_utf8(made.stderr).unwrap()
    };
    for name in ["Lyon-edge", "lyon-edge", "lyon_edge", "LYON_EDGE"] {
        assert_eq!(refused(name), "Error: cluster name already exists\n");
    }
    for name in ["quito_lab", "Quito-Lab"] {
        assert_eq!(refused(name), "Error: this cluster name has a pending join token\n");
    }
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE join_tokens SET expires_at = now()").await.unwrap();
    let replaced = deployment.token("quito-lab");
    deployment.member(&replaced).join(&replaced).await.unwrap();
}

#[tokio::test]
async fn join_13_a_stranger_learns_nothing() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    deployment.enrol("enrolled").await;
    let token = deployment.token("pending");
    let member = deployment.member(&token);
    let identity = member.identity();
    let with = |key: &str, value: &str| {
        let mut body = body(&token, identity);
        body[key] = value.into();
        body
    };
    let mut no_token = body(&token, identity);
    no_token.as_object_mut().unwrap().remove("token");
    let late = deployment.token("late");
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE join_tokens SET expires_at = now() WHERE cluster_name = 'late'")
        .await
        .unwrap();
    // Signed with another token's secret, without a token, with the right one, and for a name that nobody knows.
    let mut signed = Vec::new();
    for unsigned in [&no_token, &body(&token, identity), &with("cluster_name", "unknown")] {
        let signature =
            cluster_simulator::sign_join(&late.body().secret, unsigned.to_string().as_bytes());
        for header in [signature.as_str(), "ClusterManager-1.0 00", "Bearer x"] {
            let request = request(unsigned).with_header("Authorization", header);
            signed.push(member.raw_request(&request, Some(identity)).await.unwrap());
        }
    }
    let mut answers = vec![
        join(&member, Some(identity), &with("cluster_name", "unknown")).await,
        join(&member, Some(identity), &with("cluster_name", "late")).await,
        join(&member, Some(identity), &with("cluster_name", "enrolled")).await,
        join(&member, Some(identity), &with("token", "AAAA")).await,
        join(&member, Some(identity), &with("token", &token.text().to_ascii_uppercase())).await,
        join(&member, Some(identity), &with("token", &format!("{} ", token.text()))).await,
        join(&member, Some(identity), &no_token).await,
        join(&member, None, &body(&token, identity)).await,
    ];
    answers.append(&mut signed);
    member.join(&token).await.unwrap();
    let other = deployment.member(&token);
    answers.push(join(&other, Some(other.identity()), &body(&token, other.identity())).await);
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (403, &answers[0].body));
        let names =
            |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(answer), names(&answers[0]));
        assert_eq!(error(answer), (403, "Forbidden".into()));
    }
}

#[tokio::test]
async fn join_14_bad_bodies_are_refused_before_any_lookup() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    let pem = member.identity().certificate_pem();
    let good = body(&token, member.identity()).to_string();
    let expired = Identity::expired("test").unwrap().certificate_pem();
    let certificate = |pem: &str| {
        json!({"cluster_name": "lyon", "cluster_certificate": pem, "token": "x"}).to_string()
    };
    let cases = [
        (String::new(), "EOF"),
        ("{".into(), "invalid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]".into(), "invalid JSON"),
        ("null".into(), "invalid JSON"),
        (format!("{good}{good}"), "invalid JSON: trailing characters"),
        (
            r#"{"cluster_name":"a","cluster_name":"b"}"#.into(),
            "invalid JSON: duplicate field `cluster_name`",
        ),
        (r#"{"cluster_name":7}"#.into(), "invalid JSON: invalid type: integer `7`"),
        ("{}".into(), "remote cluster name is required"),
        (r#"{"cluster_name":null}"#.into(), "remote cluster name is required"),
        (r#"{"cluster_name":"lyon"}"#.into(), "remote cluster certificate is required"),
        (
            json!({"cluster_name": "a\0b", "cluster_certificate": pem}).to_string(),
            "remote cluster name must not",
        ),
        (certificate("no PEM"), "invalid certificate: expected exactly one PEM block"),
        (
            certificate(&format!("{pem}{pem}")),
            "invalid certificate: expected exactly one PEM block",
        ),
        (certificate(&expired), "invalid certificate: it has expired or is not valid yet"),
        (certificate(&"x".repeat(20_000)), "invalid certificate: more than 16 KiB"),
    ];
    for (body, expected) in cases {
        let request = Request::of_member("POST", CLUSTER_PATH, body.clone().into_bytes());
        let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
        let (status, text) = error(&answer);
        assert_eq!(status, 400, "{body:.80}: {text}");
        assert!(text.starts_with(expected), "{body:.80}: {text}");
    }
    let long = Request::of_member("POST", CLUSTER_PATH, vec![b' '; (64 << 10) + 1]);
    let answer = member.raw_request(&long, Some(member.identity())).await.unwrap();
    assert_eq!(error(&answer), (413, "the request body must have at most 65536 bytes".into()));
    let packed = Request::of_member("POST", CLUSTER_PATH, good.into_bytes())
        .with_header("Content-Encoding", "gzip");
    let answer = member.raw_request(&packed, Some(member.identity())).await.unwrap();
    assert_eq!(error(&answer), (415, "compressed request bodies are not accepted".into()));
    member.join(&token).await.expect("nothing of this has used the token up");
}

#[tokio::test]
async fn join_15_nothing_of_a_token_is_logged() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    let mut wrong = body(&token, member.identity());
    wrong["cluster_name"] = "paris".into();
    join(&member, Some(member.identity()), &wrong).await;
    member.join(&token).await.unwrap();
    let log = connector.process.log();
    assert!(log.contains("enrolled cluster lyon"), "{log}");
    assert!(!log.contains(&token.text()[..24]));
    for part in token.body().secret.as_bytes().windows(8) {
        assert!(!log.contains(std::str::from_utf8(part).unwrap()));
    }
}

#[tokio::test]
async fn a_token_pasted_with_line_breaks_still_works() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    let mut pasted = body(&token, member.identity());
    let (head, tail) = token.text().split_at(64);
    pasted["token"] = format!("{head}\r\n{tail}\n").into();
    assert_eq!(join(&member, Some(member.identity()), &pasted).await.status, 200);
}
