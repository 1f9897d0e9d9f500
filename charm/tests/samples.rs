//! The charm over every sample of a relation, in `tests/databags`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

use std::collections::BTreeMap;
use std::path::Path;

use charm::Manager;
use charm::pki::Leaf;
use charm::surroundings::Surroundings;
use ops::testing::{FakePebble, Harness, Outcome, RelationState, SecretOwner, SecretState, State};
use ops::{Endpoint, Event, RelationId, UnitName};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const APP: &str = "microcloud-cluster-manager-k8s";

struct Sample(Value);

impl Sample {
    /// A sample, in the model of the test harness.
    fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/databags");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        Self(serde_json::from_str(&text.replace("cm-prod", "test-model")).unwrap())
    }

    fn all() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/databags");
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()));
        names.collect()
    }

    fn bag(value: &Value) -> BTreeMap<String, String> {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    fn state(&self) -> State {
        let unit = format!("{APP}/0");
        let mut state = State::of(UnitName::parse(&unit).unwrap());
        for (name, value) in self.0["config"].as_object().unwrap() {
            state = state.with_config(name, value.clone());
        }
        let endpoint = self.0["endpoint"].as_str().unwrap().to_owned();
        let number = u32::try_from(self.0["relation"]["id"].as_u64().unwrap()).unwrap();
        let remote = self.0["relation"]["remote_app"].as_str().unwrap();
        let mut relation = RelationState::new(RelationId::new(endpoint.into(), number), remote);
        relation.local_app_data = Self::bag(&self.0["local_app_data"]);
        relation.local_unit_data = Self::bag(&self.0["local_unit_data"][&unit]);
        relation.remote_app_data = Self::bag(&self.0["remote_app_data"]);
        relation.remote_units.clear();
        for (unit, bag) in self.0["remote_unit_data"].as_object().unwrap() {
            relation.remote_units.insert(UnitName::parse(unit).unwrap(), Self::bag(bag));
        }
        let peers = relation.id.endpoint().as_str() == "peers";
        state = state.with_relation(relation);
        if !peers {
            let id = RelationId::new(Endpoint::new("peers"), 900);
            state = state.with_relation(RelationState::peer(id, APP));
        }
        for secret in self.0["secrets"].as_array().unwrap() {
            let owner = match secret["owner"].as_str().unwrap() {
                "remote_app" => SecretOwner::Other,
                "local_app" => SecretOwner::App,
                _ => SecretOwner::Unit,
            };
            state = state.with_secret(SecretState {
                id: secret["uri"].as_str().unwrap().to_owned(),
                owner,
                label: secret["label"].as_str().map(str::to_owned),
                revisions: vec![Self::bag(&secret["content"])],
                granted: secret["granted_to_us"].as_bool().unwrap_or(true),
            });
        }
        state
    }

    fn run(&self, state: &State) -> (Outcome, FakePebble, TempDir) {
        let folder = TempDir::new().unwrap();
        let container = FakePebble::start(folder.path(), charm::CONTAINER).unwrap();
        let now = self.0["now"].as_str().unwrap_or("2025-01-15T00:00:00Z");
        let now = OffsetDateTime::parse(now, &Rfc3339).unwrap();
        let manager = Manager::new(Surroundings::new(now, folder.path().to_owned(), ""));
        let yaml = include_str!("../../charmcraft.yaml");
        let harness = Harness::new(serde_yaml::from_str(yaml).unwrap());
        let outcome = harness.run(&manager, &Event::ConfigChanged, state).unwrap();
        (outcome, container, folder)
    }

    /// Runs the sample as it is.
    fn outcome(&self) -> (Outcome, FakePebble, TempDir) {
        self.run(&self.state())
    }
}

#[test]
fn no_sample_makes_a_hook_fail_or_shows_a_secret() {
    let names = Sample::all();
    assert!(names.len() >= 38, "{}", names.len());
    for name in names {
        let sample = Sample::load(&name);
        let (outcome, ..) = sample.outcome();
        assert_eq!(outcome.error, None, "{name}");
        let status = &outcome.state.unit_status;
        let seen = format!("{status:?}{:?}", outcome.state.log);
        for secret in sample.0["secrets"].as_array().unwrap() {
            for value in secret["content"].as_object().unwrap().values() {
                let value = value.as_str().unwrap();
                assert!(value.len() < 8 || !seen.contains(value), "{name}: {seen}");
            }
        }
    }
}

#[test]
fn routes_are_what_the_samples_say() {
    for name in ["ready", "extra-entrypoint", "ip-addresses", "waiting"] {
        let sample = Sample::load(&format!("traefik_route-{name}"));
        let wanted = Sample::bag(&sample.0["local_app_data"]);
        let mut state = sample.state();
        state.relations[0].local_app_data.clear();
        let (outcome, ..) = sample.run(&state);
        let written = &outcome.state.relation_of("traefik-route").unwrap().local_app_data;
        assert_eq!(written.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>(), "{name}");
        for (key, value) in written {
            let yaml = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
            assert_eq!(yaml(value), yaml(&wanted[key]), "{name}: {key}");
        }
    }
}

#[test]
fn log_targets_are_what_the_sample_says() {
    let sample = Sample::load("loki_push_api-two-units");
    let (_, container, _folder) = sample.outcome();
    assert_eq!(container.plan()["log-targets"], sample.0["expect"]["log_targets"]);
}

#[test]
fn the_key_and_certificate_of_the_python_charm_become_what_clusters_pin() {
    let sample = Sample::load("tls-certificates-issued-unit");
    let (outcome, ..) = sample.outcome();
    let secrets = &outcome.state.secrets;
    let labelled = |label: &str| secrets.iter().find(|s| s.label.as_deref() == Some(label));
    let kept = labelled(charm::shared::CONNECTOR_LABEL).unwrap().newest();
    let leaf = Leaf::parse(&kept["certificate"]).unwrap();
    assert_eq!(leaf.fingerprint, sample.0["expect"]["leaf_sha256"].as_str().unwrap());
    assert!(leaf.has_key(&kept["private-key"]));
    // The page is served with the same certificate, and the old secrets are gone.
    let served = labelled(charm::shared::CERTIFICATES_LABEL).unwrap().newest();
    assert_eq!(served["certificate"], kept["certificate"]);
    assert!(secrets.iter().all(|secret| secret.owner == SecretOwner::App), "{}", secrets.len());
    let relation = outcome.state.relation_of("certificates").unwrap();
    let before = Sample::bag(&sample.0["local_unit_data"][&format!("{APP}/0")]);
    let key = "certificate_signing_requests";
    let text = |bag: &BTreeMap<String, String>| bag[key].replace("\\n", "").replace(' ', "");
    assert!(text(&relation.local_app_data).contains(&text(&before)[..800]), "word for word");
    assert!(!relation.local_unit_data.contains_key(key));
}
