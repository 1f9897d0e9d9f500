//! Queue and workers against a receiver in memory, in virtual time.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::super::receiver::Answer;
use super::super::{Limits, MemberMetrics, Options};
use super::{Does, Fake, enqueue, later, lines, moment, one_worker, refused, start, text};

const LONG: Duration = Duration::from_hours(2);

#[tokio::test(start_paused = true)]
async fn rel_05_waits_double_with_jitter_until_the_receiver_answers() {
    let fake = Fake::new((0..12).map(|_| later(None)));
    let shared = start(one_worker(), &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1")]);
    while shared.stats.requests.get() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gaps = fake.gaps();
    assert_eq!(gaps.len(), 12);
    let mut full = Duration::from_millis(200);
    for gap in gaps {
        // The timer's resolution is a millisecond.
        assert!(gap >= full / 2 && gap <= full + Duration::from_millis(2), "{gap:?} of {full:?}");
        full = (full * 2).min(Duration::from_secs(30));
    }
    assert_eq!((shared.stats.retries.get(), shared.stats.samples_sent.get()), (12, 1));
    shared.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn rel_05_the_receiver_says_how_long_to_wait() {
    let fake = Fake::new([later(Some(45)), later(Some(0))]);
    let shared = start(one_worker(), &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1")]);
    while shared.stats.requests.get() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gaps = fake.gaps();
    assert!(gaps[0] >= Duration::from_secs(45) && gaps[0] < Duration::from_secs(46), "{gaps:?}");
    assert!(gaps[1] >= Duration::from_millis(200), "{gaps:?}");
    shared.shutdown(LONG).await;
}

#[tokio::test(start_paused = true)]
async fn rel_05_a_receiver_that_hangs_is_left_after_ten_seconds() {
    let fake = Fake::new([Does::Hang]);
    let shared = start(one_worker(), &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1")]);
    shared.shutdown(LONG).await;
    let gap = fake.gaps()[0];
    assert!(
        gap >= Duration::from_millis(10_100) && gap <= Duration::from_millis(10_205),
        "{gap:?}"
    );
    assert_eq!((shared.stats.retries.get(), shared.stats.samples_sent.get()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn rel_05_one_bad_series_costs_half_a_request_and_blocks_nobody() {
    let fake = Fake::with_rule([], |series| {
        let bad = series.iter().any(|series| series.label("bad").is_some());
        if bad { refused(true) } else { Does::Answer(Answer::Stored) }
    });
    let shared = start(one_worker(), &fake);
    let metrics = "lxd_a 1\nlxd_b 1\nlxd_c{bad=\"x\"} 1\nlxd_d 1\nlxd_e 1\n";
    enqueue(&shared, "oslo", moment(1), vec![text("a", metrics)]);
    enqueue(&shared, "rome", moment(1), vec![text("a", "lxd_a 1")]);
    enqueue(&shared, "bern", moment(1), vec![text("a", "lxd_c{bad=\"x\"} 1")]);
    shared.shutdown(LONG).await;
    let sizes: Vec<_> = fake.series().iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 2, 3, 1, 1]);
    let stats = &shared.stats;
    assert_eq!((stats.samples_sent.get(), stats.samples_dropped_refused.get()), (3, 4));
    assert_eq!(
        (stats.requests.get(), stats.requests_refused.get(), stats.retries.get()),
        (2, 3, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn rel_05_a_half_is_retried_like_a_whole() {
    let fake = Fake::new([refused(true), later(None), Does::Answer(Answer::Stored), refused(true)]);
    let shared = start(one_worker(), &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1\nlxd_b 1\nlxd_c 1\nlxd_d 1\n")]);
    shared.shutdown(LONG).await;
    let requests = fake.series();
    assert_eq!(requests[1], requests[2]);
    assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 2, 2]);
    let stats = &shared.stats;
    assert_eq!((stats.samples_sent.get(), stats.samples_dropped_refused.get()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn rel_05_other_refusals_drop_the_request() {
    let fake = Fake::new([refused(false)]);
    let shared = start(one_worker(), &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1\nlxd_b 1\n")]);
    enqueue(&shared, "oslo", moment(2), vec![text("a", "lxd_a 1\n")]);
    shared.shutdown(LONG).await;
    assert_eq!(fake.series().len(), 2);
    let stats = &shared.stats;
    assert_eq!((stats.samples_sent.get(), stats.samples_dropped_refused.get()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn rel_05_the_order_within_a_cluster_is_kept() {
    let workers = NonZeroUsize::new(4).unwrap();
    let fake =
        Fake::new((0..40).map(|number| if number % 3 == 0 { later(None) } else { Does::Hang }));
    let shared = start(Options { workers, ..Options::default() }, &fake);
    for second in 0..20 {
        for cluster in 0..10 {
            enqueue(&shared, &format!("c{cluster}"), moment(second), vec![text("a", "lxd_a 1")]);
        }
    }
    shared.shutdown(LONG).await;
    let requests = fake.requests.lock().unwrap();
    for cluster in 0..10 {
        let of_cluster =
            requests.iter().filter(|(_, s)| s[0].label("job") == Some(&format!("c{cluster}")));
        let mut times: Vec<_> =
            of_cluster.map(|(_, series)| series[0].samples[0].timestamp).collect();
        assert!(times.is_sorted());
        times.dedup();
        assert_eq!(times.len(), 20);
    }
    assert_eq!(shared.stats.samples_sent.get(), 200);
}

#[tokio::test(start_paused = true)]
async fn met_01_a_bad_text_is_taken_and_counted_later() {
    let fake = Fake::new([]);
    let shared = start(one_worker(), &fake);
    let other = MemberMetrics { service: "Ceph".into(), ..text("a", "lxd_a 1") };
    enqueue(
        &shared,
        "oslo",
        moment(1),
        vec![text("a", "oops"), text("b", "lxd_a 1\nup 1\n"), other],
    );
    enqueue(&shared, "oslo", moment(1), vec![text("a", "lxd_a 1")]);
    enqueue(&shared, "oslo", moment(2), Vec::new());
    shared.shutdown(LONG).await;
    let stats = &shared.stats;
    assert_eq!((stats.heartbeats.get(), stats.texts.get(), stats.samples.get()), (2, 4, 2));
    assert_eq!(stats.texts_dropped(), [("bad_line", 1), ("over_limit", 0), ("service", 1)]);
    assert_eq!(stats.samples_dropped_foreign.get(), 1);
    assert_eq!(stats.heartbeats_dropped_not_newer.get(), 1);
    assert_eq!(fake.series(), [["lxd_a{cluster=\"oslo\",job=\"oslo\",member=\"b\"}"]]);
}

#[tokio::test(start_paused = true)]
async fn lim_05_texts_beyond_the_limits_are_dropped_before_they_wait() {
    let limits = Limits { texts: 3, text_bytes: 10, member_bytes: 4, ..Limits::default() };
    let fake = Fake::new([]);
    let shared = start(Options { limits, ..one_worker() }, &fake);
    let metrics = |bytes: usize| format!("lxd_a {:0<1$}", "1", bytes - 6);
    for (second, bytes, member, kept) in
        [(1, 10, "abcd", 1), (2, 11, "abcd", 0), (3, 1000, "abcd", 0), (4, 10, "abcde", 0)]
    {
        let before = shared.stats.texts_dropped_over_limit.get();
        enqueue(&shared, "oslo", moment(second), vec![text(member, &metrics(bytes))]);
        assert_eq!(shared.stats.texts_dropped_over_limit.get() - before, 1 - kept);
    }
    let many =
        |count: usize| (0..count).map(|n| text(&n.to_string(), "lxd_a 1")).collect::<Vec<_>>();
    for (second, count, dropped) in [(5, 3, 0), (6, 4, 1), (7, 300, 297)] {
        let before = shared.stats.texts_dropped_over_limit.get();
        enqueue(&shared, "oslo", moment(second), many(count));
        assert_eq!(shared.stats.texts_dropped_over_limit.get() - before, dropped);
    }
    shared.shutdown(LONG).await;
    assert_eq!(shared.stats.samples_sent.get(), 10);
}

#[tokio::test(start_paused = true)]
async fn rel_05_a_large_heartbeat_goes_in_several_requests() {
    let fake = Fake::new([later(None)]);
    let shared = start(Options { part_bytes: 1000, ..one_worker() }, &fake);
    enqueue(&shared, "oslo", moment(1), vec![text("a", &lines(0..100))]);
    shared.shutdown(LONG).await;
    let mut all: Vec<_> = fake.series().concat();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), shared.stats.samples_sent.get()), (100, 100));
    assert!(shared.stats.requests.get() > 5);
}
