//! What others write into databags and secrets is not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use controller::{Controller, Remote, RemoteData, Runner};
use ops::Event;
use ops::testing::SecretState;
use ops::tools::calls::Bag;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::order::{ENDPOINTS, remote};
use super::{deployed, postgresql};

/// The other side of a relation in a sample.
#[derive(Debug, Clone)]
struct Side {
    endpoint: &'static str,
    app: Bag,
    unit: Bag,
    secrets: Vec<(String, Bag)>,
}

fn bag_of(value: &Value) -> Bag {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// The other side of every sample, and of every endpoint that has none with data an empty one.
fn sides() -> Vec<Side> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../databags");
    let mut all: Vec<Side> = ENDPOINTS
        .into_iter()
        .map(|endpoint| Side { endpoint, app: Bag::new(), unit: Bag::new(), secrets: Vec::new() })
        .collect();
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|kind| kind == "json")) {
        let sample: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let name = sample["endpoint"].as_str().unwrap();
        let Some(endpoint) = ENDPOINTS.into_iter().find(|known| *known == name) else { continue };
        let units = sample["remote_unit_data"].as_object().unwrap();
        let secrets = sample["secrets"].as_array().unwrap().iter();
        let secrets = secrets.filter(|secret| secret["owner"] == "remote_app");
        all.push(Side {
            endpoint,
            app: bag_of(&sample["remote_app_data"]),
            unit: units.values().next().map(bag_of).unwrap_or_default(),
            secrets: secrets
                .map(|s| (s["uri"].as_str().unwrap().to_owned(), bag_of(&s["content"])))
                .collect(),
        });
    }
    all
}

/// What somebody does to a value who means harm, or who made a mistake.
#[derive(Debug, Clone)]
enum Harm {
    /// Something else.
    Text(String),
    /// Something else somewhere inside JSON.
    Inside(Index, Value),
    /// The end is missing.
    Cut(Index),
    /// Something in the middle.
    Insert(Index, String),
}

impl Harm {
    fn done(&self, text: &str) -> String {
        let cut = |at: &Index| {
            let mut cut = at.index(text.len() + 1);
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            text.split_at(cut)
        };
        match self {
            Self::Text(text) => text.clone(),
            Self::Inside(at, value) => match serde_json::from_str::<Value>(text) {
                Ok(mut json) => {
                    let mut number = at.index(count(&json));
                    replace(&mut json, &mut number, value);
                    json.to_string()
                }
                Err(_) => value.to_string(),
            },
            Self::Cut(at) => cut(at).0.to_owned(),
            Self::Insert(at, noise) => {
                let (begin, end) = cut(at);
                format!("{begin}{noise}{end}")
            }
        }
    }
}

/// How many values there are in a JSON text, itself included.
fn count(json: &Value) -> usize {
    let inside = match json {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    };
    1 + inside
}

/// Puts `with` in the place of value number `number`, counted from the outside.
fn replace(json: &mut Value, number: &mut usize, with: &Value) {
    if *number == 0 {
        *json = with.clone();
        *number = usize::MAX;
        return;
    }
    *number -= 1;
    let inside: Vec<&mut Value> = match json {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for value in inside {
        if *number == usize::MAX {
            return;
        }
        replace(value, number, with);
    }
}

fn noise() -> impl Strategy<Value = String> {
    let texts = [
        "canary",
        "null",
        "{}",
        "[]",
        "[{\"canary\": [null]}]",
        "{\"url\": \"canary://\\u0000\"}",
        "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----",
        "secret:canary",
        "canary:99999",
        "&a [*a, *a]",
        "True",
        "$(canary)",
        "canary`canary\r\ncanary: x",
        "\u{202e}canary\u{0}",
    ];
    prop_oneof![
        proptest::sample::select(texts.map(str::to_owned).to_vec()),
        "canary\\PC{0,40}",
        (1_usize..9000).prop_map(|depth| "[".repeat(depth)),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    let values = [json!(null), json!([]), json!({}), json!("canary"), json!(-1), json!(1e300)];
    prop_oneof![
        noise().prop_map(Harm::Text),
        (any::<Index>(), proptest::sample::select(values.to_vec()))
            .prop_map(|(at, value)| Harm::Inside(at, value)),
        any::<Index>().prop_map(Harm::Cut),
        (any::<Index>(), noise()).prop_map(|(at, noise)| Harm::Insert(at, noise)),
    ]
}

/// A sample of any relation with harm done to some of its values.
fn hostile() -> impl Strategy<Value = Side> {
    let harms = proptest::collection::vec((any::<Index>(), harm()), 1..4);
    (proptest::sample::select(sides()), harms).prop_map(|(mut side, harms)| {
        for (at, harm) in harms {
            let bags = [&mut side.app, &mut side.unit].into_iter();
            let bags = bags.chain(side.secrets.iter_mut().map(|(_, content)| content));
            let mut values: Vec<&mut String> = bags.flat_map(Bag::values_mut).collect();
            if values.is_empty() {
                side.app.insert("event".to_owned(), harm.done(""));
            } else {
                let number = at.index(values.len());
                *values[number] = harm.done(values[number]);
            }
        }
        side
    })
}

impl Side {
    fn charm(&self) -> Remote {
        let secrets = self.secrets.iter().map(|(uri, content)| {
            let pairs: Vec<(&str, &str)> =
                content.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            SecretState::granted(uri, &pairs)
        });
        let data = RemoteData {
            app: self.app.clone(),
            unit: self.unit.clone(),
            secrets: secrets.collect(),
        };
        Remote::saying("other", data)
    }
}

fn relate(juju: &mut Controller, endpoint: &'static str, charm: Remote) {
    if juju.relation(endpoint).is_some() {
        juju.replace_remote(endpoint, charm);
    } else {
        juju.integrate(endpoint, charm);
    }
}

/// The services run, the status names who is at fault, and nobody is quoted.
fn holds(juju: &Controller, at_fault: &BTreeSet<&str>) -> Result<(), String> {
    let status = juju.status(0);
    let seen = format!("{status}{:?}", juju.unit(0).log);
    if seen.contains("canary") {
        return Err(format!("quoted: {seen}"));
    }
    let running = juju.container(0).running();
    if running.len() != 2 {
        return Err(format!("{running:?} run: {status}"));
    }
    let named = at_fault.iter().any(|endpoint| status.contains(endpoint));
    let word = status.split(':').next().unwrap_or_default();
    match word {
        "active" => Ok(()),
        "blocked" | "waiting" if named => Ok(()),
        _ => Err(format!("{status} names none of {at_fault:?}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn charm_04_nothing_that_others_write_makes_a_hook_fail_or_stops_services(
        hostile in proptest::collection::vec(hostile(), 1..5),
    ) {
        // The controller fails the test if a hook fails.
        let mut juju = deployed(Runner::InProcess);
        let mut at_fault = BTreeSet::new();
        for side in &hostile {
            relate(&mut juju, side.endpoint, side.charm());
            at_fault.insert(side.endpoint);
            juju.everywhere(&Event::ConfigChanged);
            holds(&juju, &at_fault).map_err(TestCaseError::fail)?;
        }
        let told = juju.run_action(0, "get-status", &[]);
        prop_assert_eq!(told.failure, None);
        for endpoint in at_fault {
            relate(&mut juju, endpoint, remote(endpoint));
        }
        juju.everywhere(&Event::UpdateStatus);
        prop_assert!(juju.status(0).starts_with("active: "), "{}", juju.status(0));
    }
}

#[test]
fn charm_04_the_real_program_takes_hostile_data_on_every_relation_at_once() {
    let mut juju = deployed(Runner::process(super::TOOL));
    let mut keys: BTreeMap<&str, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for side in sides() {
        let (app, unit) = keys.entry(side.endpoint).or_default();
        app.extend(side.app.into_keys().chain(["event".to_owned()]));
        unit.extend(side.unit.into_keys());
    }
    assert_eq!(keys.len(), ENDPOINTS.len());
    let all: BTreeSet<&str> = ENDPOINTS.into();
    let deep = "[".repeat(5000);
    for text in [r#"[{"canary": null, "url": 1}]"#, deep.as_str(), "\u{202e}canary\u{0}\r\nx: y"] {
        for (endpoint, (app, unit)) in &keys {
            let filled = |keys: &BTreeSet<String>| -> Bag {
                keys.iter().map(|key| (key.clone(), text.to_owned())).collect()
            };
            let data = RemoteData { app: filled(app), unit: filled(unit), secrets: Vec::new() };
            relate(&mut juju, endpoint, Remote::saying("other", data));
        }
        holds(&juju, &all).unwrap();
    }
    for endpoint in ENDPOINTS {
        relate(&mut juju, endpoint, remote(endpoint));
    }
    assert!(juju.status(0).starts_with("active: "), "{}", juju.status(0));
}

/// Everything that a service would read as PEM, from whichever relation, with a good certificate and with damaged ones: the services
/// must not be given what they cannot start with.
#[test]
fn charm_04_a_service_is_given_no_authority_that_it_cannot_read() {
    let good = include_str!("authority.pem");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    let cut_off = &good[..good.len() / 2];
    let both = |damaged: &str| format!("{good}{damaged}");
    for (text, usable) in [
        (good.to_owned(), true),
        (cut_off.to_owned(), false),
        (no_certificate.to_owned(), false),
        (both(cut_off), false),
        (both(no_certificate), false),
        ("canary".to_owned(), false),
    ] {
        let mut juju = deployed(Runner::InProcess);
        let before = juju.container(0).files();
        let pairs = [
            ("database", "cluster_manager_db"),
            ("endpoints", "db:5432"),
            ("username", "u"),
            ("password", "p"),
            ("tls", "True"),
            ("tls-ca", &text),
        ];
        juju.replace_remote("database", Remote::app_saying("postgresql-k8s", &pairs));
        assert_eq!(juju.status(0).starts_with("active: "), usable, "{text}: {}", juju.status(0));
        assert_eq!(juju.container(0).files() == before, !usable, "{text}");
        holds(&juju, &["database"].into()).unwrap();
        juju.replace_remote("database", postgresql());

        let list = json!([text]).to_string();
        let hydra = Remote::hydra("https://hydra.example.com").with("ca_chain", &list);
        juju.integrate("oauth", hydra);
        assert_eq!(juju.status(0).starts_with("active: "), usable, "{text}: {}", juju.status(0));
        holds(&juju, &["oauth"].into()).unwrap();
        juju.remove_relation("oauth");

        // Here one bad certificate spoils no other.
        juju.integrate("send-ca-cert", Remote::app_saying("ca", &[("certificates", &list)]));
        let written = super::file(&juju, 0, "authorities.pem");
        let expected = text.starts_with(good).then(|| good.trim_end().to_owned());
        assert_eq!(written.map(|file| file.trim_end().to_owned()), expected, "{text}");
        // Of a text that begins well, what is cut off cannot be told from other text.
        let noted = juju.status(0).contains("unusable data in relation send-ca-cert");
        assert_eq!(noted, !usable && text != both(cut_off), "{text}: {}", juju.status(0));
    }
}

#[test]
fn charm_04_a_value_without_end_is_refused_by_its_key() {
    let mut juju = deployed(Runner::InProcess);
    let long = "x".repeat(relations::bag::MAX_VALUE_BYTES + 1);
    juju.replace_remote("database", Remote::app_saying("other", &[("endpoints", &long)]));
    let status = juju.status(0);
    assert!(status.contains("key \"endpoints\" is longer than") && status.len() < 300, "{status}");
    holds(&juju, &["database"].into()).unwrap();
}

#[test]
fn charm_04_bad_data_in_a_needed_relation_leaves_running_services_alone() {
    let mut juju = deployed(Runner::InProcess);
    let starts = juju.container(0).starts();
    juju.replace_remote(
        "database",
        Remote::app_saying("bad", &[("endpoints", "a b"), ("database", "x")]),
    );
    assert!(juju.status(0).starts_with("blocked: unusable data in relation database:"));
    assert_eq!(juju.container(0).running().len(), 2);
    assert_eq!(juju.container(0).starts(), starts);
    juju.replace_remote("certificates", Remote::app_saying("bad", &[("certificates", "{")]));
    juju.replace_remote("database", postgresql());
    assert!(
        juju.status(0).starts_with("active: unusable data in relation certificates:"),
        "{}",
        juju.status(0)
    );
    assert_eq!(juju.container(0).running().len(), 2);
}
