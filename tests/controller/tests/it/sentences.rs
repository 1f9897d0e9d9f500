//! Every reason to be blocked or to wait: what the operator reads then, to the letter. The sources are read, too, so that no
//! sentence is left out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use controller::{Authority, Controller, Remote, Runner};
use relations::Databag;
use relations::tls_certificates::{
    CertificateAnswers, CertificateRequests, Refusal, RefusedRequest,
};
use serde_json::{Value, json};

use super::{deployed, options, postgresql};

const APP: &str = "microcloud-cluster-manager-k8s";

/// A deployment with everything but the option `left_out`.
fn without(left_out: &[&str]) -> Controller {
    let mut juju = Controller::new(Runner::InProcess);
    let options = options().into_iter().filter(|(name, _)| !left_out.contains(name));
    juju.deploy(&options.collect::<Vec<_>>());
    juju.integrate("database", postgresql());
    juju.integrate("certificates", Authority::default().charm());
    juju
}

/// A deployment with this other side of a relation, and good ones of those that are needed.
fn with(endpoint: &'static str, remote: Remote) -> Controller {
    let mut juju = Controller::new(Runner::InProcess);
    juju.deploy(&options());
    let mut remote = Some(remote);
    for (needed, good) in
        [("database", postgresql()), ("certificates", Authority::default().charm())]
    {
        let other = remote.take_if(|_| needed == endpoint);
        juju.integrate(needed, other.unwrap_or(good));
    }
    if let Some(remote) = remote {
        juju.integrate(endpoint, remote);
    }
    juju
}

fn with_options(set: &[(&str, Value)]) -> Controller {
    let mut juju = deployed(Runner::InProcess);
    for (name, value) in set {
        juju.config(name, value.clone());
    }
    juju
}

fn behind_traefik(set: &[(&str, Value)]) -> Controller {
    let mut juju = with_options(set);
    juju.integrate("traefik-route", Remote::traefik("10.64.140.43"));
    juju
}

/// Names of each request that a provider has seen, in their order.
pub(super) type Asked = Rc<RefCell<Vec<BTreeSet<String>>>>;

/// A provider of certificates that refuses every request.
pub(super) fn refusing(code: u32, name: &'static str) -> (Remote, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let mut last = String::new();
    let remote = Remote::new("lego", move |app, _| {
        let requests = CertificateRequests::decode(app).unwrap().unwrap_or_default().0;
        let refused = requests.into_iter().map(|request| {
            let request = request.certificate_signing_request;
            if request != last {
                seen.borrow_mut().push(charm::pki::request_names(&request).unwrap());
                last.clone_from(&request);
            }
            let error = Refusal {
                code,
                name: name.to_owned(),
                message: "canary".to_owned(),
                reason: None,
                provider: None,
                endpoint: None,
            };
            RefusedRequest { certificate_signing_request: request, error }
        });
        let request_errors = refused.collect();
        let answers = CertificateAnswers { request_errors, ..Default::default() };
        controller::RemoteData { app: answers.encode(), ..Default::default() }
    });
    (remote, asked)
}

/// PostgreSQL that has written this.
fn database(more: &[(&str, &str)]) -> Controller {
    let known = [("database", "cluster_manager_db"), ("endpoints", "db:5432")];
    let pairs: Vec<(&str, &str)> = known.iter().chain(more).copied().collect();
    with("database", Remote::app_saying("postgresql-k8s", &pairs))
}

/// A secret that nobody has granted.
const SECRET: &str = "secret:d0a1kq5mp25c7f0f1u10";

/// Situations in which the operator must act, each with its sentence; `@` is the application.
fn blocked() -> Vec<(Controller, &'static str)> {
    let mut new = Controller::new(Runner::InProcess);
    new.deploy(&options());
    let mut half = Controller::new(Runner::InProcess);
    half.deploy(&options());
    half.integrate("database", postgresql());
    let same = json!("manager.example.com");
    let rows = [
        (
            new,
            "blocked: missing relation: database; run: juju integrate @:database \
             postgresql-k8s:database",
        ),
        (
            half,
            "blocked: missing relation: certificates; run: juju integrate @:certificates \
             self-signed-certificates",
        ),
        (
            with_options(&[("oidc-issuer", json!("http://a"))]),
            "blocked: option oidc-issuer is wrong: it must be a URL that begins with \
             https:// and a host; run: juju config @ oidc-issuer=<value>",
        ),
        (
            without(&["management-api-domain"]),
            "blocked: option management-api-domain is not set; run: juju config @ \
             management-api-domain=<host name>",
        ),
        (
            without(&["cluster-connector-domain"]),
            "blocked: option cluster-connector-domain is not set; run: juju config @ \
             cluster-connector-domain=<host name>",
        ),
        (
            without(&["oidc-issuer"]),
            "blocked: OIDC is not configured: option oidc-issuer is not set; run: juju \
             config @ oidc-issuer=<URL>",
        ),
        (
            without(&["oidc-client-id"]),
            "blocked: OIDC is not configured: option oidc-client-id is not set; run: juju \
             config @ oidc-client-id=<client id>",
        ),
        (
            without(&["oidc-issuer", "oidc-client-id"]),
            "blocked: OIDC is not configured; run: juju integrate @:oauth hydra, or: juju \
             config @ oidc-issuer=<URL> oidc-client-id=<client id>",
        ),
        (
            with_options(&[("oidc-client-credentials", json!(SECRET))]),
            "blocked: the secret of option oidc-client-credentials cannot be read, or has no \
             key client-secret; run: juju grant-secret <secret> @",
        ),
        (
            behind_traefik(&[("cluster-connector-domain", same)]),
            "blocked: management-api-domain and cluster-connector-domain need different \
             names or ports; run: juju config @ cluster-connector-port=<another port>",
        ),
        (
            behind_traefik(&[("management-api-domain", json!("10.0.0.1"))]),
            "blocked: a public IP address cannot share port 443 with the other service; run: \
             juju config @ cluster-connector-port=<another port>",
        ),
        (
            behind_traefik(&[("cluster-connector-port", json!(8082))]),
            "blocked: cluster-connector-port is a port that Traefik itself uses; run: juju \
             config @ cluster-connector-port=<another port>",
        ),
        (
            with("database", Remote::app_saying("other", &[("endpoints", "a b")])),
            "blocked: unusable data in relation database:2: relation interface \
             postgresql_client: key \"endpoints\" is not a list of host:port; look at the \
             provider, run: juju status --relations",
        ),
        (
            database(&[
                ("username", "u"),
                ("password", "p"),
                ("tls", "True"),
                ("tls-ca", "-----BEGIN"),
            ]),
            "blocked: unusable data in relation database:2: relation interface \
             postgresql_client: key \"tls-ca\" is not a PEM text with certificates; look at the \
             provider, run: juju status --relations",
        ),
        (
            with("oauth", Remote::hydra("http://iam.example.com")),
            "blocked: unusable data in relation oauth:4: relation interface oauth: key \
             \"issuer_url\" is not a URL that begins with https:// and a host; look at the \
             provider, run: juju status --relations",
        ),
        (
            with("certificates", refusing(101, "ip_not_allowed").0),
            "blocked: certificates: the provider refused the request with 101 \
             ip_not_allowed; look at its options, run: juju config <provider>",
        ),
    ];
    rows.into()
}

/// Situations in which somebody else must do something.
fn waiting() -> Vec<(Controller, &'static str)> {
    let mut alone = deployed(Runner::InProcess);
    alone.remove_relation("peers");
    let mut locked = deployed(Runner::InProcess);
    locked.hide_secrets();
    let silent = |app: &str| Remote::app_saying(app, &[]);
    let login = [("username", "u"), ("password", "p")];
    let rows = [
        (
            with("certificates", silent("ca")),
            "waiting: waiting for certificates: the provider has not answered yet",
        ),
        (
            with("database", silent("postgresql-k8s")),
            "waiting: waiting for database: the provider is still preparing it",
        ),
        (
            database(&[("secret-user", SECRET)]),
            "waiting: waiting for database: its secret cannot be read yet",
        ),
        (
            database(&[login[0], login[1], ("secret-tls", SECRET)]),
            "waiting: waiting for database: it has not delivered its TLS secret yet",
        ),
        (
            database(&[login[0], login[1], ("tls", "True")]),
            "waiting: waiting for database: it has TLS but has not said which authority to \
             trust",
        ),
        (
            with("oauth", silent("hydra")),
            "waiting: waiting for oauth: the provider is still registering us",
        ),
        (alone, "waiting: waiting for the peer relation"),
        (locked, "waiting: waiting for the leader to share its keys"),
    ];
    rows.into()
}

/// What stands between `{` and `}` in a format is a gap.
fn pieces(format: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for part in format.split('{') {
        match part.split_once('}') {
            Some((_, rest)) => pieces.push(rest.to_owned()),
            None => pieces.extend([part.to_owned()]),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn fits(pieces: &[String], message: &str) -> bool {
    let mut rest = message;
    pieces.iter().all(|piece| match rest.split_once(piece.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The text that begins at the first quotation mark, as the compiler reads it.
fn literal(source: &str) -> String {
    let mut text = String::new();
    let mut chars = source.chars().skip_while(|c| *c != '"').skip(1).peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some(escaped) => text.push(escaped),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

/// Kind and format of every sentence for who must act or wait, from the charm's sources.
fn formats(folder: &Path, found: &mut Vec<(&'static str, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            formats(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for kind in ["blocked", "waiting"] {
            let call = format!("Status::{kind}(");
            let calls = source.split(call.as_str()).skip(1);
            found.extend(calls.map(|call| (kind, literal(call))));
        }
    }
}

/// Whether the words are a command that exists, for a thing of ours that exists.
fn is_command(charm: &Value, command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let option = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        charm["config"]["options"].get(name).is_some() && !value.is_empty()
    };
    match words.as_slice() {
        ["juju", "integrate", ours, other] => {
            let endpoint = ours.strip_prefix(APP).and_then(|rest| rest.strip_prefix(':'));
            endpoint.is_some_and(|name| charm["requires"].get(name).is_some()) && !other.is_empty()
        }
        ["juju", "config", "<provider>"]
        | ["juju", "status", "--relations"]
        | ["juju", "grant-secret", "<secret>", APP] => true,
        ["juju", "config", APP, _, ..] => {
            let (_, set) = command.split_once(APP).unwrap();
            // What stands in angle brackets is for the reader to fill in, and may have blanks.
            set.split('>').filter(|part| !part.trim().is_empty()).all(|part| option(part.trim()))
        }
        _ => false,
    }
}

#[test]
fn every_reason_to_be_blocked_or_to_wait_is_one_sentence_with_the_command_that_helps() {
    let yaml = include_str!("../../../../charmcraft.yaml");
    let charm: Value = serde_yaml::from_str(yaml).unwrap();
    let mut formats = {
        let mut found = Vec::new();
        formats(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charm/src"), &mut found);
        found
    };
    assert!(formats.len() > 12, "{formats:?}");
    for (juju, wanted) in blocked().into_iter().chain(waiting()) {
        let status = juju.status(0);
        assert_eq!(status, wanted.replace('@', APP));
        let (kind, message) = status.split_once(": ").unwrap();
        assert!(message.len() < 260 && !message.contains('\n') && !message.ends_with('.'));
        let commands = message.split("run: ").skip(1).flat_map(|rest| rest.split(", or: "));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(commands.is_empty(), kind == "waiting", "who must act is told how: {message}");
        for command in commands {
            assert!(is_command(&charm, command), "{command}");
        }
        formats.retain(|(of, format)| *of != kind || !fits(&pieces(format), message));
    }
    assert!(formats.is_empty(), "no situation above leads to: {formats:?}");
}

#[test]
fn the_check_of_sentences_sees_what_is_wrong() {
    let yaml = include_str!("../../../../charmcraft.yaml");
    let charm: Value = serde_yaml::from_str(yaml).unwrap();
    for wrong in [
        format!("juju config {APP} oidc-isuer=<URL>"),
        format!("juju config {APP} oidc-issuer"),
        format!("juju integrate {APP}:db postgresql-k8s"),
        "juju dance".to_owned(),
    ] {
        assert!(!is_command(&charm, &wrong), "{wrong}");
    }
    assert!(fits(&pieces("a {b} c {d}; e"), "a x c y; e"));
    assert!(!fits(&pieces("a {b} c {d}; e"), "a x y; e"));
    assert_eq!(literal("(&format!(\n \"one \\\"two\\\" \\\n   three\"))"), "one \"two\" three");
}
