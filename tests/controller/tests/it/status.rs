//! What an operator reads: one sentence, with the command that helps.

use controller::{Controller, Remote, Runner};
use ops::Event;
use serde_json::json;

use super::deployed;
use super::sentences::refusing;

const APP: &str = "microcloud-cluster-manager-k8s";

#[test]
fn a_wrong_option_is_named_with_the_command_that_sets_it_and_services_run_on() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("cluster-connector-port", json!(77_777));
    assert_eq!(
        juju.status(0),
        format!(
            "blocked: option cluster-connector-port is wrong: it must be a port from 1 to 65535; run: \
             juju config {APP} cluster-connector-port=<value>"
        )
    );
    assert_eq!(juju.container(0).running().len(), 2);
    juju.config("cluster-connector-port", json!(443));
    assert_eq!(juju.status(0), "active: ");
}

#[test]
fn addresses_that_cannot_be_routed_are_refused_with_a_reason_where_there_is_a_route() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("management-api-domain", json!("clusters.example.com"));
    assert_eq!(juju.status(0), "active: ");
    juju.integrate("traefik-route", Remote::traefik("10.64.140.43"));
    assert!(
        juju.status(0)
            .starts_with("blocked: management-api-domain and cluster-connector-domain need")
    );
    juju.config("cluster-connector-port", json!(9001));
    assert_eq!(juju.status(0), "active: ");
    let route = &juju.relation("traefik-route").unwrap().app;
    assert!(route["static"].contains(":9001") && route["raw"] == "True");
    juju.config("management-api-domain", json!("manager.example.com"));
    juju.config("cluster-connector-port", json!(443));
    let route = &juju.relation("traefik-route").unwrap().app;
    assert!(!route.contains_key("static"), "the entry point goes when it is not needed");
}

#[test]
fn a_refused_request_is_told_and_fewer_names_are_tried_first() {
    let mut juju = Controller::new(Runner::InProcess);
    juju.deploy(&super::options());
    juju.integrate("database", super::postgresql());
    let (remote, seen) = refusing(102, "domain_not_allowed");
    juju.integrate("certificates", remote);
    let status = juju.status(0);
    assert!(status.starts_with("blocked: certificates: the provider refused the request with 102"));
    assert!(!status.contains("canary"));
    let last = seen.borrow().last().cloned().unwrap();
    assert_eq!(last, ["manager.example.com".to_owned()].into());
}

#[test]
fn a_refused_request_is_made_again_by_the_clock_if_the_provider_was_away_and_after_options_change()
{
    for (code, name, by_the_clock) in [(201, "server_not_available", 1), (999, "other", 0)] {
        let mut juju = Controller::new(Runner::InProcess);
        juju.deploy(&super::options());
        juju.integrate("database", super::postgresql());
        let (remote, asked) = refusing(code, name);
        juju.integrate("certificates", remote);
        let mut before = asked.borrow().len();
        let mut more = |juju: &mut Controller, event: Event| {
            juju.dispatch(0, event);
            let now = asked.borrow().len();
            std::mem::replace(&mut before, now).abs_diff(now)
        };
        assert_eq!(more(&mut juju, Event::UpgradeCharm), 0, "{name}");
        assert_eq!(more(&mut juju, Event::UpdateStatus), by_the_clock, "{name}");
        assert_eq!(more(&mut juju, Event::ConfigChanged), 1, "{name}");
        // What helps in the end is an answer.
        juju.replace_remote("certificates", controller::Authority::default().charm());
        assert_eq!(juju.status(0), "active: ");
    }
}

#[test]
fn a_provider_that_says_that_it_makes_no_certificates_for_addresses_is_not_asked_for_one() {
    let mut juju = Controller::new(Runner::InProcess);
    juju.deploy(&[]);
    juju.config("cluster-connector-domain", json!("10.0.0.1"));
    let can = [("capabilities", r#"{"supports_ip_sans": false}"#)];
    juju.integrate("certificates", Remote::app_saying("lego", &can));
    juju.config("management-api-domain", json!("manager.example.com"));
    let bag = &juju.relation("certificates").unwrap().app["certificate_signing_requests"];
    let requests: serde_json::Value = serde_json::from_str(bag).unwrap();
    let request = requests[0]["certificate_signing_request"].as_str().unwrap();
    let names = charm::pki::request_names(request).unwrap();
    assert!(names.contains("manager.example.com") && !names.contains("10.0.0.1"), "{names:?}");
}

#[test]
fn the_proxy_header_is_demanded_only_behind_traefik() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("proxy-protocol-from", json!("10.1.0.0/16"));
    let wanted = |juju: &Controller| {
        let plan = juju.container(0).plan();
        super::environment(&plan, "cluster-connector", "PROXY_PROTOCOL").to_owned()
    };
    assert_eq!(wanted(&juju), "");
    juju.integrate("traefik-route", Remote::traefik("10.64.140.43"));
    assert_eq!(wanted(&juju), "required");
    assert!(juju.relation("traefik-route").unwrap().app["config"].contains("version: 2"));
    juju.config("proxy-protocol-from", json!("balancer"));
    assert!(juju.status(0).starts_with("blocked: option proxy-protocol-from is wrong"));
}

#[test]
fn get_status_tells_what_clusters_pin() {
    let mut juju = deployed(Runner::InProcess);
    let results = juju.run_action(0, "get-status", &[]).results;
    let leaf =
        charm::pki::Leaf::parse(&super::file(&juju, 0, "connector/tls.crt").unwrap()).unwrap();
    assert_eq!(results["status"], "active");
    assert_eq!(results["connector-fingerprint"], leaf.fingerprint);
    assert_eq!(results["connector-address"], "clusters.example.com:443");
    assert_eq!(results["management-url"], "https://manager.example.com");
}

#[test]
fn a_new_key_for_the_management_certificate_leaves_the_pinned_one_alone() {
    let mut juju = deployed(Runner::InProcess);
    let pinned = super::file(&juju, 0, "connector/tls.crt");
    let served = super::file(&juju, 0, "management/tls.crt");
    assert_eq!(juju.run_action(0, "rotate-certificate-key", &[]).failure, None);
    assert_ne!(super::file(&juju, 0, "management/tls.crt"), served);
    assert_eq!(super::file(&juju, 0, "connector/tls.crt"), pinned);
    assert_eq!(juju.container(0).starts()["management-api"], 1, "it follows its own files");
}

#[test]
fn a_refusal_of_rules_or_dashboards_is_a_note_and_no_more() {
    let mut juju = deployed(Runner::InProcess);
    let quiet = [("event", r#"{"errors": "", "valid": true}"#)];
    juju.integrate("metrics-endpoint", Remote::app_saying("prometheus", &quiet));
    assert_eq!(juju.status(0), "active: ");
    let event = r#"{"errors": [{"dashboard_id": "canary", "error": "canary"}]}"#;
    let id =
        juju.integrate("grafana-dashboard", Remote::app_saying("grafana", &[("event", event)]));
    assert_eq!(
        juju.status(0),
        format!("active: the other side of relation {id} cannot use our alert rules or dashboards")
    );
}
