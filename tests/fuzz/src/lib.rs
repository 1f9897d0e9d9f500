//! Fuzz targets for the bytes that clusters send to the Cluster Connector.
//!
//! A [`Target`] takes any bytes and says what it found wrong: not only panics, but every answer that a second implementation,
//! a slow reference or a rule of the protocol contradicts. [`Campaign`] feeds it with the files of `corpus/<target>` and with
//! random changes of them. It needs nothing but the stable toolchain: instead of the compiler's coverage counters it is guided
//! by *behaviours*, short words in which each target sums up what it did with an input. An input that shows a new behaviour
//! is kept and changed further.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness that fails ends the run, and a panic says where; panics of the code under test are caught"
)]

mod campaign;
mod corpus;
mod mutate;
mod targets;

pub use campaign::{Campaign, Finding};
pub use corpus::Corpus;
pub use targets::all;

/// What a target did with an input, in short words; or what is wrong.
pub type Verdict = Result<String, String>;

/// Runs one input; it may keep what it needs for the next one, such as a server.
pub type Check = Box<dyn FnMut(&[u8]) -> Verdict>;

/// One kind of bytes and what must hold for it.
pub struct Target {
    /// Names the target and the folder of its corpus.
    pub name: &'static str,
    /// Pieces from which its language is made; changes insert them.
    pub dictionary: &'static [&'static str],
    /// Longest input in bytes.
    pub max_bytes: usize,
    /// Changes in the run that belongs to every test run.
    pub changes: u32,
    /// Runs one input.
    pub check: Check,
}
