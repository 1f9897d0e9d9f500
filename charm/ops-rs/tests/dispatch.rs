//! Every environment that Juju makes becomes the right event.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use ops::dispatch::{RelationEvent, SecretEvent, StorageEvent, WorkloadEvent};
use ops::testing::hook_environment;
use ops::{AppName, Dispatch, DispatchError, Endpoint, Event, RelationId, SecretId, UnitName};
use proptest::prelude::*;

const DATABASE: Endpoint = Endpoint::new("database");

fn dispatch(hook: &str, vars: &[(&str, &str)]) -> Result<Dispatch, DispatchError> {
    let extra = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Dispatch::from_vars(hook_environment(hook, "mcm/0").into_iter().chain(extra))
}

fn event(hook: &str, vars: &[(&str, &str)]) -> Event {
    dispatch(hook, vars).unwrap().event
}

fn unit(text: &str) -> UnitName {
    UnitName::parse(text).unwrap()
}

#[test]
fn hooks_without_variables_of_their_own() {
    for (hook, wanted) in [
        ("install", Event::Install),
        ("start", Event::Start),
        ("stop", Event::Stop),
        ("remove", Event::Remove),
        ("config-changed", Event::ConfigChanged),
        ("update-status", Event::UpdateStatus),
        ("upgrade-charm", Event::UpgradeCharm),
        ("leader-elected", Event::LeaderElected),
        ("leader-settings-changed", Event::Other("leader-settings-changed".to_owned())),
        ("-relation-changed", Event::Other("-relation-changed".to_owned())),
        ("a-hook-of-juju-9", Event::Other("a-hook-of-juju-9".to_owned())),
    ] {
        assert_eq!(event(hook, &[]), wanted);
    }
}

#[test]
fn the_unit_and_the_model_are_known_in_every_hook() {
    let dispatch = dispatch("install", &[]).unwrap();
    assert_eq!(dispatch.unit, unit("mcm/0"));
    assert_eq!(dispatch.model_name, "test-model");
    assert_eq!(dispatch.model_uuid, "6f1c2b8e-3f0d-4c59-9d7e-0a51c7b7e1a4");
    assert_eq!(dispatch.juju_version, "3.6.9");
}

#[test]
fn relation_hooks() {
    let id = RelationId::new(DATABASE, 42);
    let remote = || unit("postgresql-k8s/1");
    let vars = [
        ("JUJU_RELATION", "database"),
        ("JUJU_RELATION_ID", "database:42"),
        ("JUJU_REMOTE_APP", "postgresql-k8s"),
    ];
    let with = |name, value| [vars[0], vars[1], vars[2], (name, value)];
    let of = |kind| Event::Relation {
        id: id.clone(),
        app: AppName::parse("postgresql-k8s").unwrap(),
        kind,
    };
    let joined = with("JUJU_REMOTE_UNIT", "postgresql-k8s/1");
    assert_eq!(event("database-relation-created", &vars), of(RelationEvent::Created));
    assert_eq!(event("database-relation-joined", &joined), of(RelationEvent::Joined(remote())));
    assert_eq!(
        event("database-relation-changed", &joined),
        of(RelationEvent::Changed(Some(remote())))
    );
    assert_eq!(
        event("database-relation-changed", &with("JUJU_REMOTE_UNIT", "")),
        of(RelationEvent::Changed(None)),
        "the application's data changed"
    );
    let leaving = joined.into_iter().chain([("JUJU_DEPARTING_UNIT", "mcm/0")]).collect::<Vec<_>>();
    assert_eq!(
        event("database-relation-departed", &leaving),
        of(RelationEvent::Departed { unit: remote(), departing: Some(unit("mcm/0")) })
    );
    let broken = dispatch("database-relation-broken", &vars).unwrap();
    assert_eq!(broken.event, of(RelationEvent::Broken));
    assert_eq!(broken.broken_relation(), Some(&id));
    assert_eq!(dispatch("database-relation-created", &vars).unwrap().broken_relation(), None);
}

#[test]
fn the_application_is_taken_from_the_unit_if_juju_does_not_name_it() {
    let vars = [
        ("JUJU_RELATION", "send-ca-cert"),
        ("JUJU_RELATION_ID", "send-ca-cert:7"),
        ("JUJU_REMOTE_APP", ""),
        ("JUJU_REMOTE_UNIT", "self-signed-certificates/0"),
    ];
    let Event::Relation { id, app, .. } = event("send-ca-cert-relation-changed", &vars) else {
        panic!("a relation event");
    };
    assert_eq!(
        (id.to_string().as_str(), app.as_str()),
        ("send-ca-cert:7", "self-signed-certificates")
    );
}

#[test]
fn secret_hooks() {
    let vars = [("JUJU_SECRET_ID", "secret:d0a2aa5mp25c7f0f2b00"), ("JUJU_SECRET_LABEL", "")];
    let of = |kind| Event::Secret {
        id: SecretId::new("secret:d0a2aa5mp25c7f0f2b00"),
        label: None,
        kind,
    };
    assert_eq!(event("secret-changed", &vars), of(SecretEvent::Changed));
    assert_eq!(event("secret-rotate", &vars), of(SecretEvent::Rotate));
    let vars = [vars[0], vars[1], ("JUJU_SECRET_REVISION", "3")];
    assert_eq!(event("secret-remove", &vars), of(SecretEvent::Remove(3)));
    assert_eq!(event("secret-expired", &vars), of(SecretEvent::Expired(3)));
}

#[test]
fn workload_hooks() {
    let vars = [
        ("JUJU_WORKLOAD_NAME", "cluster-manager"),
        ("JUJU_PEBBLE_CHECK_NAME", "ready"),
        ("JUJU_NOTICE_ID", "7"),
        ("JUJU_NOTICE_TYPE", "custom"),
        ("JUJU_NOTICE_KEY", "example.com/x"),
    ];
    let of = |kind| Event::Workload { container: "cluster-manager".to_owned(), kind };
    let hook = |suffix: &str| event(&format!("cluster-manager-pebble-{suffix}"), &vars);
    assert_eq!(hook("ready"), of(WorkloadEvent::Ready));
    assert_eq!(hook("check-failed"), of(WorkloadEvent::CheckFailed("ready".to_owned())));
    assert_eq!(hook("check-recovered"), of(WorkloadEvent::CheckRecovered("ready".to_owned())));
    assert_eq!(
        hook("custom-notice"),
        of(WorkloadEvent::Notice {
            id: "7".to_owned(),
            kind: "custom".to_owned(),
            key: "example.com/x".to_owned()
        })
    );
}

#[test]
fn storage_hooks() {
    let vars = [("JUJU_STORAGE_ID", "data/2"), ("JUJU_STORAGE_LOCATION", "/srv/data")];
    let of = |location: Option<&str>, kind| Event::Storage {
        name: "data".to_owned(),
        index: 2,
        location: location.map(Into::into),
        kind,
    };
    assert_eq!(
        event("data-storage-attached", &vars),
        of(Some("/srv/data"), StorageEvent::Attached)
    );
    assert_eq!(event("data-storage-detaching", &vars[..1]), of(None, StorageEvent::Detaching));
}

#[test]
fn actions() {
    let vars = [
        ("JUJU_DISPATCH_PATH", "actions/enroll-cluster"),
        ("JUJU_HOOK_NAME", ""),
        ("JUJU_ACTION_UUID", "12"),
    ];
    let wanted = Event::Action { name: "enroll-cluster".to_owned(), id: "12".to_owned() };
    assert_eq!(event("", &vars), wanted);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let message = |result: Result<Dispatch, DispatchError>| result.unwrap_err().to_string();
    assert_eq!(
        message(Dispatch::from_vars([])),
        "JUJU_DISPATCH_PATH is not set: this program is meant to be started by Juju"
    );
    assert_eq!(
        dispatch("database-relation-changed", &[]).unwrap_err(),
        DispatchError::Missing("JUJU_RELATION_ID")
    );
    assert_eq!(
        dispatch("secret-remove", &[("JUJU_SECRET_ID", "secret:x")]).unwrap_err(),
        DispatchError::Missing("JUJU_SECRET_REVISION")
    );
    let error = dispatch("install", &[("JUJU_UNIT_NAME", "nonsense")]).unwrap_err();
    assert_eq!(error.to_string(), "JUJU_UNIT_NAME is wrong");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_environment_makes_it_panic(
        hook in "(hooks/|actions/|x/)?[a-z-]{0,10}(-relation-(changed|broken|departed)|-pebble-custom-notice|-storage-attached|secret-expired)?",
        values in proptest::collection::vec("(secret:)?[a-z:/0-9]{0,12}", 8),
    ) {
        let names = [
            "JUJU_RELATION", "JUJU_RELATION_ID", "JUJU_REMOTE_APP", "JUJU_REMOTE_UNIT",
            "JUJU_SECRET_ID", "JUJU_SECRET_REVISION", "JUJU_STORAGE_ID", "JUJU_UNIT_NAME",
        ];
        let vars = names.iter().map(|name| (*name).to_owned()).zip(values);
        let path = ("JUJU_DISPATCH_PATH".to_owned(), hook);
        let _ = Dispatch::from_vars(hook_environment("", "mcm/0").into_iter().chain(vars).chain([path]));
    }
}
