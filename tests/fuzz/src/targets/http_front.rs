//! Raw bytes to the connector's HTTP front, over a real socket without TLS. A strict reader of HTTP/1.1 counts the requests;
//! the server may give one answer to each and at most one more, an error, and nothing after it.

mod requests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster_manager::cluster_connector::{self, App, RateLimits};
use cluster_manager::domain::heartbeat::HeartbeatWriter;
use cluster_manager::domain::tunnels;
use cluster_manager::edge::{Limits, Listener};
use cluster_manager::metrics::Metrics;
use cluster_manager::seal::MasterKey;
use cluster_manager::store::Pool;
use cluster_manager::tunnel::{Keeper, Tunnels};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workload_config::Config;

use self::requests::{Answers, Requests};
use super::ensure;
use crate::{Target, Verdict};

/// How a client begins that knows the server to speak HTTP/2 (RFC 9113, section 3.4): the answer is in frames.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest wait for an answer that is due.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) fn target() -> Target {
    let mut server = None;
    Target {
        name: "http_front",
        dictionary: &[
            "GET / HTTP/1.1\r\n",
            "POST /1.0/remote-cluster HTTP/1.1\r\n",
            "POST /1.0/remote-cluster/status HTTP/1.1\r\n",
            "HEAD /1.0/status HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            "Host: a\r\n",
            "Connection: keep-alive\r\n",
            "Connection: close\r\n",
            "Content-Length: 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Content-Encoding: gzip\r\n",
            "Expect: 100-continue\r\n",
            "Upgrade: websocket\r\n",
            "\r\n",
            "\n",
            "\r",
            "\r\n ",
            "{}",
            "2\r\n{}\r\n",
            "0\r\n\r\n",
            ";ext=1",
            ":",
            "\0",
        ],
        max_bytes: 20 << 10,
        changes: 500,
        check: Box::new(move |input| {
            // Started with the first input: a run over another target needs no server.
            if server.is_none() {
                server = Some(Server::start().map_err(|error| format!("no server: {error}"))?);
            }
            server.as_ref().map_or(Ok(String::new()), |server| server.check(input))
        }),
    }
}

/// The connector's routes on a loopback port, with a database that is never there.
struct Server {
    runtime: Runtime,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let runtime = Runtime::new()?;
        let inside = runtime.enter();
        let missing = folder.path().display().to_string();
        let config = Config::parse(|name| match name {
            "DB_HOST" => Some(missing.clone()),
            "LIMITS" => Some("connector-header-seconds=2, connector-keep-alive-seconds=2".into()),
            "RATE_LIMIT_CONNECTIONS_PER_ADDRESS" => None,
            name if name.starts_with("RATE_LIMIT_") && name.contains("_PER_") => {
                Some("1000000:1000000".into())
            }
            _ => None,
        })?;
        let (pool, metrics) = (Pool::new(&config.database)?, Metrics::new("fuzz")?);
        let tasks = TaskTracker::new();
        let heartbeats =
            HeartbeatWriter::start(&pool, &tasks, &metrics, None, config.limits.heartbeat);
        let master_key = Arc::new(MasterKey::read_or_create(&folder.path().join("master.key"))?);
        let addresses = master_key.unit_addresses().ok_or("no key for addresses")?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let keeper = Keeper::new(
            pool.clone(),
            tunnels::Unit::new(&addresses, nowhere),
            Tunnels::new(config.limits.tunnel, &metrics.tunnels),
            CancellationToken::new(),
        );
        let tasks_of_app = tasks.clone();
        let app = Arc::new(App::new(&config, pool, master_key, heartbeats, keeper, tasks_of_app));
        let service = cluster_connector::service(app, RateLimits::new(&config), &metrics);
        let limits =
            Limits { idle: Duration::from_secs(4), ..Limits::from(config.limits.connector) };
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None, limits)?;
        let address =
            listener.serve(service, &tasks, CancellationToken::new(), Duration::from_secs(1))?;
        drop(inside);
        Ok(Self { runtime, address, _folder: folder })
    }

    fn check(&self, input: &[u8]) -> Verdict {
        if input.starts_with(HTTP2) {
            return Ok("another protocol".into());
        }
        let requests = Requests::read(input);
        let talk = talk(self.address, input, requests.complete());
        let (bytes, in_time) =
            self.runtime.block_on(talk).map_err(|error| format!("no connection: {error}"))?;
        let answers = Answers::read(&bytes, &requests)?;
        let (given, due) = (answers.statuses.len(), requests.complete());
        if requests.is_plain() {
            ensure!(given <= due + 1, "{given} answers to {due} requests");
            if given == due + 1 && !requests.has_one_more_head() {
                let last = answers.statuses.last().copied().unwrap_or_default();
                ensure!(last >= 400, "the answer {last} to something that is no request");
            }
        }
        // Refused, and nothing after it is a request (RFC 9112, section 6.1).
        if let Some(place) = requests.ambiguous() {
            let answer = answers.statuses.get(place).copied();
            ensure!(
                given <= place + 1 && answer.is_none_or(|status| status >= 400),
                "{given} answers, the last {answer:?}, although request {place} can be read in two ways"
            );
        }
        ensure!(in_time || given >= due, "{given} answers within {PATIENCE:?}, {due} are due");
        ensure!(
            answers.statuses.iter().all(|status| *status != 500),
            "an internal error: {:?}",
            answers.statuses
        );
        let kinds: Vec<_> = answers.statuses.iter().take(2).collect();
        let due = super::size(due);
        Ok(format!("{kinds:?} to {due}, ambiguous {}", requests.ambiguous().is_some()))
    }
}

/// Sends the input and reads until the server closes. When as many answers as there are complete requests have come, no more
/// is sent, so that a server that waits for the rest of one gives up.
async fn talk(address: SocketAddr, input: &[u8], due: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut reader, mut writer) = stream.split();
    let mut bytes = Vec::new();
    let work = async {
        // A server that has seen enough closes while we write.
        let sent = writer.write_all(input).await;
        let mut closed_ours = sent.is_err();
        loop {
            if !closed_ours && Answers::count(&bytes) >= due {
                drop(writer.shutdown().await);
                closed_ours = true;
            }
            match reader.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, work).await.is_ok();
    Ok((bytes, in_time))
}
