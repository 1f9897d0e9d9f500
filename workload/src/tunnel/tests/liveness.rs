//! When a tunnel ends.

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
