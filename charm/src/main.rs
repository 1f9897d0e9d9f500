//! The charm's `dispatch` program, started by Juju.

use std::process::ExitCode;

use charm::Manager;
use charm::surroundings::Surroundings;
use time::OffsetDateTime;

fn main() -> ExitCode {
    let resolv_conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "this is where the charm reads its environment")]
    let get = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings::new(OffsetDateTime::now_utc(), get, &resolv_conf);
    ops::run(&Manager::new(surroundings))
}
