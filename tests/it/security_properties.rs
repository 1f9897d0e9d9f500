//! Every property that the list names has a test that carries its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn properties() -> BTreeSet<String> {
    let mut properties = BTreeSet::new();
    let lines = include_str!("../security-properties.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (id, words) = line.split_once(' ').unwrap_or_else(|| panic!("{line}: no words"));
        let (group, number) = id.split_once('-').unwrap_or_else(|| panic!("{id} is no id"));
        assert!(group.bytes().all(|b| b.is_ascii_uppercase()) && number.len() == 2, "{id}");
        assert!(words.len() > 10, "{id} says nothing");
        assert!(properties.insert(id.to_owned()), "{id} is there twice");
    }
    assert!(properties.len() > 100);
    properties
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            let skipped = ["target", "node_modules", "dist", "corpus", "artefacts"];
            if !name.to_str().is_some_and(|name| name.starts_with('.') || skipped.contains(&name)) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|kind| {
            ["rs", "js", "ts", "tsx", "mjs"].map(Into::into).contains(&kind.to_owned())
        }) {
            found.push(path);
        }
    }
}

/// Names of tests: functions of Rust below an attribute or macro that makes them tests, and titles in JavaScript.
fn tests_in(text: &str, is_rust: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if !is_rust {
            let begins =
                ["test(", "it(", "await t.test("].iter().any(|call| line.starts_with(call));
            if begins {
                found.push(line.to_lowercase());
            }
            continue;
        }
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
        let Some(name) = name.filter(|_| is_test) else { continue };
        found.push(name.split(['(', '<']).next().unwrap_or_default().to_owned());
        is_test = false;
    }
    found
}

/// Whether the name of a test says that it is about a property.
fn names(test: &str, id: &str) -> bool {
    let id = id.to_lowercase();
    let (rust, other) = (id.replace('-', "_"), format!("[{id}]"));
    let in_rust =
        test.split("_and_").any(|part| part.starts_with(&format!("{rust}_")) || part == rust);
    in_rust || test.contains(&other)
}

#[test]
fn every_property_has_a_test_that_carries_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut tests: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_rust = file.extension().is_some_and(|kind| kind == "rs");
        tests.extend(tests_in(&text, is_rust).into_iter().map(|name| (name, file.clone())));
    }
    assert!(tests.len() > 500, "{} tests were found", tests.len());
    let missing: Vec<_> =
        properties().into_iter().filter(|id| !tests.keys().any(|test| names(test, id))).collect();
    assert!(missing.is_empty(), "without a test: {missing:?}");
}

#[test]
fn a_property_without_a_test_is_noticed() {
    let rust = "#[tokio::test]\nasync fn tun_04_and_tun_08_nothing() {}\nfn web_07_helper() {}\n#[test]\nfn db_02_a<T>() {}";
    let found = tests_in(rust, true);
    assert_eq!(found, ["tun_04_and_tun_08_nothing", "db_02_a"]);
    assert!(names(&found[0], "TUN-04") && names(&found[0], "TUN-08") && names(&found[1], "DB-02"));
    assert!(
        !names(&found[0], "TUN-01")
            && !names("tun_040_x", "TUN-04")
            && !names("x_tun_04_y", "TUN-04")
    );
    let script = tests_in("test(\"[web-07] every value\", async () => {\n  // [web-04]", false);
    assert!(script.iter().any(|test| names(test, "WEB-07")));
    assert!(!script.iter().any(|test| names(test, "WEB-04")));
}
