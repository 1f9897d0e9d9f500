//! A receiver that is away for long, and the server's end, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::receiver::Answer;
use super::super::{Options, Shared};
use super::{Does, Fake, enqueue, later, moment, one_worker, start, stats, text};

#[tokio::test(start_paused = true)]
async fn rel_05_an_hour_without_receiver_costs_bounded_memory_and_only_old_metrics() {
    // Each minute has twenty heartbeats. There is room for about fifty, or for all; two more minutes follow the return, the
    // first of them while the workers still wait.
    an_hour_without_receiver(60_000, 45 + 20).await;
    an_hour_without_receiver(64 << 20, 4 * 20 + 2 * 20 - 2).await;
}

async fn an_hour_without_receiver(queue_bytes: usize, delivered: u64) {
    let away = Arc::new(AtomicBool::new(true));
    let seen_by_fake = Arc::clone(&away);
    let fake = Fake::with_rule([], move |_| {
        if seen_by_fake.load(Ordering::Relaxed) { Does::Hang } else { Does::Answer(Answer::Stored) }
    });
    let shared = start(Options { queue_bytes, ..Options::default() }, &fake);
    let metrics = format!("lxd_a 1\n#{}", " ".repeat(1000));
    let mut minute = 0;
    let mut send_minute = async || {
        for cluster in 0..20 {
            enqueue(
                &shared,
                &format!("c{cluster}"),
                moment(minute * 60),
                vec![text("a", &metrics)],
            );
            assert!(shared.stats.queue_bytes.get() <= queue_bytes as u64);
        }
        minute += 1;
        tokio::time::sleep(Duration::from_mins(1)).await;
    };
    for _ in 0..60 {
        send_minute().await;
    }
    let stats = &shared.stats;
    assert_eq!(stats.samples_sent.get(), 0);
    away.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        send_minute().await;
    }
    assert_eq!((stats.queue_heartbeats.get(), stats.queue_bytes.get()), (0, 0));
    assert!(stats.samples_sent.get() >= delivered, "{stats:?}");
    let dropped: u64 = stats.heartbeats_dropped().iter().map(|(_, count)| count).sum();
    let lost: u64 = stats.samples_dropped().iter().map(|(_, count)| count).sum();
    assert_eq!(stats.samples_sent.get() + dropped + lost, 62 * 20);
    shared.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn rel_05_metrics_that_wait_for_too_long_are_dropped() {
    let fake = Fake::with_rule([], |_| later(None));
    let shared = start(one_worker(), &fake);
    for second in 1..=3 {
        enqueue(&shared, "oslo", moment(second), vec![text("a", "lxd_a 1\nlxd_b 1")]);
    }
    tokio::time::sleep(Duration::from_mins(4)).await;
    assert_eq!(shared.stats.samples_dropped_too_old.get(), 0);
    assert_eq!(shared.stats.queue_heartbeats.get(), 2);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let stats = &shared.stats;
    assert_eq!(
        (stats.samples_dropped_too_old.get(), stats.heartbeats_dropped_too_old.get()),
        (2, 2)
    );
    assert_eq!((stats.queue_heartbeats.get(), stats.queue_bytes.get()), (0, 0));
    shared.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn rel_05_the_oldest_make_room() {
    let fake = Fake::new([Does::Hang]);
    let shared = start(Options { queue_bytes: 5000, ..one_worker() }, &fake);
    let metrics = format!("lxd_a 1\n#{}", " ".repeat(1000));
    let push = |second| enqueue(&shared, "oslo", moment(second), vec![text("a", &metrics)]);
    push(0);
    while fake.requests.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    (1..=10).for_each(push);
    assert_eq!(shared.stats.queue_heartbeats.get(), 4);
    assert_eq!(shared.stats.heartbeats_dropped_queue_full.get(), 6);
    enqueue(&shared, "oslo", moment(11), vec![text("a", &" ".repeat(5000))]);
    assert_eq!(shared.stats.heartbeats_dropped_queue_full.get(), 7);
    shared.shutdown(Duration::from_mins(1)).await;
    let requests = fake.requests.lock().unwrap();
    let mut times: Vec<_> =
        requests.iter().map(|(_, series)| series[0].samples[0].timestamp / 1000).collect();
    times.dedup();
    let first = times[0];
    assert!(times.iter().map(|time| time - first).eq([0, 7, 8, 9, 10]), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn rel_05_a_stop_delivers_what_waits() {
    // It is the last chance, so nothing waits for the end of the pause that the receiver asked for.
    let fake = Fake::new([later(Some(100))]);
    let shared = start(one_worker(), &fake);
    for second in 0..50 {
        enqueue(&shared, "oslo", moment(second), vec![text("a", "lxd_a 1")]);
    }
    while shared.stats.retries.get() == 0 {
        tokio::task::yield_now().await;
    }
    let begin = tokio::time::Instant::now();
    shared.shutdown(Duration::from_secs(3)).await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(shared.stats.samples_sent.get(), 50);
}

#[tokio::test(start_paused = true)]
async fn rel_05_a_stop_ends_in_time_and_counts_what_is_lost() {
    let fake = Fake::with_rule([], |_| Does::Hang);
    let shared = start(one_worker(), &fake);
    for second in 0..3 {
        enqueue(&shared, "oslo", moment(second), vec![text("a", "lxd_a 1\nlxd_b 1")]);
    }
    while fake.requests.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let begin = tokio::time::Instant::now();
    shared.shutdown(Duration::from_secs(3)).await;
    assert!(begin.elapsed() < Duration::from_millis(3010));
    let stats = &shared.stats;
    assert_eq!(
        (stats.samples_dropped_stopped.get(), stats.heartbeats_dropped_stopped.get()),
        (2, 2)
    );
    enqueue(&shared, "oslo", moment(9), vec![text("a", "lxd_a 1")]);
    assert_eq!((stats.heartbeats_dropped_stopped.get(), stats.queue_bytes.get()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn rel_05_the_tracker_waits_for_the_end_of_the_flush() {
    let client =
        super::http::remote_write("http://127.0.0.1:1/".parse().unwrap(), &Options::default());
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    client.run(&stop, &tasks);
    tasks.close();
    stop.cancel();
    tasks.wait().await;
    client.enqueue("oslo", moment(1), vec![text("a", "lxd_a 1")]);
    assert_eq!(stats(&client).heartbeats_dropped_stopped.get(), 1);
}

/// What a heartbeat pays, with a receiver that hangs: a lock and a move, whatever the texts hold.
#[tokio::test(start_paused = true)]
async fn rel_05_enqueue_returns_at_once_while_everything_hangs() {
    fn takes_no_future(shared: &Shared, metrics: &str) {
        enqueue(shared, "oslo", moment(1), vec![text("a", metrics)]);
    }
    let fake = Fake::with_rule([], |_| Does::Hang);
    let shared = start(one_worker(), &fake);
    let metrics = "x".repeat(100_000);
    let begin = tokio::time::Instant::now();
    for _ in 0..2000 {
        takes_no_future(&shared, &metrics);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(shared.stats.queue_bytes.get() <= 64 << 20);
    // Nothing has been read: the texts are bad, and nobody noticed.
    assert_eq!(shared.stats.texts_dropped_bad_line.get(), 0);
    assert!(shared.stats.heartbeats_dropped_queue_full.get() > 1000);
    shared.shutdown(Duration::from_secs(1)).await;
}
