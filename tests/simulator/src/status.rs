//! The body of a heartbeat, with every key present and in the order that members send.

use serde::{Deserialize, Serialize};

/// State of one MicroCloud as its database leader reports it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// MicroCeph members by state such as `ONLINE`; `None` (null) without MicroCeph.
    pub ceph_statuses: Option<Vec<StatusCount>>,
    /// Number of CPUs. Every member version sends 0.
    pub cpu_total_count: i64,
    /// Sum of the load averages over 1 minute of all reachable members, two decimals.
    pub cpu_load_1: String,
    /// The same over 5 minutes.
    pub cpu_load_5: String,
    /// The same over 15 minutes.
    pub cpu_load_15: String,
    /// Bytes, summed over the members whose state could be read.
    pub memory_total_amount: i64,
    /// Bytes in use, the same sum.
    pub memory_usage: i64,
    /// Local pools once per member, remote pools once with an empty member.
    pub storage_pool_usages: Option<Vec<PoolUsage>>,
    /// LXD members by state such as `Online`, `Offline`, `Evacuated`, `Blocked`.
    pub member_statuses: Option<Vec<StatusCount>>,
    /// Instances of all projects by state such as `Running`, `Stopped`, `Frozen`, `Error`;
    /// `None` (null) without instances.
    pub instance_statuses: Option<Vec<StatusCount>>,
    /// Metrics of each member that could be read; `None` (null) without any.
    pub server_metrics: Option<Vec<ServerMetrics>>,
    /// URL of the first LXD cluster member.
    pub ui_url: String,
}

/// How many members or instances are in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCount {
    /// The state in LXD's or Ceph's word.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// Use of one storage pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolUsage {
    /// Name of the pool: `local` or `remote`.
    pub name: String,
    /// The member that has it, empty for a remote pool.
    pub member: String,
    /// Bytes.
    pub total: u64,
    /// Bytes in use.
    pub usage: u64,
}

/// The text of one member's metrics endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetrics {
    /// Name of the member.
    pub member: String,
    /// LXD's text form, closed by `# EOF`.
    pub metrics: String,
    /// Always `LXD`.
    pub service: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimal_heartbeat_keeps_its_nulls_and_key_order() {
        let text = include_str!("../../examples/heartbeat-minimal-nulls.json");
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.ceph_statuses, None);
        let ours = serde_json::to_string(&status).unwrap();
        let compact: String = text.split_whitespace().collect();
        assert_eq!(ours, compact);
    }

    #[test]
    fn large_heartbeats_come_back_as_the_same_json_text() {
        for text in [
            include_str!("../../examples/heartbeat-3-members.json"),
            include_str!("../../examples/heartbeat-50-members.json"),
        ] {
            let status: Status = serde_json::from_str(text).unwrap();
            assert!(status.server_metrics.as_ref().is_some_and(|metrics| !metrics.is_empty()));
            // One example is indented by two blanks, the other one is compact.
            let indented = text.starts_with("{\n");
            let write = if indented { serde_json::to_string_pretty } else { serde_json::to_string };
            assert!(write(&status).unwrap() == text.trim_end(), "the JSON text changed");
        }
    }
}
