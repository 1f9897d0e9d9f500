//! The simulator against a small TLS server that writes down what comes over the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail the test"
)]
#![allow(clippy::doc_markdown, reason = "MicroCloud is the name of a product, not of an item")]

mod cli;
mod fleet;
mod server;
mod wire;
