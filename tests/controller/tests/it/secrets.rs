//! What must not be seen.

use controller::{Controller, Remote, Runner};
use ops::Event;
use ops::testing::SecretState;
use serde_json::json;

use super::{deployed, file};

/// Everything of a deployment that others can read: databags, statuses, logs, plans, arguments.
fn visible(juju: &Controller) -> String {
    let unit = juju.unit(0);
    let container = juju.container(0);
    let (bags, plan, commands) = (juju.databags(), container.plan(), container.commands());
    format!("{bags}{:?}{:?}{plan}{commands:?}", unit.status, unit.log)
}

#[test]
fn charm_01_secrets_are_in_private_files_and_nowhere_else() {
    let mut juju = deployed(Runner::process(super::TOOL));
    juju.integrate("oauth", Remote::hydra("https://hydra.example.com"));
    juju.config("oidc-client-secret", json!("canary-option"));
    juju.run_action(0, "get-status", &[]);
    juju.container(0).set_down(true);
    juju.dispatch(0, Event::UpdateStatus);
    juju.container(0).set_down(false);
    juju.dispatch(0, Event::UpdateStatus);
    let seen = visible(&juju);
    assert!(!seen.contains("canary"), "{seen}");
    for (path, (content, mode)) in juju.container(0).files() {
        assert_eq!(mode, "600", "{path}");
        let text = String::from_utf8(content).unwrap();
        let secret = ["key", "password", "secret"].iter().any(|end| path.ends_with(end));
        assert!(!secret || !seen.contains(text.trim()), "{path}");
        let first_line_of_key = text.lines().nth(1).filter(|_| path.ends_with("tls.key"));
        assert!(first_line_of_key.is_none_or(|line| !seen.contains(line)), "{path}");
    }
    assert_eq!(file(&juju, 0, "db/password").unwrap(), "canary-database");
    assert!(!seen.contains("PRIVATE KEY"));
}

#[test]
fn charm_02_the_token_is_in_the_result_only_and_a_hostile_name_is_no_argument() {
    let mut juju = deployed(Runner::process(super::TOOL));
    juju.container(0).on_exec(Box::new(|_| (0, "canary-token\n".to_owned(), String::new())));
    let outcome = juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    assert_eq!(outcome.results["token"], "canary-token");
    assert!(outcome.results["note"].contains("shown once"));
    assert!(outcome.log.is_empty());
    assert!(!visible(&juju).contains("canary-token"));
    for name in ["$(id)", "; rm -rf /", "a\nb", "--help", "-d", "", " a", "a/b", "\u{202e}a"] {
        let outcome = juju.run_action(0, "enroll-cluster", &[("cluster", json!(name))]);
        assert!(outcome.failure.unwrap().starts_with("the name of a cluster"), "{name:?}");
        assert!(outcome.results.is_empty());
    }
    assert_eq!(juju.container(0).commands().len(), 1);
    let program = "Error: cluster lyon-edge already exists\n".to_owned();
    juju.container(0).on_exec(Box::new(move |_| (1, "canary-token".into(), program.clone())));
    let outcome = juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    assert_eq!(outcome.failure.unwrap(), "cluster lyon-edge already exists");
}

#[test]
fn no_token_is_made_while_nothing_is_served() {
    let mut juju = deployed(Runner::InProcess);
    juju.remove_relation("database");
    let outcome = juju.run_action(0, "enroll-cluster", &[("cluster", json!("lyon-edge"))]);
    assert!(outcome.failure.unwrap().starts_with("the services are not running"));
}

#[test]
fn charm_03_a_client_secret_comes_as_a_juju_secret_and_one_in_clear_is_talked_about() {
    let mut juju = deployed(Runner::InProcess);
    juju.config("oidc-client-secret", json!("canary-option"));
    assert!(juju.status(0).contains("prefer oidc-client-credentials"));
    let id = "secret:d0a1kq5mp25c7f0f1u10";
    juju.config("oidc-client-credentials", json!(id));
    assert!(juju.status(0).contains("juju grant-secret"), "{}", juju.status(0));
    juju.add_unit_secret(0, SecretState::granted(id, &[("client-secret", "canary-user-secret")]));
    juju.dispatch(0, Event::ConfigChanged);
    assert_eq!(juju.status(0), "active: ");
    assert_eq!(file(&juju, 0, "oidc/client-secret").unwrap(), "canary-user-secret");
    assert!(!visible(&juju).contains("canary-user"));
}
