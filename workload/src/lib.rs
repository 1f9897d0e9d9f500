//! MicroCloud Cluster Manager: one program, two services.
//!
//! The **Management API** serves operators, the **Cluster Connector** serves clusters; both share one PostgreSQL database.
//! Data flows one way: a listener in [`edge`] passes a request to a handler in [`management_api`] or [`cluster_connector`],
//! which calls [`domain`], which calls [`store`]. Everything below may be used by everything above, never the other way.

pub mod cli;
pub mod cluster_connector;
pub mod domain;
pub mod edge;
mod error_chain;
mod files;
mod lifecycle;
pub mod management_api;
pub mod metrics;
pub mod model;
pub mod oidc;
mod open_files;
pub mod openapi;
pub mod remote_write;
pub mod run;
pub mod seal;
pub mod status_listener;
pub mod store;
pub mod tls;
pub mod traces;
pub mod tunnel;
pub mod ui_assets;

pub use error_chain::Chain;
