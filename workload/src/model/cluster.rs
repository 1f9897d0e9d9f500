use time::OffsetDateTime;

use super::{Description, Fingerprint, StatusCount, StoragePoolUsage, UiUrl};

/// What decides whether a cluster is alive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pulse {
    /// When it enrolled.
    pub joined_at: OffsetDateTime,
    /// When it last sent a heartbeat; `None` until the first one.
    pub last_heartbeat_at: Option<OffsetDateTime>,
    /// Moving average of the time between heartbeats, in seconds; 60 until known.
    pub heartbeat_interval_seconds: f32,
}

/// An enrolled cluster with its last heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteCluster {
    /// Number in the database; it is never used again.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// What operators wrote about it.
    pub description: String,
    /// The certificate as PEM.
    pub certificate: String,
    /// The identity of the cluster.
    pub fingerprint: Fingerprint,
    /// Beginning and end of the certificate's validity.
    pub certificate_validity: [OffsetDateTime; 2],
    /// Percentage of a storage pool above which a warning appears; 0: never.
    pub disk_threshold: i16,
    /// Percentage of memory above which a warning appears; 0: never.
    pub memory_threshold: i16,
    /// When it enrolled and when it was last heard of.
    pub pulse: Pulse,
    /// MicroCeph members.
    pub ceph_count: i64,
    /// MicroCeph members by state.
    pub ceph_statuses: Vec<StatusCount>,
    /// Number of CPUs, 0 when unknown.
    pub cpu_total_count: i64,
    /// Load averages over 1, 5 and 15 minutes as text; empty until the first heartbeat.
    pub cpu_load: [String; 3],
    /// Memory in bytes.
    pub memory_total_amount: i64,
    /// Used memory in bytes.
    pub memory_usage: i64,
    /// Storage pools.
    pub storage_pool_usages: Vec<StoragePoolUsage>,
    /// LXD cluster members.
    pub member_count: i64,
    /// LXD cluster members by state.
    pub member_statuses: Vec<StatusCount>,
    /// Instances.
    pub instance_count: i64,
    /// Instances by state.
    pub instance_statuses: Vec<StatusCount>,
    /// Address of the cluster's own web UI as the cluster reports it, or empty.
    pub ui_url: String,
    /// Where operators want the link to lead instead, or empty.
    pub ui_url_override: String,
    /// When it enrolled or an operator last changed it.
    pub updated_at: OffsetDateTime,
    /// Whether a unit holds its tunnel.
    pub tunnel_registered: bool,
}

impl RemoteCluster {
    /// Where the link to the cluster's own web UI leads; empty: nowhere.
    #[must_use]
    pub fn ui_link(&self) -> &str {
        if self.ui_url_override.is_empty() { &self.ui_url } else { &self.ui_url_override }
    }
}

/// A warning threshold in percent, 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold(i16);

impl Threshold {
    /// `Some` for 1 to 100.
    #[must_use]
    pub fn new(percent: i64) -> Option<Self> {
        i16::try_from(percent).ok().filter(|percent| (1..=100).contains(percent)).map(Self)
    }

    /// The threshold in percent.
    #[must_use]
    pub fn percent(self) -> i16 {
        self.0
    }
}

/// What an operator changes about a cluster; `None` leaves a value as it is.
#[derive(Debug, Clone, Default)]
pub struct ClusterChanges {
    /// New description.
    pub description: Option<Description>,
    /// New disk threshold.
    pub disk_threshold: Option<Threshold>,
    /// New memory threshold.
    pub memory_threshold: Option<Threshold>,
    /// New address for the link to the cluster's own web UI; empty: the one that the cluster reports.
    pub ui_url_override: Option<UiUrl>,
}

impl ClusterChanges {
    /// Whether everything stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { description, disk_threshold, memory_threshold, ui_url_override } = self;
        description.is_none()
            && disk_threshold.is_none()
            && memory_threshold.is_none()
            && ui_url_override.is_none()
    }
}
