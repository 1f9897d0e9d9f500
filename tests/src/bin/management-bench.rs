//! Measures the Management API with a large fleet and prints what it measured.
//!
//! `TEST_DATABASE` leads to a PostgreSQL that may be filled, as for the tests; `PROGRAMS` is the folder with the program to measure.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot be made ends the program"
)]

use std::time::{Duration, Instant};

use end_to_end_tests::{Deployment, Operator, Service, TestDatabase};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH};

const CLUSTERS: i64 = 5000;
const FOLLOWERS: usize = 200;
/// How long the fleet is watched by all followers.
const WATCHED: Duration = Duration::from_secs(20);

const FILL: &str = "
    WITH cluster AS (
        INSERT INTO remote_clusters (name, description, certificate, fingerprint, certificate_not_before, certificate_not_after)
             SELECT 'site-' || lpad(n::text, 5, '0') || '-edge', 'Rack ' || n % 40,
                    -- As hard to compress as real ones.
                    '-----BEGIN CERTIFICATE-----' || (SELECT string_agg(encode(sha512((n || ' ' || part)::bytea), 'base64'), '')
                                                        FROM generate_series(1, 9) AS part),
                    sha256(n::text::bytea), now() - interval '1 day', now() + interval '9 years'
               FROM generate_series(1, $1::bigint) AS n
          RETURNING id)
    INSERT INTO remote_cluster_details
                (remote_cluster_id, cpu_load_1, cpu_load_5, cpu_load_15, memory_total_amount, memory_usage, member_count,
                 member_statuses, instance_count, instance_statuses, ceph_count, ceph_statuses, storage_pool_usages,
                 last_heartbeat_at)
         SELECT id, '1.20', '1.10', '1.00', 412316860416, 100000000000 + id * 20000000, 9,
                '[{\"status\": \"Online\", \"count\": 9}]', 60,
                '[{\"status\": \"Running\", \"count\": 55}, {\"status\": \"Stopped\", \"count\": 5}]', 9,
                '[{\"status\": \"ONLINE\", \"count\": 9}]',
                (SELECT jsonb_agg(jsonb_build_object('name', CASE n WHEN 0 THEN 'remote' ELSE 'local' END, 'member',
                                                     CASE n WHEN 0 THEN '' ELSE 'member-' || n END, 'total', 1099511627776,
                                                     'usage', 300000000000 + id * 1000 + n))
                   FROM generate_series(0, 9) AS n),
                now() - (random() * interval '50 s')
           FROM cluster";

#[tokio::main]
async fn main() {
    let mut deployment = Deployment::new().await;
    let _provider = deployment.start_identity_provider().await;
    let unit = deployment.start(Service::ManagementApi).await;
    let pid = unit.process.id();
    let mut admin = deployment.logged_in("admin@example.com").await;
    let db = deployment.database.connect().await;
    let empty = resident_mib(pid);
    db.execute(FILL, &[&CLUSTERS]).await.unwrap();
    db.batch_execute("ANALYZE").await.unwrap();
    println!(
        "{CLUSTERS} clusters of 9 members and 10 storage pools, one unit. CPU is that of the server and of PostgreSQL.\n"
    );
    println!(
        "{:<58}{:>10}{:>12}{:>12}{:>12}",
        "request", "bytes", "wall ms", "server ms", "database ms"
    );

    let list = "/1.0/fleet/clusters?rows=values";
    let accept = |encoding: &str| {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(encoding).unwrap())])
    };
    let etag = admin.get(list).await.header("etag").unwrap().to_owned();
    let known = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(&etag).unwrap())]);
    let mut bench = Bench { admin: admin.clone(), database: &deployment.database, pid };
    bench.measure("compact list, unchanged, 304", list, known, 300, false).await;
    bench.measure("compact list, unchanged, plain", list, HeaderMap::new(), 100, false).await;
    bench.measure("compact list, unchanged, br", list, accept("br"), 100, false).await;
    bench.measure("compact list, changed each time, plain", list, HeaderMap::new(), 40, true).await;
    bench.measure("compact list, changed each time, gzip", list, accept("gzip"), 40, true).await;
    bench.measure("compact list, changed each time, br", list, accept("br"), 40, true).await;
    bench
        .measure(
            "compact list, first 50 by memory",
            &format!("{list}&sort=-memory&limit=50"),
            HeaderMap::new(),
            100,
            false,
        )
        .await;
    bench
        .measure("summary, changed each time", "/1.0/fleet/summary", HeaderMap::new(), 40, true)
        .await;
    let full = "/1.0/remote-cluster";
    let etag = admin.get(full).await.header("etag").unwrap().to_owned();
    let known = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(&etag).unwrap())]);
    bench.measure("whole list, unchanged, 304", full, known, 100, false).await;
    bench.measure("whole list, unchanged, plain", full, HeaderMap::new(), 20, false).await;
    bench.measure("whole list, unchanged, br", full, accept("br"), 20, false).await;
    bench.measure("whole list, changed each time, plain", full, HeaderMap::new(), 20, true).await;
    bench.measure("whole list, changed each time, gzip", full, accept("gzip"), 10, true).await;
    bench.measure("whole list, changed each time, br", full, accept("br"), 10, true).await;
    bench.after_heartbeats("whole list, after a minute of heartbeats, plain", full).await;
    bench
        .measure("whole list, first 50", &format!("{full}?limit=50"), HeaderMap::new(), 100, false)
        .await;
    bench
        .measure(
            "whole list, filter",
            &format!("{full}?filter=site-0123"),
            HeaderMap::new(),
            100,
            false,
        )
        .await;

    let began = Instant::now();
    let before = cpu_ms(pid);
    for _ in 0..10 {
        drop(deployment.logged_in("admin@example.com").await);
    }
    println!(
        "\nlogin with all redirects: {:.0} ms wall, {:.1} ms of server CPU",
        began.elapsed().as_secs_f64() * 100.0,
        (cpu_ms(pid) - before) / 10.0
    );

    follow(&admin, &db, pid).await;
    println!("memory: {empty:.0} MiB without clusters, {:.0} MiB now", resident_mib(pid));
}

/// Heartbeats of the whole fleet once a minute while many follow the events, and then while as many ask for the list every second.
async fn follow(admin: &Operator, db: &tokio_postgres::Client, pid: u32) {
    let mut streams = Vec::new();
    for _ in 0..FOLLOWERS {
        streams.push(admin.events("/1.0/fleet/events", None).await);
    }
    let before = cpu_ms(pid);
    beat_for(db, WATCHED).await;
    let per_second = (cpu_ms(pid) - before) / WATCHED.as_secs_f64();
    println!(
        "{FOLLOWERS} operators on events, {} heartbeats a second: {:.1} % of a core, {:.0} MiB",
        CLUSTERS / 60,
        per_second / 10.0,
        resident_mib(pid)
    );
    drop(streams);

    let stop = Instant::now() + WATCHED;
    let before = cpu_ms(pid);
    let pollers: Vec<_> = (0..FOLLOWERS)
        .map(|n| {
            let mut operator = admin.clone();
            tokio::spawn(async move {
                let (mut etag, mut polls) = (String::new(), 0_u32);
                tokio::time::sleep(Duration::from_millis(5000 * n as u64 / FOLLOWERS as u64)).await;
                while Instant::now() < stop {
                    let mut headers =
                        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("br"))]);
                    if !etag.is_empty() {
                        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&etag).unwrap());
                    }
                    let answer = operator
                        .raw(Method::GET, "/1.0/fleet/clusters?rows=values", headers, String::new())
                        .await;
                    assert!(matches!(answer.status, 200 | 304), "{}", answer.status);
                    etag = answer.header("etag").unwrap().to_owned();
                    polls += 1;
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                polls
            })
        })
        .collect();
    beat_for(db, WATCHED).await;
    let mut polls = 0;
    for poller in pollers {
        polls += poller.await.unwrap();
    }
    let cpu = cpu_ms(pid) - before;
    println!(
        "{FOLLOWERS} operators asking for the compressed list every 5 s, the same heartbeats: {:.1} % of a core, {:.1} ms per answer",
        cpu / WATCHED.as_secs_f64() / 10.0,
        cpu / f64::from(polls)
    );
}

/// Heartbeats as the connector writes them, as far as this service sees them.
async fn beat_for(db: &tokio_postgres::Client, time: Duration) {
    let until = Instant::now() + time;
    let sql = "UPDATE remote_cluster_details SET last_heartbeat_at = now(), memory_usage = memory_usage + 4096
                WHERE remote_cluster_id % 600 = $1";
    let mut n = 0_i64;
    while Instant::now() < until {
        db.execute(sql, &[&(n % 600)]).await.unwrap();
        n += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

struct Bench<'a> {
    admin: Operator,
    database: &'a TestDatabase,
    pid: u32,
}

impl Bench<'_> {
    async fn measure(
        &mut self,
        what: &str,
        path: &str,
        headers: HeaderMap,
        times: u32,
        change: bool,
    ) {
        let db = self.database.connect().await;
        let postgres = postmaster(&db).await;
        let (mut length, mut wall, mut server, mut database) = (0, 0.0, 0.0, 0.0);
        for n in 0..times {
            if change {
                let sql = "UPDATE remote_clusters SET description = $1::text, updated_at = now()
                            WHERE id = (SELECT min(id) FROM remote_clusters)";
                db.execute(sql, &[&format!("change {n}")]).await.unwrap();
            }
            let (began, own, theirs) =
                (Instant::now(), cpu_ms(self.pid), cpu_of_children_ms(postgres));
            let answer = self.admin.raw(Method::GET, path, headers.clone(), String::new()).await;
            assert!(matches!(answer.status, 200 | 304), "{path}: {}", answer.status);
            wall += began.elapsed().as_secs_f64() * 1000.0;
            server += cpu_ms(self.pid) - own;
            database += cpu_of_children_ms(postgres) - theirs;
            length = answer.length;
        }
        let times = f64::from(times);
        println!(
            "{what:<58}{length:>10}{:>12.2}{:>12.2}{:>12.2}",
            wall / times,
            server / times,
            database / times
        );
    }
}

impl Bench<'_> {
    /// The list for somebody who asks once a minute: every cluster has reported since.
    async fn after_heartbeats(&mut self, what: &str, path: &str) {
        let db = self.database.connect().await;
        let (mut length, mut wall, mut server) = (0, 0.0, 0.0);
        for _ in 0..5 {
            let sql = "UPDATE remote_cluster_details SET last_heartbeat_at = now(), memory_usage = memory_usage + 4096";
            db.batch_execute(sql).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let (began, own) = (Instant::now(), cpu_ms(self.pid));
            let answer = self.admin.get(path).await;
            assert_eq!(answer.status, 200);
            wall += began.elapsed().as_secs_f64() * 200.0;
            server += (cpu_ms(self.pid) - own) / 5.0;
            length = answer.length;
        }
        println!("{what:<58}{length:>10}{wall:>12.2}{server:>12.2}");
    }
}

async fn postmaster(db: &tokio_postgres::Client) -> u32 {
    let row = db.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    let backend: i32 = row.try_get(0).unwrap();
    parent_of(u32::try_from(backend).unwrap()).unwrap()
}

fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// CPU time of all threads, in milliseconds, from the scheduler's own count in nanoseconds.
fn cpu_ms(pid: u32) -> f64 {
    let mut sum = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
        sum += nanos / 1e6;
    }
    sum
}

fn cpu_of_children_ms(parent: u32) -> f64 {
    let mut sum = 0.0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.filter(|pid| parent_of(*pid) == Some(parent)) {
            sum += cpu_ms(pid);
        }
    }
    sum
}

fn resident_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    line.map_or(0.0, |kib: f64| kib / 1024.0)
}
