//! Every command of the how-to pages is one that this charm understands.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

use std::path::{Path, PathBuf};

use serde_yaml::Value;

const APP: &str = "microcloud-cluster-manager-k8s";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(repository().join(path)).unwrap()).unwrap()
}

/// Page and words of each command.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    let pages = std::fs::read_dir(repository().join("docs/how-to")).unwrap();
    for page in pages.map(|page| page.unwrap().path()) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&page).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("$ "));
        for line in lines {
            let words = line.split_whitespace().map(str::to_owned).collect();
            all.push((name.clone(), words));
        }
    }
    all
}

fn has_endpoint(charm: &Value, name: &str) -> bool {
    ["requires", "provides"].iter().any(|section| charm[*section].get(name).is_some())
}

/// `option=value` fits the option's type.
fn check_option(charm: &Value, word: &str) -> Result<(), String> {
    let (name, value) = word.split_once('=').ok_or(format!("{word} sets nothing"))?;
    let option = charm["config"]["options"].get(name).ok_or(format!("no option {name}"))?;
    let fits = match option["type"].as_str().unwrap() {
        "int" => value.parse::<i64>().is_ok(),
        "float" => value.parse::<f64>().is_ok(),
        "boolean" => value.parse::<bool>().is_ok(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{name} is no {value}")) }
}

fn check(charm: &Value, words: &[String]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["juju", "config", app, options @ ..] if *app == APP && !options.is_empty() => {
            // What stands in angle brackets is for the reader to fill in.
            let options = options.iter().filter(|word| word.contains('='));
            options.into_iter().try_for_each(|word| check_option(charm, word))
        }
        ["juju", "integrate", ours, other] => {
            let endpoint = ours.strip_prefix(APP).and_then(|rest| rest.strip_prefix(':'));
            let endpoint = endpoint.ok_or(format!("{ours} is not ours"))?;
            if has_endpoint(charm, endpoint) && !other.is_empty() {
                Ok(())
            } else {
                Err(format!("no endpoint {endpoint}"))
            }
        }
        ["juju", "run", unit, action, params @ ..] => {
            let unit = unit.strip_prefix(APP).and_then(|rest| rest.strip_prefix('/'));
            if !unit.is_some_and(|unit| unit == "leader" || unit.parse::<u32>().is_ok()) {
                return Err("no such unit".to_owned());
            }
            let action = charm["actions"].get(*action).ok_or(format!("no action {action}"))?;
            let known = |word: &&str| {
                let name = word.split('=').next().unwrap();
                action.get("params").is_some_and(|params| params.get(name).is_some())
            };
            let required = action.get("required").and_then(Value::as_sequence);
            for name in required.into_iter().flatten() {
                let begin = format!("{}=", name.as_str().unwrap());
                if !params.iter().any(|word| word.starts_with(&begin)) {
                    return Err(format!("{begin} is missing"));
                }
            }
            match params.iter().find(|word| !known(word)) {
                Some(word) => Err(format!("no parameter {word}")),
                None => Ok(()),
            }
        }
        ["juju", "deploy", path, ..] if path.starts_with("./") => {
            let files = words.iter().filter(|word| word.starts_with("./"));
            match files.into_iter().find(|path| !repository().join(path).exists()) {
                Some(path) => Err(format!("{path} is not there")),
                None => Ok(()),
            }
        }
        ["juju", "refresh" | "deploy", app] if *app == APP => Ok(()),
        ["juju", "refresh", app, "--config", option] if *app == APP => check_option(charm, option),
        ["juju", "scale-application", app, count]
            if *app == APP && count.parse::<u32>().is_ok() =>
        {
            Ok(())
        }
        ["juju", "grant-secret", _, app] if *app == APP => Ok(()),
        ["juju", "add-model" | "deploy" | "add-secret", ..] => Ok(()),
        ["curl", .., address] => {
            let path = address.strip_prefix("https://manager.example.com");
            let api = std::fs::read_to_string(repository().join("docs/openapi.json")).unwrap();
            let api: Value = serde_yaml::from_str(&api).unwrap();
            let known = path.is_some_and(|path| api["paths"].get(path).is_some());
            if known { Ok(()) } else { Err(format!("the API has no {address}")) }
        }
        // A test of the server backs up and restores with the same options.
        ["pg_dump" | "psql", options @ .., "cluster_manager"] => {
            let tried = include_str!("../../tests/it/dump.rs");
            let is_tried = |word: &&&str| tried.contains(&format!("\"{word}\""));
            let mut options = options.iter().filter(|word| !word.starts_with("--file="));
            match options.find(|word| !is_tried(word)) {
                Some(word) => Err(format!("{word} was never tried")),
                None => Ok(()),
            }
        }
        _ => Err("unknown command".to_owned()),
    }
}

#[test]
fn every_command_of_the_pages_is_one_of_this_charm() {
    let charm = yaml("charmcraft.yaml");
    let all = commands();
    assert!(all.len() > 25, "{}", all.len());
    for (page, words) in &all {
        check(&charm, words).unwrap_or_else(|error| panic!("{page}: {}: {error}", words.join(" ")));
    }
    // The check itself sees mistakes.
    for wrong in [
        "juju config microcloud-cluster-manager-k8s oidc-isuer=x",
        "juju config microcloud-cluster-manager-k8s cluster-connector-port=https",
        "juju integrate microcloud-cluster-manager-k8s:db postgresql-k8s",
        "juju run microcloud-cluster-manager-k8s/leader enroll-cluster name=x",
        "juju run microcloud-cluster-manager-k8s/leader dance",
        "juju refresh other",
        "curl https://manager.example.com/1.0/none",
        "juju deploy ./charm/bundle.yaml --overlay ./charm/none.yaml",
        "juju refresh microcloud-cluster-manager-k8s --config takover=off",
        "pg_dump --format=tar --file=x cluster_manager",
    ] {
        let words: Vec<String> = wrong.split_whitespace().map(str::to_owned).collect();
        assert!(check(&charm, &words).is_err(), "{wrong}");
    }
}

#[test]
fn from_nothing_to_a_join_token_takes_at_most_five_commands() {
    let page = std::fs::read_to_string(repository().join("docs/how-to/deploy.md")).unwrap();
    let first = page.split("```").nth(1).unwrap();
    let commands: Vec<_> = first.lines().filter(|line| line.starts_with("$ ")).collect();
    assert!(commands.len() <= 5, "{commands:?}");
    assert!(commands.last().unwrap().contains("enroll-cluster"));
}

#[test]
fn every_option_endpoint_and_action_of_the_pages_or_the_bundle_is_declared_and_the_needed_ones_are_there()
 {
    let (charm, bundle) = (yaml("charmcraft.yaml"), yaml("charm/bundle.yaml"));
    let mut ours = Vec::new();
    for relation in bundle["relations"].as_sequence().unwrap() {
        for side in relation.as_sequence().unwrap() {
            let (app, endpoint) = side.as_str().unwrap().split_once(':').unwrap();
            assert!(bundle["applications"].get(app).is_some(), "{app}");
            if app == APP {
                assert!(has_endpoint(&charm, endpoint), "{endpoint}");
                ours.push(endpoint.to_owned());
            }
        }
    }
    assert!(ours.iter().any(|e| e == "database") && ours.iter().any(|e| e == "certificates"));
    for (name, application) in bundle["applications"].as_mapping().unwrap() {
        assert!(application["scale"].is_u64() && application["channel"].is_string(), "{name:?}");
    }
}
