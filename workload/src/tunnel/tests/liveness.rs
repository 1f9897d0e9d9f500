//! When a tunnel ends.

use tokio::io::AsyncReadExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn tun_11_a_cluster_that_answers_pings_stays() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let begin = tokio::time::Instant::now();
    let mut pings = 0;
    while begin.elapsed() < 600 * SECOND {
        let message = lyon.socket.next().await.unwrap().unwrap();
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
        pings += 1;
    }
    assert_eq!(pings, 30, "one every 20 s");
    assert!(!lyon.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn tun_11_a_silent_cluster_is_gone_after_75_seconds() {
    let unit = Fixture::new();
    let lyon = unit.open(1, 1).await;
    let begin = tokio::time::Instant::now();
    let waiting = unit.ask(1, "/1.0");
    assert_eq!(lyon.served.await.unwrap(), Ended::Silent);
    assert_eq!(begin.elapsed().as_secs(), 75);
    assert_eq!(error(waiting.await.unwrap()), RequestError::NoAnswer);
    assert_eq!(unit.metrics.open.get(), 0);
    assert_eq!(unit.metrics.closed.with_label_values(&["silent"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn tun_11_a_member_that_serves_a_request_for_thirty_seconds_need_not_answer_pings() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    for _ in 0..10 {
        let asked = unit.ask(1, "/1.0");
        let request = lyon.next().await;
        tokio::time::sleep(29 * SECOND).await;
        lyon.answer(&request, "slow").await;
        assert_eq!(text(asked.await.unwrap()), "slow");
    }
    assert!(!lyon.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn tun_07_a_cluster_that_stops_reading_is_gone_after_ten_seconds_and_holds_nobody_up() {
    let unit = Fixture::new();
    let stuck = unit.open_with_pipe(1, 1, 1 << 10).await;
    let mut other = unit.open(2, 2).await;
    let begin = tokio::time::Instant::now();
    let asked = unit.ask_with_body(1, "/1.0", vec![0; 8 << 20]);
    settle().await;
    let asked_other = unit.ask(2, "/1.0");
    let request = other.next().await;
    other.answer(&request, "other").await;
    assert_eq!(text(asked_other.await.unwrap()), "other");
    assert_eq!(begin.elapsed().as_secs(), 0);
    assert_eq!(stuck.served.await.unwrap(), Ended::Stuck);
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(error(asked.await.unwrap()), RequestError::Broken);
    let mut again = unit.open(1, 3).await;
    let asked = unit.ask(1, "/1.0");
    let request = again.next().await;
    again.answer(&request, "the next socket works").await;
    assert_eq!(text(asked.await.unwrap()), "the next socket works");
}

#[tokio::test(start_paused = true)]
async fn tun_07_no_request_begins_in_the_middle_of_one_that_a_slow_cluster_still_reads() {
    let unit = Fixture::new();
    let mut slow = unit.open_with_pipe(1, 1, 64 << 10).await;
    let first = unit.ask_with_body(1, "/1.0", vec![0; 8 << 20]);
    let (mut read, mut second) = (Vec::new(), None);
    let mut buffer = vec![0; 64 << 10];
    while !slow.served.is_finished() {
        // Each fragment in time, all of them together not.
        tokio::time::sleep(5 * SECOND).await;
        let bytes = slow.socket.get_mut().read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..bytes]);
        if first.is_finished() && second.is_none() {
            second = Some(unit.ask(1, "/1.0"));
        }
    }
    while let Ok(bytes @ 1..) = slow.socket.get_mut().read(&mut buffer).await {
        read.extend_from_slice(&buffer[..bytes]);
    }
    assert_eq!(error(first.await.unwrap()), RequestError::NoAnswer);
    assert_eq!(error(second.unwrap().await.unwrap()), RequestError::Broken);
    assert_eq!(slow.served.await.unwrap(), Ended::Stuck);
    let texts = frames(&read).into_iter().filter(|first_byte| first_byte & 0x0f == 0x01).count();
    assert_eq!(texts, 1, "messages that began");
}

/// The first byte of each frame (RFC 6455, section 5.2); frames of a server are not masked.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        frames.push(*first);
        let (wide, short) = match length {
            127 => (8, 0),
            126 => (2, 0),
            short => (0, usize::from(*short)),
        };
        let Some((wide, rest)) = rest.split_at_checked(wide) else { break };
        let length = wide.iter().fold(short, |sum, byte| (sum << 8) + usize::from(*byte));
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_fails_the_request_under_way_and_those_that_wait() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let asked: Vec<_> = (0..3).map(|_| unit.ask(1, "/1.0")).collect();
    drop(lyon.next().await);
    drop(lyon.socket);
    assert_eq!(lyon.served.await.unwrap(), Ended::Gone);
    for asked in asked {
        assert_eq!(error(asked.await.unwrap()), RequestError::Broken);
    }
    assert_eq!(error(unit.ask(1, "/1.0").await.unwrap()), RequestError::NoTunnel);
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_the_request_under_way_and_says_goodbye() {
    let unit = Fixture::new();
    let (mut busy, mut idle) = (unit.open(1, 1).await, unit.open(2, 2).await);
    let asked = unit.ask(1, "/1.0");
    let request = busy.next().await;
    unit.tunnels.stop();
    assert_eq!(idle.goodbye().await, Some(1001));
    settle().await;
    assert!(!busy.served.is_finished());
    busy.answer(&request, "finished").await;
    assert_eq!(text(asked.await.unwrap()), "finished");
    assert_eq!(busy.goodbye().await, Some(1001));
    assert_eq!(busy.served.await.unwrap(), Ended::Closed(Closing::Stopping));
}
