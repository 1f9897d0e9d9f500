//! Limits of requests and connections (security properties LIM-*): raw bytes over TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_simulator::tls::{self, Trust};
use cluster_simulator::{Member, STATUS_PATH};
use end_to_end_tests::{Deployment, LossyDatabase, Running, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// A mutual TLS connection of a cluster.
async fn connect(member: &Member) -> Stream {
    let trust = Trust::Anything;
    tls::connect(&member.pin().addresses[0], &trust, Some(member.identity()), None).await.unwrap()
}

/// Everything that comes back until the server closes the connection, which it must do within a minute.
async fn rest(stream: &mut Stream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "the server does not close the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends bytes and returns what comes back until the server closes.
async fn exchange(member: &Member, bytes: &[u8]) -> String {
    exchange_in(member, bytes, 1).await
}

/// As [`exchange`], with the bytes in as many pieces, which the server most likely reads one by one.
async fn exchange_in(member: &Member, bytes: &[u8], pieces: usize) -> String {
    let mut stream = connect(member).await;
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        drop(stream.write_all(piece).await);
        drop(stream.flush().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rest(&mut stream).await
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).collect()
}

#[tokio::test]
async fn lim_01_long_bodies_are_refused_while_they_arrive_and_take_no_memory() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("HEARTBEAT_MAX_BYTES", "1048576".into()));
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let before = connector.process.peak_memory_bytes();
    let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\n");
    let announced = format!("{head}Content-Length: 1073741824\r\n\r\n{{").into_bytes();
    // Chunks of 64 KiB, 16 MiB in all.
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..256 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.resize(chunked.len() + (64 << 10), b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    let bodies = [Arc::new(announced), Arc::new(chunked)];
    let mut clients = JoinSet::new();
    for n in 0..100 {
        let (member, body) = (member.clone(), Arc::clone(&bodies[n % 2]));
        clients.spawn(async move { exchange(&member, &body).await });
    }
    let answers = clients.join_all().await;
    let refused = answers.iter().filter(|answer| statuses(answer) == ["413"]).count();
    // A client that goes on writing for ever is cut off instead.
    assert!(answers.iter().all(|answer| matches!(*statuses(answer), [] | ["413"])), "{answers:?}");
    assert!(refused >= 20, "{refused} of 100 read the answer");
    let grown = connector.process.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "{} MiB more", grown >> 20);
}

#[tokio::test]
async fn lim_01_the_sum_of_all_bodies_is_bounded() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("BODIES_MAX_BYTES", "1048576".into()));
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

#[tokio::test]
async fn lim_02_slow_senders_are_cut_off_and_hold_nobody_up() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let mut slow = JoinSet::new();
    for n in 0..300 {
        let (member, address) = (member.clone(), connector.api);
        slow.spawn(async move {
            let drip = Duration::from_millis(500);
            if n % 3 == 0 {
                // Within the handshake: the beginning of a record, byte by byte.
                let mut stream = TcpStream::connect(address).await.unwrap();
                for byte in [0x16_u8, 3, 1, 2, 0, 1].into_iter().chain(std::iter::repeat(0)) {
                    if stream.write_all(&[byte]).await.is_err() {
                        return "cut".to_owned();
                    }
                    let mut end = [0_u8; 64];
                    let read = tokio::time::timeout(drip, stream.read(&mut end)).await;
                    if let Ok(Ok(0) | Err(_)) = read {
                        return "cut".to_owned();
                    }
                }
            }
            let mut stream = connect(&member).await;
            let start = if n % 3 == 1 {
                format!("POST {STATUS_PATH} HTTP/1.1\r\nX-Slow: ")
            } else {
                format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
            };
            if stream.write_all(start.as_bytes()).await.is_err() {
                return format!("too late for {}", n % 3); // on a busy machine
            }
            let mut answer = Vec::new();
            loop {
                if stream.write_all(b" ").await.is_err() || stream.flush().await.is_err() {
                    break;
                }
                let read = tokio::time::timeout(drip, stream.read_buf(&mut answer)).await;
                if let Ok(Ok(0) | Err(_)) = read {
                    break;
                }
            }
            String::from_utf8_lossy(&answer).into_owned()
        });
    }
    let mut ended = Vec::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    while ended.len() < 300 {
        let answer = member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
        assert_eq!(answer.status, 200, "the others do not notice: {}", answer.body);
        while let Ok(Some(one)) =
            tokio::time::timeout(Duration::from_millis(20), slow.join_next()).await
        {
            ended.push(one.unwrap());
        }
        assert!(Instant::now() < deadline, "{} of 300 were cut off", ended.len());
    }
    let with = |status: &str| ended.iter().filter(|answer| statuses(answer) == [status]).count();
    let late = ended.iter().filter(|answer| *answer == "too late for 2").count();
    assert_eq!(with("408") + late, 100, "bodies get an answer that says why");
}

#[tokio::test]
async fn lim_03_requests_with_two_readings_are_refused_and_hide_nothing() {
    let deployment = Deployment::new().await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let hidden = "GET /1.0/hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}{hidden}")
    };
    let many = "X-A: 1\r\n".repeat(64);
    let long = format!("X-A: {}\r\n", "a".repeat(20 << 10));
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(20 << 10));
    for (what, request, expected) in [
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), "400"),
        ("the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), "400"),
        (
            "a length and chunks",
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "chunks and a length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        ("a bare LF", post("X-A: 1\nContent-Length: 2\r\n", "{}"), "400"),
        ("a bare LF at the end", post("Content-Length: 2\r\n\n{}", ""), "400"),
        ("a list of lengths", post("Content-Length: 2, 3\r\n", "{}"), "400"),
        ("a signed length", post("Content-Length: +2\r\n", "{}"), "400"),
        ("a length that is no number", post("Content-Length: 2x\r\n", "{}"), "400"),
        ("a line that goes on", post("X-A: 1\r\n b\r\nContent-Length: 2\r\n", "{}"), "400"),
        ("a space before the colon", post("Content-Length : 2\r\n", "{}"), "400"),
        ("a name with a control character", post("X-\u{1}: 2\r\n", ""), "400"),
        ("a value with a NUL", post("X-A: \0\r\nContent-Length: 2\r\n", "{}"), "400"),
        ("a bare CR", post("X-A: 1\rContent-Length: 2\r\n", "{}"), "400"),
        (
            "not chunked at the end",
            post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
            "400",
        ),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400"),
        (
            "a chunk size that is no number",
            post("Transfer-Encoding: chunked\r\n", "2z\r\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "a chunk size beyond all bounds",
            post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        ("a chunk extension of 20 KiB", post("Transfer-Encoding: chunked\r\n", &extension), "400"),
        ("65 headers", post(&many, ""), "431"),
        ("a header of 20 KiB", post(&long, ""), "431"),
        ("HTTP/3.7", format!("GET / HTTP/3.7\r\nHost: x\r\n\r\n{hidden}"), "400"),
        ("no version", format!("GET /\r\n\r\n{hidden}"), "400"),
        ("not HTTP", format!("\u{16}\u{3}\u{1}\r\n\r\n{hidden}"), "400"),
    ] {
        let answers = exchange(&member, request.as_bytes()).await;
        assert_eq!(statuses(&answers), [expected], "{what}: {answers}");
    }
    // Nothing that looks like the end of another head follows, and the head comes in pieces.
    for (what, headers) in [
        ("the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}GET / HT"),
        ("a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("a bare LF", "X-A: 1\nContent-Length: 2\r\n"),
        ("a bare LF at the end", "Content-Length: 2\r\n\n"),
    ] {
        let head = format!("POST {STATUS_PATH} HTTP/1.1\r\nHost: x\r\n{headers}");
        for pieces in 1..=3 {
            let answers = exchange_in(&member, head.as_bytes(), pieces).await;
            assert_eq!(statuses(&answers), ["400"], "{what}, {pieces} pieces: {answers}");
        }
    }
}

#[tokio::test]
async fn lim_06_every_route_answers_while_the_database_is_frozen() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let (lyon, oslo) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    let token = deployment.token("late");
    let late = deployment.member(&token);
    let db = deployment.database.connect().await;
    db.batch_execute("BEGIN; LOCK TABLE remote_clusters, remote_cluster_details, join_tokens")
        .await
        .unwrap();
    let asked = async |answer| match answer {
        Ok(cluster_simulator::Answer { status, .. }) => status,
        Err(cluster_simulator::ClientError::Refused(answer)) => answer.status,
        Err(error) => panic!("{error}"),
    };
    let bounded = async {
        tokio::join!(
            async { asked(late.join(&token).await).await },
            async { asked(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await).await },
            async { asked(oslo.leave().await).await },
        )
    };
    let statuses = tokio::time::timeout(Duration::from_secs(30), bounded).await;
    assert_eq!(statuses.expect("each route has its bound"), (503, 503, 503));
    assert_eq!(connector.probe("/alive").await, Some(200));
    db.batch_execute("ROLLBACK").await.unwrap();
    late.join(&token).await.expect("nothing of the refused join remains");
    assert_eq!(oslo.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
}

#[tokio::test]
async fn lim_01_a_heartbeat_that_waits_for_the_database_takes_its_room() {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("BODIES_MAX_BYTES", "1048576".into()));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lim_06_every_route_answers_while_the_line_to_the_database_is_dead() {
    let mut deployment = Deployment::new().await;
    let line = LossyDatabase::before(&deployment.database, &deployment.file("line")).await;
    deployment.extra.push(line.setting.clone());
    let running = Running::of(deployment).await;
    let Running {
        deployment,
        manager: _manager,
        connector: _connector,
        provider: _provider,
        mut ada,
    } = running;
    let (lyon, oslo) = (deployment.enrol("lyon").await, deployment.enrol("oslo").await);
    let token = deployment.token("late");
    let late = deployment.member(&token);
    assert_eq!(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status, 200);
    line.be_silent(true);
    let status = |answer| match answer {
        Ok(cluster_simulator::Answer { status, .. }) => status,
        Err(cluster_simulator::ClientError::Refused(answer)) => answer.status,
        Err(error) => panic!("{error}"),
    };
    let asked = async |path: &str| ada.clone().get(path).await.status;
    let statuses = async {
        tokio::join!(
            async { status(late.join(&token).await) },
            async { status(lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await) },
            async { status(oslo.leave().await) },
            asked("/1.0/remote-cluster"),
            asked("/1.0/remote-cluster/lyon"),
            asked("/1.0/fleet/clusters"),
        )
    };
    let bounded = tokio::time::timeout(Duration::from_secs(40), statuses).await;
    assert_eq!(bounded.expect("each route has its bound"), (503, 503, 503, 503, 503, 503));
    line.be_silent(false);
    let deadline = Instant::now() + Duration::from_secs(30);
    while lyon.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status != 200 {
        assert!(Instant::now() < deadline, "heartbeats are not taken again");
    }
    assert_eq!(ada.get("/1.0/remote-cluster").await.status, 200);
}
