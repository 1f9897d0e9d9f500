use std::collections::{BTreeMap, BTreeSet};

use time::Duration;

use super::*;
use crate::sites::Site;

/// 22 November 2026, noon.
fn noon() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_348_800).unwrap()
}

fn clusters(count: usize) -> impl Iterator<Item = ClusterModel> {
    Site::first(count).map(|site| ClusterModel::new(1, &site.name))
}

fn count(list: Option<&Vec<StatusCount>>, status: &str) -> i64 {
    list.unwrap().iter().filter(|entry| entry.status == status).map(|entry| entry.count).sum()
}

fn fullest(status: &Status) -> f64 {
    let pools = status.storage_pool_usages.as_ref().unwrap();
    pools.iter().map(|pool| float(pool.usage) / float(pool.total)).fold(0.0, f64::max)
}

fn memory_share(status: &Status) -> f64 {
    let share = |value: i64| float(u64::try_from(value).unwrap());
    share(status.memory_usage) / share(status.memory_total_amount)
}

#[test]
fn a_report_depends_on_seed_name_and_time_only() {
    let report = |seed, name, at| ClusterModel::new(seed, name).status(at);
    let reference = report(1, "lyon-edge", noon());
    assert_eq!(report(1, "lyon-edge", noon()), reference);
    for other in [
        report(2, "lyon-edge", noon()),
        report(1, "quito-lab", noon()),
        report(1, "lyon-edge", noon() + Duration::minutes(1)),
    ] {
        assert_ne!(other.memory_usage, reference.memory_usage);
        assert_ne!(other.server_metrics, reference.server_metrics);
    }
}

#[test]
fn a_report_has_the_very_keys_of_the_published_one_in_their_order() {
    let example = include_str!("../../../examples/heartbeat-3-members.json");
    let cluster = clusters(50)
        .find(|cluster| cluster.members == 3 && cluster.ceph && !cluster.empty)
        .unwrap();
    let ours = serde_json::to_string_pretty(&cluster.status(noon())).unwrap();
    // The keys line by line, with runs of list entries of the same shape taken once.
    let shape = |text: &str| {
        let mut seen = Vec::new();
        for line in text.lines().filter(|line| line.trim_start().starts_with('"')) {
            let key = line.split("\":").next().unwrap().to_owned();
            if !seen.contains(&key) {
                seen.push(key);
            }
        }
        seen
    };
    assert_eq!(shape(&ours), shape(example));
}

#[test]
fn clusters_without_ceph_or_instances_or_metrics_send_nulls() {
    let single = clusters(500).find(|cluster| !cluster.ceph).unwrap().status(noon());
    assert_eq!(serde_json::to_value(&single).unwrap()["ceph_statuses"], serde_json::Value::Null);
    let empty = clusters(500).find(|cluster| cluster.empty).unwrap().status(noon());
    assert_eq!(serde_json::to_value(&empty).unwrap()["instance_statuses"], serde_json::Value::Null);
    assert!(empty.server_metrics.unwrap()[0].metrics.contains("# HELP lxd_procs_total "));
    let quiet = clusters(1).next().unwrap().with_metrics(false).status(noon());
    let json = serde_json::to_value(&quiet).unwrap();
    assert_eq!(json["server_metrics"], serde_json::Value::Null);
    assert_eq!(json.as_object().unwrap().len(), 12);
}

#[test]
fn figures_are_of_the_size_and_form_that_members_send() {
    let mut sizes = BTreeMap::<u64, usize>::new();
    for cluster in clusters(1000) {
        *sizes.entry(cluster.members()).or_default() += 1;
        let status = cluster.clone().with_metrics(false).status(noon());
        assert_eq!(status.cpu_total_count, 0);
        for load in [&status.cpu_load_1, &status.cpu_load_5, &status.cpu_load_15] {
            let (whole, decimals) = load.split_once('.').unwrap();
            assert!(whole.parse::<u32>().is_ok() && decimals.len() == 2, "{load}");
        }
        assert!(fullest(&status) < 0.8 && memory_share(&status) < 0.8, "a healthy cluster warns");
        let pools = status.storage_pool_usages.unwrap();
        assert!(pools.iter().all(|pool| pool.usage > 0 && pool.usage < pool.total));
        assert!(pools.iter().all(|pool| pool.member.is_empty() == (pool.name == "remote")));
        let members: i64 = status.member_statuses.unwrap().iter().map(|entry| entry.count).sum();
        assert_eq!(members, signed(cluster.members()));
        assert!(status.ui_url.starts_with("https://10.") && status.ui_url.ends_with(".11:8443"));
    }
    assert!(sizes.keys().all(|members| (1..=50).contains(members)), "{sizes:?}");
    let usual: usize = sizes.range(3..=9).map(|(_, clusters)| clusters).sum();
    assert!((700..=900).contains(&usual), "{sizes:?}");
    assert!(sizes.range(21..).next().is_some() && sizes.contains_key(&1), "{sizes:?}");
}

#[test]
fn a_minute_changes_little_and_a_day_changes_much() {
    let cluster = ClusterModel::new(1, "lyon-edge").with_metrics(false);
    let share = |minutes| memory_share(&cluster.status(noon() + Duration::minutes(minutes)));
    let mut seen = BTreeSet::new();
    for minute in 0..24 * 60 {
        let step = (share(minute + 1) - share(minute)).abs();
        assert!(step < 0.02, "memory jumps by {step} in minute {minute}");
        seen.insert(whole(share(minute) * 100.0));
    }
    assert!(seen.len() > 5, "memory hardly moves: {seen:?}");
}

#[test]
fn failures_show_in_the_report() {
    for cluster in clusters(300) {
        let with = |failure| cluster.clone().with_failure(Some(failure)).status(noon());
        let errors = with(Failure::Errors);
        assert!(count(errors.instance_statuses.as_ref(), "Error") >= 1);
        let offline = count(errors.member_statuses.as_ref(), "Offline");
        assert_eq!(offline, i64::from(cluster.members > 1));
        let reporting = errors.server_metrics.unwrap().len();
        assert_eq!(signed(reporting as u64), signed(cluster.members) - offline);
        if cluster.ceph {
            assert_eq!(count(errors.ceph_statuses.as_ref(), "OFFLINE"), 1);
        }
        assert!(fullest(&with(Failure::LowDisk)) > 0.8);
        assert!(memory_share(&with(Failure::HighMemory)) > 0.8);
        let silent = with(Failure::Silent { after_heartbeats: 2 });
        assert_eq!(silent, cluster.status(noon()), "a silent cluster looks healthy until then");
    }
}

#[test]
fn lists_come_in_changing_order_with_the_same_content() {
    let cluster = clusters(300).find(|c| c.members == 9 && c.ceph).unwrap().with_metrics(false);
    let names = |seconds| -> Vec<String> {
        let status = cluster.status(noon() + Duration::seconds(seconds));
        status.storage_pool_usages.unwrap().into_iter().map(|pool| pool.member).collect()
    };
    let (mut first, mut second) = (names(0), names(60));
    assert_ne!(first, second);
    first.sort();
    second.sort();
    assert_eq!(first, second);
}

/// One sample line: name, labels as written, value.
fn sample(line: &str) -> (&str, &str, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    (name, labels, value.parse().unwrap())
}

#[test]
fn metrics_parse_line_by_line_and_have_the_published_families() {
    let example = include_str!("../../../examples/heartbeat-3-members.json");
    let example: Status = serde_json::from_str(example).unwrap();
    let families = |text: &str| -> Vec<String> {
        let marked = text.lines().filter(|line| line.starts_with("# "));
        marked.map(str::to_owned).collect()
    };
    let expected = families(&example.server_metrics.unwrap()[0].metrics);
    for cluster in clusters(40) {
        for of_member in cluster.status(noon()).server_metrics.unwrap() {
            let text = of_member.metrics;
            assert_eq!(of_member.service, "LXD");
            assert_eq!(families(&text), expected);
            assert!(text.ends_with("\n# EOF\n"));
            let mut family = "";
            let mut seen = BTreeSet::new();
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    let (name, kind) = rest.split_once(' ').unwrap();
                    assert!(matches!(kind, "counter" | "gauge"), "{line}");
                    family = name;
                } else if !line.starts_with('#') {
                    let (name, labels, value) = sample(line);
                    assert_eq!(name, family, "a sample outside its family");
                    assert!(value.is_finite() && value >= 0.0, "{line}");
                    for label in labels.split(',').filter(|label| !label.is_empty()) {
                        let (key, quoted) = label.split_once('=').unwrap();
                        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
                        assert!(quoted.starts_with('"') && quoted.ends_with('"'), "{line}");
                    }
                    assert!(seen.insert((name, labels)), "{line} comes twice");
                }
            }
        }
    }
}

#[test]
fn counters_grow_and_gauges_move() {
    let cluster = ClusterModel::new(1, "quito-lab");
    let read = |minutes| {
        let status = cluster.status(noon() + Duration::minutes(minutes));
        let text = status.server_metrics.unwrap().remove(0).metrics;
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, labels, value) = sample(line);
            (format!("{name}{{{labels}}}"), value)
        });
        samples.collect::<BTreeMap<_, _>>()
    };
    let counters = |name: &str| {
        name.contains("_seconds") || name.contains("_bytes_total") || name.contains("completed")
    };
    let (mut grown, mut moved) = (0, 0);
    let mut before = read(0);
    for minute in 1..=10 {
        let after = read(minute);
        for (name, value) in &after {
            let Some(old) = before.get(name) else { continue };
            if counters(name) {
                assert!(value >= old, "{name} went from {old} to {value}");
                grown += usize::from(value > old);
            } else {
                moved += usize::from((value - old).abs() > 0.0);
            }
        }
        before = after;
    }
    assert!(grown > 200 && moved > 20, "{grown} counters grew, {moved} gauges moved");
}
