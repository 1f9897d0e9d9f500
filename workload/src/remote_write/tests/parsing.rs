//! The text format.

use proptest::prelude::*;

use super::reference;
use crate::remote_write::Limits;
use crate::remote_write::exposition::{Exposition, Item, LineError, SampleLimits};

/// Everything that is forwarded of a text, with labels as they stand there.
fn read(text: &str) -> Result<Vec<reference::Sample>, LineError> {
    let limits =
        SampleLimits { labels: usize::MAX, name_bytes: usize::MAX, value_bytes: usize::MAX };
    let mut exposition = Exposition::new(text, limits);
    let mut samples = Vec::new();
    while let Some(item) = exposition.next_item()? {
        if let Item::Sample { name, labels, value } = item {
            let labels = labels.iter().map(|l| (l.name.to_owned(), l.value.to_string())).collect();
            samples.push((name.to_owned(), labels, value));
        }
    }
    Ok(samples)
}

fn read_one(line: &str) -> reference::Sample {
    let mut samples = read(line).unwrap();
    assert_eq!(samples.len(), 1, "{line}");
    samples.remove(0)
}

fn assert_same(a: &[reference::Sample], b: &[reference::Sample]) {
    let bits = |all: &[reference::Sample]| -> Vec<_> {
        all.iter()
            .map(|(name, labels, value)| (name.clone(), labels.clone(), value.to_bits()))
            .collect()
    };
    assert_eq!(bits(a), bits(b));
}

#[test]
fn met_01_counters_gauges_untyped_histograms_and_summaries_are_read() {
    let text = "\t# HELP lxd_a Text with {braces} and \"quotes\".\n\t# TYPE lxd_a counter\n\tlxd_a{name=\"x\"} 1.6777216e+07\r\n\
        # TYPE lxd_b gauge\nlxd_b -0.5 1700000000000\n\nlxd_c 3\n\
        # TYPE lxd_h histogram\nlxd_h_bucket{le=\"0.5\",} 1\nlxd_h_bucket{le=\"+Inf\"} 2\nlxd_h_sum 1.5\nlxd_h_count 2\n\
        # TYPE lxd_s summary\nlxd_s{quantile=\"0.9\"} NaN\nlxd_s_sum +Inf\n# TYPE lxd_none counter\n# EOF\n";
    let samples = read(text).unwrap();
    let names: Vec<_> = samples.iter().map(|sample| sample.0.as_str()).collect();
    assert_eq!(
        names,
        [
            "lxd_a",
            "lxd_b",
            "lxd_c",
            "lxd_h_bucket",
            "lxd_h_bucket",
            "lxd_h_sum",
            "lxd_h_count",
            "lxd_s",
            "lxd_s_sum"
        ]
    );
    assert_eq!(samples[0].1, [("name".to_owned(), "x".to_owned())]);
    assert_eq!((samples[0].2, samples[1].2), (16_777_216.0, -0.5));
    assert!(samples[7].2.is_nan() && samples[8].2.is_infinite());
    assert_eq!(read("").unwrap(), []);
}

#[test]
fn met_01_escapes_are_resolved_and_a_lone_backslash_stays() {
    let value = |line: &str| read_one(line).1.remove(0).1;
    assert_eq!(value(r#"lxd_a{v="a\"b\\c\nd"} 1"#), "a\"b\\c\nd");
    assert_eq!(value(r#"lxd_a{v="C:\Users"} 1"#), "C:\\Users");
    assert_eq!(value(r#"lxd_a{v="a,b}{c=\"d\" é"} 1"#), "a,b}{c=\"d\" é");
    assert_eq!(read_one("lxd_a \t{ v = \"1\" , w\t=\"2\" , } 7 8").1.len(), 2);
    assert_eq!(read_one("lxd_a{}1").2.to_bits(), 1.0_f64.to_bits());
}

#[test]
fn met_01_families_of_unknown_type_are_passed_over() {
    let text =
        "# TYPE lxd_x stateset\nlxd_x 1\nlxd_x_info 1\nlxd_xy 2\n# TYPE lxd_y Gauge\nlxd_y 3\n";
    let mut exposition = Exposition::new(text, Limits::default().sample);
    let mut kinds = Vec::new();
    while let Some(item) = exposition.next_item().unwrap() {
        kinds.push(item == Item::UnknownFamily);
    }
    assert_eq!(kinds, [true, true, false, false]);
}

#[test]
fn met_01_a_bad_line_is_named() {
    for (line, reason) in [
        ("1a 2", "does not start with a name"),
        ("é 2", "does not start with a name"),
        ("{a=\"b\"} 2", "does not start with a name"),
        ("lxd_a", "has no value after the name"),
        ("lxd_a\"b\" 1", "has no value after the name"),
        ("lxd_a{} ", "has a value that is not a number"),
        ("lxd_a one", "has a value that is not a number"),
        ("lxd_a{b=\"c\"", "has a label that neither a comma nor a brace follows"),
        ("lxd_a{b=\"c\" d=\"e\"} 1", "has a label that neither a comma nor a brace follows"),
        ("lxd_a{b=\"c} 1", "has a label value without an end"),
        ("lxd_a{b=\"c\\", "has a label value without an end"),
        ("lxd_a{b=c} 1", "has an unquoted label value"),
        ("lxd_a{b} 1", "has a label without a value"),
        ("lxd_a{b:c=\"d\"} 1", "has a label without a value"),
        ("lxd_a{,} 1", "has a malformed label name"),
        ("lxd_a{1b=\"\"} 1", "has a malformed label name"),
        ("lxd_a 1 now", "has a timestamp that is not a whole number"),
        ("lxd_a 1 2 3", "has a timestamp that is not a whole number"),
        ("# TYPE lxd_a", "must have a name and a type after # TYPE"),
        ("# TYPE lxd_a gauge too", "must have a name and a type after # TYPE"),
        ("# TYPE lxd-a gauge", "has a malformed name after # TYPE"),
    ] {
        let error = read(&format!("# HELP x y\nlxd_ok 1\n{line}\nlxd_ok 2\n")).unwrap_err();
        assert_eq!(error, LineError { line: 3, reason }, "{line}");
        assert_eq!(error.to_string(), format!("line 3 {reason}"));
        assert_eq!(reference::read(&format!("\n\n{line}")).err(), Some(3), "{line}");
    }
}

#[test]
fn lim_05_a_sample_beyond_its_limits_is_told_from_a_bad_line() {
    let over = |text: &str| {
        let mut exposition = Exposition::new(text, Limits::default().sample);
        exposition.next_item().unwrap() == Some(Item::OverLimit)
    };
    let labels = |count: usize| {
        let labels: Vec<_> = (0..count).map(|number| format!("l{number}=\"\"")).collect();
        format!("lxd_a{{{}}} 1", labels.join(","))
    };
    for (times, expected) in [(1, false), (100, true)] {
        assert_eq!(over(&labels(64 * times)), expected);
        assert_eq!(over(&format!("{} 1", "n".repeat(256 * times))), expected);
        assert_eq!(over(&format!("a{{{}=\"\"}} 1", "n".repeat(256 * times))), expected);
        assert_eq!(over(&format!("a{{b=\"{}\"}} 1", "v".repeat(1024 * times))), expected);
        assert_eq!(over(&format!("a{{b=\"{}\"}} 1", "\\n".repeat(1024 * times))), expected);
    }
    assert!(over(&labels(65)));
    assert!(over(&format!("{} 1", "n".repeat(257))));
    assert!(over(&format!("a{{{}=\"\"}} 1", "n".repeat(257))));
    assert!(over(&format!("a{{b=\"{}\"}} 1", "v".repeat(1025))));
}

/// A sample, and one of the ways to write it.
fn written_sample() -> impl Strategy<Value = (reference::Sample, String)> {
    let blank = || "[ \t]{0,2}";
    let labels = prop::collection::vec(
        ("[a-zA-Z_][a-zA-Z0-9_]{0,8}", any::<String>(), blank(), blank()),
        0..6,
    );
    let value = prop_oneof![
        any::<f64>(),
        Just(f64::INFINITY),
        Just(f64::NAN),
        any::<i32>().prop_map(f64::from)
    ];
    let time = prop::option::of(any::<i64>());
    ("[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", labels, value, time, blank(), any::<[bool; 3]>()).prop_map(
        |(name, labels, value, time, blank, [braces, comma, exponent])| {
            let mut line = format!("{blank}{name}");
            if braces || !labels.is_empty() {
                let written: Vec<_> = labels
                    .iter()
                    .map(|(name, value, before, after)| {
                        let value =
                            value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
                        format!("{before}{name}{after}={before}\"{value}\"{after}")
                    })
                    .collect();
                let comma = if comma && !labels.is_empty() { "," } else { "" };
                line.extend([&blank, "{", &written.join(","), comma, "}", &blank]);
            } else {
                line.push(' ');
            }
            let number = if exponent { format!("{value:e}") } else { value.to_string() };
            line += &number;
            line += &time.map_or_else(String::new, |time| format!(" {time}"));
            let labels = labels.into_iter().map(|(name, value, ..)| (name, value)).collect();
            ((name, labels, value), line)
        },
    )
}

proptest! {
    #[test]
    fn met_01_whatever_is_written_is_read(
        lines in prop::collection::vec(written_sample(), 0..20),
        separator in prop_oneof![Just("\n"), Just("\r\n\n\t# EOF\n"), Just("\n# HELP a b\n# TYPE a gauge\n")],
    ) {
        let (samples, lines): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        let text = lines.join(separator);
        assert_same(&read(&text).unwrap(), &samples);
        assert_same(&reference::read(&text).unwrap(), &samples);
    }

    #[test]
    fn met_01_a_text_that_was_changed_is_read_as_the_reference_does(
        lines in prop::collection::vec(written_sample(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[a1 \t\n\"\\\\{}=,#:-]?"), 1..4),
    ) {
        let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
        let mut text: Vec<_> = lines.join("\n").chars().map(String::from).collect();
        for (at, character) in changes {
            let at = at.index(text.len());
            text[at] = character;
        }
        compare(&text.concat());
    }

    #[test]
    fn met_01_any_text_is_read_as_the_reference_does(
        text in "(lxd_a|b| |1|NaN|[{}=\",\\\\#\n\t\r]|a=\"|# TYPE |b odd\n|gauge|\\PC){0,40}"
    ) {
        compare(&text);
    }
}

fn compare(text: &str) {
    match (read(text), reference::read(text)) {
        (Ok(ours), Ok(theirs)) => assert_same(&ours, &theirs),
        (Err(ours), Err(theirs)) => assert_eq!(ours.line, theirs, "{ours}"),
        (ours, theirs) => panic!("{text:?}: {ours:?} against {theirs:?}"),
    }
}

#[test]
fn met_01_the_examples_are_read_as_the_reference_does() {
    for file in ["heartbeat-3-members.json", "heartbeat-50-members.json"] {
        for text in super::example(file) {
            let samples = read(&text.metrics).unwrap();
            assert!(samples.len() > 50);
            assert_same(&samples, &reference::read(&text.metrics).unwrap());
        }
    }
}
