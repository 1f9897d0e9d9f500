//! Ways in which a simulated cluster can be unwell.

use std::collections::HashMap;

use crate::random::{between, mix, mix_text};

/// What is wrong with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It stops reporting after this many heartbeats; with 0 it never reports after its join.
    Silent {
        /// Heartbeats that it still sends.
        after_heartbeats: u64,
    },
    /// Instances in `Error`, a member `Offline` if there are several, a Ceph member not `ONLINE`.
    Errors,
    /// A storage pool is more than 80 % full.
    LowDisk,
    /// More than 80 % of the memory is in use.
    HighMemory,
}

/// How many clusters of a fleet have which failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailureShares {
    /// Clusters that stop reporting; every second one never reports at all.
    pub silent: usize,
    /// Clusters with errors.
    pub errors: usize,
    /// Clusters with a full pool.
    pub low_disk: usize,
    /// Clusters with little free memory.
    pub high_memory: usize,
}

impl FailureShares {
    /// How many clusters have a failure in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.silent + self.errors + self.low_disk + self.high_memory
    }

    /// Chooses which of `names` fail and how: at most one failure for each. The choice depends on
    /// the seed and the set of names only, not on their order. If more failures are asked for than
    /// there are names, the last kinds come short.
    #[must_use]
    pub fn assign<'a>(
        &self,
        seed: u64,
        names: impl IntoIterator<Item = &'a str>,
    ) -> HashMap<String, Failure> {
        let mut ranked: Vec<_> =
            names.into_iter().map(|name| (mix_text(mix(seed, 0xfa11), name), name)).collect();
        ranked.sort_unstable();
        ranked.dedup();
        let silent = (0..self.silent).map(|index| Failure::Silent {
            after_heartbeats: if index % 2 == 0 {
                0
            } else {
                between(mix(seed, u64::try_from(index).unwrap_or_default()), 1, 3)
            },
        });
        let failures = silent
            .chain(std::iter::repeat_n(Failure::Errors, self.errors))
            .chain(std::iter::repeat_n(Failure::LowDisk, self.low_disk))
            .chain(std::iter::repeat_n(Failure::HighMemory, self.high_memory));
        ranked.into_iter().map(|(_, name)| name.to_owned()).zip(failures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::Site;

    #[test]
    fn failures_are_chosen_by_seed_in_the_numbers_asked_for() {
        let names: Vec<_> = Site::first(40).map(|site| site.name).collect();
        let shares = FailureShares { silent: 4, errors: 3, low_disk: 2, high_memory: 1 };
        let chosen = shares.assign(1, names.iter().map(String::as_str));
        assert_eq!(chosen.len(), shares.total());
        let count = |wanted: fn(&Failure) -> bool| chosen.values().filter(|f| wanted(f)).count();
        assert_eq!(count(|f| matches!(f, Failure::Silent { .. })), 4);
        assert_eq!(count(|f| matches!(f, Failure::Silent { after_heartbeats: 0 })), 2);
        assert_eq!(count(|f| *f == Failure::Errors), 3);
        assert_eq!(count(|f| *f == Failure::LowDisk), 2);
        assert_eq!(count(|f| *f == Failure::HighMemory), 1);
        assert_eq!(chosen, shares.assign(1, names.iter().rev().map(String::as_str)));
        assert_ne!(chosen, shares.assign(2, names.iter().map(String::as_str)));
    }
}
