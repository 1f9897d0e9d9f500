//! Black-box tests: the real program, a real PostgreSQL, the real identity provider, real TLS sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets something unexpected ends there"
)]

mod aborts;
mod access;
mod access_tokens;
mod answer_time;
mod api_page;
mod audit;
mod audit_refusals;
mod availability;
mod browser;
mod command_line;
mod conflicts;
mod crash;
mod crash_audit;
mod database;
mod dump;
mod endurance;
mod faults;
mod fleet_events;
mod fleet_rotation;
mod fleet_size;
mod fleet_view;
mod framing;
mod growth;
mod health;
mod heartbeat;
mod history;
mod history_upgrade;
mod hostile_provider;
mod join;
mod join_races;
mod key_exchange;
mod limits;
mod login;
mod login_check;
mod management;
mod metrics;
mod mutual_tls;
mod newcomers;
mod open_files;
mod openapi;
mod privileges;
mod provider_logout;
mod proxy_protocol;
mod rate_limit;
mod remote_write;
mod removal;
mod repetition;
mod rotation;
mod routing;
mod schemathesis;
mod second_provider;
mod security_properties;
mod server_names;
mod sessions;
mod set_limits;
mod supply_chain;
mod takeover;
mod traces;
mod tunnel_access;
mod tunnel_answer;
mod tunnel_hop;
mod tunnel_lease;
mod tunnel_open;
mod tunnel_request;
mod web;
mod whole_list;

/// An example of the published contract.
fn example(name: &str) -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The keys of a JSON object.
fn keys(object: &serde_json::Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
