//! Generated requests: schemathesis reads the description of the API, sends what it allows and what it does not, and compares the
//! answers with it.

use std::path::Path;
use std::process::Command;

use end_to_end_tests::{Deployment, MockProvider, Process, Service};
use serde_json::Value;

/// Runs schemathesis on operations with one tag; panics with its report when it finds anything.
async fn explore(deployment: &Deployment, url: &str, tag: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = root.join(".dev/schemathesis/bin/schemathesis");
    assert!(program.exists(), "schemathesis is not installed: run the tests with ./dev test");
    // Who asks is in a header or a certificate that each request has; a request without it is the subject of other tests.
    let mut document: Value =
        serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    document["components"].as_object_mut().unwrap().remove("securitySchemes");
    for path in document["paths"].as_object_mut().unwrap().values_mut() {
        let operations = path.as_object_mut().unwrap();
        // The other service has the same path, and other methods.
        operations
            .retain(|_, operation| operation["tags"].as_array().unwrap().contains(&tag.into()));
        for operation in operations.values_mut() {
            drop(operation.as_object_mut().unwrap().remove("security"));
            if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
                // Which keys are asked for decides which ones are there.
                parameters.retain(|parameter| parameter["name"] != "fields");
            }
        }
    }
    document["paths"]
        .as_object_mut()
        .unwrap()
        .retain(|_, path| path.as_object().is_some_and(|path| !path.is_empty()));
    let description = deployment.file(&format!("openapi-{tag}.json"));
    std::fs::write(&description, document.to_string()).unwrap();
    let log = deployment.file(&format!("schemathesis-{tag}.log"));
    // It keeps notes in the folder that it runs in.
    let mut command = Command::new("env");
    command.arg("-C").arg(deployment.directory()).arg(program);
    command
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", deployment.directory())
        .arg("run")
        .arg(description)
        .args(["--url", url, "--include-tag", tag, "--phases", "coverage,fuzzing"])
        // The same requests each time; the bound is one of time for slow machines only.
        .args(["--max-examples", "20", "--seed", "1", "--max-time", "45"])
        // One at a time: the interpreter's own parser, which it uses on its tests, is not safe in threads (CPython 3.11).
        .args(["--workers", "1"])
        // A refusal before the body was read ends the connection: no request rides on one that is about to end.
        .args(["-H", "Connection: close"])
        // `/` answers every method, as published.
        .args(["--exclude-operation-id", "getRoot"])
        .args(["--request-timeout", "20", "--warnings", "off"])
        // A name that may be anything is of no cluster, and a time may be before another one.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .arg("--tls-verify")
        .arg(deployment.certificates.ca_file())
        .args(arguments);
    let mut running = Process::start(&command, &log);
    running.succeed().await;
    assert!(running.log().contains("passed"), "{}", running.log());
}

#[tokio::test]
async fn the_management_api_answers_generated_requests_as_described() {
    let mut deployment = Deployment::new().await;
    deployment.extra = vec![("OIDC_AUDIENCE", "mcm-api".into())];
    let provider = MockProvider::start(&mut deployment).await;
    let _connector = deployment.start(Service::ClusterConnector).await;
    let management = deployment.start(Service::ManagementApi).await;
    drop(deployment.enrol("lyon").await);
    assert_eq!(provider.log_in(&mut deployment.operator()).await.status, 303);
    // With an access token, because some of the operations end the sessions of who asks for them.
    let token = provider.keys.sign(&provider.claims("mcm-api"));
    let token = format!("Authorization: Bearer {token}");
    let headers =
        ["-H", &token, "-H", "Sec-Fetch-Site: same-origin", "-H", "Sec-Fetch-Dest: empty"];
    // Events do not end. What a tunnel answers is the cluster's, and a request that it cannot take is refused before its body was
    // read, which ends the connection under a client that still sends: `tunnel_request` asks for these.
    let left_out = ["--exclude-operation-id", "followFleet", "--exclude-path-regex", "/tunnel/"];
    let arguments = [&headers[..], &left_out].concat();
    explore(&deployment, &deployment.origin(), "management", &arguments).await;
    assert!(
        !management.process.log().contains("\"level\":\"ERROR\""),
        "{}",
        management.process.log()
    );
}

#[tokio::test]
async fn the_cluster_connector_answers_generated_requests_as_described() {
    let deployment = Deployment::new().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = deployment.enrol("lyon").await;
    let (certificate, key) = (deployment.file("member.crt"), deployment.file("member.key"));
    std::fs::write(&certificate, member.identity().certificate_pem()).unwrap();
    std::fs::write(&key, member.identity().key_pem()).unwrap();
    let identity = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let url = format!("https://{}", deployment.connector_address());
    let arguments = ["--request-cert", identity[0], "--request-cert-key", identity[1]];
    // A cluster that has left gets 403 ever after.
    let arguments = [&arguments[..], &["--exclude-operation-id", "leaveCluster"]].concat();
    explore(&deployment, &url, "connector", &arguments).await;
    assert!(
        !connector.process.log().contains("\"level\":\"ERROR\""),
        "{}",
        connector.process.log()
    );
}
