//! Over HTTP, against servers that answer, refuse, redirect, babble and hang.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, channel};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::super::receiver::{Answer, HttpReceiver, Receiver};
use super::super::{Options, RemoteWrite};
use super::{decode, moment, stats, text};

/// Settings that trust nobody: the servers here speak plain HTTP.
pub(super) fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

pub(super) fn remote_write(url: Url, options: &Options) -> RemoteWrite {
    RemoteWrite::new(&[url], &tls(), options).unwrap()
}

/// One request as it came in: the head in lower case, and the body.
struct Request {
    head: String,
    body: Vec<u8>,
}

/// Serves one connection per answer; an answer that is empty never comes, and [`NO_END`] never ends. Requests arrive in the inbox.
fn serve(answers: Vec<&'static str>) -> (Url, Inbox<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, inbox) = channel();
    std::thread::spawn(move || {
        let mut kept_open = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = sender.send(read_request(&stream));
            let _ = stream.write_all(answer.as_bytes());
            if answer == NO_END {
                let _ = stream.write_all(&[b'a'; 8192]);
            }
            if answer.is_empty() || answer == NO_END {
                kept_open.push(stream);
            }
        }
    });
    (url, inbox)
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        head += &line;
        head.push('\n');
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Request { head, body }
}

const STORED: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const BROKEN: &str =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad";
const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const ELSEWHERE: &str = "HTTP/1.1 308 Permanent Redirect\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NO_END: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 99999999\r\n\r\n";

/// Delivers the texts, one heartbeat each, to a server with these answers.
async fn deliver(answers: Vec<&'static str>, texts: &[&str]) -> (RemoteWrite, Vec<Request>) {
    let (url, inbox) = serve(answers);
    let wait = (Duration::from_millis(1), Duration::from_millis(4));
    let request_time = Duration::from_secs(2);
    let client = remote_write(url, &Options { request_time, wait, ..super::one_worker() });
    client.run(&CancellationToken::new(), &TaskTracker::new());
    for (second, metrics) in (0..).zip(texts) {
        client.enqueue("oslo-1", moment(second), vec![text("n1", metrics)]);
    }
    client.shutdown(Duration::from_mins(1)).await;
    (client, inbox.try_iter().collect())
}

#[tokio::test]
async fn met_02_a_request_is_what_the_protocol_says() {
    let (client, requests) = deliver(vec![STORED], &["lxd_a{b=\"c\"} 1.5"]).await;
    let Request { head, body } = &requests[0];
    assert!(head.starts_with("post /api/v1/write http/1.1\n"), "{head}");
    for header in [
        "content-type: application/x-protobuf\n",
        "content-encoding: snappy\n",
        "x-prometheus-remote-write-version: 0.1.0\n",
        "user-agent: microcloud-cluster-manager\n",
    ] {
        assert_eq!(head.matches(header).count(), 1, "{head}");
    }
    let series = decode(body);
    assert_eq!(series[0].text(), r#"lxd_a{b="c",cluster="oslo-1",job="oslo_1",member="n1"}"#);
    assert_eq!(series[0].samples[0].value.to_bits(), 1.5_f64.to_bits());
    let stats = stats(&client);
    assert_eq!((stats.requests.get(), stats.bytes_sent.get()), (1, body.len() as u64));
}

#[tokio::test]
async fn rel_05_errors_of_the_server_and_429_are_retried_with_the_same_request() {
    let (client, requests) = deliver(vec![BROKEN, BUSY, STORED], &["lxd_a 1"]).await;
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    assert_eq!((stats(&client).retries.get(), stats(&client).samples_sent.get()), (2, 1));
}

#[tokio::test]
async fn rel_05_other_answers_drop_the_request() {
    let (client, requests) =
        deliver(vec![GONE, ELSEWHERE, STORED], &["lxd_a 1", "lxd_a 2", "lxd_a 3"]).await;
    assert_eq!(requests.len(), 3);
    let stats = stats(&client);
    assert_eq!((stats.samples_dropped_refused.get(), stats.samples_sent.get()), (2, 1));
    assert_eq!((stats.requests_refused.get(), stats.retries.get()), (2, 0));
}

#[tokio::test]
async fn rel_05_after_a_400_each_half_is_sent_once() {
    let (client, requests) = deliver(vec![BAD, STORED, BAD], &["lxd_a 1\nlxd_b 1\nlxd_c 1"]).await;
    let sizes: Vec<_> = requests.iter().map(|request| decode(&request.body).len()).collect();
    assert_eq!(sizes, [3, 1, 2]);
    assert_eq!(
        (stats(&client).samples_sent.get(), stats(&client).samples_dropped_refused.get()),
        (1, 2)
    );
}

#[tokio::test]
async fn rel_05_a_server_that_hangs_or_babbles_is_left() {
    let (client, requests) = deliver(vec!["", STORED], &["lxd_a 1"]).await;
    assert_eq!((requests.len(), stats(&client).retries.get()), (2, 1));
    let (client, requests) = deliver(vec![NO_END, STORED], &["lxd_a 1", "lxd_a 2"]).await;
    assert_eq!((requests.len(), stats(&client).samples_sent.get()), (2, 1));
    assert_eq!((stats(&client).requests_refused.get(), stats(&client).retries.get()), (1, 0));
}

#[tokio::test]
async fn rel_05_a_server_that_is_not_there_is_asked_again_and_its_password_is_not_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://someone:secret@127.0.0.1:{port}/write").parse().unwrap();
    let answer = HttpReceiver::new(url, tls()).unwrap().send(Bytes::from_static(b"x")).await;
    let Answer::Later { after: None, reason } = answer else { panic!("{answer:?}") };
    assert!(
        reason.contains("refused") && !reason.contains("secret") && !reason.contains("/write"),
        "{reason}"
    );
}

#[tokio::test]
async fn rel_05_the_address_may_hold_a_password() {
    let (mut url, inbox) = serve(vec![STORED]);
    url.set_username("someone").unwrap();
    url.set_password(Some("secret")).unwrap();
    let answer = HttpReceiver::new(url, tls()).unwrap().send(Bytes::from_static(b"x")).await;
    assert_eq!(answer, Answer::Stored);
    let head = inbox.recv().unwrap().head;
    assert!(head.contains("authorization: basic c29tzw9uztpzzwnyzxq=\n"), "{head}");
}

#[tokio::test]
async fn rel_05_a_receiver_that_hangs_holds_no_other_back() {
    let (silent, _inbox) = serve(vec![""]);
    let (good, inbox) = serve(vec![STORED; 20]);
    let client = RemoteWrite::new(&[silent, good], &tls(), &super::one_worker()).unwrap();
    client.run(&CancellationToken::new(), &TaskTracker::new());
    for second in 0..20 {
        client.enqueue("oslo", moment(second), vec![text("n1", "lxd_a 1")]);
    }
    // All of it is there although the first one has not answered anything.
    let mut requests = Vec::new();
    while requests.len() < 20 {
        requests.extend(inbox.try_iter());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let times: Vec<_> =
        requests.iter().map(|request| decode(&request.body)[0].samples[0].timestamp).collect();
    assert!(times.is_sorted(), "{times:?}");
    client.shutdown(Duration::ZERO).await;
    let counts: Vec<_> = client
        .receivers()
        .map(|(_, stats)| {
            let lost = stats.samples_dropped_stopped.get() + stats.heartbeats_dropped_stopped.get();
            (stats.heartbeats.get(), stats.samples_sent.get(), lost)
        })
        .collect();
    // The last answer may still have been on its way.
    assert_eq!(counts[0], (20, 0, 20));
    assert!(counts[1].1 >= 19 && counts[1].1 + counts[1].2 == 20, "{counts:?}");
}

#[test]
fn conf_02_a_receiver_is_called_by_its_host_and_port_and_no_secret_is_shown() {
    let urls = ["http://u:canary@b:9090/canary", "https://a/?canary", "http://b:9090/other"];
    let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
    let client = RemoteWrite::new(&urls, &tls(), &Options::default()).unwrap();
    let names: Vec<_> = client.receivers().map(|(name, _)| name).collect();
    assert_eq!(names, ["b:9090", "a", "b:9090#2"]);
    assert!(!format!("{client:?}").contains("canary"));
}
