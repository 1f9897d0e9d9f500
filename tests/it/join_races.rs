//! Joins that race with each other and with their token's end, and what their times tell (security properties JOIN-03, JOIN-05, JOIN-06
//! and JOIN-09).

use std::time::{Duration, Instant};

use cluster_simulator::{CertificateSpec, Connection, Identity, Member, Request};
use end_to_end_tests::{Deployment, Service, rounds};

use serde_json::Value;

use super::join::{body, error, request};

/// The same over a connection that stays open: members use theirs once.
fn kept(body: &Value) -> Request {
    request(body).with_header("Connection", "keep-alive")
}

/// Makes all tokens good again and removes every cluster, so that a race needs no new ones for each round.
const AGAIN: &str = "
    DELETE FROM remote_clusters;
    DELETE FROM removed_clusters;
    UPDATE join_tokens SET consumed_at = NULL, consumed_fingerprint = NULL;";

/// Clusters that race for one token.
const RACERS: usize = 200;

#[tokio::test]
async fn join_05_one_token_enrols_one_of_many_racing_clusters() {
    let deployment = Deployment::new().await;
    let units = [
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    ];
    let token = deployment.token("race");
    // Certificates of their own on one key, over connections that stay open: nothing but the joins takes time.
    let key = deployment.member(&token);
    let mut racers: Vec<(Member, Identity, Option<Connection>, Request)> = Vec::new();
    for n in 0..RACERS {
        let spec = CertificateSpec::lxd(&format!("race-{n}"));
        let identity = key.identity().reissued(&spec).unwrap();
        let member = deployment.member_at(&key, &units[n % 2]);
        racers.push((member, identity.clone(), None, kept(&body(&token, &identity))));
    }
    let db = deployment.database.connect().await;
    let enrolled = "SELECT (SELECT count(*) FROM remote_clusters), (SELECT count(*) FROM remote_cluster_details),
                           (SELECT count(*) FROM join_tokens WHERE consumed_at IS NOT NULL)";
    for _ in 0..rounds(20, 500) {
        let mut joins = tokio::task::JoinSet::new();
        for (member, identity, connection, request) in racers.drain(..) {
            joins.spawn(async move {
                // Whose connection was idle for too long, on a busy machine, opens another one.
                let again = async || member.raw_connection(Some(&identity)).await.unwrap();
                let mut connection = match connection {
                    Some(connection) => connection,
                    None => again().await,
                };
                let mut answer = connection.send(&request).await;
                if answer.is_err() {
                    connection = again().await;
                    answer = connection.send(&request).await;
                }
                (answer.unwrap().status, (member, identity, Some(connection), request))
            });
        }
        let statuses: Vec<u16>;
        (statuses, racers) = joins.join_all().await.into_iter().unzip();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        // 503: on a busy machine the last ones wait too long for their turn.
        assert!(
            statuses.iter().all(|status| matches!(status, 200 | 403 | 409 | 503)),
            "{statuses:?}"
        );
        let row = db.query_one(enrolled, &[]).await.unwrap();
        let rows: [i64; 3] = [0, 1, 2].map(|n| row.try_get(n).unwrap());
        assert_eq!(rows, [1, 1, 1]);
        db.batch_execute(AGAIN).await.unwrap();
    }
}

#[tokio::test]
async fn join_09_of_two_racing_tokens_with_one_certificate_one_enrols_it() {
    let deployment = Deployment::new().await;
    let units = [
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ClusterConnector).await,
    ];
    let tokens = [deployment.token("lyon"), deployment.token("quito")];
    let member = deployment.member(&tokens[0]);
    let [lyon, quito] = tokens.each_ref().map(|token| kept(&body(token, member.identity())));
    let [first, second] = units.each_ref().map(|unit| deployment.member_at(&member, unit));
    let mut first = first.raw_connection(Some(member.identity())).await.unwrap();
    let mut second = second.raw_connection(Some(member.identity())).await.unwrap();
    let db = deployment.database.connect().await;
    let mut winners = [0, 0];
    for round in 0..100 {
        db.batch_execute(AGAIN).await.unwrap();
        let (lyon, quito) = tokio::join!(first.send(&lyon), second.send(&quito));
        let winner = match (lyon.unwrap().status, quito.unwrap().status) {
            (200, 409) => 0,
            (409, 200) => 1,
            other => panic!("round {round}: {other:?}"),
        };
        winners[winner] += 1;
        let rows = "SELECT (SELECT string_agg(name, ' ') FROM remote_clusters),
                           (SELECT string_agg(cluster_name, ' ') FROM join_tokens WHERE consumed_at IS NULL)";
        let row = db.query_one(rows, &[]).await.unwrap();
        let rows: [String; 2] = [0, 1].map(|n| row.try_get(n).unwrap());
        let names = [winner, 1 - winner].map(|n| tokens[n].body().server_name.clone());
        assert_eq!(rows, names, "one row, and the other token is as it was");
    }
    println!("{winners:?} of 100 races");
    let unused =
        deployment.database.count("SELECT count(*) FROM join_tokens WHERE consumed_at IS NULL");
    assert_eq!(unused.await, 1);
    let mut joined = 0;
    for token in &tokens {
        joined += i32::from(deployment.member(token).join(token).await.is_ok());
    }
    assert_eq!(joined, 1, "the other token still enrols somebody else");
}

#[tokio::test]
async fn join_06_a_join_and_a_revocation_never_both_succeed() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.logged_in("admin@example.com").await;
    let token = deployment.token("lyon");
    let member = deployment.member(&token);
    let mut connection = member.raw_connection(Some(member.identity())).await.unwrap();
    let join = kept(&body(&token, member.identity()));
    let db = deployment.database.connect().await;
    let columns =
        "id, cluster_name, description, token_hash, expires_at, created_at, secret_sealed";
    db.batch_execute(&format!("CREATE TABLE kept AS SELECT {columns} FROM join_tokens"))
        .await
        .unwrap();
    let again = format!(
        "DELETE FROM remote_clusters; DELETE FROM removed_clusters; DELETE FROM join_tokens;
         INSERT INTO join_tokens ({columns}) SELECT * FROM kept"
    );
    let (mut joins, mut revocations) = (0, 0);
    for round in 0..rounds(150, 1_000) {
        db.batch_execute(&again).await.unwrap();
        // Either may be the longer one by some milliseconds: over every distance at which the two can meet.
        let pause =
            |n: usize| tokio::time::sleep(Duration::from_micros(250) * u32::try_from(n).unwrap());
        let (before_join, before_revocation) = (pause(round % 7), pause(round % 8));
        let (joined, revoked) = tokio::join!(
            async {
                before_join.await;
                connection.send(&join).await.unwrap().status
            },
            async {
                before_revocation.await;
                let path = "/1.0/remote-cluster-join-token/lyon";
                operator.send(reqwest::Method::DELETE, path, None).await.status
            },
        );
        let clusters = db.query_one("SELECT count(*) FROM remote_clusters", &[]).await.unwrap();
        let clusters: i64 = clusters.try_get(0).unwrap();
        match (joined, revoked, clusters) {
            (200, 404, 1) => joins += 1,
            (403, 200, 0) => revocations += 1,
            other => panic!("round {round}: {other:?}"),
        }
    }
    println!("{joins} joins and {revocations} revocations were first");
    assert!(joins > 0 && revocations > 0, "{joins} joins, {revocations} revocations");
}

/// The median time of each request's answer, all of them sent in turn over one connection: what the machine does meanwhile happens to
/// all alike.
async fn medians(
    connection: &mut Connection,
    requests: &[Request],
    rounds: usize,
) -> Vec<Duration> {
    let mut times = vec![Vec::with_capacity(rounds); requests.len()];
    for round in 0..rounds {
        for n in 0..requests.len() {
            // Nobody is always the first one.
            let n = (n + round) % requests.len();
            let begin = Instant::now();
            let answer = connection.send(&requests[n]).await.unwrap();
            times[n].push(begin.elapsed());
            assert_eq!(error(&answer), (403, "Forbidden".into()));
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

#[tokio::test]
async fn join_03_time_does_not_tell_which_names_have_a_token() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let token = deployment.token("pending");
    let used = deployment.token("used");
    deployment.member(&used).join(&used).await.unwrap();
    let member = deployment.member(&token);
    let mut connection = member.raw_connection(Some(member.identity())).await.unwrap();

    let text = token.text();
    let wrong_first = format!("{}{}", if text.starts_with('e') { "f" } else { "e" }, &text[1..]);
    let (head, last) = text.split_at(text.len() - 1);
    let wrong_last = format!("{head}{}", if last == "A" { "B" } else { "A" });
    // Names of one length, so that nothing else differs.
    let guess = |name: &str, token: &str| {
        let mut body = body(&used, member.identity());
        (body["cluster_name"], body["token"]) = (name.into(), token.into());
        kept(&body)
    };
    let guesses = [
        guess("unknown", &wrong_first),
        guess("pending", &wrong_first),
        guess("pending", &wrong_last),
        guess("used", &wrong_first),
    ];
    assert_alike(&mut connection, &guesses, 150).await;

    // Signed, the whole body is work for each token that it is checked against.
    let sign = |name: &str| {
        let mut body = body(&token, member.identity());
        body["cluster_name"] = name.into();
        body.as_object_mut().unwrap().remove("token");
        body["padding"] = "x".repeat(60 << 10).into();
        let body = body.to_string();
        let signature = cluster_simulator::sign_join(&used.body().secret, body.as_bytes());
        kept(&serde_json::from_str(&body).unwrap()).with_header("Authorization", &signature)
    };
    let signed = ["unknown", "pending", "used"].map(sign);
    assert_alike(&mut connection, &signed, 50).await;
}

/// Work that was left out where there is nothing to check, a signature over the body or a look into the database, would show as a third
/// of the answer's time and more. The 1 % or 5 µs of the specification cannot be told on a machine that does other things meanwhile:
/// that the number of checks is always the same is what a test beside the code shows. What is always left out shows each time; other
/// work of the machine does not.
async fn assert_alike(connection: &mut Connection, requests: &[Request], rounds: usize) {
    let mut all = Vec::new();
    for _ in 0..5 {
        let times = medians(connection, requests, rounds).await;
        let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        if most < least + least / 4 {
            return;
        }
        all.push(times);
    }
    panic!("some requests always take longer: {all:?}");
}
