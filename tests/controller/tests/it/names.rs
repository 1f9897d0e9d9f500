//! Certificates that clusters pin, when the name changes under which they connect, and when one is replaced.

use charm::pki::Leaf;
use controller::{Controller, Remote, Runner};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{deployed, file};

const ROTATE: &str = "rotate-connector-certificate";
const NAME: &str = "cluster-connector-domain";

/// Fingerprint of what is presented to everyone, then those for earlier names, oldest first, as the services read them.
fn presented(juju: &Controller, unit: u32) -> Vec<(String, Vec<String>)> {
    let leaf = |text: &str| {
        let leaf = Leaf::parse(text).unwrap();
        let public = leaf.names.iter().filter(|name| !name.contains(".svc."));
        (leaf.fingerprint.clone(), public.cloned().collect())
    };
    let mut all = vec![leaf(&file(juju, unit, "connector/tls.crt").unwrap())];
    let earlier = file(juju, unit, "connector/earlier.pem").unwrap_or_default();
    all.extend(earlier.split("-----BEGIN CERTIFICATE-----").skip(1).map(|rest| {
        assert!(rest.contains("PRIVATE KEY"), "each has its key");
        leaf(&format!("-----BEGIN CERTIFICATE-----{rest}"))
    }));
    all
}

fn key(juju: &Controller) -> String {
    file(juju, 0, "connector/tls.key").unwrap()
}

/// A container whose program knows these clusters.
fn with_clusters(juju: &Controller, names: &[&str]) {
    let list: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "state": "online"})).collect();
    let list = Value::Array(list).to_string();
    juju.container(0).on_exec(Box::new(move |_| (0, list.clone(), String::new())));
}

#[test]
fn rel_07_a_new_name_has_a_new_certificate_with_the_same_key_and_the_old_one_stays_for_the_old_name()
 {
    let mut juju = deployed(Runner::process(super::TOOL));
    juju.add_unit();
    juju.integrate("traefik-route", Remote::traefik("10.64.140.43"));
    let (before, old_key) = (presented(&juju, 0), key(&juju));
    juju.config(NAME, json!("other.example.com"));
    assert_eq!(juju.status(0), "active: ");
    for unit in 0..2 {
        let now = presented(&juju, unit);
        assert_eq!(now.len(), 2);
        assert_eq!(now[0].1, ["other.example.com"]);
        assert_eq!(now[1], before[0], "on unit {unit}");
    }
    assert_eq!(key(&juju), old_key);
    let rule = &juju.relation("traefik-route").unwrap().app["config"];
    let both = "HostSNI(`other.example.com`) || HostSNI(`clusters.example.com`)";
    assert!(rule.contains(both), "{rule}");

    // Back again: clusters at either name find what they have pinned.
    let there = presented(&juju, 0);
    juju.config(NAME, json!("clusters.example.com"));
    let back = presented(&juju, 0);
    assert_eq!(back, [there[1].clone(), there[0].clone()]);
    juju.add_unit();
    assert_eq!(presented(&juju, 2), back);
}

#[test]
fn a_name_that_clients_cannot_tell_from_another_waits_for_the_operator() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("cluster-connector-port", json!(9001));
    juju.config(NAME, json!("10.0.0.1"));
    let at_address = presented(&juju, 0);
    assert_eq!((at_address.len(), at_address[0].1[0].as_str()), (2, "10.0.0.1"));
    // Clients at either address ask for no name.
    juju.config(NAME, json!("10.0.0.2"));
    assert_eq!(presented(&juju, 0), at_address);
    let status = juju.status(0);
    assert!(status.contains("does not name 10.0.0.2") && status.contains(ROTATE), "{status}");
    // A token would lead to an address where no cluster accepts what it finds.
    let refused = juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    let failure = refused.failure.unwrap();
    assert!(failure.contains("does not name 10.0.0.2") && failure.ends_with(ROTATE), "{failure}");
    with_clusters(&juju, &["lyon-edge"]);
    let prepared = juju.run_action(0, ROTATE, &[]);
    assert_eq!(prepared.results["clusters-cut-off"], "1");
    let note = &prepared.results["note"];
    assert!(note.contains("except those that connect to clusters.example.com"), "{note}");
    assert_eq!(presented(&juju, 0), at_address);
    juju.run_action(0, ROTATE, &[("confirm", json!(true))]);
    let now = presented(&juju, 0);
    assert_eq!((now[0].1[0].as_str(), &now[1]), ("10.0.0.2", &at_address[1]));
    assert_eq!((now.len(), juju.status(0).as_str()), (2, "active: "));
    juju.container(0).on_exec(Box::new(|_| (0, "token".to_owned(), String::new())));
    let enrolled = juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    assert_eq!(enrolled.failure, None);
}

#[test]
fn of_two_addresses_only_one_is_served_and_whoever_pinned_the_other_is_counted() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("cluster-connector-port", json!(9001));
    juju.config(NAME, json!("10.0.0.1"));
    juju.config(NAME, json!("other.example.com"));
    let names = |juju: &Controller| -> Vec<String> {
        presented(juju, 0).into_iter().flat_map(|(_, names)| names).collect()
    };
    // Who asks for no name finds the certificate of the one address.
    assert_eq!(names(&juju), ["other.example.com", "clusters.example.com", "10.0.0.1"]);
    juju.config(NAME, json!("10.0.0.2"));
    assert_eq!(names(&juju), ["other.example.com", "clusters.example.com", "10.0.0.1"]);
    with_clusters(&juju, &["lyon-edge"]);
    let prepared = juju.run_action(0, ROTATE, &[]);
    assert_eq!(prepared.results["clusters-cut-off"], "1");
    assert!(!prepared.results["note"].contains("10.0.0.1"), "{}", prepared.results["note"]);
    juju.run_action(0, ROTATE, &[("confirm", json!(true))]);
    assert_eq!(names(&juju), ["10.0.0.2", "clusters.example.com", "other.example.com"]);
    // The first address again: its clusters have to be told in any case.
    juju.config(NAME, json!("10.0.0.1"));
    assert!(juju.status(0).contains("does not name 10.0.0.1"), "{}", juju.status(0));
    // A name takes no certificate from anybody.
    juju.config(NAME, json!("third.example.com"));
    let now = names(&juju);
    assert_eq!(now[0], "third.example.com");
    assert_eq!(now.len(), 4, "{now:?}");
    assert_eq!(juju.status(0), "active: ");
}

#[test]
fn rel_07_the_clusters_that_would_be_cut_off_are_shown_first_with_the_command() {
    let mut juju = deployed(Runner::InProcess);
    with_clusters(&juju, &["lyon-edge", "quito\u{202e}"]);
    let before = presented(&juju, 0);
    let prepared = juju.run_action(0, ROTATE, &[]);
    assert_eq!(prepared.failure, None);
    assert_eq!(prepared.results["clusters-cut-off"], "2");
    assert_eq!(prepared.results["clusters"], "lyon-edge\nquito\\u{202e}");
    let command = &prepared.results["command-on-each-cluster"];
    let fingerprint = &prepared.results["new-fingerprint"];
    assert_eq!(
        *command,
        format!("microcloud cluster-manager set certificate_fingerprint {fingerprint}")
    );
    assert_eq!(presented(&juju, 0), before, "nothing has changed yet");
    let done = juju.run_action(0, ROTATE, &[("confirm", json!(true))]);
    let now = presented(&juju, 0);
    assert_eq!((now.len(), &now[0].0), (1, &done.results["new-fingerprint"]));
    assert_eq!(done.results["new-fingerprint"], *fingerprint);
}

#[test]
fn a_rotation_goes_on_without_a_list_of_clusters_and_says_that_there_is_none() {
    let mut juju = deployed(Runner::InProcess);
    let away = "Error: the database is not available\n".to_owned();
    juju.container(0).on_exec(Box::new(move |_| (1, String::new(), away.clone())));
    let prepared = juju.run_action(0, ROTATE, &[]);
    assert_eq!(prepared.results["clusters-cut-off"], "unknown: the database is not available");
    assert!(!prepared.results.contains_key("clusters"));
}

#[test]
fn a_key_that_others_may_know_goes_with_everything_that_has_it() {
    let mut juju = deployed(Runner::InProcess);
    juju.config(NAME, json!("other.example.com"));
    let old = key(&juju);
    juju.run_action(0, ROTATE, &[("new-key", json!(true))]);
    juju.run_action(0, ROTATE, &[("confirm", json!(true))]);
    assert_ne!(key(&juju), old);
    assert_eq!(presented(&juju, 0).len(), 1);
    assert_eq!(file(&juju, 0, "connector/earlier.pem"), None);
}

#[test]
fn a_rotation_for_another_name_cuts_nobody_off_when_names_tell_clients_apart() {
    let kept = |now: OffsetDateTime, name: &str| {
        let key = charm::pki::Mint::p256_key(&charm::pki::RealMint).unwrap();
        let names = [name.to_owned(), "mcm.svc".to_owned()];
        let chain = charm::pki::connector_certificate(&key, &names, now).unwrap();
        charm::shared::Connector::new(
            charm::shared::Pair { chain, key: key.into() },
            Some(name.to_owned()),
        )
    };
    let now = OffsetDateTime::now_utc();
    let config = charm::config::Config {
        cluster_connector_domain: charm::config::PublicHost::try_from("b.example.com".to_owned())
            .ok(),
        ..charm::config::Config::default()
    };
    let addresses = charm::addresses::Addresses::new(&config, "mcm", 0, "svc", None, None);
    let (old, next) = (kept(now, "a.example.com"), kept(now, "b.example.com"));
    let with_same_key = charm::shared::Pair { key: old.pair.key.clone(), ..next.pair.clone() };
    let after = charm::pinned::replace(&old, &with_same_key, &addresses, now);
    assert_eq!(after.earlier.len(), 1);
    assert_eq!(after.earlier[0].chain, old.pair.chain);
    // What has ended serves nobody, and the same name has one certificate.
    let later = now + Duration::days(4000);
    assert!(charm::pinned::replace(&old, &with_same_key, &addresses, later).earlier.is_empty());
    let same_name = charm::pinned::replace(&old, &old.pair, &addresses, now);
    assert!(same_name.earlier.is_empty());
}
