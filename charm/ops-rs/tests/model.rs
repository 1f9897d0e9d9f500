//! The model over the in-memory Juju.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use ops::model::Changed;
use ops::testing::{MemoryTools, RelationState, State, hook_environment};
use ops::{ConfigError, Dispatch, Endpoint, Model, RelationId, Status};
use serde::Deserialize;

const DATABASE: Endpoint = Endpoint::new("database");

fn dispatch(hook: &str) -> Dispatch {
    let relation = [
        ("JUJU_RELATION", "database"),
        ("JUJU_RELATION_ID", "database:4"),
        ("JUJU_REMOTE_APP", "postgresql-k8s"),
    ];
    let relation = relation.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Dispatch::from_vars(hook_environment(hook, "demo/0").into_iter().chain(relation)).unwrap()
}

fn relation(number: u32) -> RelationState {
    RelationState::new(RelationId::new(DATABASE, number), "postgresql-k8s")
        .with_remote("endpoints", "db:5432")
}

fn bag(key: &str, value: &str) -> ops::tools::calls::Bag {
    [(key.to_owned(), value.to_owned())].into()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    listen_port: u16,
}

#[test]
fn configuration_is_read_into_a_type() {
    let dispatch = dispatch("config-changed");
    let tools = MemoryTools::new(State::default().with_config("listen-port", 443));
    let config: Config = Model::new(&tools, &dispatch).config().unwrap();
    assert_eq!(config.listen_port, 443);

    let tools = MemoryTools::new(State::default().with_config("listen-port", 70_000));
    let error = Model::new(&tools, &dispatch).config::<Config>().unwrap_err();
    assert!(matches!(&error, ConfigError::Option { option, .. } if option == "listen-port"));
}

#[test]
fn a_relation_that_is_being_broken_is_not_listed() {
    let tools =
        MemoryTools::new(State::default().with_relation(relation(5)).with_relation(relation(4)));
    let numbers = |hook| {
        let dispatch = dispatch(hook);
        let ids = Model::new(&tools, &dispatch).relations(&DATABASE).unwrap();
        ids.iter().map(RelationId::number).collect::<Vec<_>>()
    };
    assert_eq!(numbers("database-relation-changed"), [4, 5]);
    assert_eq!(numbers("database-relation-broken"), [5]);
}

#[test]
fn a_leader_writes_and_reads_its_own_databag_and_keeps_other_keys() {
    let mut related = relation(4);
    related.local_app_data = bag("old", "x");
    let tools = MemoryTools::new(State::default().with_relation(related));
    let dispatch = dispatch("config-changed");
    let model = Model::new(&tools, &dispatch);
    let id = RelationId::new(DATABASE, 4);
    let leader = model.leader().unwrap().unwrap();
    assert_eq!(model.write_app_data(&leader, &id, &bag("database", "db")).unwrap(), Changed::Yes);
    assert_eq!(model.write_app_data(&leader, &id, &bag("old", "")).unwrap(), Changed::Yes);
    assert_eq!(model.own_app_data(&leader, &id).unwrap(), bag("database", "db"));
    assert_eq!(model.remote_app_data(&id).unwrap(), bag("endpoints", "db:5432"));
    assert_eq!(tools.commit().relations[0].local_app_data, bag("database", "db"));
}

#[test]
fn writing_nothing_calls_nothing() {
    let tools = MemoryTools::new(State::default().with_relation(relation(4)));
    let dispatch = dispatch("config-changed");
    let model = Model::new(&tools, &dispatch);
    let leader = model.leader().unwrap().unwrap();
    let before = tools.calls();
    let id = RelationId::new(DATABASE, 4);
    assert_eq!(model.write_app_data(&leader, &id, &[].into()).unwrap(), Changed::No);
    assert_eq!(tools.calls(), before);
    assert!(model.leader().unwrap().is_some());
    assert_eq!(tools.calls(), before, "leadership is asked for once");
}

#[test]
fn a_failed_hook_loses_its_databags_and_keeps_its_status() {
    let tools = MemoryTools::new(State::default().with_relation(relation(4)));
    let dispatch = dispatch("config-changed");
    let model = Model::new(&tools, &dispatch);
    let leader = model.leader().unwrap().unwrap();
    let id = RelationId::new(DATABASE, 4);
    let _ = model.write_app_data(&leader, &id, &bag("database", "db")).unwrap();
    let _ = model.set_unit_status(&Status::waiting("for the database")).unwrap();
    let after = tools.discard();
    assert!(after.relations[0].local_app_data.is_empty());
    assert_eq!(after.unit_status, Status::waiting("for the database"));
}

#[test]
fn a_follower_has_no_token() {
    let tools = MemoryTools::new(State::default().follower());
    let dispatch = dispatch("config-changed");
    assert!(Model::new(&tools, &dispatch).leader().unwrap().is_none());
}

#[test]
fn a_vanished_relation_has_no_data_and_takes_none() {
    let tools = MemoryTools::new(State::default());
    let dispatch = dispatch("config-changed");
    let model = Model::new(&tools, &dispatch);
    let leader = model.leader().unwrap().unwrap();
    let id = RelationId::new(DATABASE, 9);
    assert!(model.remote_app_data(&id).unwrap().is_empty());
    assert!(model.own_app_data(&leader, &id).unwrap().is_empty());
    assert_eq!(model.write_app_data(&leader, &id, &bag("a", "b")).unwrap(), Changed::No);
}

#[test]
fn a_status_is_written_once() {
    let tools = MemoryTools::new(State::default());
    let dispatch = dispatch("config-changed");
    let model = Model::new(&tools, &dispatch);
    let status = Status::blocked("missing relation: database");
    assert_eq!(model.set_unit_status(&status).unwrap(), Changed::Yes);
    assert_eq!(model.set_unit_status(&status).unwrap(), Changed::No);
    assert_eq!(tools.calls(), 3);
}

#[test]
fn action_tools_work_in_actions_only() {
    let dispatch = dispatch("config-changed");
    let tools = MemoryTools::new(State::default());
    assert!(Model::new(&tools, &dispatch).fail_action("no").is_err());
    let tools = MemoryTools::new(State::default().in_action(&[]));
    let model = Model::new(&tools, &dispatch);
    model.set_action_results(&[("status", "active")]).unwrap();
    model.fail_action("no").unwrap();
    let after = tools.commit();
    assert_eq!(after.action_results.unwrap(), bag("status", "active"));
    assert_eq!(after.action_failure.as_deref(), Some("no"));
}
