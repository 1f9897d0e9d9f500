//! The body of a heartbeat.

use cluster_manager::edge::parse_json_as;
use cluster_manager::model::{Heartbeat, StatusCount};
use workload_config::HeartbeatLimits;

use super::ensure;
use super::json::{Json, may_hold_half_a_character};
use crate::{Target, Verdict};

const MOST_DEPTH: usize = 16;
const MOST_ENTRIES: usize = 4096;
const MOST_METRICS: usize = 512;
const MOST_TEXT: usize = 256;
const MOST_UI_URL: usize = 2048;

pub(super) fn target() -> Target {
    Target {
        name: "heartbeat",
        dictionary: &[
            "\"ceph_statuses\":",
            "\"member_statuses\":",
            "\"instance_statuses\":",
            "\"storage_pool_usages\":",
            "\"server_metrics\":",
            "\"cpu_total_count\":",
            "\"cpu_load_1\":",
            "\"memory_usage\":",
            "\"ui_url\":",
            "{\"status\":\"a\",\"count\":1}",
            "{\"name\":\"a\",\"member\":\"\",\"total\":1,\"usage\":1}",
            "null",
            "[[[[[[[[",
            "]]]]]]]]",
            "\\u0000",
            "\\ud83d\\ude00",
            "1.0",
            "-0",
            ",",
        ],
        max_bytes: 1 << 20,
        changes: 3000,
        check: Box::new(check),
    }
}

/// Whether a heartbeat is acceptable, and the sums of its three lists of states.
fn reference(input: &[u8]) -> Result<[i64; 3], ()> {
    let body = Json::read(input).filter(|body| body.depth() <= MOST_DEPTH).ok_or(())?;
    let check = |holds: bool| if holds { Ok(()) } else { Err(()) };
    let text = |text: &str, most: usize| check(text.len() <= most && !text.contains('\0'));
    for key in ["cpu_total_count", "memory_total_amount", "memory_usage"] {
        whole(body.get(key)?, i128::from(i64::MAX))?;
    }
    for key in ["cpu_load_1", "cpu_load_5", "cpu_load_15"] {
        text(body.text(key)?.unwrap_or_default(), MOST_TEXT)?;
    }
    text(body.text("ui_url")?.unwrap_or_default(), MOST_UI_URL)?;
    let list = |key: &str| match body.get(key)? {
        None => Ok([].as_slice()),
        Some(Json::List(list)) => Ok(list.as_slice()),
        Some(_) => Err(()),
    };
    let all_metrics = list("server_metrics")?;
    check(all_metrics.len() <= MOST_METRICS)?;
    for metrics in all_metrics {
        for key in ["member", "service", "metrics"] {
            field(metrics, key)?.map_or(Ok(""), as_text)?;
        }
    }
    let pools = list("storage_pool_usages")?;
    check(pools.len() <= MOST_ENTRIES)?;
    for pool in pools {
        for key in ["name", "member"] {
            text(field(pool, key)?.map_or(Ok(""), as_text)?, MOST_TEXT)?;
        }
        for key in ["total", "usage"] {
            whole(field(pool, key)?, i128::from(u64::MAX))?;
        }
    }
    let mut sums = [0; 3];
    let lists = ["ceph_statuses", "member_statuses", "instance_statuses"];
    for (sum, key) in sums.iter_mut().zip(lists) {
        let list = list(key)?;
        check(list.len() <= MOST_ENTRIES)?;
        let mut total = 0_i128;
        for entry in list {
            let get = |key| field(entry, key)?.ok_or(());
            text(as_text(get("status")?)?, MOST_TEXT)?;
            total += whole(Some(get("count")?), i128::from(i64::MAX))?;
        }
        *sum = i64::try_from(total).unwrap_or(i64::MAX);
    }
    Ok(sums)
}

/// A value inside an entry of a list; null is none.
fn field<'j>(entry: &'j Json, key: &str) -> Result<Option<&'j Json>, ()> {
    let Json::Object(entries) = entry else { return Err(()) };
    let mut found = entries.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (value, None) => Ok(value.filter(|value| **value != Json::Null)),
        _ => Err(()),
    }
}

fn as_text(value: &Json) -> Result<&str, ()> {
    match value {
        Json::Text(text) => Ok(text),
        _ => Err(()),
    }
}

/// A whole number from 0 to `most`; 0 where there is none.
fn whole(value: Option<&Json>, most: i128) -> Result<i128, ()> {
    match value {
        None => Ok(0),
        Some(Json::Whole(number)) if (0..=most).contains(number) => Ok(*number),
        Some(_) => Err(()),
    }
}

fn check(input: &[u8]) -> Verdict {
    let limits = HeartbeatLimits::default();
    let ours = parse_json_as(input, 16, Heartbeat::within(&limits));
    let ours = ours.map_err(|error| error.to_string());
    let ours =
        ours.and_then(|it| it.check(&limits).map(|()| it).map_err(|error| error.to_string()));
    match (ours, reference(input)) {
        (Ok(heartbeat), Ok(sums)) => {
            let Heartbeat { ceph_statuses, member_statuses, instance_statuses, .. } = &heartbeat;
            let lists = [ceph_statuses, member_statuses, instance_statuses];
            ensure!(lists.map(|list| StatusCount::sum(list)) == sums, "a sum is wrong");
            for list in lists {
                ensure!(stored(list)? == *list, "a list of states changes when it is stored");
            }
            let pools = &heartbeat.storage_pool_usages;
            ensure!(stored(pools)? == *pools, "the pools change when they are stored");
            let sizes = lists.map(|list| super::size(list.len()));
            let metrics = super::size(heartbeat.server_metrics.len());
            Ok(format!("accepted {sizes:?} {} {metrics}", super::size(pools.len())))
        }
        (Err(error), Err(())) => {
            ensure!(!error.is_empty(), "a refusal without a reason");
            Ok(error.chars().filter(|c| !c.is_ascii_digit()).take(80).collect())
        }
        (Ok(_), Err(())) if may_hold_half_a_character(input) => Ok("half a character".into()),
        (Ok(_), Err(())) => Err("it is accepted, and should not be".into()),
        (Err(error), Ok(_)) => Err(format!("it is refused ({error}), and should not be")),
    }
}

/// A list as it comes back from the database, which keeps JSON and takes no NUL.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(list: &[T]) -> Result<Vec<T>, String> {
    let text = serde_json::to_string(list).map_err(|error| error.to_string())?;
    ensure!(!text.contains("\\u0000"), "PostgreSQL would refuse it");
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
