//! The list of all clusters in one answer, as scripts have always known it.

use std::io::Read;
use std::time::{Duration, Instant};

use end_to_end_tests::{Deployment, Operator, Service};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

const LIST: &str = "/1.0/remote-cluster";

const FILL: &str = "
    WITH cluster AS (
        INSERT INTO remote_clusters (name, description, certificate, fingerprint, certificate_not_before, certificate_not_after)
             SELECT 'site-' || lpad(n::text, 3, '0'), '', encode(sha512(n::text::bytea), 'base64'), sha256(n::text::bytea),
                    now() - interval '1 day', now() + interval '9 years'
               FROM generate_series($1::bigint, $2::bigint) AS n
          RETURNING id)
    INSERT INTO remote_cluster_details (remote_cluster_id, last_heartbeat_at) SELECT id, now() FROM cluster";

async fn ask(admin: &mut Operator, encodings: &'static str) -> end_to_end_tests::Answer {
    let accept = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encodings))]);
    let answer = admin.raw(Method::GET, LIST, accept, String::new()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

#[tokio::test]
async fn a_compressed_list_is_the_plain_one_whatever_has_changed_between_two_answers() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _manager = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    let db = deployment.database.connect().await;
    let mut tags = std::collections::BTreeSet::new();
    db.execute(FILL, &[&100_i64, &299_i64]).await.unwrap();
    let changes = [
        "SELECT 1",
        "UPDATE remote_clusters SET description = 'changed', updated_at = now() WHERE name = 'site-150'",
        "DELETE FROM remote_clusters WHERE name IN ('site-100', 'site-201', 'site-299')",
        "UPDATE remote_cluster_details SET memory_usage = 7, last_heartbeat_at = now() WHERE remote_cluster_id % 3 = 0",
        "DELETE FROM remote_clusters WHERE name < 'site-290'",
        "DELETE FROM remote_clusters",
    ];
    for (n, change) in (0_i64..).zip(changes) {
        db.batch_execute(change).await.unwrap();
        // New ones go in between and to the front.
        db.execute(FILL, &[&n, &n]).await.unwrap();
        let newest = format!("\"name\":\"site-{n:03}\"");
        let deadline = Instant::now() + Duration::from_mins(1);
        let (plain, packed) = loop {
            assert!(Instant::now() < deadline, "{newest} is not in the list");
            let (plain, packed) =
                (ask(&mut admin, "identity").await, ask(&mut admin, "br, gzip").await);
            if plain.header("etag") == packed.header("etag") && plain.body.contains(&newest) {
                break (plain, packed);
            }
        };
        tags.insert(plain.header("etag").unwrap().to_owned());
        if plain.length < 1024 {
            continue; // a packet of its own either way
        }
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed.bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain.body, "{change}");
        let part = if plain.length > 100_000 { 2 } else { 1 };
        assert!(packed.length * part < plain.length, "{} of {}", packed.length, plain.length);
    }
    assert_eq!(tags.len(), changes.len(), "each list has a tag of its own");
}
