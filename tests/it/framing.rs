//! Requests that two readers would read in two ways (security property LIM-03).

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service};

use super::limits::{exchange, exchange_in, statuses};

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
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(4 << 10));
    let extensions = format!("{}0\r\n\r\n", "1;a=b\r\n \r\n".repeat(1025));
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
        (
            "a chunk extension of 4 KiB and one",
            post("Transfer-Encoding: chunked\r\n", &extension),
            "400",
        ),
        ("many short extensions", post("Transfer-Encoding: chunked\r\n", &extensions), "400"),
        (
            "a length with many zeros",
            post(&format!("Content-Length: {}2\r\n", "0".repeat(80)), "{}"),
            "400",
        ),
        ("65 headers", post(&many, ""), "431"),
        ("a header of 20 KiB", post(&long, ""), "431"),
        ("HTTP/3.7", format!("GET / HTTP/3.7\r\nHost: x\r\n\r\n{hidden}"), "400"),
        ("no version", format!("GET /\r\n\r\n{hidden}"), "400"),
        ("not HTTP", format!("\u{16}\u{3}\u{1}\r\n\r\n{hidden}"), "400"),
    ] {
        let answers = exchange(&member, request.as_bytes()).await;
        assert_eq!(statuses(&answers), [expected], "{what}: {answers}");
    }
    // Extensions within the limit are passed over.
    let extension = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat((4 << 10) - 1));
    let answers =
        exchange(&member, post("Transfer-Encoding: chunked\r\n", &extension).as_bytes()).await;
    assert_eq!(statuses(&answers), ["200"], "{answers}");
    // A connection that asked for another protocol and did not get it is not used again: nobody looks at what follows.
    let stays = "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{stays}\r\n{hidden}");
    let answers = exchange(&member, request.as_bytes()).await;
    assert_eq!(statuses(&answers), ["200"], "{answers}");
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
