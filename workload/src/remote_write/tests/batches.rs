//! From texts to requests: labels, limits, times, sizes.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Batch, Batcher, LeftOut, Limits, Options, Part};
use super::{TimeSeries, decode, example, lines, moment, reference, text};
use crate::remote_write::MemberMetrics;
use crate::remote_write::exposition::{LineError, SampleLimits};

fn batch(options: &Options, texts: &[MemberMetrics]) -> Batch {
    Batcher::new(options).encode("oslo-north", moment(1), moment(2), texts)
}

#[test]
fn lim_05_every_limit_is_the_one_of_the_settings() {
    let text = "heartbeat-metrics=1, heartbeat-metrics-bytes=2KiB, heartbeat-text-bytes=17,
                heartbeat-samples=3, cluster-series=4, sample-labels=5, sample-name-bytes=18,
                sample-value-bytes=19";
    let limits = Limits::from(&workload_config::Limits::parse(text).unwrap());
    let sample = SampleLimits { labels: 5, name_bytes: 18, value_bytes: 19 };
    let (texts, text_bytes, member_bytes, samples, series) = (1, 2048, 17, 3, 4);
    let expected = Limits { texts, text_bytes, member_bytes, samples, series, sample };
    assert_eq!(limits, expected);
}

fn series(batch: &Batch) -> Vec<TimeSeries> {
    batch.parts.iter().flat_map(|part| decode(&part.body)).collect()
}

fn forwarded(metrics: &str) -> Vec<String> {
    let batch = batch(&Options::default(), &[text("n1", metrics)]);
    assert_eq!(batch.first_error, None, "{metrics}");
    series(&batch).iter().map(TimeSeries::text).collect()
}

/// What remote write 1.0 demands of a request, and what the manager promises on top.
fn assert_rules(batch: &Batch, cluster: &str) {
    let all = series(batch);
    let mut seen = HashSet::new();
    for series in &all {
        let names: Vec<_> = series.labels.iter().map(|label| label.name.as_str()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(series.labels.iter().all(|label| !label.value.is_empty()));
        for name in names.iter().filter(|name| **name != "__name__") {
            assert!(!name.starts_with("__") && !name.starts_with(|c: char| c.is_ascii_digit()));
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        }
        let name = series.label("__name__").unwrap();
        assert!(name.starts_with("lxd_"));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        assert_eq!(series.label("cluster"), Some(cluster));
        assert_eq!(series.label("job"), Some(cluster.replace('-', "_").as_str()));
        assert_eq!(series.samples.len(), 1);
        assert!(seen.insert(series.text()), "{} twice", series.text());
    }
    assert_eq!(all.len() as u64, batch.parts.iter().map(|part| part.samples).sum::<u64>());
    let LeftOut { foreign, unknown_family, over_limit, too_many, duplicate, over_budget } =
        batch.left_out;
    let left_out = foreign + unknown_family + over_limit + too_many + duplicate + over_budget;
    assert_eq!(batch.samples, all.len() as u64 + left_out);
}

#[test]
fn met_02_labels_of_the_deployment_win_over_those_of_clusters() {
    let labels = [("juju_model", "prod"), ("B", "b"), ("exported_job", "mine")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = Options { labels, ..Options::default() };
    let of = |metrics: &str| {
        let batch = batch(&options, &[text("n1", metrics)]);
        assert_rules(&batch, "oslo-north");
        series(&batch).iter().map(TimeSeries::text).collect::<Vec<_>>()
    };
    let (own, end) =
        (r#"cluster="oslo-north""#, r#"job="oslo_north",juju_model="prod",member="n1""#);
    for (metrics, expected) in [
        ("lxd_a 1", format!(r#"lxd_a{{B="b",{own},exported_job="mine",{end}}}"#)),
        (
            r#"lxd_a{juju_model="forged",A="1",C="2",zone="x"} 1"#,
            format!(
                r#"lxd_a{{A="1",B="b",C="2",{own},exported_job="mine",exported_juju_model="forged",{end},zone="x"}}"#
            ),
        ),
        (r#"lxd_a{job="forged"} 1"#, format!(r#"lxd_a{{B="b",{own},exported_job="mine",{end}}}"#)),
        (
            r#"lxd_a{exported_job="forged"} 1"#,
            format!(
                r#"lxd_a{{B="b",{own},exported_exported_job="forged",exported_job="mine",{end}}}"#
            ),
        ),
    ] {
        assert_eq!(of(metrics), [expected]);
    }
}

#[test]
fn met_02_labels_of_the_manager_are_its_own() {
    let own = r#"cluster="oslo-north""#;
    for (metrics, expected) in [
        ("lxd_a 1", format!("lxd_a{{{own},job=\"oslo_north\",member=\"n1\"}}")),
        (
            r#"lxd_a{z="1",member="m",job="j",d="3",cluster="c",A="2"} 1"#,
            format!(
                r#"lxd_a{{A="2",{own},d="3",exported_cluster="c",exported_job="j",exported_member="m",job="oslo_north",member="n1",z="1"}}"#
            ),
        ),
        (
            r#"lxd_a{job="j",exported_job="k"} 1"#,
            format!(r#"lxd_a{{{own},exported_job="k",job="oslo_north",member="n1"}}"#),
        ),
        (
            r#"lxd_a{job="j",exported_job=""} 1"#,
            format!(r#"lxd_a{{{own},exported_job="j",job="oslo_north",member="n1"}}"#),
        ),
        (
            r#"lxd_a{__name__="up",__x="y",b="",c="1",c="2",_d="3"} 1"#,
            format!(r#"lxd_a{{_d="3",c="1",{own},job="oslo_north",member="n1"}}"#),
        ),
    ] {
        assert_eq!(forwarded(metrics), [expected]);
    }
}

#[test]
fn met_03_only_metrics_with_an_allowed_name_are_forwarded() {
    let metrics = "up 1\nALERTS{alertname=\"x\"} 1\nlxd_a 1\nlxda 1\nLXD_b 1\nother_x 1\n";
    let default = batch(&Options::default(), &[text("n1", metrics)]);
    assert_eq!(series(&default).len(), 1);
    assert_eq!((default.samples, default.left_out.foreign), (6, 5));
    let prefixes = vec!["lxd_".to_owned(), "other_".to_owned()];
    let two = batch(&Options { prefixes, ..Options::default() }, &[text("n1", metrics)]);
    let names: Vec<_> =
        series(&two).iter().map(|s| s.label("__name__").unwrap().to_owned()).collect();
    assert_eq!(names, ["lxd_a", "other_x"]);
}

#[test]
fn met_04_job_is_the_mangled_name_and_cluster_the_exact_one() {
    let series = series(&batch(&Options::default(), &[text("", "lxd_a 1")]));
    assert_eq!(series[0].label("job"), Some("oslo_north"));
    assert_eq!(series[0].label("cluster"), Some("oslo-north"));
    assert_eq!(series[0].label("member"), None);
}

#[test]
fn met_05_a_cluster_brings_so_many_series_and_the_others_do_not_notice() {
    let limits = Limits { series: 100, ..Limits::default() };
    let mut batcher = Batcher::new(&Options { limits, ..Options::default() });
    let mut send = |cluster: &str, second: u64, range| {
        let at = moment(0).truncate_to_hour() + Duration::from_secs(second);
        let batch = batcher.encode(cluster, at, at, &[text("a", &lines(range))]);
        (series(&batch).len(), batch.left_out.over_budget, batch.newly_over_budget)
    };
    assert_eq!(send("flood", 1, 0..80), (80, 0, false));
    assert_eq!(send("flood", 2, 80..160), (20, 60, true));
    assert_eq!(send("lyon", 2, 0..40), (40, 0, false));
    assert_eq!(send("flood", 3, 60..100), (40, 0, false), "what is known goes on");
    assert_eq!(send("flood", 4, 1000..1010), (0, 10, false), "told once within the hour");
    assert_eq!(send("flood", 3700, 1000..1010), (10, 0, false), "an hour later");
    assert_eq!(send("flood", 3701, 2000..2200), (90, 110, true), "another hour, told once more");
}

#[test]
fn met_06_times_rise_and_never_lie_in_the_future() {
    let at = Duration::from_secs;
    let mut batcher = Batcher::new(&Options::default());
    let mut time = |cluster: &str, received: u64, now: u64| {
        let texts = [text("a", "lxd_a 1 99"), text("b", "lxd_a 2 98")];
        let batch = batcher.encode(cluster, moment(0) + at(received), moment(0) + at(now), &texts);
        let times: Vec<_> = series(&batch).iter().map(|s| s.samples[0].timestamp).collect();
        assert_eq!(times.is_empty(), batch.not_newer);
        assert!(times.iter().all(|time| *time == times[0]));
        times.first().copied()
    };
    let first = time("one", 100, 100).unwrap();
    assert_eq!(time("one", 100, 101), None);
    assert_eq!(time("one", 40, 101), None);
    assert!(time("two", 40, 101).unwrap() < first);
    // The clock was set back between receipt and now.
    let set_back = time("one", 400, 160).unwrap();
    assert!((59_000..=61_000).contains(&(set_back - first)));
    assert!(time("one", 161, 161).unwrap() > set_back);
}

#[test]
fn met_01_a_bad_line_rejects_its_text_only() {
    // Each text is longer than a part, so that parts are cut in the middle of the bad one.
    let small = Options { part_bytes: 1000, ..Options::default() };
    for options in [small, Options::default()] {
        let texts = [
            text("a", &lines(0..200)),
            text("b", &format!("{}lxd_b 1\nup 1\noops\n", lines(0..200))),
            text("b", &lines(100..300)),
            text("c", &lines(0..200)),
        ];
        let batch = batch(&options, &texts);
        assert_rules(&batch, "oslo-north");
        let error = LineError { line: 203, reason: "has no value after the name" };
        assert_eq!(batch.first_error, Some(("b".to_owned(), error)));
        assert_eq!((batch.texts_rejected, batch.samples), (1, 600));
        assert_eq!(batch.left_out, LeftOut::default());
        let of =
            |member| series(&batch).iter().filter(|s| s.label("member") == Some(member)).count();
        assert_eq!((of("a"), of("b"), of("c")), (200, 200, 200));
    }
}

#[test]
fn met_02_a_series_is_sent_once_per_heartbeat() {
    let texts = [text("a", "lxd_a 1\nlxd_a 2\nlxd_a{__x=\"1\"} 3\n"), text("a", "lxd_a 4\n")];
    let batch = batch(&Options::default(), &texts);
    assert_rules(&batch, "oslo-north");
    let all = series(&batch);
    assert_eq!((all.len(), all[0].samples[0].value.to_bits()), (1, 1.0_f64.to_bits()));
    assert_eq!(batch.left_out, LeftOut { duplicate: 3, ..LeftOut::default() });
}

#[test]
fn lim_05_samples_beyond_the_limits_are_left_out_and_counted() {
    let limits = Limits { samples: 10, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    for (count, left) in [(10, 0), (11, 1), (1000, 990)] {
        let whole = batch(&options, &[text("a", &lines(0..count))]);
        assert_rules(&whole, "oslo-north");
        assert_eq!(whole.left_out.too_many, left);
        let split = batch(
            &options,
            &[text("a", &lines(0..count / 2)), text("b", &lines(count / 2..count))],
        );
        assert_eq!(split.left_out.too_many, left);
    }
    let long = format!("lxd_a{{b=\"{}\"}} 1\nlxd_b 1\n", "v".repeat(1025));
    let batch = batch(&options, &[text("a", &long)]);
    assert_eq!((batch.left_out.over_limit, series(&batch).len()), (1, 1));
}

#[test]
fn rel_05_parts_stay_below_their_size_and_lose_nothing() {
    let lines = lines(0..5000);
    let texts = [text("a", "lxd_first 1\n"), text("b", &lines), text("c", &lines)];
    for part_bytes in [1, 200, 10_000, 1 << 20] {
        let batch = batch(&Options { part_bytes, ..Options::default() }, &texts);
        assert_rules(&batch, "oslo-north");
        assert_eq!(series(&batch).len(), 10_001);
        for part in &batch.parts {
            let bytes = snap::raw::decompress_len(&part.body).unwrap();
            assert!(bytes <= part_bytes || part.samples == 1, "{bytes}");
        }
    }
    let huge = batch(&Options::default(), &[text("a", &"lxd_a{b=\"c\"} 1\n".repeat(200_000))]);
    assert_eq!(huge.parts.len(), 1);
}

#[test]
fn rel_05_halves_hold_all_series_in_order() {
    let lines: Vec<_> = (0..301).map(|n| format!("lxd_a{{n=\"{}\"}} 1\n", "x".repeat(n))).collect();
    let batch = batch(&Options::default(), &[text("a", &lines.concat())]);
    let [first, second] = batch.parts[0].halves().unwrap();
    assert_eq!((first.samples, second.samples), (150, 151));
    let joined = [decode(&first.body), decode(&second.body)].concat();
    assert_eq!(joined, decode(&batch.parts[0].body));
    let Part { body, .. } = first;
    assert_eq!(Part { body, samples: 1 }.halves(), None);
}

#[test]
fn met_01_every_sample_of_the_examples_is_forwarded_with_its_value() {
    for (file, count) in [("heartbeat-3-members.json", 255), ("heartbeat-50-members.json", 3600)] {
        let texts = example(file);
        let batch = batch(&Options::default(), &texts);
        assert_rules(&batch, "oslo-north");
        let expected: Vec<_> =
            texts.iter().flat_map(|text| reference::read(&text.metrics).unwrap()).collect();
        assert_eq!(expected.len(), count);
        for (series, (name, labels, value)) in series(&batch).iter().zip(&expected) {
            assert_eq!(series.label("__name__"), Some(name.as_str()));
            assert!(labels.iter().all(|(name, value)| series.label(name) == Some(value.as_str())));
            assert_eq!(series.labels.len(), labels.len() + 4);
            assert_eq!(series.samples[0].value.to_bits(), value.to_bits());
        }
    }
}

proptest! {
    #[test]
    fn met_02_the_output_keeps_the_rules_for_any_input(
        texts in prop::collection::vec(
            ("[ab]?", "((lxd_a|lxd_b|up)(\\{((job|member|cluster|exported_job|d|f|__name__|__x|x|Y|_z)=\"[ab\\\\é]?\",){0,6}\\})? (1|2|NaN)\n){0,20}(oops)?"),
            0..4,
        ),
        cluster in "[a-z][a-z0-9-]{0,10}",
        part_bytes in 1_usize..2000,
        labels in prop::collection::btree_map("[A-Zd-f]|_z|exported_(job|d|member)", "[ab]{1,2}", 0..4),
    ) {
        let texts: Vec<_> = texts.iter().map(|(member, metrics)| text(member, metrics)).collect();
        let options = Options { part_bytes, labels: labels.clone(), ..Options::default() };
        let batch = Batcher::new(&options).encode(&cluster, moment(1), moment(2), &texts);
        assert_rules(&batch, &cluster);
        for series in series(&batch) {
            for (name, value) in &labels {
                prop_assert_eq!(series.label(name), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn met_02_values_and_times_survive_the_encoding(
        values in prop::collection::vec(any::<f64>(), 1..50),
        seconds in 0_i64..4_000_000_000,
    ) {
        let lines: Vec<_> = values.iter().enumerate().map(|(n, v)| format!("lxd_a{{n=\"{n}\"}} {v:?}\n")).collect();
        let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let batch = Batcher::new(&Options::default()).encode("c", time, time, &[text("a", &lines.concat())]);
        let decoded = series(&batch);
        prop_assert_eq!(decoded.len(), values.len());
        for (series, value) in decoded.iter().zip(&values) {
            prop_assert!(series.samples[0].value.to_bits() == value.to_bits() || value.is_nan());
            prop_assert_eq!(series.samples[0].timestamp, seconds * 1000);
        }
    }

    #[test]
    fn met_06_times_of_a_cluster_rise_whatever_the_clock_does(
        clock in prop::collection::vec((0_u64..50, 0_u64..50), 1..50),
    ) {
        let mut batcher = Batcher::new(&Options::default());
        let start = moment(0);
        let mut newest = i64::MIN;
        for (received, now) in clock {
            let (received, now) = (start + Duration::from_secs(received), start + Duration::from_secs(now));
            let batch = batcher.encode("c", received, now, &[text("a", "lxd_a 1")]);
            for series in series(&batch) {
                let time = series.samples[0].timestamp;
                prop_assert!(time > newest);
                prop_assert!(i128::from(time) <= now.unix_timestamp_nanos() / 1_000_000);
                newest = time;
            }
        }
    }
}
