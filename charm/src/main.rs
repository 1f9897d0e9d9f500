//! The charm's `dispatch` program, started by Juju.

use std::path::Path;
use std::process::ExitCode;

use charm::Manager;
use charm::surroundings::Surroundings;
use time::OffsetDateTime;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "where the charm is, as Juju says it")]
    let charm_dir = std::env::var("JUJU_CHARM_DIR").unwrap_or_default();
    let surroundings = Surroundings::here(OffsetDateTime::now_utc(), Path::new(&charm_dir));
    ops::run(&Manager::new(surroundings))
}
