//! `charmcraft.yaml` and `rockcraft.yaml` say the same as the code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code outside test functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use charm::actions;
use charm::config::Config;
use charm::endpoints::{self, Role};
use ops::testing::{MemoryTools, State, hook_environment};
use ops::{Dispatch, Model};
use serde_yaml::Value;

fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The options of `charmcraft.yaml` with their defaults, as Juju would hand them out.
fn config_of(options: &Value, extra: &[(&str, serde_json::Value)]) -> Result<Config, String> {
    let mut state = State::default();
    for (name, option) in options.as_mapping().unwrap() {
        if let Some(default) = option.get("default") {
            let default = serde_json::to_value(default).unwrap();
            state = state.with_config(name.as_str().unwrap(), default);
        }
    }
    for (name, value) in extra {
        state = state.with_config(name, value.clone());
    }
    let tools = MemoryTools::new(state);
    let dispatch = Dispatch::from_vars(hook_environment("config-changed", "demo/0")).unwrap();
    Model::new(&tools, &dispatch).config().map_err(|error| error.to_string())
}

#[test]
fn top_level_keys_are_ones_that_charmcraft_takes() {
    let allowed = names([
        "actions",
        "assumes",
        "base",
        "charm-user",
        "config",
        "containers",
        "description",
        "links",
        "name",
        "parts",
        "peers",
        "platforms",
        "provides",
        "requires",
        "resources",
        "summary",
        "title",
        "type",
    ]);
    let charm = load("charmcraft.yaml");
    let unknown: Vec<_> = keys(&charm).difference(&allowed).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(charm["name"], "microcloud-cluster-manager-k8s");
    assert_eq!(charm["type"], "charm");
    assert_eq!(charm["charm-user"], "non-root");
    assert_eq!(keys(&charm["platforms"]), names(["amd64", "arm64"]));
    let assumes: Vec<_> =
        charm["assumes"].as_sequence().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert_eq!(assumes, ["juju >= 3.6", "k8s-api"]);
}

#[test]
fn endpoints_are_those_of_the_code() {
    let charm = load("charmcraft.yaml");
    let mut declared = BTreeMap::new();
    for (section, role) in
        [("requires", Role::Requires), ("provides", Role::Provides), ("peers", Role::Peer)]
    {
        for (name, endpoint) in charm[section].as_mapping().unwrap() {
            let known = names(["description", "interface", "limit", "optional"]);
            assert!(keys(endpoint).is_subset(&known), "{name:?}");
            let interface = endpoint["interface"].as_str().unwrap().to_owned();
            let limit = endpoint.get("limit").map(|limit| limit.as_u64().unwrap());
            let needed = endpoint.get("optional") == Some(&Value::Bool(false));
            declared.insert(
                name.as_str().unwrap().to_owned(),
                (interface, format!("{role:?}"), limit, needed),
            );
        }
    }
    let coded: BTreeMap<_, _> = endpoints::all()
        .into_iter()
        .map(|e| {
            let row =
                (e.interface.to_owned(), format!("{:?}", e.role), e.limit.map(u64::from), e.needed);
            (e.endpoint.to_string(), row)
        })
        .collect();
    assert_eq!(declared, coded);
}

#[test]
fn no_juju_integrate_without_our_endpoint_name_is_ambiguous() {
    let mut seen = BTreeSet::new();
    for endpoint in endpoints::all() {
        let new = seen.insert((endpoint.interface, format!("{:?}", endpoint.role)));
        assert!(new || endpoint.interface == "tracing", "{}", endpoint.endpoint);
    }
}

#[test]
fn options_have_the_types_and_defaults_of_the_code() {
    let charm = load("charmcraft.yaml");
    let options = &charm["config"]["options"];
    let read = config_of(options, &[]).unwrap();
    assert_eq!(format!("{read:?}"), format!("{:?}", Config::default()));
    for (name, option) in options.as_mapping().unwrap() {
        let known = names(["default", "description", "type"]);
        assert!(keys(option).is_subset(&known), "{name:?}");
        let default = option.get("default");
        let fits = |fit: fn(&Value) -> bool| default.is_none_or(fit);
        let good = match option["type"].as_str().unwrap() {
            "string" => fits(Value::is_string),
            "int" => fits(|value| value.is_i64() || value.is_u64()),
            "float" => fits(Value::is_f64),
            "boolean" => fits(Value::is_bool),
            "secret" => default.is_none(),
            other => panic!("{name:?} has type {other}"),
        };
        assert!(good, "{name:?}");
    }
}

#[test]
fn every_option_is_read_by_the_code() {
    // A list is right for no option, so that one the code ignores is one that is accepted here.
    let charm = load("charmcraft.yaml");
    let options = &charm["config"]["options"];
    for name in keys(options) {
        let error = config_of(options, &[(&name, serde_json::json!(["wrong"]))]).unwrap_err();
        assert!(error.starts_with(&format!("option {name} is wrong: ")), "{error}");
    }
}

#[test]
fn a_client_secret_does_not_show() {
    let options = load("charmcraft.yaml")["config"]["options"].clone();
    let secret = serde_json::json!("Zk3vN8qP0sLx7Wt2");
    let config = config_of(&options, &[("oidc-client-secret", secret)]).unwrap();
    assert!(config.oidc_client_secret.is_some());
    assert!(!format!("{config:?}").contains("Zk3vN8qP0sLx7Wt2"));
}

#[test]
fn actions_are_those_of_the_code() {
    let charm = load("charmcraft.yaml");
    assert_eq!(keys(&charm["actions"]), actions::ALL.map(str::to_owned).into());
    for (name, action) in charm["actions"].as_mapping().unwrap() {
        assert!(action["description"].is_string(), "{name:?}");
        assert_eq!(action["additionalProperties"], false, "Juju 3 and 4 differ in the default");
        let required = action.get("required").and_then(Value::as_sequence).cloned();
        for param in required.unwrap_or_default() {
            assert!(action["params"].get(&param).is_some(), "{name:?} {param:?}");
        }
    }
    assert_eq!(charm["actions"]["enroll-cluster"]["required"][0], "cluster");
}

#[test]
fn charm_05_the_container_runs_the_declared_image_as_an_ordinary_user() {
    let charm = load("charmcraft.yaml");
    assert_eq!(keys(&charm["containers"]), names(["microcloud-cluster-manager"]));
    let container = &charm["containers"]["microcloud-cluster-manager"];
    let resource = container["resource"].as_str().unwrap();
    assert_eq!(charm["resources"][resource]["type"], "oci-image");
    // The fixed number of the user `_daemon_` in rocks.
    assert_eq!(container["uid"], 584_792);
    assert_eq!(container["gid"], 584_792);
    let rock = load("rockcraft.yaml");
    assert_eq!(rock["run-user"], "_daemon_");
    // That user can write in one folder, the one that the charm writes to.
    let permission = &rock["parts"]["state"]["permissions"][0];
    assert_eq!(format!("/{}", permission["path"].as_str().unwrap()), charm::surroundings::STATE);
    assert_eq!(
        (&permission["owner"], &permission["group"]),
        (&container["uid"], &container["gid"])
    );
    assert_eq!(permission["mode"], "700");
    assert_eq!(charm["charm-user"], "non-root");
}

#[test]
fn charm_05_the_image_is_bare_and_has_both_services_on_ports_of_their_own() {
    let rock = load("rockcraft.yaml");
    assert_eq!(rock["base"], "bare");
    assert_eq!(rock["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        keys(&rock["services"]),
        names([charm::workload::CONNECTOR, charm::workload::MANAGEMENT])
    );
    let mut ports = BTreeSet::new();
    for (name, service) in rock["services"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        assert_eq!(service["override"], "replace", "{name}");
        let command = format!("{} {name}", charm::surroundings::PROGRAM);
        assert_eq!(service["command"], command.as_str());
        for variable in ["SERVER_PORT", "STATUS_PORT"] {
            ports.insert(service["environment"][variable].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(ports, names(["9000", "9100", "10000", "11000"]));
}

#[test]
fn the_charm_packs_the_program_that_cargo_builds() {
    let charm = load("charmcraft.yaml");
    let build = charm["parts"]["charm"]["override-build"].as_str().unwrap();
    assert!(build.contains("tools/build.sh charm\n") && build.contains("charm/dispatch\""));
    let script = include_str!("../../tools/build.sh");
    assert!(script.contains(concat!("--profile charm --package ", env!("CARGO_PKG_NAME"), " ")));
    let workspace = include_str!("../../Cargo.toml");
    assert!(workspace.contains("[profile.charm]"));
    assert!(Path::new(env!("CARGO_BIN_EXE_dispatch")).ends_with("dispatch"));
}
