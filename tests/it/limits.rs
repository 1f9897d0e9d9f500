//! Limits of requests and connections (security properties LIM-*): raw bytes over TLS.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_simulator::tls::{self, Dial, Trust};
use cluster_simulator::{CLUSTER_PATH, Identity, Member, Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Reply, Running, Service};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// A mutual TLS connection of a cluster.
async fn connect(member: &Member) -> Stream {
    let trust = Trust::Anything;
    tls::connect(&member.pin().addresses[0], &trust, Some(member.identity()), Dial::default())
        .await
        .unwrap()
}

/// Everything that comes back until the server closes the connection, which it must do within a minute.
async fn rest(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "the server does not close the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends bytes and returns what comes back until the server closes.
pub(super) async fn exchange(member: &Member, bytes: &[u8]) -> String {
    exchange_in(member, bytes, 1).await
}

/// As [`exchange`], with the bytes in as many pieces, which the server most likely reads one by one.
pub(super) async fn exchange_in(member: &Member, bytes: &[u8], pieces: usize) -> String {
    let mut stream = connect(member).await;
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        drop(stream.write_all(piece).await);
        drop(stream.flush().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rest(&mut stream).await
}

pub(super) fn statuses(answers: &str) -> Vec<&str> {
    answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).collect()
}

/// Sends a head, and then chunks of 64 KiB up to a gibibyte for as long as the server takes them: the answer.
async fn flood(member: &Member, head: &str) -> String {
    let (mut from, mut to) = tokio::io::split(connect(member).await);
    let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(chunk.len() + (64 << 10), b' ');
    chunk.extend_from_slice(b"\r\n");
    let write = async {
        let mut is_open = to.write_all(head.as_bytes()).await.is_ok();
        for _ in 0..(1 << 30) / (64 << 10) {
            is_open = is_open && to.write_all(&chunk).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = write => {}
        read = tokio::time::timeout(Duration::from_mins(1), from.read_to_end(&mut answer)) => {
            assert!(read.is_ok(), "the server does not close the connection");
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn lim_01_bodies_of_a_gibibyte_are_refused_while_they_arrive_and_take_no_memory() {
    // The sum of all bodies, and what a hundred connections need for themselves.
    const ROOM: u64 = 256 << 20;
    const CONNECTIONS: u64 = 100 * (1 << 20);
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let mut members = Vec::new();
    for name in ["lyon", "oslo", "quito", "riga", "turin"] {
        members.push(deployment.enrol(name).await);
    }
    let before = connector.process.peak_memory_bytes();
    let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\n");
    let mut clients = JoinSet::new();
    for n in 0..100 {
        let (member, head) = (members[n % 5].clone(), head.clone());
        clients.spawn(async move {
            if n % 2 == 0 {
                return flood(&member, &head).await;
            }
            exchange(&member, format!("{head}Content-Length: 1073741824\r\n\r\n{{").as_bytes())
                .await
        });
    }
    let answers = clients.join_all().await;
    // Within the limit of one body there may be no room for another; a client that goes on writing for ever is cut off.
    let with = |status: &str| answers.iter().filter(|answer| statuses(answer) == [status]).count();
    let silent = answers.iter().filter(|answer| statuses(answer).is_empty()).count();
    assert_eq!(with("413") + with("503") + silent, 100, "{answers:?}");
    assert!(with("413") >= 20, "{} of 100 read the answer", with("413"));
    let grown = connector.process.peak_memory_bytes().saturating_sub(before);
    assert!(grown < ROOM + CONNECTIONS, "{} MiB more", grown >> 20);
    let small = members[0].request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(small.status, 200, "{}", small.body);
}

#[tokio::test]
async fn lim_01_a_stranger_is_refused_before_its_body_is_read() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let stranger = Member::new(Identity::generate("stranger").unwrap(), member.pin().clone());
    let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    // Nothing of the body is sent: whoever waits for it answers 408.
    assert_eq!(statuses(&exchange(&stranger, head.as_bytes()).await), ["403"]);
    // Who joined through another unit is no stranger.
    let elsewhere = deployment.start(Service::ClusterConnector).await;
    let late = deployment.enrol("oslo").await;
    let mut pin = late.pin().clone();
    pin.addresses = vec![elsewhere.api.to_string()];
    let late = Member::new(late.identity().clone(), pin);
    let body = [vec![b' '; 200 << 10], b"{}".to_vec()].concat();
    assert_eq!(late.request("POST", STATUS_PATH, body).await.unwrap().status, 200);
}

#[tokio::test]
async fn lim_01_one_cluster_does_not_take_the_room_of_others() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("LIMITS", "connector-bodies-bytes=4MiB,heartbeat-bytes=1MiB".into()));
    let _connector = deployment.start(Service::ClusterConnector).await;
    let (loud, quiet) = (deployment.enrol("loud").await, deployment.enrol("quiet").await);
    let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..8 {
        let mut stream = connect(&loud).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; 900_000]).await.unwrap();
        stream.flush().await.unwrap();
        open.push(stream);
    }
    // It has room for one of them; which one that is, is not said.
    let mut answers = JoinSet::new();
    for mut stream in open {
        answers.spawn(async move {
            let mut answer = Vec::with_capacity(4096);
            stream.read_buf(&mut answer).await.unwrap();
            (statuses(&String::from_utf8_lossy(&answer)).join(" "), stream)
        });
    }
    while refused < 7 {
        let (status, _) = answers.join_next().await.unwrap().unwrap();
        assert_eq!(status, "503");
        refused += 1;
    }
    let body = [vec![b' '; 1_000_000], b"{}".to_vec()].concat();
    let answer = quiet.request("POST", STATUS_PATH, body).await.unwrap();
    assert_eq!(answer.status, 200, "the longest heartbeat of another: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_05_a_list_without_end_takes_no_memory_and_long_bodies_hold_nobody_up() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (loud, quiet) = (deployment.enrol("loud").await, deployment.enrol("quiet").await);
    let before = connector.process.peak_memory_bytes();
    let body = |start: &str, entry: &str, end: &str| {
        let count = ((40 << 20) - start.len() - end.len()) / entry.len();
        [start, &entry.repeat(count), end].concat().into_bytes()
    };
    let list = body(r#"{"storage_pool_usages":[{}"#, ",{}", "]}");
    let answer = loud.request("POST", STATUS_PATH, list).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("a list must have at most 4096 entries"), "{}", answer.body);
    let grown = connector.process.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 80 << 20, "{} MiB more for 40 MiB", grown >> 20);

    // As many as there are threads, and each takes long enough to read.
    let threads = std::thread::available_parallelism().unwrap().get().min(4);
    let slow = Arc::new(body(r#"{"x":[0"#, ",[]", "]}"));
    let mut long = JoinSet::new();
    for n in 0..threads {
        let member = deployment.enrol(&format!("long-{n}")).await;
        let slow = Arc::clone(&slow);
        long.spawn(async move {
            member.request("POST", STATUS_PATH, slow.to_vec()).await.unwrap().status
        });
    }
    let mut meanwhile = 0;
    let statuses = loop {
        let small = quiet.request("POST", STATUS_PATH, b"{}".to_vec());
        tokio::select! {
            answer = small => {
                assert_eq!(answer.unwrap().status, 200);
                meanwhile += 1;
            }
            first = long.join_next() => {
                let mut statuses = vec![first.unwrap().unwrap()];
                statuses.extend(std::mem::take(&mut long).join_all().await);
                break statuses;
            }
        }
    };
    assert_eq!(statuses, vec![200; threads]);
    assert!(meanwhile > 0, "the others wait until the long ones are read");
}

#[tokio::test]
async fn lim_01_the_sum_of_all_bodies_is_bounded() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("LIMITS", "connector-bodies-bytes=1MiB".into()));
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    // Both together are too much: whichever has not arrived yet when the room is used up is refused, the other one waits for more.
    let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    let (mut first, mut second) = (connect(&member).await, connect(&member).await);
    for holding in [&mut first, &mut second] {
        holding.write_all(head.as_bytes()).await.unwrap();
        holding.write_all(&vec![b' '; 600 << 10]).await.unwrap();
        holding.flush().await.unwrap();
    }
    let (mut of_first, mut of_second) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    let answer = tokio::select! {
        read = first.read_buf(&mut of_first) => { read.unwrap(); of_first }
        read = second.read_buf(&mut of_second) => { read.unwrap(); of_second }
    };
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(statuses(&answer), ["503"], "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 5"), "{answer}");
    let small = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(small.status, 200, "there is room for small ones: {}", small.body);
    drop((first, second));
    let mut body = vec![b' '; 600 << 10];
    body.extend_from_slice(b"{}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while member.request("POST", STATUS_PATH, body.clone()).await.unwrap().status != 200 {
        assert!(Instant::now() < deadline, "the room is not given back");
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_writing() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let body = vec![b' '; 900 << 10];
    for _ in 0..20 {
        for (method, path, status) in [("POST", "/1.0/nowhere", 404), ("PUT", STATUS_PATH, 405)] {
            let answer = member.request(method, path, body.clone()).await.unwrap();
            assert_eq!(answer.status, status, "{}", answer.body);
        }
    }
}

/// What a slow sender is about to complete, and sends a byte of every five seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    Handshake,
    Head,
    Body,
}

impl Slow {
    /// After so long it is cut off; of a body, that is the first window in which 40 KiB must arrive.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Handshake => 10,
            Self::Head => 5,
            Self::Body => 15,
        })
    }

    /// Its connection, and what it has sent of a request.
    async fn begin(self, member: &Member) -> (Box<dyn Duplex>, String) {
        let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\n");
        match self {
            Self::Handshake => {
                let stream = TcpStream::connect(&member.pin().addresses[0]).await.unwrap();
                (Box::new(stream), "\u{16}\u{3}\u{1}".into()) // the beginning of a record
            }
            Self::Head => (Box::new(connect(member).await), format!("{head}X-Slow: ")),
            Self::Body => {
                (Box::new(connect(member).await), format!("{head}Content-Length: 60000\r\n\r\n"))
            }
        }
    }
}

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Duplex for S {}

/// How long the heartbeats of a member take, one after the other and as long as `is_time`, in order of length.
async fn latencies(member: &Member, count: usize, is_time: impl Fn() -> bool) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while latencies.len() < count && is_time() {
        let begin = Instant::now();
        let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        latencies.push(begin.elapsed());
    }
    latencies.sort_unstable();
    latencies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_02_five_thousand_slow_senders_are_cut_off_and_hold_nobody_up() {
    // The first have to be there before the last are cut off, and a handshake costs both sides about a hundred times what a
    // connection does: most are slow before it.
    const SENDERS: [(Slow, usize); 3] =
        [(Slow::Body, 200), (Slow::Head, 200), (Slow::Handshake, 4600)];
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let (member, quiet) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    let before = latencies(&quiet, 50, || true).await;
    let (mut slow, open) = (JoinSet::new(), Arc::new(()));
    for (kind, count) in SENDERS {
        for _ in 0..count {
            let begin = Instant::now();
            let (mut stream, start) = kind.begin(&member).await;
            let mut is_open =
                stream.write_all(start.as_bytes()).await.is_ok() && stream.flush().await.is_ok();
            let still_open = Arc::clone(&open);
            slow.spawn(async move {
                let mut answer = Vec::new();
                while is_open {
                    let drip = Duration::from_secs(5);
                    let read = tokio::time::timeout(drip, stream.read_buf(&mut answer)).await;
                    is_open = !matches!(read, Ok(Ok(0) | Err(_)))
                        && stream.write_all(b" ").await.is_ok()
                        && stream.flush().await.is_ok();
                }
                drop(still_open);
                (kind, String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())
            });
        }
    }
    let during = latencies(&quiet, 100, || Arc::strong_count(&open) > 4500).await;
    let ended = slow.join_all().await;
    for (kind, _, took) in &ended {
        let limit = kind.limit() + Duration::from_secs(10); // a busy machine notices later
        assert!(*took < limit, "{kind:?} was cut off after {took:?}");
    }
    let bodies = ended.iter().filter(|(kind, ..)| *kind == Slow::Body);
    assert!(
        bodies.clone().all(|(_, answer, _)| statuses(answer) == ["408"]),
        "bodies get an answer that says why: {:?}",
        bodies.collect::<Vec<_>>()
    );
    // The slowest of a hundred may have waited for anything on this machine; half of them have not.
    assert!(during.len() >= 10, "{during:?}");
    let (usual, delayed) = (before[before.len() / 2], during[during.len() / 2]);
    assert!(delayed < usual + Duration::from_millis(50), "{usual:?} became {delayed:?}");
    assert!(during.iter().all(|took| *took < Duration::from_secs(2)), "{during:?}");
}

/// Bytes in a second of a line with 64 kbit/s.
const SLOW_LINE: usize = 8000;

#[tokio::test]
async fn rel_17_a_cluster_on_a_slow_line_delivers_a_long_heartbeat() {
    let running = Running::start().await;
    let member = running.deployment.enrol("lyon").await;
    let metrics = "x 1\n".repeat((100 << 10) / 4);
    let body = json!({"description": "", "memory_usage": 7, "server_metrics": [{"member": "a", "service": "LXD", "metrics": metrics}]});
    let body = body.to_string();
    let length = body.len();
    let bytes = format!(
        "POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let (begin, mut stream) = (Instant::now(), connect(&member).await);
    let mut ticks = tokio::time::interval(Duration::from_millis(125));
    for piece in bytes.as_bytes().chunks(SLOW_LINE / 8) {
        ticks.tick().await;
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    // Longer than any flat limit that would suit fast ones.
    assert!(begin.elapsed() > Duration::from_secs(12), "{:?}", begin.elapsed());
    let answer = rest(&mut stream).await;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    let stored = "SELECT count(*) FROM remote_cluster_details WHERE memory_usage = 7";
    assert_eq!(running.deployment.database.count(stored).await, 1);
}

#[tokio::test]
async fn lim_04_compressed_bodies_are_refused_and_compressed_answers_are_not_unpacked() {
    let running = Running::start().await;
    let Running { deployment, provider, manager, connector: _connector, mut ada } = running;
    let member = deployment.enrol("lyon").await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"{}").unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(b"{}").unwrap();
    let brotli = b"\x8b\x00\x80{}\x03".to_vec(); // which holds its text as it is
    for (encoding, body) in
        [("gzip", gzip.finish().unwrap()), ("deflate", deflate.finish().unwrap()), ("br", brotli)]
    {
        for path in [STATUS_PATH, CLUSTER_PATH] {
            let request = Request::of_member("POST", path, body.clone())
                .with_header("Content-Encoding", encoding);
            let answer = member.raw_request(&request, Some(member.identity())).await.unwrap();
            assert_eq!(answer.status, 415, "{encoding} {path}: {}", answer.body);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
            ("content-encoding", encoding),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let token = r#"{"cluster_name":"oslo"}"#.to_owned();
        let answer = ada.raw(Method::POST, "/1.0/remote-cluster-join-token", headers, token).await;
        assert_eq!(answer.status, 415, "{encoding}: {}", answer.body);
    }
    let plain = Request::of_member("POST", STATUS_PATH, b"{}".to_vec())
        .with_header("Content-Encoding", "identity");
    assert_eq!(member.raw_request(&plain, Some(member.identity())).await.unwrap().status, 200);

    // Thirty-two mebibytes of spaces in some kilobytes; what they unpack to would be no token either.
    let before = manager.process.peak_memory_bytes();
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 32 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n".to_owned();
    provider.behave(move |call| {
        (call.path == "/token").then(|| Reply::Bytes(200, headers.clone(), bomb.clone()))
    });
    let mut person = deployment.operator();
    assert_eq!(provider.log_in(&mut person).await.status, 503);
    let grown = manager.process.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
}

#[tokio::test]
async fn lim_01_a_heartbeat_that_waits_for_the_database_takes_its_room() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("LIMITS", "connector-bodies-bytes=1MiB".into()));
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_cluster_details").await.unwrap();
    let metrics = "x".repeat(600 << 10);
    let entry = serde_json::json!({"member": "a", "service": "LXD", "metrics": metrics});
    let body = serde_json::json!({"server_metrics": [entry]}).to_string().into_bytes();
    let (waiting, sent) = (member.clone(), body.clone());
    let waiting = tokio::spawn(async move { waiting.request("POST", STATUS_PATH, sent).await });
    let waits = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'";
    deployment.database.until_count(waits, 1).await;
    let second = member.request("POST", STATUS_PATH, body.clone()).await.unwrap();
    assert_eq!(second.status, 503, "{}", second.body);
    assert!(second.body.contains("busy"), "{}", second.body);
    db.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status, 200);
    assert_eq!(member.request("POST", STATUS_PATH, body).await.unwrap().status, 200);
}
