//! The published libraries of interfaces on the other side: what we write is what they read, and the reverse.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use charm::pki::Leaf;
use controller::{Controller, Remote, RemoteData, Runner};
use ops::Event;
use ops::tools::calls::Bag;
use serde_json::{Value, json};

use super::{deployed, file, options, postgresql};

/// A charm that is made of the published library of the interface at `endpoint`.
fn published(endpoint: &'static str) -> Remote {
    let mut asked = None;
    let mut said = RemoteData::default();
    Remote::new("provider", move |theirs, _| {
        if asked.as_ref() != Some(theirs) {
            let told = json!({
                "endpoint": endpoint,
                "theirs": theirs,
                "ours": {"app": said.app, "unit": said.unit},
            });
            let answer = python(&told);
            let bag = |name: &str| -> Bag { serde_json::from_value(answer[name].clone()).unwrap() };
            said = RemoteData { app: bag("app"), unit: bag("unit"), ..RemoteData::default() };
            asked = Some(theirs.clone());
        }
        said.clone()
    })
}

/// Runs the other charm once.
fn python(told: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".dev/charm-libraries/bin/python");
    assert!(python.exists(), "the libraries are not installed: run the tests with ./dev test");
    let mut child = Command::new(python)
        .arg(root.join("tests/charm-libraries/provider.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the other charm failed: what it wrote is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn served(juju: &Controller) -> Leaf {
    Leaf::parse(&file(juju, 0, "management/tls.crt").unwrap()).unwrap()
}

#[test]
fn the_published_library_of_certificates_signs_our_requests_and_forgets_those_that_are_gone() {
    let mut juju = Controller::new(Runner::process(super::TOOL));
    juju.deploy(&options());
    juju.integrate("database", postgresql());
    juju.integrate("certificates", published("certificates"));
    assert_eq!(juju.status(0), "active: ");
    let first = served(&juju);
    let wanted = ["manager.example.com", "clusters.example.com"];
    assert!(wanted.iter().all(|name| first.names.contains(*name)), "{:?}", first.names);
    let key = file(&juju, 0, "management/tls.key").unwrap();
    assert!(first.has_key(&key));

    // Another name, then another key: each is a new request, and the answer to the old one goes.
    juju.config("management-api-domain", json!("other.example.com"));
    let second = served(&juju);
    assert!(second.names.contains("other.example.com") && second.has_key(&key));
    assert_eq!(juju.run_action(0, "rotate-certificate-key", &[]).failure, None);
    let third = served(&juju);
    assert!(third.has_key(&file(&juju, 0, "management/tls.key").unwrap()));
    assert!(!third.has_key(&key));
    let answers = &juju.relation("certificates").unwrap().remote_app_data["certificates"];
    let answers: Vec<Value> = serde_json::from_str(answers).unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(juju.status(0), "active: ");
}

#[test]
fn the_published_library_of_authorities_answers_our_version() {
    let mut juju = deployed(Runner::InProcess);
    juju.integrate("send-ca-cert", published("send-ca-cert"));
    juju.dispatch(0, Event::UpdateStatus);
    assert_eq!(juju.relation("send-ca-cert").unwrap().app["version"], "1");
    let trusted = file(&juju, 0, "oidc/ca.pem").unwrap();
    assert!(Leaf::parse(&trusted).unwrap().is_ca, "{trusted}");
    juju.remove_relation("send-ca-cert");
    assert_eq!(file(&juju, 0, "oidc/ca.pem"), None);
}
