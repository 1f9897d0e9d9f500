//! The state of one simulated MicroCloud: a pure function of a seed and the time, so that it costs
//! a few dozen bytes per cluster, survives restarts and is the same in every run.

mod instances;
mod metrics;

use time::OffsetDateTime;

use crate::failure::Failure;
use crate::random::{between, float, mix, mix_text, pick, unit, wave, whole};
use crate::status::{PoolUsage, ServerMetrics, Status, StatusCount};
pub(crate) use instances::{Instance, State};

const GIB: u64 = 1 << 30;
const HOUR_S: f64 = 3600.0;

/// Marks for the parts of the state, so that each has numbers of its own.
mod salt {
    pub(super) const MEMBERS: u64 = 1;
    pub(super) const CEPH: u64 = 2;
    pub(super) const MEMORY: u64 = 3;
    pub(super) const CPUS: u64 = 4;
    pub(super) const DISK: u64 = 5;
    pub(super) const EMPTY: u64 = 6;
    pub(super) const LETTER: u64 = 7;
    pub(super) const NETWORK: u64 = 8;
    pub(super) const VICTIM: u64 = 9;
    pub(super) const EVACUATED: u64 = 10;
    pub(super) const ORDER: u64 = 11;
    pub(super) const REMOTE_POOL: u64 = 12;
    pub(super) const FIRST_MEMBER: u64 = 1000;
}

/// One MicroCloud of 1 to 50 members, most of them 3 to 9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterModel {
    seed: u64,
    host_prefix: Box<str>,
    members: u64,
    ceph: bool,
    empty: bool,
    memory_per_member: u64,
    cpus_per_member: u64,
    disk_per_member: u64,
    failure: Option<Failure>,
    metrics: bool,
}

impl ClusterModel {
    /// The cluster called `name` in the world of `seed`: healthy, with metrics.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let seed = mix_text(seed, name);
        let members = member_count(mix(seed, salt::MEMBERS));
        let prefix: String =
            name.chars().take_while(char::is_ascii_alphanumeric).take(20).collect();
        let prefix = if prefix.is_empty() { "micro".to_owned() } else { prefix };
        let letter = pick(mix(seed, salt::LETTER), b"abcdefghkmnprstw");
        Self {
            seed,
            host_prefix: format!("{}-{}", prefix.to_ascii_lowercase(), char::from(letter)).into(),
            members,
            ceph: members >= 3 && unit(mix(seed, salt::CEPH)) < 0.75,
            empty: unit(mix(seed, salt::EMPTY)) < 0.03,
            memory_per_member: pick(mix(seed, salt::MEMORY), &[32, 64, 64, 128, 128, 256, 512])
                * GIB,
            cpus_per_member: pick(mix(seed, salt::CPUS), &[4, 8, 16, 16, 32]),
            disk_per_member: pick(
                mix(seed, salt::DISK),
                &[960_197_124_096, 1_920_383_410_176, 1_920_383_410_176, 3_840_755_982_336],
            ),
            failure: None,
            metrics: true,
        }
    }

    /// The same cluster with something wrong, or healthy again.
    #[must_use]
    pub fn with_failure(mut self, failure: Option<Failure>) -> Self {
        self.failure = failure;
        self
    }

    /// The same cluster with or without LXD's metrics in its reports. They are most of a
    /// heartbeat's size: several KiB per instance.
    #[must_use]
    pub fn with_metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// What is wrong with the cluster.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Number of members.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.members
    }

    /// Name of the first member, `lyon-a01` for example: LXD writes it into the certificate.
    #[must_use]
    pub fn first_host(&self) -> String {
        self.host(0)
    }

    /// The report that the cluster makes at this moment.
    #[must_use]
    pub fn status(&self, now: OffsetDateTime) -> Status {
        let at_s = seconds(now);
        let reachable: Vec<u64> = (0..self.members).filter(|m| !self.is_offline(*m)).collect();
        let instances: Vec<Instance> =
            (0..self.members).flat_map(|member| self.instances_of(member, at_s)).collect();
        let memory_total = self.memory_per_member * u64::try_from(reachable.len()).unwrap_or(0);
        let memory_usage: u64 = reachable.iter().map(|m| self.memory_usage(*m, at_s)).sum();
        let order = mix(mix(self.seed, salt::ORDER), whole(at_s));
        Status {
            ceph_statuses: self.ceph.then(|| shuffled(order, self.ceph_statuses())),
            cpu_total_count: 0,
            cpu_load_1: self.load(&reachable, at_s, 60.0),
            cpu_load_5: self.load(&reachable, at_s, 300.0),
            cpu_load_15: self.load(&reachable, at_s, 900.0),
            memory_total_amount: signed(memory_total),
            memory_usage: signed(memory_usage),
            storage_pool_usages: Some(shuffled(order, self.pools(&reachable, at_s))),
            member_statuses: Some(shuffled(order, self.member_statuses(at_s))),
            instance_statuses: instance_statuses(&instances)
                .map(|statuses| shuffled(order, statuses)),
            server_metrics: self.metrics.then(|| self.server_metrics(&reachable, &instances, at_s)),
            ui_url: self.ui_url(),
        }
    }

    /// Names of the members with their states at this moment, in LXD's words.
    pub(crate) fn hosts(&self, now: OffsetDateTime) -> Vec<(String, &'static str)> {
        let at_s = seconds(now);
        let state = |member| {
            if self.is_offline(member) {
                "Offline"
            } else if self.is_evacuated(member, at_s) {
                "Evacuated"
            } else {
                "Online"
            }
        };
        (0..self.members).map(|member| (self.host(member), state(member))).collect()
    }

    /// The instances at this moment, each with the name of its member.
    pub(crate) fn instances(&self, now: OffsetDateTime) -> Vec<(Instance, String)> {
        let of = |member| {
            let instances = self.instances_of(member, seconds(now));
            instances.into_iter().map(move |instance| (instance, self.host(member)))
        };
        (0..self.members).flat_map(of).collect()
    }

    fn host(&self, member: u64) -> String {
        format!("{}{:02}", self.host_prefix, member + 1)
    }

    fn member_seed(&self, member: u64) -> u64 {
        mix(self.seed, salt::FIRST_MEMBER + member)
    }

    fn has(&self, failure: Failure) -> bool {
        self.failure == Some(failure)
    }

    /// The member that a failure of a single member hits. Never the first one of several, which
    /// sends the reports.
    fn victim(&self) -> u64 {
        if self.members == 1 {
            0
        } else {
            between(mix(self.seed, salt::VICTIM), 1, self.members - 1)
        }
    }

    fn is_offline(&self, member: u64) -> bool {
        self.has(Failure::Errors) && self.members > 1 && member == self.victim()
    }

    fn is_evacuated(&self, member: u64, at_s: f64) -> bool {
        let seed = mix(self.member_seed(member), salt::EVACUATED);
        member > 0 && unit(crate::random::stepwise(seed, at_s, 6.0 * HOUR_S)) < 0.01
    }

    fn member_statuses(&self, at_s: f64) -> Vec<StatusCount> {
        let (mut online, mut offline, mut evacuated) = (0, 0, 0);
        for member in 0..self.members {
            if self.is_offline(member) {
                offline += 1;
            } else if self.is_evacuated(member, at_s) {
                evacuated += 1;
            } else {
                online += 1;
            }
        }
        counts(&[("Online", online), ("Evacuated", evacuated), ("Offline", offline)])
    }

    fn ceph_statuses(&self) -> Vec<StatusCount> {
        let down = i64::from(self.has(Failure::Errors));
        counts(&[("ONLINE", signed(self.members) - down), ("OFFLINE", down)])
    }

    fn memory_usage(&self, member: u64, at_s: f64) -> u64 {
        let seed = mix(self.member_seed(member), salt::MEMORY);
        let (floor, span) = if self.has(Failure::HighMemory) { (0.86, 0.09) } else { (0.2, 0.5) };
        whole(float(self.memory_per_member) * (floor + span * wave(seed, at_s, 2.0 * HOUR_S)))
    }

    /// Sum of the members' load averages over `window_s`, as text with two decimals.
    fn load(&self, reachable: &[u64], at_s: f64, window_s: f64) -> String {
        const SAMPLES: u32 = 6;
        let mut sum = 0.0;
        for member in reachable {
            let seed = mix(self.member_seed(*member), salt::CPUS);
            for sample in 0..SAMPLES {
                let then = at_s - window_s * f64::from(sample) / f64::from(SAMPLES);
                let trend = wave(seed, then, 4.0 * HOUR_S);
                let noise = wave(mix(seed, 1), then, 90.0);
                sum += 0.01 + 0.25 * trend * (0.5 + noise);
            }
        }
        format!("{:.2}", sum * float(self.cpus_per_member) / f64::from(SAMPLES))
    }

    fn pools(&self, reachable: &[u64], at_s: f64) -> Vec<PoolUsage> {
        let low = self.has(Failure::LowDisk);
        let mut pools: Vec<PoolUsage> = reachable
            .iter()
            .map(|member| PoolUsage {
                name: "local".into(),
                member: self.host(*member),
                total: self.disk_per_member,
                usage: pool_usage(
                    mix(self.member_seed(*member), salt::DISK),
                    self.disk_per_member,
                    at_s,
                    low && !self.ceph && *member == self.victim(),
                ),
            })
            .collect();
        if self.ceph {
            let total = self.disk_per_member * self.members;
            let usage = pool_usage(mix(self.seed, salt::REMOTE_POOL), total, at_s, low);
            pools.push(PoolUsage { name: "remote".into(), member: String::new(), total, usage });
        }
        pools
    }

    fn server_metrics(
        &self,
        reachable: &[u64],
        instances: &[Instance],
        at_s: f64,
    ) -> Vec<ServerMetrics> {
        reachable
            .iter()
            .map(|member| ServerMetrics {
                member: self.host(*member),
                metrics: metrics::text(
                    self.member_seed(*member),
                    instances.iter().filter(|instance| instance.member == *member),
                    at_s,
                ),
                service: "LXD".into(),
            })
            .collect()
    }

    fn ui_url(&self) -> String {
        let hash = mix(self.seed, salt::NETWORK);
        format!("https://10.{}.{}.11:8443", between(hash, 1, 250), between(hash >> 16, 0, 250))
    }
}

/// 1 to 50 members; four clusters of five have 3 to 9.
fn member_count(hash: u64) -> u64 {
    let size = hash >> 32;
    match hash % 100 {
        0..6 => 1,
        6..10 => 2,
        10..36 => 3,
        36..52 => 4,
        52..66 => 5,
        66..90 => between(size, 6, 9),
        90..98 => between(size, 10, 20),
        _ => between(size, 21, 50),
    }
}

/// Pools fill over weeks and are cleaned now and then; a healthy one stays below 75 %.
fn pool_usage(seed: u64, total: u64, at_s: f64, low_disk: bool) -> u64 {
    let level = if low_disk {
        0.84 + 0.1 * wave(seed, at_s, 12.0 * HOUR_S)
    } else {
        0.05 + 0.6 * wave(seed, at_s, 24.0 * 20.0 * HOUR_S)
            + 0.1 * wave(mix(seed, 1), at_s, 3.0 * HOUR_S)
    };
    whole(float(total) * level)
}

fn instance_statuses(instances: &[Instance]) -> Option<Vec<StatusCount>> {
    let count = |state| {
        let matching = instances.iter().filter(|instance| instance.state == state).count();
        i64::try_from(matching).unwrap_or(i64::MAX)
    };
    let found = counts(&[
        ("Running", count(State::Running)),
        ("Stopped", count(State::Stopped)),
        ("Frozen", count(State::Frozen)),
        ("Error", count(State::Error)),
    ]);
    (!found.is_empty()).then_some(found)
}

/// The states that occur, as members list them: those with no member or instance are left out.
fn counts(states: &[(&str, i64)]) -> Vec<StatusCount> {
    states
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| StatusCount { status: (*status).to_owned(), count: *count })
        .collect()
}

/// Members send these lists in an order that changes from report to report.
fn shuffled<T>(seed: u64, mut list: Vec<T>) -> Vec<T> {
    for last in (1..list.len()).rev() {
        let salt = u64::try_from(last).unwrap_or_default();
        let other = usize::try_from(between(mix(seed, salt), 0, salt)).unwrap_or_default();
        list.swap(last, other);
    }
    list
}

/// Seconds since 1970.
fn seconds(now: OffsetDateTime) -> f64 {
    let milliseconds = now.unix_timestamp_nanos() / 1_000_000;
    float(u64::try_from(milliseconds).unwrap_or_default()) / 1000.0
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
