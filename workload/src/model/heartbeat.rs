mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use workload_config::HeartbeatLimits;

pub(crate) use self::read::Within;
use self::read::{null_is_default, number, number_or_null};

/// Highest load average in the history.
const MAX_LOAD: f32 = 1e9;
/// Most storage pools in the history of a cluster, so that its size is bounded; MicroCloud sets up three.
const MAX_HISTORY_POOLS: usize = 16;
/// Longest name of a storage pool in the history, in bytes: LXD's own limit.
const MAX_HISTORY_POOL_NAME: usize = 63;

/// What a MicroCloud reports about itself. Any key may be missing or null; unknown keys are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Heartbeat {
    /// MicroCeph members by state.
    #[schema(value_type = Option<Vec<StatusCount>>)]
    pub ceph_statuses: Vec<StatusCount>,
    /// Number of CPUs; members of every release so far send 0.
    #[schema(value_type = Option<i64>)]
    pub cpu_total_count: i64,
    /// Load average over one minute, as text with two decimals.
    #[schema(value_type = Option<String>)]
    pub cpu_load_1: String,
    /// Load average over five minutes.
    #[schema(value_type = Option<String>)]
    pub cpu_load_5: String,
    /// Load average over fifteen minutes.
    #[schema(value_type = Option<String>)]
    pub cpu_load_15: String,
    /// Memory of all members, in bytes.
    #[schema(value_type = Option<i64>)]
    pub memory_total_amount: i64,
    /// Used memory of all members, in bytes.
    #[schema(value_type = Option<i64>)]
    pub memory_usage: i64,
    /// Storage pools: a local pool once per member, a remote one once.
    #[schema(value_type = Option<Vec<Object>>)]
    pub storage_pool_usages: Vec<StoragePoolUsage>,
    /// LXD cluster members by state.
    #[schema(value_type = Option<Vec<StatusCount>>)]
    pub member_statuses: Vec<StatusCount>,
    /// Instances of all projects by state.
    #[schema(value_type = Option<Vec<StatusCount>>)]
    pub instance_statuses: Vec<StatusCount>,
    /// Metrics of the members.
    #[schema(value_type = Option<Vec<MemberMetrics>>)]
    pub server_metrics: Vec<MemberMetrics>,
    /// Address of the cluster's own web UI.
    #[schema(value_type = Option<String>)]
    pub ui_url: String,
}

/// How many things are in one state. The order of a list is kept as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatusCount {
    /// The state, in the words of LXD or MicroCeph.
    pub status: String,
    /// How many, at least 0.
    #[serde(deserialize_with = "number")]
    pub count: i64,
}

/// Space in a storage pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct StoragePoolUsage {
    /// Name of the pool.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(required)]
    pub name: String,
    /// The member that holds a local pool; empty for a remote one.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(required)]
    pub member: String,
    /// Size in bytes.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(required)]
    pub total: u64,
    /// Used bytes.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(required)]
    pub usage: u64,
}

/// The metrics of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct MemberMetrics {
    /// The member's name.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(value_type = Option<String>)]
    pub member: String,
    /// What the metrics are of; members send `LXD`.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(value_type = Option<String>)]
    pub service: String,
    /// Prometheus's text format.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(value_type = Option<String>)]
    pub metrics: String,
}

/// Why the content of a heartbeat is refused although it is well-formed JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// A number below zero.
    #[error("{0} must not be negative")]
    Negative(&'static str),
    /// A text that is too long or has a NUL character.
    #[error("{0} must have at most {1} bytes and no NUL character")]
    Text(&'static str, usize),
}

impl Heartbeat {
    /// What reads a heartbeat whose lists are within `limits`.
    #[must_use]
    pub fn within(limits: &HeartbeatLimits) -> Within<'_> {
        Within(limits)
    }

    /// Checks the limits of counts and texts. Those of lists were checked while they were read.
    ///
    /// # Errors
    ///
    /// [`HeartbeatError`] names the first field that breaks its limit.
    pub fn check(&self, limits: &HeartbeatLimits) -> Result<(), HeartbeatError> {
        let text = |field, value: &str, limit: usize| {
            let fits = value.len() <= limit && !value.contains('\0');
            if fits { Ok(()) } else { Err(HeartbeatError::Text(field, limit)) }
        };
        for (field, value) in [
            ("cpu_total_count", self.cpu_total_count),
            ("memory_total_amount", self.memory_total_amount),
            ("memory_usage", self.memory_usage),
        ] {
            if value < 0 {
                return Err(HeartbeatError::Negative(field));
            }
        }
        for (field, value) in [
            ("cpu_load_1", &self.cpu_load_1),
            ("cpu_load_5", &self.cpu_load_5),
            ("cpu_load_15", &self.cpu_load_15),
        ] {
            text(field, value, limits.text_bytes)?;
        }
        text("ui_url", &self.ui_url, limits.url_bytes)?;
        for (field, list) in [
            ("ceph_statuses", &self.ceph_statuses),
            ("member_statuses", &self.member_statuses),
            ("instance_statuses", &self.instance_statuses),
        ] {
            for entry in list {
                text(field, &entry.status, limits.text_bytes)?;
                if entry.count < 0 {
                    return Err(HeartbeatError::Negative(field));
                }
            }
        }
        for pool in &self.storage_pool_usages {
            text("storage_pool_usages", &pool.name, limits.text_bytes)?;
            text("storage_pool_usages", &pool.member, limits.text_bytes)?;
        }
        Ok(())
    }

    /// The load average over one minute as a number with the two decimals that members send, `None` where the text is not one or is
    /// beyond all reason. Averages of numbers that are much smaller than that are too small for the database, which then refuses the
    /// history of every cluster.
    #[must_use]
    pub fn load(&self) -> Option<f32> {
        let load: f32 = self.cpu_load_1.parse().ok()?;
        (0.0..=MAX_LOAD).contains(&load).then(|| (load * 100.0).round() / 100.0)
    }

    /// Storage by pool name: used percent of the whole pool and of its fullest member, 0 to 100. Pools without a size, with a
    /// name that LXD would not allow, and those after the sixteenth are left out.
    #[must_use]
    pub fn pool_percentages(&self) -> BTreeMap<&str, [f32; 2]> {
        let mut pools: BTreeMap<&str, (u128, u128, f32)> = BTreeMap::new();
        for pool in &self.storage_pool_usages {
            if pool.total > 0 && (1..=MAX_HISTORY_POOL_NAME).contains(&pool.name.len()) {
                let (usage, total, fullest) = pools.entry(&pool.name).or_default();
                *usage += u128::from(pool.usage);
                *total += u128::from(pool.total);
                *fullest = fullest.max(percent(pool.usage.into(), pool.total.into()));
            }
        }
        let whole = |(name, (usage, total, fullest))| (name, [percent(usage, total), fullest]);
        pools.into_iter().take(MAX_HISTORY_POOLS).map(whole).collect()
    }
}

/// Tenths of a percent are enough for a chart. More than all is all.
fn percent(part: u128, whole: u128) -> f32 {
    let tenths = part.saturating_mul(1000).checked_div(whole).unwrap_or(0).min(1000);
    f32::from(u16::try_from(tenths).unwrap_or(1000)) / 10.0
}

impl StatusCount {
    /// The sum of all counts; it stops at the largest number instead of wrapping.
    #[must_use]
    pub fn sum(list: &[Self]) -> i64 {
        list.iter().fold(0, |sum, entry| sum.saturating_add(entry.count))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;
    use workload_config::Limits;

    use super::*;

    fn limits() -> HeartbeatLimits {
        Limits::default().heartbeat
    }

    fn read(json: &str) -> serde_json::Result<Heartbeat> {
        let mut parser = serde_json::Deserializer::from_str(json);
        let heartbeat = Heartbeat::within(&limits()).deserialize(&mut parser)?;
        parser.end().map(|()| heartbeat)
    }

    fn parse(json: &str) -> Heartbeat {
        read(json).unwrap()
    }

    #[test]
    fn missing_keys_and_nulls_are_empty_and_unknown_keys_are_ignored() {
        let heartbeat = parse(
            r#"{"ceph_statuses":null,"memory_usage":null,"server_metrics":null,"new":{"a":[1]}}"#,
        );
        assert_eq!(heartbeat, Heartbeat::default());
        assert_eq!(heartbeat.check(&limits()), Ok(()));
    }

    #[test]
    fn history_has_loads_that_are_numbers_and_pools_that_have_a_size() {
        for (text, load) in [
            ("1.25", Some(1.25)),
            ("", None),
            ("NaN", None),
            ("-1", None),
            ("inf", None),
            ("3.4e38", None),
            ("1e-45", Some(0.0)),
            ("x", None),
        ] {
            let heartbeat = Heartbeat { cpu_load_1: text.into(), ..Heartbeat::default() };
            assert_eq!(heartbeat.load(), load, "{text}");
        }
        let heartbeat = parse(
            r#"{"storage_pool_usages":[{"name":"local","member":"a","total":1000,"usage":900},
                {"name":"local","member":"b","total":3000,"usage":300},{"name":"empty","total":0,"usage":0},
                {"name":"remote","total":18446744073709551615,"usage":18446744073709551615},
                {"name":"odd","total":1,"usage":2},{"name":"","total":1,"usage":1}]}"#,
        );
        let expected =
            [("local", [30.0, 90.0]), ("odd", [100.0, 100.0]), ("remote", [100.0, 100.0])];
        assert_eq!(heartbeat.pool_percentages(), BTreeMap::from(expected));
        let many = (0..100).map(|n| StoragePoolUsage {
            name: format!("pool-{n:03}"),
            member: String::new(),
            total: 2,
            usage: 1,
        });
        let heartbeat = Heartbeat { storage_pool_usages: many.collect(), ..Heartbeat::default() };
        assert_eq!(heartbeat.pool_percentages().len(), MAX_HISTORY_POOLS);
    }

    #[test]
    fn lim_05_sums_saturate_and_bad_values_are_named() {
        let heartbeat = parse(
            r#"{"member_statuses":[{"status":"Online","count":9223372036854775807},{"status":"Offline","count":5}]}"#,
        );
        assert_eq!(StatusCount::sum(&heartbeat.member_statuses), i64::MAX);
        assert_eq!(heartbeat.check(&limits()), Ok(()));
        for (json, error) in [
            (r#"{"memory_usage":-1}"#, "memory_usage must not be negative"),
            (
                r#"{"ceph_statuses":[{"status":"x","count":-1}]}"#,
                "ceph_statuses must not be negative",
            ),
            (
                r#"{"storage_pool_usages":[{"name":"a\u0000","member":"","total":1,"usage":1}]}"#,
                "storage_pool_usages must have at most 256 bytes and no NUL character",
            ),
        ] {
            assert_eq!(parse(json).check(&limits()).unwrap_err().to_string(), error);
        }
        assert!(read(r#"{"storage_pool_usages":[{"name":"a","total":-1,"usage":0}]}"#).is_err());
    }

    #[test]
    fn lim_05_a_list_that_is_too_long_is_refused_where_it_gets_too_long() {
        let HeartbeatLimits { entries, metrics, .. } = limits();
        for (list, entry, most) in [
            ("ceph_statuses", r#"{"status":"x","count":1}"#, entries),
            ("member_statuses", r#"{"status":"x","count":1}"#, entries),
            ("instance_statuses", r#"{"status":"x","count":1}"#, entries),
            ("storage_pool_usages", "{}", entries),
            ("server_metrics", "{}", metrics),
        ] {
            // What follows is no JSON: it would be noticed if it were read.
            let body =
                |count, end: &str| format!("{{\"{list}\":[{}{end}", vec![entry; count].join(","));
            assert_eq!(parse(&body(most, "]}")).check(&limits()), Ok(()), "{list}");
            for count in [most + 1, 100 * most] {
                let error = read(&body(count, "?")).unwrap_err();
                let (text, column) =
                    (error.to_string(), list.len() + 5 + (most + 1) * (entry.len() + 1));
                let expected = format!("a list must have at most {most} entries at line 1 column ");
                assert!(text.starts_with(&expected), "{list}: {text}");
                assert!(error.column() <= column, "{list}: it was read on: {text}");
            }
        }
    }

    #[test]
    fn lim_05_an_error_does_not_repeat_what_was_sent() {
        let long = format!("\"{}\"", "\u{200b}".repeat(100_000));
        let fields = serde_json::to_value(Heartbeat::default()).unwrap();
        let entries = [
            ("member_statuses", "status"),
            ("member_statuses", "count"),
            ("storage_pool_usages", "name"),
            ("storage_pool_usages", "total"),
            ("storage_pool_usages", "usage"),
            ("server_metrics", "metrics"),
        ];
        let mut bodies: Vec<String> = entries
            .iter()
            .map(|(list, key)| format!("{{\"{list}\":[{{\"{key}\":{long}}}]}}"))
            .collect();
        for key in fields.as_object().unwrap().keys() {
            bodies.push(format!("{{\"{key}\":{long}}}"));
            bodies.push(format!("{{\"{key}\":[{long}]}}"));
            bodies.push(format!("{{\"{key}\":{{{long}:1}}}}"));
        }
        let errors = bodies.iter().filter_map(|body| read(body).err());
        let lengths: Vec<usize> = errors.map(|error| error.to_string().len()).collect();
        assert!(lengths.len() > 30, "{lengths:?}");
        assert!(lengths.iter().all(|length| *length < 200), "{lengths:?}");
    }
}
