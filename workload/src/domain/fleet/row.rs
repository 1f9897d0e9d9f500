//! A cluster in few figures: what a list of thousands shows.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ArrayItems};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, schema};

use crate::domain::freshness::Freshness;
use crate::model::{RemoteCluster, StatusCount};

/// Most warnings that a row tells.
const MAX_WARNINGS: usize = 32;

/// A cluster in few figures.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CompactRow {
    /// Unique name.
    pub name: String,
    /// What operators wrote about it.
    pub description: String,
    /// Whether it is alive.
    pub state: Freshness,
    /// Last heartbeat in seconds since 1970.
    #[schema(required)]
    pub seen: Option<i64>,
    /// Cluster members: all, those not online, and of these the offline, the evacuated and the blocked ones.
    #[schema(min_items = 5, max_items = 5)]
    pub members: [i64; 5],
    /// Instances: all, running ones, those in an error state, stopped and frozen ones.
    #[schema(min_items = 5, max_items = 5)]
    pub instances: [i64; 5],
    /// Memory in bytes: used and all.
    #[schema(min_items = 2, max_items = 2)]
    pub memory: [i64; 2],
    /// Storage of all pools in bytes: used and all.
    #[schema(min_items = 2, max_items = 2)]
    pub storage: [u64; 2],
    /// The fullest storage pool.
    #[schema(required)]
    pub pool: Option<FullestPool>,
    /// Load average over one minute, as text; empty when unknown.
    pub load: String,
    /// Whether requests can be sent through the cluster's tunnel.
    pub tunnel: bool,
    /// Kinds of its warnings, one entry per warning; of very many the first 32.
    #[schema(max_items = 32)]
    pub warnings: Vec<&'static str>,
    /// From which percentage on storage pools and memory are too full; 0: never.
    #[schema(min_items = 2, max_items = 2)]
    pub thresholds: [i16; 2],
    /// When it enrolled, in seconds since 1970.
    pub joined: i64,
}

/// Name of a pool and how full it is, in whole percent, rounded up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FullestPool(pub String, pub u64);

impl PartialSchema for FullestPool {
    fn schema() -> RefOr<Schema> {
        let pair = ArrayBuilder::new()
            .prefix_items([
                Schema::Object(schema!(String).build()),
                Schema::Object(schema!(u64).build()),
            ])
            .items(ArrayItems::False)
            .min_items(Some(2))
            .max_items(Some(2))
            .description(Some("Name of a pool and how full it is, in whole percent, rounded up."));
        pair.build().into()
    }
}

impl utoipa::ToSchema for FullestPool {}

/// What `CompactRow::values` gives, for the description of the API.
#[derive(Debug)]
pub struct CompactValues;

impl PartialSchema for CompactValues {
    fn schema() -> RefOr<Schema> {
        let mut row = match CompactRow::schema() {
            RefOr::T(Schema::Object(row)) => row,
            other => return other,
        };
        let values = CompactRow::KEYS.iter().filter_map(|key| row.properties.remove(*key));
        let values = values.map(|value| match value {
            RefOr::T(schema) => schema,
            reference @ RefOr::Ref(_) => AllOfBuilder::new().item(reference).build().into(),
        });
        let list = ArrayBuilder::new()
            .prefix_items(values)
            .items(ArrayItems::False)
            .min_items(Some(CompactRow::KEYS.len()))
            .max_items(Some(CompactRow::KEYS.len()))
            .description(Some("A cluster in few figures: the values without their keys."));
        list.build().into()
    }
}

impl utoipa::ToSchema for CompactValues {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        CompactRow::schemas(schemas);
    }
}

impl CompactRow {
    /// The keys in their order.
    pub const KEYS: [&str; 14] = [
        "name",
        "description",
        "state",
        "seen",
        "members",
        "instances",
        "memory",
        "storage",
        "pool",
        "load",
        "tunnel",
        "warnings",
        "thresholds",
        "joined",
    ];

    pub(super) fn new(
        cluster: &RemoteCluster,
        state: Freshness,
        warnings: &[&'static str],
    ) -> Self {
        let members = |state| count(&cluster.member_statuses, &[state]);
        let instances = |state| count(&cluster.instance_statuses, &[state]);
        Self {
            name: cluster.name.clone(),
            description: cluster.description.clone(),
            state,
            seen: cluster.pulse.last_heartbeat_at.map(time::OffsetDateTime::unix_timestamp),
            members: [
                cluster.member_count,
                cluster.member_count.saturating_sub(members("Online")),
                members("Offline"),
                members("Evacuated"),
                members("Blocked"),
            ],
            instances: [
                cluster.instance_count,
                // LXD calls an instance `Ready` that runs and says that it is ready.
                count(&cluster.instance_statuses, &["Running", "Ready"]),
                instances("Error"),
                instances("Stopped"),
                instances("Frozen"),
            ],
            memory: [cluster.memory_usage, cluster.memory_total_amount],
            storage: storage(cluster),
            pool: fullest_pool(cluster),
            load: cluster.cpu_load[0].clone(),
            tunnel: cluster.tunnel_registered,
            warnings: warnings.iter().take(MAX_WARNINGS).copied().collect(),
            thresholds: [cluster.disk_threshold, cluster.memory_threshold],
            joined: cluster.pulse.joined_at.unix_timestamp(),
        }
    }

    /// The values in the order of [`Self::KEYS`]: in lists of thousands the keys are half of the bytes.
    pub(super) fn values(&self) -> impl Serialize {
        (
            &self.name,
            &self.description,
            self.state,
            self.seen,
            self.members,
            self.instances,
            self.memory,
            self.storage,
            &self.pool,
            &self.load,
            self.tunnel,
            &self.warnings,
            self.thresholds,
            self.joined,
        )
    }

    /// Used memory in percent, rounded up; 0 when unknown.
    #[must_use]
    pub fn memory_percent(&self) -> u64 {
        let [used, total] = self.memory.map(i64::unsigned_abs);
        percent(used.into(), total.into())
    }

    /// Used storage in percent, rounded up; 0 without storage.
    #[must_use]
    pub fn storage_percent(&self) -> u64 {
        let [used, total] = self.storage;
        percent(used.into(), total.into())
    }
}

fn count(list: &[StatusCount], states: &[&str]) -> i64 {
    let matching = list.iter().filter(|entry| states.contains(&entry.status.as_str()));
    matching.fold(0, |sum, entry| sum.saturating_add(entry.count))
}

fn storage(cluster: &RemoteCluster) -> [u64; 2] {
    cluster.storage_pool_usages.iter().fold([0, 0], |[used, total], pool| {
        [used.saturating_add(pool.usage), u64::saturating_add(total, pool.total)]
    })
}

/// A local pool is one pool, whatever the number of members that hold a part of it.
fn fullest_pool(cluster: &RemoteCluster) -> Option<FullestPool> {
    let mut pools: BTreeMap<&str, u64> = BTreeMap::new();
    for pool in cluster.storage_pool_usages.iter().filter(|pool| pool.total > 0) {
        let part = percent(pool.usage.into(), pool.total.into());
        let fullest = pools.entry(&pool.name).or_default();
        *fullest = part.max(*fullest);
    }
    let fullest =
        pools.into_iter().max_by_key(|(name, percent)| (*percent, std::cmp::Reverse(*name)));
    fullest.map(|(name, percent)| FullestPool(name.to_owned(), percent))
}

fn percent(part: u128, whole: u128) -> u64 {
    let rounded_up = (part * 100).checked_div(whole).map(|_| (part * 100).div_ceil(whole));
    u64::try_from(rounded_up.unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::entry::tests::named;
    use super::*;
    use crate::model::StoragePoolUsage;

    fn pool(name: &str, member: &str, total: u64, usage: u64) -> StoragePoolUsage {
        StoragePoolUsage { name: name.into(), member: member.into(), total, usage }
    }

    #[test]
    fn a_row_has_the_keys_in_their_order_and_few_bytes() {
        let mut cluster = named("lyon-edge", 1);
        cluster.storage_pool_usages = vec![
            pool("local", "a", 1000, 10),
            pool("local", "b", 1000, 831),
            pool("remote", "", 5000, 4100),
            pool("empty", "", 0, 0),
        ];
        let entry = |status: &str, count| StatusCount { status: status.into(), count };
        (cluster.member_count, cluster.instance_count) = (5, 9);
        cluster.member_statuses = vec![
            entry("Online", 2),
            entry("Offline", 1),
            entry("Evacuated", 1),
            entry("Upgrading", 1),
        ];
        cluster.instance_statuses = vec![
            entry("Running", 4),
            entry("Ready", 1),
            entry("Error", 1),
            entry("Stopped", 2),
            entry("Frozen", 1),
        ];
        let row = CompactRow::new(&cluster, Freshness::Online, &["pool", "pool", "memory"]);
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(
            json,
            r#"{"name":"lyon-edge","description":"","state":"online","seen":1795348780,"members":[5,3,1,1,0],"instances":[9,5,1,2,1],"memory":[900,1000],"storage":[4941,7000],"pool":["local",84],"load":"","tunnel":false,"warnings":["pool","pool","memory"],"thresholds":[80,80],"joined":1795345200}"#
        );
        let values = serde_json::to_string(&row.values()).unwrap();
        assert_eq!(
            values,
            r#"["lyon-edge","","online",1795348780,[5,3,1,1,0],[9,5,1,2,1],[900,1000],[4941,7000],["local",84],"",false,["pool","pool","memory"],[80,80],1795345200]"#
        );
        let object = serde_json::to_value(&row).unwrap();
        let by_key: Vec<_> = CompactRow::KEYS.iter().map(|key| &object[key]).collect();
        assert_eq!(serde_json::to_value(row.values()).unwrap(), json!(by_key));
        assert_eq!((row.memory_percent(), row.storage_percent()), (90, 71));
    }

    #[test]
    fn extreme_figures_saturate() {
        let mut cluster = named("lyon", 1);
        cluster.storage_pool_usages =
            vec![pool("a", "", 1, u64::MAX), pool("b", "", u64::MAX, u64::MAX)];
        cluster.member_count = i64::MAX;
        let entry = |status: &str| StatusCount { status: status.into(), count: i64::MAX };
        cluster.instance_statuses = vec![entry("Running"), entry("Ready"), entry("Error")];
        let row = CompactRow::new(&cluster, Freshness::Online, &["ceph"; 40]);
        assert_eq!(row.storage, [u64::MAX, u64::MAX]);
        assert_eq!(row.pool, Some(FullestPool("a".into(), u64::MAX)));
        assert_eq!(row.warnings.len(), MAX_WARNINGS);
        assert_eq!((row.instances, row.members[1]), ([0, i64::MAX, i64::MAX, 0, 0], i64::MAX));
    }
}
