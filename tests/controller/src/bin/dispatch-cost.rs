//! What the charm costs, part of `./dev bench`: `dispatch-cost DISPATCH HOOK_TOOL`. Ends with 1 if it costs more than it may.

#![expect(clippy::unwrap_used, reason = "a measurement that meets something unexpected ends there")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use controller::{Authority, Controller, Cost, Remote, Runner, cost_of_starting_a_tool};
use ops::Event;
use serde_json::json;

/// Runs of one measurement.
const RUNS: usize = 50;
/// Most that a run with nothing to change may take of a processor, the starts of hook tools excluded.
const CPU: Duration = Duration::from_millis(5);
/// Most memory that it may have, in KiB.
const MEMORY_KIB: u64 = 10 * 1024;
/// Longest time from the first hook to a status that is active, with everything that the charm needs related at once.
const DEPLOYMENT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(dispatch), Some(hook_tool)) = (args.next(), args.next()) else {
        eprintln!("error: say what to measure: dispatch-cost DISPATCH HOOK_TOOL");
        return ExitCode::from(2);
    };
    // Each is started in a folder of its own.
    let [dispatch, hook_tool] =
        [dispatch, hook_tool].map(|path| std::fs::canonicalize(path).unwrap());
    let runner = Runner::with(dispatch, hook_tool.clone());
    let mut juju = Controller::new(runner);
    let began = Instant::now();
    juju.deploy(&[
        ("management-api-domain", json!("manager.example.com")),
        ("cluster-connector-domain", json!("clusters.example.com")),
        ("oidc-issuer", json!("https://login.example.com")),
        ("oidc-client-id", json!("mcm")),
    ]);
    juju.integrate("database", Remote::postgresql("db:5432", "user", "password", 1));
    juju.integrate("certificates", Authority::default().charm());
    let deployment = began.elapsed();
    assert_eq!(juju.status(0), "active: ");
    let hooks = juju.calls.len();
    juju.calls.clear();
    juju.costs.clear();
    for _ in 0..RUNS {
        juju.dispatch(0, Event::UpdateStatus);
    }
    let tools = juju.calls.iter().map(|(_, calls)| *calls).max().unwrap();
    let mut costs: Vec<Cost> = juju.costs.clone();
    costs.sort_by_key(|cost| cost.cpu);
    let whole = costs.get(RUNS / 2).unwrap().cpu;
    // Starting a program is the kernel's work, and most of what a hook does.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&hook_tool, folder.path().join("is-leader")).unwrap();
    let starting = cost_of_starting_a_tool(folder.path());
    let own = whole.saturating_sub(starting * u32::try_from(tools).unwrap());
    let memory = costs.iter().map(|cost| cost.memory_kib).max().unwrap();
    println!("hook with nothing to change  {own:>9.1?} of a processor (may be {CPU:?})");
    println!("                             {memory:>6} KiB of memory (may be {MEMORY_KIB})");
    println!(
        "                             {tools:>6} hook tools, {starting:.2?} to start each, {whole:.1?} with that"
    );
    println!(
        "install to active            {deployment:>9.1?}, {hooks} hooks (may be {DEPLOYMENT:?})"
    );
    if own <= CPU && memory <= MEMORY_KIB && deployment <= DEPLOYMENT {
        ExitCode::SUCCESS
    } else {
        eprintln!("error: the charm costs more than it may");
        ExitCode::FAILURE
    }
}
