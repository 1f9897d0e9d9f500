//! Options on their way into the settings of the services.

use std::cell::RefCell;
use std::collections::BTreeSet;

use controller::{Controller, Runner};
use serde_json::{Value, json};

use super::{deployed, environment};

/// The settings of a service as the program reads them; secrets come from a file that the test has.
fn read(juju: &Controller, service: &str, secret: &str) -> workload_config::Config {
    let plan = juju.container(0).plan();
    let variables = plan["services"][service]["environment"].as_object().unwrap();
    let asked = RefCell::new(BTreeSet::new());
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        let value = variables.get(name)?.as_str()?;
        let is_secret = ["DB_PASSWORD_FILE", "OIDC_CLIENT_SECRET_FILE"].contains(&name);
        Some(if is_secret { secret.to_owned() } else { value.to_owned() })
    };
    let config = workload_config::Config::parse(get).map_err(|error| error.to_string()).unwrap();
    for name in variables.keys().filter(|name| *name != "FILES_HMAC") {
        assert!(asked.borrow().contains(name), "the program does not know {name}");
    }
    config
}

#[test]
fn the_services_take_every_setting_that_the_charm_writes_also_at_the_ends_of_its_range() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path().to_str().unwrap();
    let mut juju = deployed(Runner::InProcess);
    juju.config("oidc-client-secret", json!("x"));
    for ends in [
        ["1", "1", "1", "1", "0", "1", "1"],
        ["168", "366", "3660", "3650", "300", "65535", "4294967295"],
    ] {
        let names = [
            "history-minutes-hours",
            "history-half-hours-days",
            "history-six-hours-days",
            "audit-retention-days",
            "shutdown-drain-seconds",
            "cluster-connector-port",
            "log-heartbeats-every",
        ];
        for (name, value) in names.into_iter().zip(ends) {
            juju.config(name, json!(value.parse::<i64>().unwrap()));
        }
        let rate = if ends[0] == "1" { 0.001 } else { 1_000_000.0 };
        juju.config("rate-limit-refill-rate", json!(rate));
        assert!(juju.status(0).starts_with("active: "), "{}", juju.status(0));
        for service in ["management-api", "cluster-connector"] {
            let config = read(&juju, service, secret);
            assert_eq!(config.shutdown_drain.as_secs().to_string(), ends[4]);
            assert_eq!(config.connector.port.to_string(), ends[5]);
            assert_eq!(config.connector.log_heartbeats_every.to_string(), ends[6]);
            assert_eq!(config.rate_limit.refill_rate.to_string(), rate.to_string());
        }
    }
}

#[test]
fn options_reach_the_services_that_they_are_about() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let secret = secret.path().to_str().unwrap();
    let mut juju = deployed(Runner::InProcess);
    let before = read(&juju, "management-api", secret);
    assert!(!before.tunnel.forward_access_token);
    for (name, value) in [
        ("tunnel-forward-access-token", json!(true)),
        ("oidc-operator-groups", json!("fleet,edge")),
        ("oidc-viewer-groups", json!("everyone")),
        ("oidc-scopes", json!("offline_access groups")),
        ("takeover", json!("off")),
        ("limits", json!("heartbeat-bytes=32MiB,\n  management-headers=50")),
    ] {
        juju.config(name, value);
    }
    let after = read(&juju, "management-api", secret);
    assert!(after.tunnel.forward_access_token);
    let oidc = after.oidc.unwrap();
    assert_eq!(oidc.operator_groups, ["fleet", "edge"]);
    assert_eq!(oidc.viewer_groups, ["everyone"]);
    assert_eq!(after.takeover, workload_config::Takeover::Off);
    for service in ["management-api", "cluster-connector"] {
        let limits = read(&juju, service, secret).limits;
        assert_eq!((limits.heartbeat.bytes, limits.management.headers), (32 << 20, 50));
    }
    juju.config("limits", json!("management-headers=5"));
    let told = "blocked: option limits is wrong: it must be limits within their ranges: management-headers";
    assert!(juju.status(0).starts_with(told), "{}", juju.status(0));
    juju.config("limits", json!("management-headers=50"));
    juju.config("takeover", json!("maybe"));
    assert!(juju.status(0).starts_with("blocked: option takeover is wrong"), "{}", juju.status(0));
}

#[test]
fn web_08_both_services_know_the_names_that_no_link_of_a_cluster_may_lead_to() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let juju = deployed(Runner::InProcess);
    for service in ["management-api", "cluster-connector"] {
        let config = read(&juju, service, secret.path().to_str().unwrap());
        let hosts = config.own_hosts();
        for host in ["manager.example.com", "clusters.example.com"] {
            assert!(hosts.iter().any(|own| own == host), "{service}: {hosts:?}");
        }
    }
}

#[test]
fn each_unit_tells_the_address_at_which_others_reach_its_tunnels() {
    let mut juju = deployed(Runner::InProcess);
    juju.add_unit();
    for unit in 0..2 {
        let plan = juju.container(unit).plan();
        let address = environment(&plan, "cluster-connector", "TUNNEL_ADDRESS");
        assert_eq!(address, juju.unit(unit).address);
        assert_eq!(environment(&plan, "management-api", "TUNNEL_ADDRESS"), "");
    }
}

#[test]
fn a_service_may_take_as_long_to_stop_as_it_drains_and_finishes_what_runs() {
    let mut juju = deployed(Runner::InProcess);
    let delay = |juju: &Controller| -> Value {
        juju.container(0).plan()["services"]["management-api"]["kill-delay"].clone()
    };
    assert_eq!(delay(&juju), "40s");
    juju.config("shutdown-drain-seconds", json!(60));
    assert_eq!(delay(&juju), "85s");
    assert_eq!(juju.status(0), "active: ");
}
