//! Every sample databag is read and written again, and every reader survives arbitrary bags.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

mod properties;
mod sample;

mod certificates;
mod database;
mod observability;
mod others;
mod routes;
