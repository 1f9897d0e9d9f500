//! The example charm, event by event.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

#[expect(dead_code, reason = "its main is for Juju")]
#[path = "../examples/greeter.rs"]
mod greeter;

use ops::pebble::Pebble;
use ops::testing::{FakePebble, Harness, Meta, RelationState, State};
use ops::{Endpoint, Event, RelationId, Status};
use tempfile::TempDir;

fn meta() -> Meta {
    serde_yaml::from_str(
        "{requires: {ingress: {interface: ingress, limit: 1}}, containers: {web: {}}, \
         config: {options: {greeting: {type: string}}}}",
    )
    .unwrap()
}

fn related() -> State {
    let ingress = RelationState::new(RelationId::new(Endpoint::new("ingress"), 4), "traefik");
    State::default().with_config("greeting", "hello").with_relation(ingress)
}

#[test]
fn the_example_tells_what_is_missing_and_then_serves() {
    let folder = TempDir::new().unwrap();
    let charm = greeter::Greeter { container: Pebble::in_folder(folder.path(), "web") };
    let harness = Harness::new(meta());
    let run = |state| harness.run(&charm, &Event::ConfigChanged, &state).unwrap();
    let status = |state| run(state).state.unit_status;
    assert_eq!(status(State::default()), Status::blocked("option greeting is not set"));
    let lonely = State::default().with_config("greeting", "hello");
    assert_eq!(status(lonely), Status::blocked("missing relation: ingress"));
    assert_eq!(status(related()), Status::waiting("waiting for the container"));
    let container = FakePebble::start(folder.path(), "web").unwrap();
    let after = run(related());
    assert_eq!(after.state.unit_status, Status::active(""));
    assert_eq!(after.state.ports, [80].into());
    assert_eq!(container.file("/srv/index.html").unwrap(), "hello");
    assert_eq!(container.running(), ["web"]);
}

#[test]
fn a_state_that_juju_cannot_have_is_refused() {
    let folder = TempDir::new().unwrap();
    let charm = greeter::Greeter { container: Pebble::in_folder(folder.path(), "web") };
    let harness = Harness::new(meta());
    let refused =
        |event: &Event, state: State| harness.run(&charm, event, &state).unwrap_err().to_string();
    let update = Event::UpdateStatus;
    assert_eq!(
        refused(&update, State::default().with_config("colour", "red")),
        "option colour is not declared"
    );
    assert_eq!(
        refused(&update, State::default().with_config("greeting", 5)),
        "option greeting has another type"
    );
    let second = RelationState::new(RelationId::new(Endpoint::new("ingress"), 5), "other");
    assert_eq!(
        refused(&update, related().with_relation(second)),
        "endpoint ingress has 2 relations"
    );
    let action = Event::Action { name: "dance".into(), id: "1".into() };
    assert_eq!(refused(&action, State::default()), "action dance is not declared");
}
