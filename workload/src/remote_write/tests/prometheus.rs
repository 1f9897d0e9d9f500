//! Against a real Prometheus with its remote-write receiver (Debian's package `prometheus`).

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::super::{MemberMetrics, Options, RemoteWrite};
use super::{example, http, stats, text};

/// A server of its own for one test; it ends with it.
struct Prometheus {
    process: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = directory.path().join("prometheus.yml");
        std::fs::write(&settings, "{}").unwrap();
        let process = Command::new("prometheus")
            .arg("--web.enable-remote-write-receiver")
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs a Prometheus server: apt-get install prometheus");
        let mut server = Self { process, address: String::new(), _directory: directory };
        let mut log =
            BufReader::new(server.process.stderr.take().unwrap()).lines().map(Result::unwrap);
        // The two lines come in any order.
        let mut ready = false;
        while server.address.is_empty() || !ready {
            let line = log.next().expect("Prometheus ended before it was ready");
            ready |= line.contains("Server is ready");
            if line.contains("\"Listening on\"") {
                server.address = line.rsplit_once("address=").unwrap().1.to_owned();
            }
        }
        // The pipe must not fill up.
        std::thread::spawn(move || log.count());
        server
    }

    fn remote_write(&self) -> RemoteWrite {
        let url: Url = format!("http://{}/api/v1/write", self.address).parse().unwrap();
        let client = http::remote_write(url, &Options::default());
        client.run(&CancellationToken::new(), &TaskTracker::new());
        client
    }

    /// What the query API answers, under `data`.
    async fn ask(&self, path: &str, query: &str) -> Value {
        let mut url: Url = format!("http://{}/api/v1/{path}", self.address).parse().unwrap();
        let name = if path == "series" { "match[]" } else { "query" };
        url.query_pairs_mut().append_pair(name, query);
        let client =
            reqwest::Client::builder().tls_backend_preconfigured(http::tls()).build().unwrap();
        let answer = client.get(url).send().await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].take()
    }

    /// The value of a query with one result.
    async fn number(&self, query: &str) -> String {
        let data = self.ask("query", query).await;
        data["result"][0]["value"][1].as_str().unwrap_or("none").to_owned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ago(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::now_utc() - Duration::from_secs(seconds)
}

async fn flush(client: &RemoteWrite) {
    client.shutdown(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn met_02_prometheus_stores_every_series_of_the_example_and_refuses_none() {
    let prometheus = Prometheus::start();
    let client = prometheus.remote_write();
    let texts = example("heartbeat-50-members.json");
    let of_first = |name: &str| {
        let line = texts[0].metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
    };
    let (member, uptime) = (texts[0].member.clone(), of_first("lxd_uptime_seconds"));
    for seconds in [90, 60, 30, 1] {
        client.enqueue("oslo-north", ago(seconds), texts.clone());
    }
    flush(&client).await;
    let stats = stats(&client);
    assert_eq!((stats.samples.get(), stats.samples_sent.get()), (4 * 3600, 4 * 3600));
    assert_eq!((stats.requests_refused.get(), stats.retries.get()), (0, 0));

    let series = prometheus.ask("series", "{cluster=\"oslo-north\"}").await;
    assert_eq!(series.as_array().unwrap().len(), 3600);
    let samples = prometheus.ask("query", "{job=\"oslo_north\"}[5m]").await;
    let samples = samples["result"].as_array().unwrap().iter();
    assert!(samples.map(|series| series["values"].as_array().unwrap().len()).eq(vec![4; 3600]));
    for (query, expected) in [
        ("count({job=\"oslo_north\"})".to_owned(), "3600"),
        ("count(count by (member) ({cluster=\"oslo-north\"}))".to_owned(), "50"),
        (format!("lxd_uptime_seconds{{member=\"{member}\"}}"), &uptime),
    ] {
        assert_eq!(prometheus.number(&query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn met_02_prometheus_refuses_nothing_of_a_hostile_cluster() {
    let prometheus = Prometheus::start();
    let client = prometheus.remote_write();
    let metrics = "up 0\nALERTS{alertname=\"x\"} 1\nlxd_a 1\nlxd_a 2\nlxd_a{} 3\nlxd_a{__name__=\"up\"} 4\n\
        lxd_b{job=\"other\",cluster=\"other\",member=\"other\",z=\"\",B=\"1\",B=\"2\"} NaN 1\n\
        lxd_c{job=\"x\",exported_job=\"y\",exported_exported_job=\"z\"} +Inf 99999999999999\n\
        lxd_d{v=\"\\n\\\"\\\\\\x \u{1f600}\u{7f}\u{0}\"} -Inf\n# TYPE lxd_e odd\nlxd_e 1\nlxd:f 1\nlxd_:g 1\n";
    let texts = ["a", "b", "a", "", "\"'\u{0}é"].map(|member| text(member, metrics));
    for seconds in [60, 30, 30, 45, 1] {
        client.enqueue("oslo-north", ago(seconds), texts.to_vec());
    }
    flush(&client).await;
    let stats = stats(&client);
    assert_eq!((stats.requests_refused.get(), stats.retries.get()), (0, 0));
    assert_eq!(stats.samples_dropped_refused.get(), 0);
    assert_eq!(stats.heartbeats_dropped_not_newer.get(), 2);
    // Four members (one of them without a name) with five series each.
    assert_eq!(prometheus.number("count({job=\"oslo_north\"})").await, "20");
    assert_eq!(prometheus.number("count({__name__=~\".+\",job!=\"oslo_north\"})").await, "none");
    assert_eq!(prometheus.number("lxd_a{member=\"a\"}").await, "1");
    let exported = "count(lxd_b{exported_job=\"other\",exported_member=\"other\",B=\"1\"})";
    assert_eq!(prometheus.number(exported).await, "4");
}

#[tokio::test]
async fn rel_05_prometheus_refuses_a_stale_half_and_the_other_half_is_stored() {
    let prometheus = Prometheus::start();
    let send = async |seconds, texts: Vec<MemberMetrics>| {
        let client = prometheus.remote_write();
        client.enqueue("oslo", ago(seconds), texts);
        flush(&client).await;
        client
    };
    send(10, vec![text("b", "lxd_b 1")]).await;
    // This server was started later and does not know that the series has newer samples.
    let client = send(60, vec![text("a", "lxd_a 1\nlxd_c 1"), text("b", "lxd_b 2\nlxd_d 2")]).await;
    let stats = stats(&client);
    assert_eq!((stats.samples_sent.get(), stats.samples_dropped_refused.get()), (2, 2));
    assert_eq!((stats.requests_refused.get(), stats.retries.get()), (2, 0));
    assert_eq!(prometheus.number("count({member=\"a\"})").await, "2");
    assert_eq!(prometheus.number("lxd_b").await, "1");
}
