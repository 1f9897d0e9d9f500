//! The real program with Juju's environment, and a multi-call program for the hook tools.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const TOOLS: [&str; 10] = [
    "action-fail",
    "action-set",
    "config-get",
    "is-leader",
    "relation-get",
    "relation-ids",
    "relation-list",
    "relation-set",
    "status-get",
    "status-set",
];

/// A model in a folder, see `fake-juju`.
struct Juju(TempDir);

impl Juju {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-juju");
        for tool in TOOLS {
            symlink(&fake, folder.path().join(tool)).unwrap();
        }
        Self(folder)
    }

    fn with(self, file: &str, content: &str) -> Self {
        fs::write(self.0.path().join(file), content).unwrap();
        self
    }

    /// A database with everything in its bags, and a provider of certificates.
    fn related(self) -> Self {
        self.with("ids.database", r#"["database:4"]"#)
            .with("app.database:4", "\"postgresql-k8s\"")
            .with(
                "bag.database:4.postgresql-k8s",
                r#"{"database": "cluster_manager_db", "endpoints": "db:5432",
                    "secret-user": "secret:d0a2aa5mp25c7f0f2b00"}"#,
            )
            .with("ids.certificates", r#"["certificates:5"]"#)
    }

    /// Runs the charm with the environment that Juju makes from scratch.
    fn dispatch(&self, path: &str, vars: &[(&str, &str)]) -> Output {
        let tools = self.0.path().display();
        Command::new(env!("CARGO_BIN_EXE_dispatch"))
            .env_clear()
            .env("PATH", format!("{tools}:/usr/bin:/bin"))
            .env("JUJU_DISPATCH_PATH", path)
            .env("JUJU_HOOK_NAME", path.strip_prefix("hooks/").unwrap_or(""))
            .env("JUJU_UNIT_NAME", "microcloud-cluster-manager-k8s/0")
            .env("JUJU_MODEL_NAME", "cm-prod")
            .env("JUJU_MODEL_UUID", "6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4")
            .env("JUJU_VERSION", "3.6.9")
            .envs(vars.iter().copied())
            .output()
            .unwrap()
    }

    /// Runs a hook that must end well and say nothing.
    fn hook(&self, name: &str, vars: &[(&str, &str)]) {
        let output = self.dispatch(&format!("hooks/{name}"), vars);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    fn written(&self, what: &str) -> Option<String> {
        fs::read_to_string(self.0.path().join(format!("written.{what}"))).ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.path().join("log")).unwrap()
    }

    fn status(&self) -> String {
        self.written("status").unwrap()
    }
}

#[test]
fn a_lonely_unit_asks_for_a_database() {
    let juju = Juju::new();
    juju.hook("install", &[]);
    assert_eq!(
        juju.status(),
        "blocked: missing relation: database; run: juju integrate \
         microcloud-cluster-manager-k8s:database postgresql-k8s:database"
    );
}

#[test]
fn the_leader_requests_the_database_and_says_what_is_missing_next() {
    let juju = Juju::new()
        .with("ids.database", r#"["database:4"]"#)
        .with("app.database:4", "\"postgresql-k8s\"");
    let vars = [
        ("JUJU_RELATION", "database"),
        ("JUJU_RELATION_ID", "database:4"),
        ("JUJU_REMOTE_APP", "postgresql-k8s"),
        ("JUJU_REMOTE_UNIT", ""),
    ];
    juju.hook("database-relation-created", &vars);
    let written: serde_json::Value =
        serde_json::from_str(&juju.written("database:4").unwrap()).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "database": "cluster_manager_db",
            "requested-secrets":
                r#"["username", "password", "tls", "tls-ca", "uris", "read-only-uris"]"#,
        })
    );
    assert!(juju.status().ends_with(
        "juju integrate microcloud-cluster-manager-k8s:certificates self-signed-certificates"
    ));
}

#[test]
fn a_database_relation_that_breaks_is_missing_again() {
    let juju = Juju::new().related();
    let vars = [
        ("JUJU_RELATION", "database"),
        ("JUJU_RELATION_ID", "database:4"),
        ("JUJU_REMOTE_APP", "postgresql-k8s"),
    ];
    juju.hook("database-relation-broken", &vars);
    assert!(juju.status().starts_with("blocked: missing relation: database; "));
    assert_eq!(juju.written("database:4"), None);
}

#[test]
fn a_follower_reads_and_writes_no_application_bag_of_its_own() {
    let juju = Juju::new().related().with("leader", "false");
    juju.hook("config-changed", &[]);
    assert_eq!(juju.written("database:4"), None);
    let log = juju.log();
    assert!(log.contains("relation-get"), "{log}");
    assert!(!log.contains("- microcloud-cluster-manager-k8s"), "{log}");
}

#[test]
fn a_wrong_option_blocks_and_shows_no_value() {
    let juju =
        Juju::new().related().with("config", r#"{"management-api-domain": "https://hidden"}"#);
    juju.hook("config-changed", &[]);
    assert_eq!(
        juju.status(),
        "blocked: option management-api-domain is wrong: it must be a host name or an IP address, \
         without scheme, port and path; run: juju config microcloud-cluster-manager-k8s \
         management-api-domain=<value>"
    );
}

#[test]
fn rubbish_in_a_databag_is_no_error() {
    let juju = Juju::new()
        .related()
        .with("config", r#"{"oidc-issuer": "https://iam.example.com", "oidc-client-id": "mcm"}"#)
        .with("bag.database:4.postgresql-k8s", r#"{"endpoints": "a b c:x"}"#);
    juju.hook("update-status", &[]);
    assert_eq!(
        juju.status(),
        "blocked: unusable data in relation database:4: relation interface postgresql_client: key \
         \"endpoints\" is not a list of host:port; check the provider with: juju status --relations"
    );
}

#[test]
fn a_dispatch_with_nothing_to_change_writes_nothing_and_calls_few_tools() {
    let juju = Juju::new().related();
    juju.hook("update-status", &[]);
    let (word, message) =
        juju.status().split_once(": ").map(|(w, m)| (w.to_owned(), m.to_owned())).unwrap();
    let status = serde_json::json!({"status": word, "message": message, "status-data": {}});
    let bag = juju.written("database:4").unwrap();
    let juju = Juju::new()
        .related()
        .with("bag.database:4.microcloud-cluster-manager-k8s", &bag)
        .with("status", &status.to_string());
    juju.hook("update-status", &[]);
    let log = juju.log();
    assert!(!log.contains("-set"), "{log}");
    // Configuration, leadership, status, five endpoints, and three for the database relation.
    assert_eq!(log.lines().count(), 11, "{log}");
}

#[test]
fn a_hook_that_nobody_knows_is_like_any_other() {
    let juju = Juju::new();
    juju.hook("something-new-in-juju", &[]);
    assert!(juju.status().starts_with("blocked: missing relation: database; "));
}

#[test]
fn get_status_shows_what_the_unit_thinks() {
    let juju = Juju::new();
    let vars = [("JUJU_ACTION_NAME", "get-status"), ("JUJU_ACTION_UUID", "12")];
    assert!(juju.dispatch("actions/get-status", &vars).status.success());
    let results = juju.written("results").unwrap();
    assert!(
        results.starts_with("status=blocked\nmessage=missing relation: database; "),
        "{results}"
    );
    assert_eq!(juju.written("status"), None);
}

#[test]
fn an_action_that_cannot_run_fails_as_an_action() {
    let juju = Juju::new();
    for action in ["enroll-cluster", "rotate-certificate-key"] {
        let path = format!("actions/{action}");
        assert!(juju.dispatch(&path, &[("JUJU_ACTION_UUID", "12")]).status.success());
        let failure = juju.written("failure").unwrap();
        assert!(failure.contains(action), "{failure}");
        assert!(failure.ends_with("run: juju refresh microcloud-cluster-manager-k8s"), "{failure}");
    }
}

#[test]
fn outside_juju_it_says_so_and_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_dispatch")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "JUJU_DISPATCH_PATH is not set: this program is meant to be started by Juju\n"
    );
}

#[test]
fn a_hook_tool_that_is_missing_fails_the_hook_by_name() {
    let juju = Juju::new();
    fs::remove_file(juju.0.path().join("is-leader")).unwrap();
    let output = juju.dispatch("hooks/config-changed", &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("hook tool is-leader could not be run: "), "{text}");
}
