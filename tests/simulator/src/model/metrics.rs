//! LXD's metrics text of one member: counters grow, gauges move, values in Go's shortest form.

use std::fmt::Write as _;

use super::instances::{Instance, State};
use super::{GIB, HOUR_S};
use crate::random::{between, float, mix, unit, wave, whole};

const ENTITIES: [&str; 6] = ["image", "instance", "network", "operation", "server", "storage_pool"];
/// Share of a CPU's time per mode; the remainder is idle time.
const MODES: [(&str, f64); 8] = [
    ("idle", 0.0),
    ("iowait", 0.02),
    ("irq", 0.004),
    ("nice", 0.002),
    ("softirq", 0.006),
    ("steal", 0.003),
    ("system", 0.05),
    ("user", 0.12),
];

/// Writes families one after the other.
struct Writer {
    out: String,
    at_s: f64,
}

/// An instance that runs, with its labels written out.
struct Series {
    seed: u64,
    labels: String,
    cpus: u64,
    age_s: f64,
}

/// The text of the member whose numbers come from `seed`.
pub(super) fn text<'a>(
    seed: u64,
    instances: impl Iterator<Item = &'a Instance> + Clone,
    at_s: f64,
) -> String {
    let running: Vec<Series> = instances
        .clone()
        .filter(|instance| instance.state == State::Running)
        .map(|instance| Series {
            seed: instance.seed,
            labels: format!(
                "name=\"{}\",project=\"{}\",type=\"{}\"",
                instance.name,
                instance.project,
                kind(instance)
            ),
            cpus: instance.cpus,
            age_s: age(instance.seed, at_s),
        })
        .collect();
    let mut writer = Writer { out: String::with_capacity(4096 + 3000 * running.len()), at_s };
    let uptime_s = age(seed, at_s);
    writer.api(seed, uptime_s);
    writer.cpus(&running);
    writer.disks(&running);
    writer.daemon_memory(seed);
    writer.memory(&running);
    writer.network(&running);
    writer.daemon(seed, uptime_s, &running);
    writer.instances(instances);
    writer.out.push_str("# EOF\n");
    writer.out
}

fn kind(instance: &Instance) -> &'static str {
    if instance.virtual_machine { "virtual-machine" } else { "container" }
}

/// Seconds since the last restart; the next one comes after 30 to 90 days.
fn age(seed: u64, at_s: f64) -> f64 {
    let life_s = 24.0 * HOUR_S * float(between(mix(seed, 20), 30, 90));
    (at_s + life_s * unit(mix(seed, 21))).rem_euclid(life_s)
}

/// A counter that grows by `rate` per second on average, now faster, now slower, never backwards.
fn grown(seed: u64, rate: f64, age_s: f64) -> f64 {
    let turn = age_s / 300.0 + 6.0 * unit(seed);
    rate * (age_s + 150.0 * (1.0 + turn.sin()))
}

impl Writer {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        self.out.push_str(name);
        if !labels.is_empty() {
            let _ = write!(self.out, "{{{labels}}}");
        }
        self.out.push(' ');
        push_go_float(&mut self.out, value);
        self.out.push('\n');
    }

    /// A family with one sample per running instance.
    fn per_instance(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        prefix: &str,
        running: &[Series],
        value: impl Fn(&Series, f64) -> f64,
    ) {
        self.family(name, kind, help);
        for series in running {
            let labels = format!("{prefix}{}", series.labels);
            self.sample(name, &labels, value(series, self.at_s));
        }
    }

    fn api(&mut self, seed: u64, uptime_s: f64) {
        let name = "lxd_api_requests_completed_total";
        self.family(name, "counter", "Completed API requests.");
        for (number, entity) in (30..).zip(ENTITIES) {
            let seed = mix(seed, number);
            let per_s = 0.02 + 0.3 * unit(seed);
            for (result, share) in
                [("error_client", 0.001), ("error_server", 0.0003), ("succeeded", 1.0)]
            {
                let labels = format!("entity_type=\"{entity}\",result=\"{result}\"");
                self.sample(name, &labels, grown(seed, per_s * share, uptime_s).floor());
            }
        }
        let name = "lxd_api_requests_ongoing";
        self.family(name, "gauge", "API requests in flight.");
        for (number, entity) in (40..).zip(ENTITIES) {
            let ongoing = (3.0 * wave(mix(seed, number), self.at_s, 120.0)).floor();
            self.sample(name, &format!("entity_type=\"{entity}\""), ongoing);
        }
    }

    fn cpus(&mut self, running: &[Series]) {
        let name = "lxd_cpu_seconds_total";
        self.family(name, "counter", "CPU time used in seconds.");
        for series in running {
            for cpu in 0..series.cpus {
                let seed = mix(series.seed, 50 + cpu);
                let busy = 0.2 + 0.8 * unit(seed);
                let used: f64 = MODES.iter().map(|(_, share)| share * busy).sum();
                for (mode, share) in MODES {
                    let rate = if mode == "idle" { 1.0 - used } else { share * busy };
                    let labels = format!("cpu=\"{cpu}\",mode=\"{mode}\",{}", series.labels);
                    let seconds = grown(seed, rate, series.age_s);
                    self.sample(name, &labels, (seconds * 100.0).floor() / 100.0);
                }
            }
        }
        let effective = ("lxd_cpu_effective_total", "gauge", "Effective CPUs.");
        self.per_instance(effective, "", running, |series, _| float(series.cpus));
    }

    fn disks(&mut self, running: &[Series]) {
        for (number, name, help) in [
            (60, "lxd_disk_read_bytes_total", "Bytes read."),
            (61, "lxd_disk_written_bytes_total", "Bytes written."),
        ] {
            self.per_instance((name, "counter", help), "device=\"sda\",", running, |series, _| {
                let seed = mix(series.seed, number);
                grown(seed, 2e5 * unit(seed), series.age_s).floor()
            });
        }
        let prefix = "device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\",";
        let size = 20 * GIB;
        let available = ("lxd_filesystem_avail_bytes", "gauge", "Bytes available to users.");
        self.per_instance(available, prefix, running, |series, at_s| {
            let free = 0.1 + 0.7 * wave(mix(series.seed, 62), at_s, 30.0 * HOUR_S);
            (float(size) * free).floor()
        });
        let total = ("lxd_filesystem_size_bytes", "gauge", "Filesystem size in bytes.");
        self.per_instance(total, prefix, running, |_, _| float(size));
    }

    fn daemon_memory(&mut self, seed: u64) {
        self.family("lxd_go_goroutines", "gauge", "Goroutines.");
        let goroutines = 200.0 + 300.0 * wave(mix(seed, 70), self.at_s, 900.0);
        self.sample("lxd_go_goroutines", "", goroutines.floor());
        self.family("lxd_go_heap_inuse_bytes", "gauge", "Heap bytes in use.");
        let heap = 6e7 + 1e8 * wave(mix(seed, 71), self.at_s, 600.0);
        self.sample("lxd_go_heap_inuse_bytes", "", heap.floor());
    }

    fn memory(&mut self, running: &[Series]) {
        let total = 4 * GIB;
        let available = ("lxd_memory_MemAvailable_bytes", "gauge", "Available memory.");
        self.per_instance(available, "", running, |series, at_s| {
            let free = 0.1 + 0.7 * wave(mix(series.seed, 72), at_s, 1800.0);
            (float(total) * free).floor()
        });
        let limit = ("lxd_memory_MemTotal_bytes", "gauge", "Total memory or limit.");
        self.per_instance(limit, "", running, |_, _| float(total));
        let kills = ("lxd_memory_OOM_kills_total", "counter", "OOM kills.");
        self.per_instance(kills, "", running, |series, _| {
            if unit(mix(series.seed, 73)) < 0.02 { 1.0 } else { 0.0 }
        });
    }

    fn network(&mut self, running: &[Series]) {
        for (number, name, help) in [
            (80, "lxd_network_receive_bytes_total", "Bytes received."),
            (81, "lxd_network_transmit_bytes_total", "Bytes sent."),
        ] {
            self.per_instance((name, "counter", help), "device=\"eth0\",", running, |series, _| {
                let seed = mix(series.seed, number);
                grown(seed, 3e4 * unit(seed), series.age_s).floor()
            });
        }
    }

    fn daemon(&mut self, seed: u64, uptime_s: f64, running: &[Series]) {
        self.family("lxd_operations_total", "counter", "Running operations");
        let operations = (4.0 * wave(mix(seed, 90), self.at_s, 300.0)).floor();
        self.sample("lxd_operations_total", "", operations);
        let processes = ("lxd_procs_total", "gauge", "Running processes.");
        self.per_instance(processes, "", running, |series, at_s| {
            (20.0 + 150.0 * wave(mix(series.seed, 91), at_s, HOUR_S)).floor()
        });
        self.family("lxd_uptime_seconds", "counter", "Daemon uptime in seconds.");
        self.sample("lxd_uptime_seconds", "", float(whole(uptime_s * 1000.0)) / 1000.0);
        self.family("lxd_warnings_total", "counter", "Active warnings.");
        self.sample("lxd_warnings_total", "", float(mix(seed, 92) % 3));
    }

    fn instances<'a>(&mut self, instances: impl Iterator<Item = &'a Instance>) {
        let mut groups = std::collections::BTreeMap::<(&str, &str), u32>::new();
        for instance in instances {
            *groups.entry((instance.project, kind(instance))).or_default() += 1;
        }
        self.family("lxd_instances", "gauge", "Instances.");
        for ((project, kind), count) in groups {
            let labels = format!("project=\"{project}\",type=\"{kind}\"");
            self.sample("lxd_instances", &labels, f64::from(count));
        }
    }
}

/// Writes a value as Go's `strconv` does with format `g` and the fewest digits: an exponent of at
/// least two digits from 10^6 on.
fn push_go_float(out: &mut String, value: f64) {
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        let _ = write!(out, "{value}");
        return;
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (312.0, "312"),
            (63364.12, "63364.12"),
            (259_901.484_533, "259901.484533"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (16_777_216.0, "1.6777216e+07"),
            (46_617_494_050.0, "4.661749405e+10"),
            (0.000_01, "1e-05"),
            (-2.5e300, "-2.5e+300"),
        ] {
            let mut out = String::new();
            push_go_float(&mut out, value);
            assert_eq!(out, text);
        }
    }
}
