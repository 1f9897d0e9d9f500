//! What a run of the charm's program costs by itself, without the hook tools that it starts.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use ops::{HookTools as _, ProcessTools, Tool};

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Time on a processor, that of the kernel for the program included.
    pub cpu: Duration,
    /// Most memory, in KiB, when a hook tool was last called: close to the end of every run.
    pub memory_kib: u64,
}

/// Most memory that a running process has had so far, in KiB.
pub(crate) fn memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The time on a processor of a child that has ended and that nobody has waited for yet. The kernel counts the time of children
/// of its own elsewhere.
pub(crate) fn cpu(child: &Child) -> Option<Duration> {
    let pid = child.id();
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain anything.
        if stat.rsplit_once(')')?.1.trim_start().starts_with('Z') {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    cpu_of(&pid.to_string())
}

/// The time on a processor of the first thread of a process: its number, or `self`.
fn cpu_of(process: &str) -> Option<Duration> {
    let schedule = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    schedule.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// What it costs to start a hook tool and to read what it says, without what the tool itself does. To be called by the first
/// thread of a program; `folder` has the tools.
#[must_use]
pub fn cost_of_starting_a_tool(folder: &Path) -> Duration {
    const TIMES: u32 = 200;
    let tools = ProcessTools::in_folder(folder.to_owned());
    let before = cpu_of("self").unwrap();
    for _ in 0..TIMES {
        // There is no controller that it could reach.
        assert!(tools.call(Tool::IsLeader, &["--format=json"], None).is_err());
    }
    cpu_of("self").unwrap().saturating_sub(before) / TIMES
}
