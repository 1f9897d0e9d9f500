//! The real program, event by event.

use std::collections::BTreeSet;
use std::time::Instant;

use controller::{Authority, Controller, Remote, Runner};
use ops::dispatch::RelationEvent;
use ops::{AppName, Event};
use serde_json::json;
use time::Duration;

use super::*;

fn process() -> Runner {
    Runner::process(TOOL)
}

#[test]
fn from_nothing_to_active_with_the_next_command_at_every_step() {
    let began = Instant::now();
    let mut juju = Controller::new(process());
    juju.deploy(&[]);
    let app = "microcloud-cluster-manager-k8s";
    assert_eq!(
        juju.status(0),
        format!(
            "blocked: missing relation: database; run: juju integrate {app}:database \
             postgresql-k8s:database"
        )
    );
    juju.integrate("database", postgresql());
    assert!(juju.status(0).ends_with(&format!("{app}:certificates self-signed-certificates")));
    juju.integrate("certificates", Authority::default().charm());
    for (option, value) in options() {
        let status = juju.status(0);
        assert!(status.starts_with("blocked: ") && status.contains(option), "{option}: {status}");
        juju.config(option, value);
    }
    assert_eq!(juju.status(0), "active: ");
    assert_eq!(juju.container(0).running(), ["cluster-connector", "management-api"]);
    assert_eq!(juju.unit(0).ports, BTreeSet::from([9000, 9100]));
    println!("{} events in {:?}", juju.calls.len(), began.elapsed());
}

#[test]
fn a_hook_with_nothing_to_change_starts_few_tools_and_changes_nothing() {
    let mut juju = deployed(process());
    let starts = juju.container(0).starts();
    juju.calls.clear();
    juju.costs.clear();
    juju.dispatch(0, Event::UpdateStatus);
    let ((event, calls), cost) = (&juju.calls[0], juju.costs[0]);
    println!("{event}: {calls} hook tools, {cost:?} without them");
    // Of a debug build; `./dev bench` holds the real one to 10 MiB and 5 ms.
    assert!((100..16 * 1024).contains(&cost.memory_kib), "{cost:?}");
    assert!(cost.cpu > std::time::Duration::ZERO, "{cost:?}");
    assert_eq!(juju.calls.len(), 1, "nothing follows");
    // One for each of 14 endpoints, 8 for the relations here, 4 for secrets, 5 of every hook.
    assert!(*calls <= 31, "{calls}");
    assert_eq!(juju.container(0).starts(), starts);
}

#[test]
fn what_a_hook_asks_grows_with_the_relations_and_nothing_is_asked_twice() {
    let mut juju = deployed(Runner::InProcess);
    let calls = |juju: &mut Controller, event: Event| {
        juju.calls.clear();
        juju.dispatch(0, event);
        assert_eq!(juju.calls.len(), 1, "nothing follows");
        juju.calls[0].1
    };
    let mut last = calls(&mut juju, Event::UpdateStatus);
    // The other application and both databags; more where units or secrets are to be read, and the unit's own bag.
    for (endpoint, more) in [
        ("send-ca-cert", 3),
        ("traefik-route", 3),
        ("ingress", 4),
        ("send-remote-write", 4),
        ("grafana-dashboard", 3),
        ("grafana-metadata", 2),
        ("metrics-endpoint", 4),
        ("logging", 3),
        ("oauth", 4),
        ("charm-tracing", 3),
        ("workload-tracing", 3),
    ] {
        let id = juju.integrate(endpoint, order::remote(endpoint));
        let now = calls(&mut juju, Event::UpdateStatus);
        assert_eq!(now, last + more, "{endpoint}");
        if endpoint == "charm-tracing" {
            // An event of a relation names the other application.
            let app = AppName::parse("other").unwrap();
            let event = Event::Relation { id, app, kind: RelationEvent::Changed(None) };
            assert_eq!(calls(&mut juju, event), now - 1);
        }
        last = now;
    }
    println!("{last} hook tools with all relations");
}

#[test]
fn all_units_present_the_same_certificates_and_any_of_them_enrols() {
    let mut juju = deployed(process());
    juju.add_unit();
    juju.add_unit();
    for unit in 1..3 {
        assert_eq!(juju.status(unit), "active: ");
        for name in ["connector/tls.crt", "connector/tls.key", "management/tls.crt", "master.key"] {
            assert_eq!(file(&juju, unit, name), file(&juju, 0, name), "{name}");
            assert!(file(&juju, unit, name).is_some(), "{name}");
        }
    }
    juju.container(2).on_exec(Box::new(|_| (0, "dG9rZW4=\n".to_owned(), String::new())));
    let outcome = juju.run_action(2, "enroll-cluster", &[("cluster", json!("microcloud-01"))]);
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.results["token"], "dG9rZW4=");
    assert!(outcome.results["note"].contains("shown once"));
    let commands = juju.container(2).commands();
    assert_eq!(commands[0][1..], ["enroll", "microcloud-01"]);
}

#[test]
fn a_leader_that_dies_is_replaced_without_a_new_certificate() {
    let mut juju = deployed(process());
    juju.add_unit();
    let (pinned, served) =
        (file(&juju, 1, "connector/tls.crt"), file(&juju, 1, "management/tls.crt"));
    let bag = juju.relation("certificates").unwrap().app.clone();
    juju.lose_unit(0);
    assert_eq!(juju.status(1), "active: ");
    assert_eq!(file(&juju, 1, "connector/tls.crt"), pinned);
    assert_eq!(file(&juju, 1, "management/tls.crt"), served);
    assert_eq!(juju.relation("certificates").unwrap().app, bag);
    // The new leader does the leader's work.
    juju.integrate("traefik-route", Remote::traefik("10.64.140.43"));
    assert!(juju.relation("traefik-route").unwrap().app["config"].contains("manager.example.com"));
}

#[test]
fn a_whole_life_of_three_units() {
    use super::order::{Step, take, tear_down};
    let mut juju = Controller::new(process());
    juju.deploy(&[]);
    let mut units = vec![0];
    for step in [
        Step::Integrate("metrics-endpoint"),
        Step::Option(1),
        Step::Integrate("certificates"),
        Step::Option(0),
        Step::AddUnit,
        Step::Integrate("oauth"),
        Step::Integrate("database"),
        Step::AddUnit,
        Step::LoseLeader,
        Step::Integrate("traefik-route"),
        Step::Reconnect("database"),
        Step::Reconnect("certificates"),
        Step::RestartContainer,
        Step::Upgrade,
    ] {
        take(&mut juju, &mut units, step);
    }
    assert_eq!(units, [1, 2]);
    for unit in &units {
        assert_eq!(juju.status(*unit), "active: ");
        let presented = file(&juju, *unit, "connector/tls.crt");
        assert!(presented.is_some() && presented == file(&juju, 1, "connector/tls.crt"));
    }
    tear_down(&mut juju, &units);
}

#[test]
fn a_database_that_goes_stops_the_services_and_its_return_starts_them() {
    let mut juju = deployed(process());
    let pinned = file(&juju, 0, "connector/tls.crt");
    juju.remove_relation("database");
    assert!(juju.status(0).starts_with("blocked: missing relation: database"));
    assert!(juju.container(0).running().is_empty());
    assert_eq!(file(&juju, 0, "db/password"), None, "credentials are forgotten");
    juju.integrate("database", postgresql());
    assert_eq!(juju.status(0), "active: ");
    assert_eq!(juju.container(0).running().len(), 2);
    assert_eq!(file(&juju, 0, "connector/tls.crt"), pinned);
}

#[test]
fn rotated_credentials_restart_both_services_and_a_new_client_secret_only_one() {
    let mut juju = deployed(process());
    let rotated = Remote::postgresql("postgresql-k8s-primary.db:5432", "relation_id_4", "new", 2);
    juju.replace_remote("database", rotated);
    assert_eq!(file(&juju, 0, "db/password").unwrap(), "new");
    assert_eq!(
        juju.container(0).starts(),
        [("cluster-connector", 2), ("management-api", 2)].map(own).into()
    );
    juju.config("oidc-client-secret", json!("canary-client"));
    assert_eq!(
        juju.container(0).starts(),
        [("cluster-connector", 2), ("management-api", 3)].map(own).into()
    );
    assert!(juju.status(0).contains("prefer oidc-client-credentials"), "{}", juju.status(0));
}

fn own(pair: (&str, usize)) -> (String, usize) {
    (pair.0.to_owned(), pair.1)
}

#[test]
fn a_renewal_changes_the_management_certificate_only_and_restarts_nothing() {
    let mut juju = Controller::new(process());
    juju.deploy(&options());
    juju.integrate("database", postgresql());
    // Nine tenths of its life are over when it comes.
    let old = Authority::new(Duration::days(95), Duration::days(100));
    juju.integrate("certificates", old.then(Authority::default()));
    let pinned = file(&juju, 0, "connector/tls.crt");
    assert_eq!(juju.status(0), "active: ");
    let served = file(&juju, 0, "management/tls.crt");
    let leaf = charm::pki::Leaf::parse(&served.unwrap()).unwrap();
    assert!(leaf.not_after - time::OffsetDateTime::now_utc() > Duration::days(60), "renewed");
    assert_eq!(juju.container(0).starts()["management-api"], 1);
    assert_eq!(file(&juju, 0, "connector/tls.crt"), pinned);
}

#[test]
fn rel_07_the_pinned_certificate_changes_in_two_steps_with_the_command_for_each_cluster() {
    let mut juju = deployed(process());
    juju.add_unit();
    let old = file(&juju, 0, "connector/tls.crt");
    let action = "rotate-connector-certificate";
    let refused = juju.run_action(1, action, &[]).failure.unwrap();
    assert!(refused.ends_with(&format!("microcloud-cluster-manager-k8s/leader {action}")));
    let early = juju.run_action(0, action, &[("confirm", json!(true))]).failure.unwrap();
    assert!(early.starts_with("nothing is prepared"));
    let prepared = juju.run_action(0, action, &[]);
    assert_eq!(prepared.failure, None);
    assert_eq!(file(&juju, 0, "connector/tls.crt"), old, "nothing has changed yet");
    assert!(juju.status(0).contains("a new connector certificate"), "{}", juju.status(0));
    let done = juju.run_action(0, action, &[("confirm", json!(true))]);
    assert_eq!(done.failure, None);
    assert_eq!(done.results["new-fingerprint"], prepared.results["new-fingerprint"]);
    for unit in 0..2 {
        let now = file(&juju, unit, "connector/tls.crt").unwrap();
        let leaf = charm::pki::Leaf::parse(&now).unwrap();
        assert_eq!(leaf.fingerprint, done.results["new-fingerprint"], "on unit {unit}");
        assert_eq!(juju.container(unit).starts()["cluster-connector"], 2);
    }
    assert!(done.results["command-on-each-cluster"].ends_with(&done.results["new-fingerprint"]));
    assert_eq!(juju.status(0), "active: ");
}

#[test]
fn a_container_that_starts_anew_gets_everything_again() {
    let mut juju = deployed(process());
    let before = juju.container(0).files();
    juju.restart_container(0);
    assert_eq!(juju.status(0), "active: ");
    assert_eq!(juju.container(0).files(), before);
    assert_eq!(juju.container(0).running().len(), 2);
    juju.container(0).set_check("management-api-ready", false);
    juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(juju.status(0), "maintenance: check management-api-ready fails");
    juju.container(0).set_check("management-api-ready", true);
    juju.container(0).set_down(true);
    juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(juju.status(0), "maintenance: waiting for the workload container");
    juju.container(0).set_down(false);
    juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(juju.status(0), "active: ");
}

#[test]
fn login_through_oauth_wins_over_the_options() {
    let mut juju = deployed(process());
    juju.integrate("oauth", Remote::hydra("https://hydra.example.com/"));
    let plan = juju.container(0).plan();
    assert_eq!(environment(&plan, "management-api", "OIDC_ISSUER"), "https://hydra.example.com/");
    assert_eq!(environment(&plan, "management-api", "OIDC_CLIENT_ID"), "2f8a1b3c");
    assert_eq!(file(&juju, 0, "oidc/client-secret").unwrap(), "canary-oauth-client-secret");
    let bag = &juju.relation("oauth").unwrap().app;
    assert_eq!(bag["redirect_uri"], "https://manager.example.com/oidc/callback");
    assert!(juju.status(0).starts_with("active: login through the relation oauth"));
    // A login that asks for more than was registered is refused.
    for (option, scopes) in [
        (None, "offline_access email profile"),
        (Some("groups openid"), "groups openid"),
        (Some("email"), "email"),
    ] {
        if let Some(option) = option {
            juju.config("oidc-scopes", json!(option));
        }
        let plan = juju.container(0).plan();
        assert_eq!(environment(&plan, "management-api", "OIDC_SCOPES"), scopes);
        let registered = &juju.relation("oauth").unwrap().app["scope"];
        let asked = format!("openid {}", scopes.trim_end_matches(" openid"));
        assert_eq!(*registered, asked);
    }
    juju.remove_relation("oauth");
    assert_eq!(environment(&juju.container(0).plan(), "management-api", "OIDC_CLIENT_ID"), "mcm");
    assert_eq!(file(&juju, 0, "oidc/client-secret"), None);
}

#[test]
fn the_last_unit_goes_without_a_trace_of_trouble() {
    let mut juju = deployed(process());
    juju.remove_unit(0);
}

#[test]
fn observability_gets_its_data_and_loki_is_forgotten_when_it_goes() {
    let mut juju = deployed(process());
    let url = r#"{"url": "http://loki-0.cos:3100/loki/api/v1/push"}"#;
    juju.integrate("logging", Remote::unit_saying("loki", "endpoint", url));
    // Two units of Loki behind one address.
    juju.integrate("logging", Remote::unit_saying("loki-behind", "endpoint", url));
    let write = r#"{"url": "http://prometheus-0.cos:9090/api/v1/write"}"#;
    juju.integrate("send-remote-write", Remote::unit_saying("prometheus", "remote_write", write));
    let mimir = r#"{"url": "http://mimir.cos/api/v1/push"}"#;
    juju.integrate("send-remote-write", Remote::unit_saying("mimir", "remote_write", mimir));
    juju.integrate("metrics-endpoint", Remote::app_saying("scraper", &[]));
    juju.integrate("grafana-dashboard", Remote::app_saying("grafana", &[]));
    let grafana = [("direct_url", "http://grafana.cos/"), ("grafana_uid", "x")];
    juju.integrate("grafana-metadata", Remote::app_saying("grafana-2", &grafana));
    juju.integrate("workload-tracing", Remote::app_saying("tempo", &[]));
    let plan = juju.container(0).plan();
    assert_eq!(
        environment(&plan, "cluster-connector", "PROMETHEUS_BASE_URL"),
        "http://mimir.cos/api/v1/push http://prometheus-0.cos:9090/api/v1/write"
    );
    assert_eq!(
        environment(&plan, "cluster-connector", "REMOTE_WRITE_LABELS"),
        "juju_application=microcloud-cluster-manager-k8s,\
         juju_charm=microcloud-cluster-manager-k8s,juju_model=test-model,\
         juju_model_uuid=6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4"
    );
    assert_eq!(environment(&plan, "management-api", "GRAFANA_BASE_URL"), "http://grafana.cos");
    let target = &plan["log-targets"]["loki/0"];
    assert_eq!((&target["services"], &target["type"]), (&json!(["all"]), &json!("loki")));
    assert_eq!(target["location"], "http://loki-0.cos:3100/loki/api/v1/push");
    assert_eq!(target["labels"]["juju_unit"], "microcloud-cluster-manager-k8s/0");
    assert_eq!(target["labels"]["juju_application"], "microcloud-cluster-manager-k8s");
    let lines_go_once = plan["log-targets"].as_object().unwrap();
    assert_eq!(lines_go_once.keys().collect::<Vec<_>>(), ["loki/0"]);
    let metrics = juju.relation("metrics-endpoint").unwrap();
    assert_eq!(metrics.units[&0]["prometheus_scrape_unit_address"], "10.1.7.10");
    assert!(metrics.app["alert_rules"].contains("ManagerDown"));
    assert!(juju.relation("grafana-dashboard").unwrap().app["dashboards"].contains("/Td6WFoA"));
    assert_eq!(juju.relation("workload-tracing").unwrap().app["receivers"], r#"["otlp_http"]"#);
    juju.remove_relation("logging");
    juju.remove_relation("send-remote-write");
    assert_eq!(
        environment(&juju.container(0).plan(), "cluster-connector", "PROMETHEUS_BASE_URL"),
        "http://mimir.cos/api/v1/push"
    );
    juju.remove_relation("send-remote-write");
    let plan = juju.container(0).plan();
    assert_eq!(plan["log-targets"]["loki/0"]["services"], json!([]));
    assert_eq!(plan["log-targets"]["loki-behind/0"]["services"], json!(["all"]));
    assert_eq!(environment(&plan, "cluster-connector", "PROMETHEUS_BASE_URL"), "");
}

#[test]
fn receivers_behind_a_private_authority_are_trusted_and_a_new_one_restarts_nothing() {
    let mut juju = deployed(process());
    let write = r#"{"url": "https://prometheus.cos/api/v1/write"}"#;
    juju.integrate("send-remote-write", Remote::unit_saying("prometheus", "remote_write", write));
    let plan = juju.container(0).plan();
    assert_eq!(environment(&plan, "cluster-connector", "REMOTE_WRITE_CA_FILE"), "");
    assert_eq!(file(&juju, 0, "authorities.pem"), None);
    let ca = |certificates: &[&str]| {
        let list = json!(certificates).to_string();
        Remote::app_saying("ca", &[("certificates", &list), ("version", "1")])
    };
    let first = include_str!("authority.pem");
    juju.integrate("send-ca-cert", ca(&[first]));
    let plan = juju.container(0).plan();
    assert_eq!(
        environment(&plan, "cluster-connector", "REMOTE_WRITE_CA_FILE"),
        "/var/lib/microcloud-cluster-manager/authorities.pem"
    );
    assert_eq!(file(&juju, 0, "authorities.pem").unwrap().trim(), first.trim());
    let starts = juju.container(0).starts()["cluster-connector"];
    juju.replace_remote("send-ca-cert", ca(&[first, &Authority::default().pem()]));
    assert_eq!(file(&juju, 0, "authorities.pem").unwrap().matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(juju.container(0).starts()["cluster-connector"], starts, "it follows the file");
}

#[test]
fn db_01_all_hosts_of_the_database_are_handed_on_and_a_new_order_counts() {
    let mut juju = deployed(process());
    let hosts = |juju: &Controller, service| {
        environment(&juju.container(0).plan(), service, "DB_HOST").to_owned()
    };
    assert_eq!(hosts(&juju, "cluster-connector"), "postgresql-k8s-primary.db:5432");
    for endpoints in ["db-0.db:5432,[2001:db8::1]:5433", "[2001:db8::1]:5433,db-0.db:5432"] {
        let several = Remote::postgresql(endpoints, "relation_id_4", "canary-database", 1);
        juju.replace_remote("database", several);
        for service in ["cluster-connector", "management-api"] {
            assert_eq!(hosts(&juju, service), endpoints);
        }
    }
}

#[test]
fn rel_21_what_is_lost_at_run_time_is_told_and_leaves_everything_else_alone() {
    let mut juju = deployed(process());
    let write = r#"{"url": "http://prometheus-0.cos:9090/api/v1/write"}"#;
    juju.integrate("send-remote-write", Remote::unit_saying("prometheus", "remote_write", write));
    juju.integrate("oauth", Remote::hydra("https://hydra.example.com/"));
    let kept =
        |juju: &Controller| ["connector/tls.crt", "master.key"].map(|name| file(juju, 0, name));
    let (before, missing) = (kept(&juju), "blocked: missing relation: certificates");
    assert!(before.iter().all(Option::is_some));
    let connector = ["cluster-connector"];
    let both = ["cluster-connector", "management-api"];
    for (lost, status, running) in [
        ("send-remote-write", "active: login through the relation oauth", &both[..]),
        ("oauth", "active: ", &both),
        ("certificates", missing, &connector),
    ] {
        juju.remove_relation(lost);
        assert!(juju.status(0).starts_with(status), "{lost}: {}", juju.status(0));
        assert_eq!(juju.container(0).running(), running, "{lost}");
        assert_eq!(kept(&juju), before, "{lost}");
    }
    // Clusters are served on, also in a pod that starts anew; nothing of the relation's certificate is left.
    let starts = juju.container(0).starts();
    juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(juju.container(0).starts(), starts, "no hook starts anything again");
    juju.restart_container(0);
    assert_eq!(juju.container(0).running(), connector);
    assert_eq!((kept(&juju), file(&juju, 0, "management/tls.key")), (before.clone(), None));
    let checks = &juju.container(0).plan()["checks"];
    assert_eq!(checks["management-api-ready"]["level"], Value::Null, "the pod stays ready");
    assert_eq!(checks["cluster-connector-ready"]["level"], "ready");

    juju.integrate("certificates", Authority::default().charm());
    assert_eq!(juju.status(0), "active: ");
    assert_eq!(
        (juju.container(0).running(), kept(&juju)),
        (both.map(str::to_owned).into(), before.clone())
    );

    // A login that is nowhere configured any more, and keys that Juju does not give.
    juju.config("oidc-client-id", json!(""));
    assert!(juju.status(0).starts_with("blocked: "), "{}", juju.status(0));
    assert_eq!(juju.container(0).running(), both);
    juju.config("oidc-client-id", json!("mcm"));
    juju.hide_secrets();
    assert_eq!(juju.status(0), "waiting: waiting for the leader to share its keys");
    assert_eq!(
        (juju.container(0).running(), kept(&juju)),
        (both.map(str::to_owned).into(), before)
    );
}

#[test]
fn rel_21_what_is_lost_together_takes_no_more_than_each_alone() {
    let mut juju = deployed(process());
    juju.config("oidc-client-id", json!(""));
    juju.remove_relation("certificates");
    assert!(juju.status(0).starts_with("blocked: "), "{}", juju.status(0));
    let alone = |juju: &Controller| {
        assert_eq!(juju.container(0).running(), ["cluster-connector"]);
        assert_eq!(file(juju, 0, "management/tls.key"), None);
        let checks = &juju.container(0).plan()["checks"];
        assert_eq!(checks["management-api-ready"]["level"], Value::Null, "the pod stays ready");
        assert_eq!(checks["cluster-connector-ready"]["level"], "ready");
    };
    alone(&juju);
    let starts = juju.container(0).starts();
    juju.config("oidc-client-id", json!("mcm"));
    let status = juju.status(0);
    assert!(status.starts_with("blocked: missing relation: certificates"), "{status}");
    alone(&juju);
    assert_eq!(juju.container(0).starts(), starts, "it was never started anew");
    // A pod that starts while both are missing waits for what it needs.
    juju.config("oidc-client-id", json!(""));
    juju.restart_container(0);
    assert!(juju.container(0).running().is_empty());
    juju.config("oidc-client-id", json!("mcm"));
    alone(&juju);
}

#[test]
fn rel_21_clusters_that_see_the_relations_certificate_are_not_served_without_it() {
    let mut juju = deployed(process());
    juju.config("connector-certificate", json!("relation"));
    assert_eq!(juju.container(0).running().len(), 2, "{}", juju.status(0));
    juju.remove_relation("certificates");
    assert!(juju.container(0).running().is_empty());
    assert_eq!(file(&juju, 0, "connector/tls.key"), None);
}
