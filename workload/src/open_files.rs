//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Asks the system for as many as it ever grants, and says how many that is.
///
/// Programs start with a soft limit of 1,024 on many systems, for the sake of those that count in bits of a fixed width; after an
/// outage ten times as many clusters come back at once.
pub(crate) fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = &raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // No value stands for no limit.
    let granted = if raised.is_ok() { maximum } else { current };
    granted.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// How many of `wanted` connections a listener may have with so many open files: a quarter of these is for the database, probes, other
/// units and receivers of metrics. Who finds none left waits in the kernel, and nothing else fails.
#[must_use]
pub(crate) fn connections(wanted: usize, files: usize) -> usize {
    let room = files.saturating_sub(files / 4).max(1);
    if room < wanted {
        tracing::warn!(
            files,
            connections = room,
            "the system lets this process have {files} open files: it takes {room} connections at a time, not {wanted}"
        );
    }
    wanted.min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_the_system_grants() {
        let files = raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(raise_limit(), files);
    }

    #[test]
    fn a_quarter_of_few_files_is_left_for_the_rest() {
        assert_eq!(connections(30_000, 1 << 20), 30_000);
        assert_eq!(connections(30_000, 1024), 768);
        assert_eq!(connections(2000, usize::MAX), 2000);
        assert_eq!(connections(2000, 0), 1);
    }
}
