//! A whole deployment for tests: a database of its own on the shared PostgreSQL, the real identity provider, the real program
//! as Management API and Cluster Connector, and operators who log in.
//!
//! Everything listens on a loopback address that no other deployment has, so tests run side by side without fixed ports, and
//! ends with the value that holds it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot be set up ends the test; panicking says where"
)]

mod balancer;
mod certificates;
mod database;
mod database_server;
mod deployment;
mod earlier;
mod lossy_database;
mod mock_provider;
mod operator;
mod process;
mod rounds;
mod running;
mod tunnels;

pub use balancer::Balancer;
pub use certificates::Certificates;
pub use database::TestDatabase;
pub use database_server::DatabaseServer;
pub use deployment::{CLIENT_SECRET, Deployment, Service, Unit};
pub use earlier::Earlier;
pub use lossy_database::LossyDatabase;
pub use mock_provider::{Call, MockKeys, MockProvider, Reply};
pub use operator::{Answer, EventStream, Operator};
pub use process::{Process, program};
pub use rounds::rounds;
pub use running::Running;
pub use tunnels::{TunnelDeployment, answering};
