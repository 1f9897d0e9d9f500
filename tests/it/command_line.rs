//! The program on the command line: help, versions, exit codes.

use end_to_end_tests::{Deployment, program};

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
    for word in ["management-api", "cluster-connector", "enroll", "migrate", "Exit status"] {
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
