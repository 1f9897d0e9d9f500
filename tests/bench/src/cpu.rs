//! CPU time and memory of processes, as the kernel counts them in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::Error;

/// Ticks per second of the times in `/proc/<pid>/stat`: 100 on every architecture that Linux runs on today.
const TICKS_PER_SECOND: u64 = 100;

/// One process as `/proc/<pid>/stat` shows it (`proc_pid_stat(5)`).
struct Stat {
    parent: u32,
    /// User and system time of the process.
    own: Duration,
    /// The same of its children that have ended and were waited for.
    ended_children: Duration,
}

impl Stat {
    fn read(pid: u32) -> Result<Self, Error> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the program's name in brackets; it may hold spaces and brackets.
        let (_, fields) = text.rsplit_once(')').ok_or("unknown form of /proc/<pid>/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| -> Result<u64, Error> {
            Ok(fields.get(field - 3).ok_or("unknown form of /proc/<pid>/stat")?.parse()?)
        };
        let time = |first: u64, second: u64| {
            Duration::from_millis((first + second) * 1000 / TICKS_PER_SECOND)
        };
        Ok(Self {
            parent: u32::try_from(number(4)?)?,
            own: time(number(14)?, number(15)?),
            ended_children: time(number(16)?, number(17)?),
        })
    }
}

/// The CPU time of one process.
pub(crate) fn of_process(pid: u32) -> Result<Duration, Error> {
    Ok(Stat::read(pid)?.own)
}

/// The CPU time of a process, of its children and of those that have ended: what a whole PostgreSQL server has used.
pub(crate) fn of_family(pid: u32) -> Result<Duration, Error> {
    let stats = all();
    let head = Stat::read(pid)?;
    let children: Duration =
        stats.values().filter(|stat| stat.parent == pid).map(|stat| stat.own).sum();
    Ok(head.own + head.ended_children + children)
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Result<u32, Error> {
    Ok(Stat::read(pid)?.parent)
}

/// All processes; those that end meanwhile are left out.
fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid).ok()?))).collect()
}

/// Resident memory of a process in bytes: now, and the most that it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory, Error> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = |name: &str| -> Result<u64, Error> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kibibytes: u64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    };
    Ok(Memory { now: value("VmRSS")?, most: value("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_and_memory_can_be_read() {
        let pid = std::process::id();
        let busy = std::hint::black_box((0..50_000_000_u64).fold(0, |a, b| a ^ (b.rotate_left(7))));
        assert_ne!(busy, 1);
        assert!(of_process(pid).unwrap() > Duration::ZERO);
        assert!(of_family(pid).unwrap() >= of_process(pid).unwrap());
        assert!(parent(pid).unwrap() > 0);
        let memory = memory(pid).unwrap();
        assert!(memory.now > 100_000 && memory.most >= memory.now);
    }
}
