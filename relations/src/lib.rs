//! Juju databags as types: one module per relation interface.
//!
//! A databag is a map of strings to strings; what the strings mean is an agreement of the
//! interface. Each module here writes that agreement down as types, for both sides where a test or
//! a charm needs the other one. The crate is pure: it reads and writes maps, and does not know
//! Juju, files, sockets or the time.
//!
//! # Invariants
//!
//! - [`Databag::decode`] never panics, whatever the remote charm wrote.
//! - An error names the interface and the key, never the value.
//! - A value that may be secret is a [`secrecy::SecretString`]: it does not appear in `Debug`.
//! - [`Databag::encode`] is stable: equal values give equal text, so that two equal states never
//!   make the other side run a hook.

pub mod alert_rules;
pub mod bag;
pub mod certificate_transfer;
pub mod grafana_dashboard;
pub mod grafana_metadata;
pub mod ingress;
mod json;
pub mod loki_push_api;
pub mod oauth;
pub mod peers;
mod pem;
pub mod postgresql_client;
pub mod prometheus_remote_write;
pub mod prometheus_scrape;
pub mod secret;
pub mod tls_certificates;
pub mod topology;
pub mod tracing;
pub mod traefik_route;

pub use bag::{Bag, BagError, Databag};
pub use secret::{SecretContent, SecretUri};
