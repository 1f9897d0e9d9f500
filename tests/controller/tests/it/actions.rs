//! Actions that the program in the workload does.

use controller::Runner;
use serde_json::{Value, json};

use super::deployed;

#[test]
fn clusters_are_listed_for_people_and_for_scripts() {
    let mut juju = deployed(Runner::process(super::TOOL));
    let table = "NAME       STATE\nlyon-edge  online\nquito      offline\n";
    juju.container(0).on_exec(Box::new(|_| (0, table.to_owned(), String::new())));
    let listed = juju.run_action(0, "list-clusters", &[]);
    assert_eq!(listed.failure, None);
    assert_eq!(listed.results["count"], "2");
    assert_eq!(listed.results["clusters"], table.trim_end());
    let all =
        json!([{"name": "lyon-edge", "state": "online", "cluster_certificate": "x"}]).to_string();
    juju.container(0).on_exec(Box::new(move |_| (0, all.clone(), String::new())));
    let listed = juju.run_action(0, "list-clusters", &[("format", json!("json"))]);
    assert_eq!(listed.results["clusters"], r#"[{"name":"lyon-edge","state":"online"}]"#);
    assert_eq!(listed.results["count"], "1");
    let commands = juju.container(0).commands();
    assert_eq!(commands[0][1..], ["clusters"]);
    assert_eq!(commands[1][1..], ["clusters", "--format", "json"]);
    let refused = juju.run_action(0, "list-clusters", &[("format", json!("; rm"))]);
    assert!(refused.failure.is_some());
    assert_eq!(juju.container(0).commands().len(), 2);
}

#[test]
fn a_list_that_is_longer_than_a_result_says_how_much_it_shows() {
    let mut juju = deployed(Runner::process(super::TOOL));
    let of = |number: usize| json!({"name": format!("cluster-{number}"), "state": "online"});
    let all: Value = (0..10_000).map(of).collect();
    let all = all.to_string();
    juju.container(0).on_exec(Box::new(move |_| (0, all.clone(), String::new())));
    let listed = juju.run_action(0, "list-clusters", &[("format", json!("json"))]);
    let shown: Vec<Value> = serde_json::from_str(&listed.results["clusters"]).unwrap();
    assert!((1000..10_000).contains(&shown.len()), "{}", shown.len());
    assert_eq!(listed.results["count"], "10000");
    assert!(listed.results["note"].contains(&format!("the first {}", shown.len())));
}

#[test]
fn a_takeover_is_looked_at_first_and_its_report_and_outcome_are_results() {
    let mut juju = deployed(Runner::process(super::TOOL));
    let text = "The earlier Cluster Manager left nothing in this database.\n";
    juju.container(0).on_exec(Box::new(|_| (0, text.to_owned(), String::new())));
    let looked = juju.run_action(0, "takeover", &[]);
    assert_eq!((looked.results["outcome"].as_str(), looked.failure), ("good", None));
    assert_eq!(looked.results["report"], text.trim_end());
    juju.container(0).on_exec(Box::new(|_| (3, "{\n  \"found\": true\n}\n".into(), String::new())));
    let params = [("apply", json!(true)), ("accept-newer", json!(true)), ("format", json!("json"))];
    let applied = juju.run_action(0, "takeover", &params);
    assert_eq!(applied.results["outcome"], "needs attention");
    assert_eq!(applied.results["report"], r#"{"found":true}"#);
    juju.container(0)
        .on_exec(Box::new(|_| (4, "Nothing is taken over: old.\n".into(), String::new())));
    let refused = juju.run_action(0, "takeover", &[("apply", json!(true))]);
    assert_eq!(refused.results["report"], "Nothing is taken over: old.");
    assert!(refused.failure.unwrap().starts_with("nothing can be taken over"));
    let commands = juju.container(0).commands();
    assert_eq!(commands[0][1..], ["takeover", "--check"]);
    assert_eq!(commands[1][1..], ["takeover", "--apply", "--accept-newer", "--format", "json"]);
    assert_eq!(commands[2][1..], ["takeover", "--apply"]);
}

#[test]
fn a_takeover_needs_settings_and_no_running_service() {
    let mut juju = deployed(Runner::InProcess);
    juju.container(0).on_exec(Box::new(|_| (0, "nothing\n".to_owned(), String::new())));
    juju.remove_relation("database");
    for action in ["takeover", "list-clusters"] {
        let refused = juju.run_action(0, action, &[]).failure.unwrap();
        assert!(refused.starts_with("the services have no settings yet"), "{action}: {refused}");
    }
    assert!(juju.container(0).commands().is_empty());
}
