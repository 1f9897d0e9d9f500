//! The program on the command line: help, versions, exit codes.

use cluster_simulator::STATUS_PATH;
use end_to_end_tests::{Deployment, Service, program};
use serde_json::{Value, json};

fn run(service: Option<&str>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(program("microcloud-cluster-manager"));
    command.args(arguments).env_clear().envs(service.map(|service| ("SERVICE", service)));
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_and_version_are_printed() {
    let (code, help, _) = run(None, &["--help"]);
    assert_eq!(code, Some(0));
    for word in [
        "management-api",
        "cluster-connector",
        "enroll",
        "clusters",
        "tokens",
        "status",
        "migrate",
        "takeover",
        "Exit status",
    ] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
    for argument in ["--version", "-version", "-V"] {
        let (code, version, _) = run(None, &[argument]);
        assert_eq!(
            (code, version.trim()),
            (Some(0), concat!("microcloud-cluster-manager ", env!("CARGO_PKG_VERSION")))
        );
    }
}

#[test]
fn wrong_usage_and_wrong_settings_have_exit_codes_of_their_own() {
    assert_eq!(run(None, &["no-such-command"]).0, Some(2));
    assert_eq!(run(Some("cli"), &["enroll"]).0, Some(2));
    let (code, out, err) = run(Some("something"), &[]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert_eq!(err, "Error: SERVICE must be management-api, cluster-connector or cli\n");
    let (code, _, err) = run(Some("management-api"), &[]);
    assert_eq!(code, Some(78));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("MANAGEMENT_API_TLS_PATH"), "{err}");
}

#[tokio::test]
async fn enroll_prints_the_token_and_nothing_else_on_standard_output() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("LOG_LEVEL", String::new())];
    assert!(deployment.run(&["migrate"]).status.success());
    let made = deployment.run(&[
        "enroll",
        "lyon",
        "-d",
        "Edge rack, Lyon",
        "-e",
        "2126-11-30T18:00:00+01:00",
    ]);
    assert_eq!(made.status.code(), Some(1), "beyond the longest life");
    let expiry = (time::OffsetDateTime::now_utc() + time::Duration::days(2))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let made = deployment.run(&[
        "enroll",
        "lyon",
        "--description",
        "Edge rack, Lyon",
        "--expire",
        &expiry,
    ]);
    assert!(made.status.success());
    assert!(made.stderr.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
    let token = String::from_utf8(made.stdout).unwrap();
    assert_eq!(token.lines().count(), 1);
    let token = cluster_simulator::JoinToken::decode(token.trim_end()).unwrap();
    assert_eq!((token.body().server_name.as_str(), token.body().secret.len()), ("lyon", 64));
    for (arguments, text) in [
        (vec!["enroll", "lyon"], "this cluster name has a pending join token"),
        (
            vec!["enroll", "quito", "-e", "2020-01-01T00:00:00Z"],
            "expiry date must be in the future",
        ),
        (vec!["enroll", "a/b"], "cluster name must begin and end with"),
    ] {
        let refused = deployment.run(&arguments);
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(error.starts_with(&format!("Error: {text}")), "{error}");
    }
}

/// What a command prints on success.
fn text(deployment: &Deployment, arguments: &[&str]) -> String {
    let output = deployment.run(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(deployment: &Deployment, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(deployment, &[arguments, &["--format", "json"]].concat())).unwrap()
}

fn failure(deployment: &Deployment, arguments: &[&str]) -> (Option<i32>, String) {
    let output = deployment.run(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn clusters_are_listed_shown_and_removed() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("LOG_LEVEL", String::new())];
    let _connector = deployment.start(Service::ClusterConnector).await;
    assert_eq!(text(&deployment, &["clusters"]), "No cluster is enrolled.\n");
    assert_eq!(json(&deployment, &["clusters"]), json!([]));
    let member = deployment.enrol("lyon-edge").await;
    deployment.enrol("quito").await;
    let body = super::example("heartbeat-3-members.json").to_string();
    assert_eq!(member.request("POST", STATUS_PATH, body.into_bytes()).await.unwrap().status, 200);

    let table = text(&deployment, &["clusters", "list"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("NAME       STATE    MEMBERS  INSTANCES"), "{table}");
    assert!(lines[1].starts_with("lyon-edge  online   3  "), "{table}");
    assert!(
        lines[2].starts_with("quito      waiting  0  ") && lines[2].ends_with("never"),
        "{table}"
    );
    let listed = json(&deployment, &["clusters"]);
    let example = super::example("remote-cluster.json");
    for key in super::keys(&example["metadata"]) {
        assert!(listed[0].get(key).is_some(), "{key} as the API has it");
    }
    let shown = json(&deployment, &["clusters", "show", "lyon-edge"]);
    assert_eq!(shown["cluster_certificate"], member.identity().certificate_pem());
    let shown = text(&deployment, &["clusters", "show", "lyon-edge"]);
    assert!(shown.contains(&member.identity().fingerprint()), "{shown}");
    assert!(shown.contains("Members            3\n"), "{shown}");

    assert_eq!(text(&deployment, &["clusters", "remove", "lyon-edge"]), "Removed lyon-edge.\n");
    assert_eq!(json(&deployment, &["clusters", "remove", "quito"]), json!({"removed": "quito"}));
    assert_eq!(
        member.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap().status,
        403,
        "at once"
    );
    assert_eq!(
        failure(&deployment, &["clusters", "remove", "quito"]),
        (Some(1), "Error: no remote cluster found with name: quito\n".into())
    );
    assert_eq!(
        failure(&deployment, &["clusters", "show", "quito"]),
        (Some(1), "Error: remote cluster not found\n".into())
    );
}

#[tokio::test]
async fn tokens_are_listed_and_revoked() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("LOG_LEVEL", String::new())];
    assert!(deployment.run(&["migrate"]).status.success());
    assert_eq!(text(&deployment, &["tokens"]), "No join token is pending.\n");
    let token = text(&deployment, &["enroll", "lyon", "-d", "two\nlines"]);
    let _other = deployment.token("quito");
    let db = deployment.database.connect().await;
    db.batch_execute("UPDATE join_tokens SET expires_at = now() WHERE cluster_name = 'quito'")
        .await
        .unwrap();
    let table = text(&deployment, &["tokens", "list"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].starts_with("lyon ") && lines[1].ends_with("two\\nlines"), "{table}");
    assert!(lines[2].starts_with("quito ") && lines[2].contains("expired 2"), "{table}");
    let listed = json(&deployment, &["tokens"]);
    assert_eq!(listed[0]["description"], "two\nlines");
    assert!(!listed.to_string().contains(token.trim_end()));
    assert_eq!(json(&deployment, &["tokens", "revoke", "lyon"]), json!({"revoked": "lyon"}));
    assert_eq!(
        text(&deployment, &["tokens", "revoke", "quito"]),
        "Revoked the join token of quito.\n"
    );
    assert_eq!(
        failure(&deployment, &["tokens", "revoke", "lyon"]),
        (Some(1), "Error: no remote cluster token found with name: lyon\n".into())
    );
}

#[tokio::test]
async fn status_tells_how_the_deployment_stands_and_what_to_do() {
    let deployment = Deployment::new().await;
    let status = || {
        let output = deployment.run(&["status", "--format", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    };
    let problems = |status: &Value| status["problems"].as_array().unwrap().len();
    let (code, fresh) = status();
    assert_eq!((code, problems(&fresh)), (Some(3), 3), "no schema, no services: {fresh}");
    assert_eq!(fresh["database"]["schema_version"], Value::Null);
    assert_eq!(fresh["clusters"], Value::Null);

    let _connector = deployment.start(Service::ClusterConnector).await;
    let (code, half) = status();
    assert_eq!(code, Some(3));
    assert_eq!(
        half["problems"],
        json!(["no management-api is connected to the database: start it"])
    );
    let _management = deployment.start(Service::ManagementApi).await;
    deployment.enrol("lyon").await;
    let _token = deployment.token("quito");
    let (code, well) = status();
    assert_eq!((code, problems(&well)), (Some(0), 0), "{well}");
    assert_eq!(well["database"]["schema_is_current"], true);
    assert_eq!(
        well["clusters"],
        json!({"total": 1, "online": 0, "waiting": 1, "stale": 0, "never": 0, "offline": 0})
    );
    assert_eq!(well["pending_join_tokens"], 1);
    assert_eq!(well["limits_per_address"], "none");
    let services: Vec<_> =
        well["services"].as_array().unwrap().iter().map(|s| &s["service"]).collect();
    assert_eq!(services, ["cluster-connector", "management-api"]);
    let table = text(&deployment, &["status"]);
    for words in [
        "up to date",
        "cluster-connector at ",
        "1: 0 online, 1 waiting",
        "Join tokens  1",
        "anonymous requests are limited per unit, not per address",
    ] {
        assert!(table.contains(words), "{words} is missing:\n{table}");
    }

    let db = deployment.database.connect().await;
    db.batch_execute(
        "INSERT INTO refinery_schema_history VALUES (99, 'future', '2030-01-01T00:00:00Z', '1')",
    )
    .await
    .unwrap();
    let (code, newer) = status();
    assert_eq!((code, &newer["clusters"]), (Some(3), &Value::Null));
    assert!(newer["problems"][0].as_str().unwrap().contains("use the newer release"), "{newer}");

    deployment.database.close().await;
    let (code, away) = status();
    assert_eq!((code, &away["database"]["reachable"]), (Some(1), &json!(false)));
    let output = deployment.run(&["status"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.starts_with("The database does not answer: "), "{shown}");
}

#[tokio::test]
async fn commands_before_the_first_start_say_what_to_do() {
    let deployment = Deployment::new().await;
    for arguments in
        [&["clusters"][..], &["tokens"], &["enroll", "lyon"], &["clusters", "remove", "a"]]
    {
        let (code, error) = failure(&deployment, arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(
            error.starts_with("Error: the database has no schema yet, or an older one: start a service or run `migrate`"),
            "{arguments:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let deployment = Deployment::new().await;
    assert!(deployment.run(&["migrate"]).status.success());
    let mut command = std::process::Command::new(program("microcloud-cluster-manager"));
    command.arg("tokens").env_clear().envs(deployment.settings());
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
