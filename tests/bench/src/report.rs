//! What was measured, in plain words.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program's result")]

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use crate::connector::Connector;
use crate::cpu::Memory;
use crate::database::Upserts;
use crate::floor::Handshakes;
use crate::load::Done;

/// The machine, and what the columns mean.
pub(crate) fn machine() {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1))
        .unwrap_or("unknown processor")
        .trim()
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    println!("{cores} cores of {model}; load average at the start {load}");
    println!(
        "Clients, connector and PostgreSQL share the machine: rates are lower bounds, latencies are the clients' and"
    );
    println!(
        "include their own work. CPU time is counted by the kernel, per process, and is what to size by."
    );
}

/// TLS without anything else.
pub(crate) fn floor(key: &str, handshakes: &Handshakes) {
    let Handshakes { anonymous, mutual } = *handshakes;
    println!(
        "\nTLS handshakes alone, server key {key}: {} ms anonymous + {} ms with a P-384 client = {} ms",
        ms(anonymous),
        ms(mutual),
        ms(anonymous + mutual)
    );
}

pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

/// The title of a table of loads.
pub(crate) fn heading(text: &str) {
    title(text);
    println!(
        "  {:44}{:>9}{:>8}{:>8}{:>8}   CPU ms per heartbeat",
        "", "per s", "p50 ms", "p95 ms", "p99 ms"
    );
}

/// One load.
pub(crate) fn line(title: &str, done: &Done) {
    let (connector, postgres) = done.cpu();
    let failed = match done.failed {
        0 => String::new(),
        failed => format!("; {failed} FAILED"),
    };
    println!(
        "  {title:44}{:>9.0}{:>8}{:>8}{:>8}   {} connector + {} PostgreSQL = {}{failed}",
        done.per_second(),
        ms1(done.within(0.50)),
        ms1(done.within(0.95)),
        ms1(done.within(0.99)),
        ms(connector),
        ms(postgres),
        ms(connector + postgres),
    );
}

/// What a load takes of the machine for as long as it lasts.
pub(crate) fn cores(done: &Done) {
    let (connector, postgres) = done.cpu();
    let share = |each: Duration| each.as_secs_f64() * done.per_second();
    println!(
        "    which takes {:.3} cores for the connector and {:.3} for PostgreSQL",
        share(connector),
        share(postgres)
    );
}

/// What remains of a heartbeat without its TLS handshakes.
pub(crate) fn above_floor(tls: &Handshakes, done: &Done) {
    let (connector, postgres) = done.cpu();
    let tls = tls.anonymous + tls.mutual;
    let total = connector + postgres;
    println!(
        "    of which TLS handshakes {} ms ({:.0} %), all the rest {} ms; {:.0} heartbeats per second and core",
        ms(tls),
        100.0 * tls.as_secs_f64() / total.as_secs_f64(),
        ms(total.saturating_sub(tls)),
        1.0 / total.as_secs_f64()
    );
}

/// Memory of the connector, and how long it took to be ready.
pub(crate) fn memory(
    clusters: &str,
    connector: &Connector,
    idle: Memory,
    after: Memory,
    took: Duration,
) {
    println!(
        "  (e) resident memory of the connector: {:.1} MiB after its start, {:.1} MiB after {clusters} sent a heartbeat within {:.1} s,\n      {:.1} MiB at most; it was ready {} ms after its start",
        mib(idle.now),
        mib(after.now),
        took.as_secs_f64(),
        mib(after.most),
        ms1(connector.start_time)
    );
}

/// Memory of the connector under large bodies.
pub(crate) fn large_bodies(
    clusters: &str,
    bytes: usize,
    idle: Memory,
    after: Memory,
    took: Duration,
) {
    println!(
        "  {clusters} sent {} kB each within {:.1} s; resident memory of the connector: {:.1} MiB before, {:.1} MiB at most",
        grouped(bytes / 1000),
        took.as_secs_f64(),
        mib(idle.now),
        mib(after.most)
    );
}

/// How many samples one core takes from the text to remote write, from the difference of two loads.
pub(crate) fn samples(count: usize, without: &Done, with: &Done) {
    let (without, with) = (without.cpu().0, with.cpu().0);
    let each = with.saturating_sub(without);
    println!(
        "    {} samples take {} ms more: {:.0} samples per second and core",
        grouped(count),
        ms(each),
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / each.as_secs_f64().max(1e-9)
    );
}

/// A herd is over when its last heartbeat was answered.
pub(crate) fn herd(done: &Done, memory: &Memory) {
    println!(
        "    the last one was answered after {:.1} s; {} failed; the connector took {:.1} MiB at most",
        done.elapsed.as_secs_f64(),
        done.failed,
        mib(memory.most)
    );
    if let Some(failure) = &done.failure {
        println!("    the last failure: {failure}");
    }
}

/// The latencies of a load as ratios to another one's.
pub(crate) fn compared(first: &Done, done: &Done) {
    let ratio =
        |share: f64| done.within(share).as_secs_f64() / first.within(share).as_secs_f64().max(1e-9);
    println!(
        "    compared with the first line: p50 {:.2} times, p99 {:.2} times",
        ratio(0.50),
        ratio(0.99)
    );
}

/// Memory of open tunnels.
pub(crate) fn tunnels(count: usize, took: Duration, idle: Memory, open: Memory) {
    let more = open.now.saturating_sub(idle.now);
    println!(
        "  {} opened within {:.1} s; resident memory of the connector: {:.1} MiB, {:.1} KiB for each tunnel",
        grouped(count),
        took.as_secs_f64(),
        mib(open.now),
        mib(more) * 1024.0 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
    );
}

/// What PostgreSQL did by itself, as a ratio to heartbeats on kept connections.
pub(crate) fn upserts(clients: u32, upserts: &Upserts, kept: &Done) {
    let Upserts { per_second, cpu } = *upserts;
    println!(
        "  {:44}{per_second:>9.0}{:>27}{} PostgreSQL; heartbeats come to {:.2} times that rate, and PostgreSQL takes {:.2} times as long for each",
        format!("(f) upserts by pgbench, {clients} at a time"),
        "",
        ms(cpu),
        kept.per_second() / per_second,
        kept.cpu().1.as_secs_f64() / cpu.as_secs_f64()
    );
}

pub(crate) fn failed(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}

/// `10,000`.
pub(crate) fn grouped(n: impl Display) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn ms(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

fn ms1(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn mib(bytes: u64) -> f64 {
    Duration::from_micros(bytes).as_secs_f64() * 1e6 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(10_000), "10,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert!((mib(64 << 20) - 64.0).abs() < 1e-9);
    }
}
