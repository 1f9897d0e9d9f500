//! An in-memory Juju for tests (feature `testing`).
//!
//! [`State`] says how the model stands; [`MemoryTools`] answers hook tools from it and collects
//! what the charm writes. Writes that Juju delays to the end of the hook are delayed here too:
//! [`MemoryTools::commit`] applies them, [`MemoryTools::discard`] drops them as a failed hook does.

mod memory;
mod state;

pub use memory::MemoryTools;
pub use state::{RelationState, State};

/// The variables that Juju sets for every hook, for the hook `hook` on `unit`.
#[must_use]
pub fn hook_environment(hook: &str, unit: &str) -> Vec<(String, String)> {
    [
        ("JUJU_DISPATCH_PATH", format!("hooks/{hook}").as_str()),
        ("JUJU_HOOK_NAME", hook),
        ("JUJU_UNIT_NAME", unit),
        ("JUJU_MODEL_NAME", "test-model"),
        ("JUJU_MODEL_UUID", "6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4"),
        ("JUJU_VERSION", "3.6.9"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
