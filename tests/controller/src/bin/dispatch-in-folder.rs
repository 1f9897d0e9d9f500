//! The charm for a workload container that is a folder of this machine: `dispatch-in-folder FOLDER ADDRESS`. The same as
//! `dispatch`, but every path in the container begins with the folder, and services listen on the address and not on all.

use std::path::Path;
use std::process::ExitCode;

use charm::Manager;
use charm::surroundings::Surroundings;
use time::OffsetDateTime;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(root), Some(listen)) = (args.next(), args.next()) else {
        eprintln!("error: say where the container is: dispatch-in-folder FOLDER ADDRESS");
        return ExitCode::from(2);
    };
    #[expect(clippy::disallowed_methods, reason = "where the charm is, as Juju says it")]
    let charm_dir = std::env::var("JUJU_CHARM_DIR").unwrap_or_default();
    let here = Surroundings::here(OffsetDateTime::now_utc(), Path::new(&charm_dir));
    ops::run(&Manager::new(Surroundings { root, listen, ..here }))
}
