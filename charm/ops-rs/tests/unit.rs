//! Secrets, ports, network and log over the in-memory Juju and as processes.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use ops::log::Level;
use ops::testing::{MemoryTools, SecretOwner, SecretState, State, hook_environment};
use ops::{
    Dispatch, Endpoint, HookTools, Model, SecretContent, SecretId, SecretRef, Tool, ToolError,
};
use secrecy::ExposeSecret;

fn dispatch() -> Dispatch {
    Dispatch::from_vars(hook_environment("config-changed", "demo/0")).unwrap()
}

fn content(value: &str) -> SecretContent {
    [("private-key".to_owned(), value.into())].into()
}

#[test]
fn a_leader_makes_and_renews_a_secret_and_an_unchanged_one_has_no_new_revision() {
    let tools = MemoryTools::new(State::default());
    let dispatch = dispatch();
    let model = Model::new(&tools, &dispatch);
    let leader = model.leader().unwrap().unwrap();
    let id = model.add_secret(&leader, "identity", &content("one")).unwrap();
    let read = model.secret(SecretRef::Id(&id)).unwrap().unwrap();
    assert_eq!(read["private-key"].expose_secret(), "one", "pending content is seen");
    model.set_secret(&leader, &id, &content("one")).unwrap();
    model.set_secret(&leader, &id, &content("two")).unwrap();
    let state = tools.commit();
    assert_eq!(state.secrets[0].owner, SecretOwner::App);
    assert_eq!(state.secrets[0].revisions.len(), 2);
}

#[test]
fn a_secret_that_is_not_there_or_not_for_us_is_none() {
    let mut foreign = SecretState::granted("secret:d0a2aa5mp25c7f0f2b00", &[("password", "x")]);
    foreign.granted = false;
    let tools = MemoryTools::new(State::default().with_secret(foreign));
    let dispatch = dispatch();
    let model = Model::new(&tools, &dispatch);
    for id in ["secret:d0a2aa5mp25c7f0f2b00", "secret:d0a2aa5mp25c7f0f2b01"] {
        assert!(model.secret(SecretRef::Id(&SecretId::new(id))).unwrap().is_none(), "{id}");
    }
    assert!(model.secret(SecretRef::Label("none")).unwrap().is_none());
}

#[test]
fn a_units_own_secret_is_removed_by_its_label() {
    let own = SecretState::of_unit("secret:d0a2aa5mp25c7f0f2b00", "old", &[("private-key", "x")]);
    let tools = MemoryTools::new(State::default().with_secret(own).follower());
    let dispatch = dispatch();
    let model = Model::new(&tools, &dispatch);
    let _ = model.remove_secret_labelled("old").unwrap();
    let _ = model.remove_secret_labelled("never-was").unwrap();
    assert!(tools.commit().secrets.is_empty());
}

/// Looks at what a tool is given while it runs.
struct Watcher;

impl HookTools for Watcher {
    fn call(&self, _: Tool, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, ToolError> {
        assert!(input.is_none());
        assert!(args.iter().all(|arg| !arg.contains("canary")), "{args:?}");
        let path = *args.iter().skip_while(|arg| **arg != "--file").nth(1).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(path).unwrap(), r#"{"private-key":"canary"}"#);
        Ok(format!("secret:{path}\n").into_bytes())
    }
}

#[test]
fn secret_content_travels_in_a_private_file_that_does_not_stay() {
    let id =
        ops::tools::secret_calls::secret_add(&Watcher, "identity", &content("canary")).unwrap();
    let path = id.as_str().strip_prefix("secret:").unwrap();
    assert!(!std::fs::exists(path).unwrap());
    assert!(!format!("{:?}", content("canary")).contains("canary"));
}

#[test]
fn ports_are_opened_and_closed_by_difference() {
    let state = State { ports: BTreeSet::from([80, 9000]), ..State::default() };
    let tools = MemoryTools::new(state);
    let dispatch = dispatch();
    let _ = Model::new(&tools, &dispatch).set_ports(&BTreeSet::from([9000, 9100])).unwrap();
    assert_eq!(tools.calls(), 3, "one to read, one to open, one to close");
    assert_eq!(tools.commit().ports, BTreeSet::from([9000, 9100]));
}

#[test]
fn a_unit_without_an_address_has_none() {
    let dispatch = dispatch();
    let address = |state| {
        let tools = MemoryTools::new(state);
        Model::new(&tools, &dispatch).bind_address(&Endpoint::new("metrics-endpoint")).unwrap()
    };
    assert_eq!(address(State::default()).as_deref(), Some("10.1.7.33"));
    assert_eq!(address(State { address: None, ..State::default() }), None);
}

#[test]
fn records_of_one_level_share_a_call_and_long_ones_are_cut() {
    let tools = MemoryTools::new(State::default());
    let dispatch = dispatch();
    let model = Model::new(&tools, &dispatch);
    model.log(Level::Info, "one");
    model.log(Level::Info, "two");
    model.log(Level::Warning, "é".repeat(200_000));
    model.flush_log();
    let log = tools.seen().log.clone();
    assert_eq!(log[0], ("INFO".to_owned(), "one\ntwo".to_owned()));
    assert_eq!((log.len(), log[1].1.len()), (2, 100 * 1024));
    model.flush_log();
    assert_eq!(tools.calls(), 2);
}

#[test]
fn the_version_and_the_progress_of_an_action_are_told_at_once() {
    use ops::tools::unit_calls;
    let tools = MemoryTools::new(State::default().in_action(&[("cluster", "lyon".into())]));
    unit_calls::application_version_set(&tools, "-1.2").unwrap();
    unit_calls::action_log(&tools, "--half way").unwrap();
    let params: std::collections::BTreeMap<String, String> =
        unit_calls::action_get(&tools).unwrap();
    assert_eq!(params["cluster"], "lyon");
    let state = tools.discard();
    assert_eq!(state.workload_version.as_deref(), Some("-1.2"));
    assert_eq!(state.action_log, ["--half way"]);
}
