//! Who gets which answer, and in which order.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_gets_its_answer() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let asked = unit.ask(1, "/1.0/instances?recursion=1");
    let request = lyon.next().await;
    assert_eq!(
        (&request["method"], &request["path"]),
        (&json!("GET"), &json!("/1.0/instances?recursion=1"))
    );
    lyon.answer(&request, "hello").await;
    assert_eq!(text(asked.await.unwrap()), "hello");
    assert_eq!((unit.outcomes("answered"), unit.metrics.open.get()), (1, 1));
    assert_eq!(error(unit.ask(2, "/1.0").await.unwrap()), RequestError::NoTunnel);
}

#[tokio::test(start_paused = true)]
async fn one_request_is_under_way_sixteen_wait_and_one_more_is_refused() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let mut asked = Vec::new();
    for n in 0..17 {
        asked.push(unit.ask(1, &format!("/1.0/{n}")));
        settle().await;
    }
    assert_eq!(error(unit.ask(1, "/1.0/17").await.unwrap()), RequestError::Busy);
    for (n, asked) in asked.into_iter().enumerate() {
        let request = lyon.next().await;
        assert_eq!(request["path"], format!("/1.0/{n}"), "in the order of their coming");
        settle().await;
        assert!(!asked.is_finished());
        lyon.answer(&request, &n.to_string()).await;
        assert_eq!(text(asked.await.unwrap()), n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_and_answering_have_a_time_limit_of_thirty_seconds_each() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let first = unit.ask(1, "/1.0/slow");
    let slow = lyon.next().await;
    tokio::time::sleep(SECOND).await;
    let begin = tokio::time::Instant::now();
    let second = unit.ask(1, "/1.0/second");
    assert_eq!(error(first.await.unwrap()), RequestError::NoAnswer);
    assert_eq!(begin.elapsed().as_secs(), 29);
    let _second = lyon.next().await;
    tokio::time::sleep(SECOND).await;
    let third = unit.ask(1, "/1.0/third");
    settle().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(error(second.await.unwrap()), RequestError::NoAnswer);
    assert_eq!(begin.elapsed().as_secs(), 29);
    let request = lyon.next().await;
    assert_eq!(request["path"], "/1.0/third");
    lyon.answer(&slow, "late").await;
    settle().await;
    assert_eq!(unit.metrics.strays.get(), 1, "a late answer is dropped and counted");
    lyon.answer(&request, "in time").await;
    assert_eq!(text(third.await.unwrap()), "in time");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_is_never_sent() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let slow = unit.ask(1, "/1.0/a");
    let request = lyon.next().await;
    let queued: Vec<_> = (0..3).map(|_| unit.ask(1, "/1.0/b")).collect();
    settle().await;
    tokio::time::sleep(29 * SECOND).await;
    lyon.answer(&request, "a").await;
    assert_eq!(text(slow.await.unwrap()), "a");
    let _one = lyon.next().await;
    let ends: Vec<_> = {
        let mut ends = Vec::new();
        for asked in queued {
            ends.push(error(asked.await.unwrap()));
        }
        ends
    };
    assert_eq!(ends, [RequestError::NoAnswer, RequestError::Waited, RequestError::Waited]);
    let last = unit.ask(1, "/1.0/c");
    assert_eq!(lyon.next().await["path"], "/1.0/c");
    last.abort();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_its_request_away() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let first = unit.ask(1, "/1.0/first");
    let under_way = lyon.next().await;
    let waiting = unit.ask(1, "/1.0/waiting");
    let last = unit.ask(1, "/1.0/last");
    settle().await;
    waiting.abort();
    first.abort();
    settle().await;
    assert_eq!(unit.outcomes("abandoned"), 2);
    lyon.answer(&under_way, "nobody wants it").await;
    let request = lyon.next().await;
    assert_eq!(request["path"], "/1.0/last", "the one that waited was never sent");
    lyon.answer(&request, "last").await;
    assert_eq!(text(last.await.unwrap()), "last");
    assert_eq!(unit.metrics.strays.get(), 0, "an answer to a caller that left is no stray");
}

#[tokio::test(start_paused = true)]
async fn tun_10_a_cluster_cannot_answer_for_another() {
    let unit = Fixture::new();
    let (mut lyon, mut quito) = (unit.open(1, 1).await, unit.open(2, 2).await);
    let asked = unit.ask(1, "/1.0");
    let request = lyon.next().await;
    quito.answer(&request, "forged").await;
    settle().await;
    assert!(!asked.is_finished());
    assert_eq!(unit.metrics.strays.get(), 1);
    lyon.answer(&request, "genuine").await;
    lyon.answer(&request, "repeated").await;
    assert_eq!(text(asked.await.unwrap()), "genuine");
    settle().await;
    assert_eq!(unit.metrics.strays.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn tun_10_an_old_socket_cannot_answer_for_a_new_one() {
    let unit = Fixture::new();
    let mut old = unit.open(1, 1).await;
    let asked_old = unit.ask(1, "/1.0/old");
    let old_request = old.next().await;
    let mut new = unit.open(1, 2).await;
    assert_eq!(error(asked_old.await.unwrap()), RequestError::Broken, "at once, not after 30 s");
    assert_eq!(old.goodbye().await, Some(1000));
    assert_eq!(old.served.await.unwrap(), Ended::Closed(Closing::Replaced));
    let asked = unit.ask(1, "/1.0/new");
    let request = new.next().await;
    new.send(&json!({"uuid": old_request["uuid"], "status": 200})).await;
    settle().await;
    assert!(!asked.is_finished());
    new.answer(&request, "new").await;
    assert_eq!(text(asked.await.unwrap()), "new");
    assert_eq!(unit.metrics.open.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn tun_11_the_later_socket_wins_also_when_it_registers_first() {
    let unit = Fixture::new();
    let mut newer = unit.open(1, 2).await;
    let mut older = unit.open(1, 1).await;
    assert_eq!(older.goodbye().await, Some(1000));
    let asked = unit.ask(1, "/1.0");
    let request = newer.next().await;
    newer.answer(&request, "newer").await;
    assert_eq!(text(asked.await.unwrap()), "newer");
}

#[tokio::test(start_paused = true)]
async fn mtls_05_a_cluster_that_lost_its_lease_gets_no_frame() {
    let unit = Fixture::new();
    let mut lyon = unit.open(1, 1).await;
    let refused = unit.tunnels.request(1, request("/1.0", Vec::new()), async |_| Ok(false)).await;
    assert_eq!(error(refused), RequestError::NoTunnel);
    let message = lyon.socket.next().await.unwrap().unwrap();
    assert!(
        matches!(message, Message::Close(Some(ref frame)) if u16::from(frame.code) == 1008),
        "{message:?}"
    );
    assert_eq!(lyon.served.await.unwrap(), Ended::Closed(Closing::Revoked));
    let unknown = unit.open(2, 1).await;
    let unsure = async |_| Err(RequestError::Unavailable);
    let refused = unit.tunnels.request(2, request("/1.0", Vec::new()), unsure).await;
    assert_eq!(error(refused), RequestError::Unavailable);
    assert!(!unknown.served.is_finished(), "a database that is away ends no tunnel");
}
