//! The instances of one member: few hours apart one is created, stopped or removed.

use super::{ClusterModel, HOUR_S};
use crate::failure::Failure;
use crate::random::{between, mix, pick, stepwise, unit};

const SALT: u64 = 100;

/// State of an instance in LXD's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Stopped,
    Frozen,
    Error,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(super) seed: u64,
    pub(super) member: u64,
    pub(crate) name: String,
    pub(crate) project: &'static str,
    pub(crate) virtual_machine: bool,
    pub(super) cpus: u64,
    pub(crate) state: State,
}

impl ClusterModel {
    pub(super) fn instances_of(&self, member: u64, at_s: f64) -> Vec<Instance> {
        let errors = self.has(Failure::Errors);
        if self.empty && !errors {
            return Vec::new();
        }
        let seed = mix(self.member_seed(member), SALT);
        let places = pick(seed, &[1, 2, 2, 3, 3, 4, 5, 8]);
        // With errors, the first instance of the first member and of every third one is broken.
        let broken = |place: u64| errors && place == 0 && member.is_multiple_of(3);
        (0..places)
            .map(|place| (place, mix(seed, place)))
            .filter(|(place, seed)| {
                broken(*place) || unit(stepwise(mix(*seed, 1), at_s, 7.0 * HOUR_S)) >= 0.05
            })
            .map(|(place, seed)| {
                let role = pick(seed, &["web", "db", "cache", "mq", "ci", "mon", "git", "dns"]);
                Instance {
                    seed,
                    member,
                    name: format!("{role}{place}-{:02}", member + 1),
                    project: pick(mix(seed, 2), &["default", "default", "shop", "build"]),
                    virtual_machine: unit(mix(seed, 3)) < 0.45,
                    cpus: between(mix(seed, 4), 1, 2),
                    state: if broken(place) { State::Error } else { state(mix(seed, 5), at_s) },
                }
            })
            .collect()
    }
}

fn state(seed: u64, at_s: f64) -> State {
    let level = unit(stepwise(seed, at_s, 5.0 * HOUR_S));
    if level < 0.08 {
        State::Stopped
    } else if level < 0.09 {
        State::Frozen
    } else {
        State::Running
    }
}
