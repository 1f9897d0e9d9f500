//! An in-memory Juju for tests (feature `testing`).
//!
//! [`State`] says how the model stands; [`MemoryTools`] answers hook tools from it and collects
//! what the charm writes. Writes that Juju delays to the end of the hook are delayed here too:
//! [`MemoryTools::commit`] applies them, [`MemoryTools::discard`] drops them as a failed hook does.
//! [`Harness`] runs a charm for one event and holds state and outcome against the metadata, as
//! Juju would. [`FakePebble`] is a container, on a real socket.

mod args;
mod environment;
mod harness;
mod memory;
mod meta;
mod pebble;
mod secrets;
mod state;

pub use environment::{event_environment, hook_environment};
pub use harness::{Harness, Outcome};
pub use memory::MemoryTools;
pub use meta::{ActionMeta, ConfigMeta, EndpointMeta, Inconsistent, Meta, OptionMeta};
pub use pebble::{FakeExec, FakePebble};
pub use state::{RelationState, SecretOwner, SecretState, State};
