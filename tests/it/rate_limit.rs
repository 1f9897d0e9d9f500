//! Rate limits (security properties RATE-*). The rates of these tests give a token in a thousand seconds, so that none comes
//! back while a test runs.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster_simulator::{
    Answer, CLUSTER_PATH, ClientOptions, Connection, Identity, Member, Pin, Request, STATUS_PATH,
};
use end_to_end_tests::{Deployment, Service};

/// A deployment whose clients connect directly: addresses count.
async fn direct(limits: &[(&'static str, &str)]) -> Deployment {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("PROXY_PROTOCOL_FROM", "192.0.2.1".into()));
    deployment.extra.extend(limits.iter().map(|(name, value)| (*name, (*value).to_owned())));
    deployment
}

fn from(member: &Member, address: &str) -> Member {
    let source: Option<IpAddr> = Some(address.parse().unwrap());
    let options = ClientOptions { source, ..ClientOptions::default() };
    Member::new(member.identity().clone(), member.pin().clone()).with_options(options)
}

/// Someone who knows where the connector is and nothing else.
fn stranger(deployment: &Deployment) -> Member {
    let addresses = vec![deployment.connector_address().to_string()];
    Member::new(
        Identity::generate("stranger").unwrap(),
        Pin { addresses, fingerprint: String::new() },
    )
}

async fn statuses(connection: &mut Connection, request: &Request, count: usize) -> Vec<u16> {
    let request = kept(request.clone());
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(connection.send(&request).await.unwrap().status);
    }
    statuses
}

/// The request of a client that goes on to use its connection.
fn kept(request: Request) -> Request {
    request.with_header("Connection", "keep-alive")
}

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

/// A refusal must be an envelope with a wait.
fn retry_after(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.body);
    let json = answer.json().unwrap();
    assert_eq!(super::keys(&json), super::keys(&super::example("error-403.json")));
    assert_eq!(json["error_code"], 429);
    assert_eq!(json["error"], "too many requests, try again later");
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn rate_01_ten_thousand_forged_headers_are_counted_on_one_key() {
    let deployment = direct(&[("RATE_LIMIT_PREFLIGHT_PER_ADDRESS", "0.001:100")]).await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let client = stranger(&deployment);
    let mut connection = client.raw_connection(None).await.unwrap();
    let mut seen = Vec::new();
    for n in 0..10_000_u32 {
        let forged = format!("203.0.{}.{}", n / 256, n % 256);
        let request = Request::new("GET", "/")
            .with_header("X-Forwarded-For", &forged)
            .with_header("X-Real-IP", &forged)
            .with_header("Forwarded", &format!("for={forged}"))
            .with_header("True-Client-IP", &forged)
            .with_header("X-Client-Cert", &hex::encode(n.to_be_bytes()));
        seen.push(connection.send(&kept(request)).await.unwrap().status);
    }
    assert_eq!((count(&seen, 200), count(&seen, 429)), (100, 9900));
    let request = Request::new("GET", "/");
    let neighbour = from(&client, "127.0.0.9");
    assert_eq!(neighbour.raw_request(&request, None).await.unwrap().status, 200);

    let log = connector.process.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("too many preflights")).collect();
    assert_eq!(lines.len(), 1, "sampled: {lines:?}");
    assert!(
        lines[0].contains("127.0.0.1") && lines[0].contains(r#""level":"WARN""#),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn rate_01_new_certificates_do_not_bring_new_buckets_and_enrolled_ones_have_their_own() {
    let limits = [("RATE_LIMIT_REFILL_RATE", "0.001"), ("RATE_LIMIT_BUCKET_SIZE", "5")];
    let deployment = direct(&limits).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let mut seen = Vec::new();
    for _ in 0..12 {
        let fresh = Identity::generate("stranger").unwrap();
        seen.push(member.raw_request(&request, Some(&fresh)).await.unwrap().status);
        seen.push(member.raw_request(&request, None).await.unwrap().status);
    }
    let (with, without): (Vec<_>, Vec<_>) = seen.chunks(2).map(|two| (two[0], two[1])).unzip();
    assert_eq!((count(&with, 403), count(&with, 429)), (5, 7), "one bucket for all: {with:?}");
    assert_eq!((count(&without, 403), count(&without, 429)), (5, 7), "one of its own: {without:?}");
    let mut connection = member.raw_connection(Some(member.identity())).await.unwrap();
    let seen = statuses(&mut connection, &request, 10).await;
    assert_eq!(seen, [200, 200, 200, 200, 200, 429, 429, 429, 429, 429], "from the same address");
}

#[tokio::test]
async fn rate_07_a_cluster_that_floods_does_not_refuse_another_one() {
    let limits = [("RATE_LIMIT_REFILL_RATE", "0.001"), ("RATE_LIMIT_BUCKET_SIZE", "30")];
    let deployment = direct(&limits).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let (loud, quiet) = (deployment.enrol("loud").await, deployment.enrol("quiet").await);
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let mut connection = loud.raw_connection(Some(loud.identity())).await.unwrap();
    let seen = statuses(&mut connection, &request, 300).await;
    assert_eq!((count(&seen, 200), count(&seen, 429)), (30, 270));
    let mut connection = quiet.raw_connection(Some(quiet.identity())).await.unwrap();
    assert_eq!(count(&statuses(&mut connection, &request, 30).await, 200), 30);
    let refused = loud.request("DELETE", CLUSTER_PATH, Vec::new()).await.unwrap();
    assert!((1..=1000).contains(&retry_after(&refused)));
}

#[tokio::test]
async fn rate_07_clusters_that_a_restarted_unit_does_not_know_yet_are_served() {
    let limits = [("RATE_LIMIT_REFILL_RATE", "0.001"), ("RATE_LIMIT_BUCKET_SIZE", "3")];
    let deployment = direct(&limits).await;
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let mut members = Vec::new();
    for n in 0..12 {
        members.push(deployment.enrol(&format!("lyon-{n}")).await);
    }
    connector.process.kill();
    let _restarted = deployment.start(Service::ClusterConnector).await;
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    for member in &members {
        let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn rate_07_and_mtls_06_nobody_keeps_clusters_out_that_a_restarted_unit_has_not_seen_yet() {
    let mut deployment = Deployment::new().await; // where addresses are not known
    deployment.extra.push(("RATE_LIMIT_UNKNOWN_PER_UNIT", "0.001:5".into()));
    let mut connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, oslo) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    connector.process.kill();
    let restarted = deployment.start(Service::ClusterConnector).await;
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let stranger = Identity::generate("stranger").unwrap();
    for identity in [None, Some(&stranger)] {
        let mut connection = lyon.raw_connection(identity).await.unwrap();
        let seen = statuses(&mut connection, &request, 10).await;
        assert_eq!(seen, [403, 403, 403, 403, 403, 429, 429, 429, 429, 429]);
    }
    for member in [&lyon, &oslo] {
        let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // One that was removed meanwhile is refused, and then forgotten: it may know the database only as often as strangers.
    let db = deployment.database.connect().await;
    db.execute("DELETE FROM remote_clusters WHERE name = 'oslo'", &[]).await.unwrap();
    let known = r#"cluster_manager_rate_limit_clients{limit="known",scope="cluster"} "#;
    assert!(restarted.scrape().await.contains(&format!("{known}2\n")));
    let answer = oslo.raw_request(&request, Some(oslo.identity())).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(restarted.scrape().await.contains(&format!("{known}1\n")));
}

/// Asks as fast as it is answered until `stop`, over as many connections as it is given: how often it was refused.
async fn flood(client: Member, identity: Option<Identity>, stop: Arc<AtomicBool>) -> u64 {
    let request = kept(Request::of_member("POST", STATUS_PATH, b"{}".to_vec()));
    let mut refused = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut connection) = client.raw_connection(identity.as_ref()).await else { continue };
        while !stop.load(Ordering::Relaxed) {
            match connection.send(&request).await {
                Ok(answer) => refused += u64::from(matches!(answer.status, 403 | 429)),
                Err(_) => break,
            }
        }
    }
    refused
}

/// What the others find: how long the handshake of each preflight takes, and each heartbeat, in order of length.
async fn others(members: &[Member], rounds: usize) -> [Vec<Duration>; 2] {
    let (mut preflights, mut heartbeats) = (Vec::new(), Vec::new());
    let (anyone, request) =
        (Request::new("GET", "/"), Request::of_member("POST", STATUS_PATH, b"{}".to_vec()));
    for member in members.iter().cycle().take(rounds * members.len()) {
        let begin = Instant::now();
        let mut connection = member.raw_connection(None).await.unwrap();
        preflights.push(begin.elapsed());
        let answer = connection.send(&anyone).await.unwrap();
        assert!(matches!(answer.status, 200 | 429), "any answer will do: {}", answer.status);
        let begin = Instant::now();
        let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        heartbeats.push(begin.elapsed());
    }
    preflights.sort_unstable();
    heartbeats.sort_unstable();
    [preflights, heartbeats]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_03_and_rate_07_a_flood_fails_nobody_else_and_leaves_preflights_their_handshakes() {
    // The limits as they are by default.
    let mut deployment = Deployment::new().await;
    deployment.extra.extend([
        ("RATE_LIMIT_REFILL_RATE", "1".to_owned()),
        ("RATE_LIMIT_BUCKET_SIZE", "30".to_owned()),
        ("RATE_LIMIT_UNKNOWN_PER_UNIT", "1000:5000".to_owned()),
        ("RATE_LIMIT_PREFLIGHT_PER_UNIT", "5000:5000".to_owned()),
    ]);
    let _connector = deployment.start(Service::ClusterConnector).await;
    let mut quiet = Vec::new();
    for n in 0..10 {
        quiet.push(deployment.enrol(&format!("quiet-{n}")).await);
    }
    let loud = deployment.enrol("loud").await;
    others(&quiet, 1).await;

    // One cluster far over its limit, certificates that nobody enrolled, and clients without any.
    let stop = Arc::new(AtomicBool::new(false));
    let stranger = || Some(Identity::generate("stranger").unwrap());
    let floods: Vec<_> = [Some(loud.identity().clone()), stranger(), stranger(), None]
        .map(|identity| tokio::spawn(flood(loud.clone(), identity, Arc::clone(&stop))))
        .into();
    let [preflights, during] = others(&quiet, 10).await;
    stop.store(true, Ordering::Relaxed);
    let mut refused = Vec::new();
    for flood in floods {
        refused.push(flood.await.unwrap());
    }
    assert!(refused.iter().all(|count| *count > 30), "that was no flood: {refused:?}");
    assert!(preflights[98] < Duration::from_secs(2), "{preflights:?}");
    assert!(during[98] < Duration::from_secs(2), "{during:?}");
}

#[tokio::test]
async fn rate_04_joins_are_limited_per_address_and_per_unit() {
    let limits =
        [("RATE_LIMIT_JOIN_PER_ADDRESS", "0.001:3"), ("RATE_LIMIT_JOIN_PER_UNIT", "0.001:5")];
    let deployment = direct(&limits).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let guesser = stranger(&deployment);
    let request = Request::of_member("POST", CLUSTER_PATH, b"{}".to_vec());
    for _ in 0..3 {
        let answer = guesser.raw_request(&request, Some(guesser.identity())).await.unwrap();
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    let fresh = Identity::generate("another").unwrap();
    let refused = guesser.raw_request(&request, Some(&fresh)).await.unwrap();
    assert!((1..=1000).contains(&retry_after(&refused)));

    let token = deployment.token("lyon");
    from(&deployment.member(&token), "127.0.0.9").join(&token).await.unwrap();
    let mut last = Vec::new();
    for n in 10..13 {
        let elsewhere = from(&guesser, &format!("127.0.0.{n}"));
        let answer = elsewhere.raw_request(&request, Some(elsewhere.identity())).await.unwrap();
        last.push(answer.status);
    }
    assert_eq!(last, [400, 429, 429], "five on this unit, wherever they come from");
}

#[tokio::test]
async fn rate_02_without_the_proxy_protocol_addresses_do_not_count() {
    let mut deployment = Deployment::new().await;
    deployment.extra.extend([
        ("RATE_LIMIT_PREFLIGHT_PER_ADDRESS", "0.001:1".to_owned()),
        ("RATE_LIMIT_PREFLIGHT_PER_UNIT", "0.001:20".to_owned()),
        ("RATE_LIMIT_REFILL_RATE", "0.001".to_owned()),
        ("RATE_LIMIT_BUCKET_SIZE", "2".to_owned()),
        ("RATE_LIMIT_UNKNOWN_PER_UNIT", "0.001:10".to_owned()),
    ]);
    let connector = deployment.start(Service::ClusterConnector).await;
    assert!(connector.process.log().contains("anonymous requests are limited per unit"));
    let anyone = stranger(&deployment);
    let mut connection = anyone.raw_connection(None).await.unwrap();
    let seen = statuses(&mut connection, &Request::new("GET", "/"), 30).await;
    assert_eq!((count(&seen, 200), count(&seen, 429)), (20, 10));
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    let seen = statuses(&mut connection, &request, 30).await;
    assert_eq!((count(&seen, 403), count(&seen, 429)), (10, 20));
}

#[tokio::test]
async fn rate_03_a_limited_preflight_does_not_keep_a_member_from_reporting() {
    let deployment = direct(&[("RATE_LIMIT_PREFLIGHT_PER_UNIT", "0.001:1")]).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await; // its preflight took the one token
    let request = Request::new("GET", "/");
    let refused = member.raw_request(&request, None).await.unwrap();
    assert!((1..=1000).contains(&retry_after(&refused)));
    for _ in 0..3 {
        let reported = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(reported.status, 200, "{}", reported.body);
    }
}

#[tokio::test]
async fn rate_04_logins_begun_and_finished_share_a_limit() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("RATE_LIMIT_LOGIN_PER_UNIT", "0.001:2".into()));
    let _management = deployment.start(Service::ManagementApi).await;
    let mut operator = deployment.operator();
    let begun = operator.get("/oidc/login").await;
    assert_eq!(begun.status, 503, "there is no identity provider: {}", begun.body);
    assert_eq!(operator.get("/oidc/callback?state=x").await.status, 403);
    for path in ["/oidc/login", "/oidc/callback?state=x"] {
        let refused = operator.get(path).await;
        assert_eq!(refused.error(), (429, "too many requests, try again later".into()));
        assert!((1..=1000).contains(&refused.header("retry-after").unwrap().parse().unwrap()));
    }
    assert_eq!(operator.get("/1.0").await.status, 401, "the rest of the API is not concerned");
}
