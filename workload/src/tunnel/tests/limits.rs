//! What a cluster may send.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;

/// An answer of exactly so many bytes.
fn answer_of_length(request: &Value, bytes: usize) -> String {
    let empty = json!({"uuid": request["uuid"], "status": 200, "headers": {"X": [""]}}).to_string();
    empty.replace("[\"\"]", &format!("[\"{}\"]", "x".repeat(bytes - empty.len())))
}

#[tokio::test]
async fn tun_07_an_answer_may_have_32_mib_and_not_a_byte_more() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let asked = unit.ask(1, "/1.0");
    let request = lyon.next().await;
    lyon.socket
        .send(Message::text(answer_of_length(&request, limits().message_bytes)))
        .await
        .unwrap();
    assert_eq!(asked.await.unwrap().unwrap().status, 200);
    let asked = unit.ask(1, "/1.0");
    let request = lyon.next().await;
    let long = answer_of_length(&request, limits().message_bytes + 1);
    // The other side closes before it has read all of it.
    drop(lyon.socket.send(Message::text(long)).await);
    assert_eq!(error(asked.await.unwrap()), RequestError::Broken);
    assert_eq!(lyon.served.await.unwrap(), Ended::Abuse);
}

#[tokio::test(start_paused = true)]
async fn tun_07_a_message_that_is_too_long_is_told_so() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let mut header = vec![0x81, 0x80 | 127];
    header.extend((u64::try_from(limits().message_bytes).unwrap() + 1).to_be_bytes());
    header.extend([0; 4]);
    tokio::io::AsyncWriteExt::write_all(lyon.socket.get_mut(), &header).await.unwrap();
    assert_eq!(lyon.goodbye().await, Some(1009));
    assert_eq!(lyon.served.await.unwrap(), Ended::Abuse);
}

impl Far {
    /// Sends so many blanks as the next fragment of a message that goes on; JSON may begin with them.
    async fn send_piece(&mut self, is_first: bool, bytes: usize) -> bool {
        let kind = OpCode::Data(if is_first { Data::Text } else { Data::Continue });
        let piece = Frame::message(vec![b' '; bytes], kind, false);
        self.socket.send(Message::Frame(piece)).await.is_ok()
    }

    /// Sends the end of a message.
    async fn send_rest(&mut self, message: &Value) {
        let rest = message.to_string().into_bytes();
        let piece = Frame::message(rest, OpCode::Data(Data::Continue), true);
        self.socket.send(Message::Frame(piece)).await.unwrap();
    }

    /// Sends a ping and waits for the pong: everything before it has been dealt with.
    async fn ping(&mut self) {
        self.socket.send(Message::Ping(bytes::Bytes::from_static(b"still there?"))).await.unwrap();
        while !matches!(self.socket.next().await.unwrap().unwrap(), Message::Pong(_)) {}
    }
}

#[tokio::test(start_paused = true)]
async fn tun_07_a_ping_in_the_middle_of_a_message_does_not_free_its_memory() {
    let unit = Fixture::with_budget(256 << 10);
    let (mut lyon, mut quito) = (unit.open(1, 1).await, unit.open(2, 2).await);
    let first = unit.ask(1, "/1.0");
    let request = lyon.next().await;
    assert!(lyon.send_piece(true, 300 << 10).await);
    lyon.ping().await;

    let second = unit.ask(2, "/1.0");
    drop(quito.next().await);
    quito.send_piece(true, 300 << 10).await;
    assert_eq!(error(second.await.unwrap()), RequestError::Broken, "lyon holds the memory");
    assert_eq!(quito.served.await.unwrap(), Ended::Closed(Closing::Unavailable));

    lyon.send_rest(&json!({"uuid": request["uuid"], "status": 200})).await;
    assert_eq!(first.await.unwrap().unwrap().status, 200);
    let mut rome = unit.open(3, 3).await;
    let third = unit.ask(3, "/1.0");
    let request = rome.next().await;
    rome.send_piece(true, 300 << 10).await;
    rome.send_rest(&json!({"uuid": request["uuid"], "status": 200})).await;
    assert_eq!(third.await.unwrap().unwrap().status, 200, "and gave it back");
}

#[tokio::test(start_paused = true)]
async fn tun_07_a_long_message_that_nobody_asked_for_is_cut_off() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    for _ in 0..2 {
        let asked = unit.ask(1, "/1.0");
        let request = lyon.next().await;
        assert!(lyon.send_piece(true, 100 << 10).await);
        lyon.send_rest(&json!({"uuid": request["uuid"], "status": 200})).await;
        assert_eq!(asked.await.unwrap().unwrap().status, 200);
    }
    assert!(lyon.send_piece(true, 60 << 10).await);
    lyon.ping().await;
    lyon.send_piece(false, 10 << 10).await;
    assert_eq!(lyon.goodbye().await, Some(1009));
    assert_eq!(lyon.served.await.unwrap(), Ended::Abuse);
}

#[tokio::test(start_paused = true)]
async fn tun_07_a_long_answer_may_be_late_and_not_stay_unfinished() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let asked = unit.ask(1, "/1.0/slow");
    let request = lyon.next().await;
    assert!(lyon.send_piece(true, 100 << 10).await);
    assert_eq!(error(asked.await.unwrap()), RequestError::NoAnswer);
    tokio::time::sleep(20 * SECOND).await;
    lyon.send_rest(&json!({"uuid": request["uuid"], "status": 200})).await;
    lyon.ping().await;
    assert_eq!(unit.metrics.strays.get(), 1);

    let asked = unit.ask(1, "/1.0/never");
    drop(lyon.next().await);
    let begin = tokio::time::Instant::now();
    assert!(lyon.send_piece(true, 100 << 10).await);
    assert_eq!(error(asked.await.unwrap()), RequestError::NoAnswer);
    assert_eq!(lyon.served.await.unwrap(), Ended::Abuse);
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_fragmented_answer_is_put_together_and_a_long_request_is_fragmented() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let body: Vec<u8> = (0..200_000_u32).map(|n| n.to_be_bytes()[3]).collect();
    let asked = unit.ask_with_body(1, "/1.0", body.clone());
    let request = lyon.next().await;
    assert_eq!(STANDARD.decode(request["body"].as_str().unwrap()).unwrap(), body);
    let text_of_answer =
        json!({"uuid": request["uuid"], "status": 200, "body": "aGVsbG8="}).to_string();
    let mut pieces = text_of_answer.as_bytes().chunks(7).peekable();
    let mut kind = OpCode::Data(Data::Text);
    while let Some(piece) = pieces.next() {
        let frame = Frame::message(piece.to_vec(), kind, pieces.peek().is_none());
        lyon.socket.send(Message::Frame(frame)).await.unwrap();
        kind = OpCode::Data(Data::Continue);
    }
    assert_eq!(text(asked.await.unwrap()), "hello");
}

#[tokio::test(start_paused = true)]
async fn tun_10_a_hundred_messages_that_nobody_asked_for_end_the_socket() {
    let strays: [(&str, Message); 5] = [
        (
            "unknown ids",
            Message::text(
                json!({"uuid": "019abf3e-5d10-7c44-9a1e-2f6b7f0e9d21", "status": 200}).to_string(),
            ),
        ),
        ("no JSON", Message::text("{")),
        ("binary", Message::binary(vec![0_u8; 10])),
        ("pings", Message::Ping(bytes::Bytes::new())),
        ("pongs", Message::Pong(bytes::Bytes::new())),
    ];
    for (what, stray) in strays {
        let unit = Fixture::new();
        let mut lyon = unit.open(1, 1).await;
        for _ in 0..99 {
            lyon.socket.send(stray.clone()).await.unwrap();
        }
        settle().await;
        let asked = unit.ask(1, "/1.0");
        let request = loop {
            match lyon.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => break serde_json::from_str::<Value>(&text).unwrap(),
                Message::Pong(_) => {}
                other => panic!("{what}: {other:?}"),
            }
        };
        lyon.answer(&request, "still here").await;
        assert_eq!(text(asked.await.unwrap()), "still here", "{what}");
        lyon.socket.send(stray).await.unwrap();
        assert_eq!(lyon.goodbye().await, Some(1008), "{what}");
        assert_eq!(lyon.served.await.unwrap(), Ended::Abuse, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn tun_05_an_answer_that_is_none_ends_the_request_and_not_the_tunnel() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    for status in [0, 99, 101, 302, 1000] {
        let asked = unit.ask(1, "/1.0");
        let request = lyon.next().await;
        lyon.send(&json!({"uuid": request["uuid"], "status": status})).await;
        assert_eq!(error(asked.await.unwrap()), RequestError::Nonsense, "{status}");
    }
    let asked = unit.ask(1, "/1.0");
    let request = lyon.next().await;
    lyon.answer(&request, "sane").await;
    assert_eq!(text(asked.await.unwrap()), "sane");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_web_socket_end_the_tunnel_quietly() {
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0x81, 0x05, 1, 2, 3, 4, 5]] {
        let unit = Fixture::new();
        let mut lyon = unit.open(1, 1).await;
        tokio::io::AsyncWriteExt::write_all(lyon.socket.get_mut(), bytes).await.unwrap();
        let ended = lyon.served.await.unwrap();
        assert!(matches!(ended, Ended::Gone | Ended::Abuse), "{bytes:?}: {ended:?}");
    }
}
