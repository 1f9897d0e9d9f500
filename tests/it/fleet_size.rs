//! How many bytes the list of a large fleet takes, and how much memory (security property REL-19).

use std::time::Duration;

use cluster_simulator::{ClusterModel, STATUS_PATH, Site, Status};
use end_to_end_tests::{Deployment, Service};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use serde_json::json;
use time::OffsetDateTime;
use tokio::task::JoinSet;

const CLUSTERS: usize = 5_000;
/// What one look at the list may cost over the wire, by encoding: browsers take the first.
const MOST_COMPRESSED: [(&str, usize); 2] = [("br", 250_000), ("gzip", 300_000)];
/// What it may cost a client that does not know compression.
const MOST_PLAIN: usize = 1_000_000;

/// As heartbeats leave them; each argument is a list with an entry per cluster.
const FILL: &str = "
    WITH report AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS r (name, description, body, n)),
    cluster AS (INSERT INTO remote_clusters (name, description, certificate, fingerprint, certificate_not_before, certificate_not_after, joined_at)
                     SELECT name, description, '', sha256(name::bytea), now() - interval '1 day', now() + interval '9 years',
                            now() - n * interval '17 minutes'
                       FROM report RETURNING id, name)
    INSERT INTO remote_cluster_details (remote_cluster_id, cpu_load_1, memory_total_amount, memory_usage, storage_pool_usages,
                member_count, member_statuses, instance_count, instance_statuses, last_heartbeat_at)
         SELECT id, b ->> 'cpu_load_1', (b ->> 'memory_total_amount')::bigint, (b ->> 'memory_usage')::bigint, b -> 'storage_pool_usages',
                (SELECT sum((s ->> 'count')::bigint) FROM jsonb_array_elements(b -> 'member_statuses') AS s), b -> 'member_statuses',
                (SELECT coalesce(sum((s ->> 'count')::bigint), 0) FROM jsonb_array_elements(b -> 'instance_statuses') AS s),
                b -> 'instance_statuses', now() - (n % 60) * interval '1 second'
           FROM report JOIN cluster USING (name), LATERAL (SELECT body::jsonb) AS j (b)";

fn report(name: &str, now: OffsetDateTime) -> String {
    let mut status: Status = ClusterModel::new(7, name).with_metrics(false).status(now);
    // The connector stores no statuses as an empty list.
    status.instance_statuses.get_or_insert_default();
    json!(status).to_string()
}

/// Fills the database with so many clusters.
async fn fill(deployment: &Deployment, clusters: usize) {
    let now = OffsetDateTime::now_utc();
    let sites: Vec<Site> = Site::first(clusters).collect();
    let names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
    let descriptions: Vec<&str> = sites.iter().map(|site| site.description.as_str()).collect();
    let bodies: Vec<String> = names.iter().map(|name| report(name, now)).collect();
    let db = deployment.database.connect().await;
    db.execute(FILL, &[&names, &descriptions, &bodies]).await.unwrap();
}

#[tokio::test]
async fn rel_19_the_list_of_10000_clusters_takes_little_memory_and_holds_no_heartbeat_up() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let management = deployment.start(Service::ManagementApi).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    fill(&deployment, 9_999).await;
    while admin.get("/1.0/fleet/summary").await.metadata()["clusters"]["total"] != 10_000 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = management.process.memory_bytes();
    let mut looks = JoinSet::new();
    for path in ["/1.0/fleet/clusters?rows=values", "/1.0/remote-cluster"] {
        for _ in 0..5 {
            let mut one = admin.clone();
            looks.spawn(async move { one.get(path).await.metadata().as_array().unwrap().len() });
        }
    }
    let (mut lists, mut meanwhile) = (Vec::new(), 0);
    while lists.len() < 10 {
        let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        meanwhile += usize::from(!looks.is_empty());
        while let Some(listed) = looks.try_join_next() {
            lists.push(listed.unwrap());
        }
    }
    assert_eq!(lists, [10_000; 10]);
    assert!(meanwhile > 0);
    let grown = management.process.peak_memory_bytes().saturating_sub(before);
    println!("{meanwhile} heartbeats meanwhile, {} MiB", grown >> 20);
    assert!(grown <= 64 << 20, "{grown} bytes");
}

#[tokio::test]
async fn the_list_of_5000_clusters_is_less_than_300_kb_compressed() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let _management = deployment.start(Service::ManagementApi).await;
    let mut admin = deployment.logged_in("admin@example.com").await;
    // Right before they are listed: the oldest of these heartbeats must not become old on a busy machine.
    fill(&deployment, CLUSTERS).await;

    let path = "/1.0/fleet/clusters?rows=values";
    let plain = admin.get(path).await;
    let rows = plain.metadata();
    assert_eq!(rows.as_array().unwrap().len(), CLUSTERS);
    assert_eq!(rows[0][2], "online");
    println!("plain: {} bytes, {} a cluster", plain.length, plain.length / CLUSTERS);
    assert!(plain.length <= MOST_PLAIN, "{} bytes, {MOST_PLAIN} are allowed", plain.length);
    for (encoding, most) in MOST_COMPRESSED {
        let accept = HeaderMap::from_iter([(ACCEPT_ENCODING, encoding.parse().unwrap())]);
        let packed = admin.raw(Method::GET, path, accept, String::new()).await;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        println!("{encoding}: {} bytes", packed.length);
        assert!(packed.length <= most, "{encoding}: {} bytes, {most} are allowed", packed.length);
    }
}
