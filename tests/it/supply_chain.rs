//! What comes into the product, and what its code may do (security properties SUP-01 and SUP-02).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of a table of a TOML file, without its head.
fn table<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| *line != head).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with('[')).collect();
    assert!(!lines.is_empty(), "there is no {head}");
    lines
}

/// The values of a key in every package of Cargo's lock file.
fn values<'a>(lock: &'a str, key: &str) -> Vec<&'a str> {
    let begin = format!("{key} = \"");
    lock.lines().filter_map(|line| line.strip_prefix(&begin)?.strip_suffix('"')).collect()
}

/// Names of packages in Cargo's tree.
fn tree(of: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--offline", "--prefix", "none"]).args(of);
    let tree = tree.current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_charm_has_no_async_runtime_and_no_tls() {
    let names = tree(&["--package", "microcloud-cluster-manager-charm", "--edges", "normal"]);
    assert!(names.contains("ops-rs") && names.contains("relations"), "{names:?}");
    for name in ["tokio", "async-std", "smol", "rustls", "openssl", "native-tls"] {
        assert!(!names.contains(name), "{name}");
    }
}

#[test]
fn sup_01_crates_come_from_the_one_registry_with_a_checksum_and_none_is_banned() {
    let lock = read("Cargo.lock");
    let sources: BTreeSet<_> = values(&lock, "source").into_iter().collect();
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    assert_eq!(sources, BTreeSet::from([registry]));
    let sums = values(&lock, "checksum");
    assert_eq!(sums.len(), values(&lock, "source").len());
    assert!(sums.iter().all(|sum| sum.len() == 64));
    // The lock file also names what only features need that nobody switches on.
    let names = tree(&["--workspace", "--edges", "all"]);
    assert!(names.len() > 100 && names.contains("rustls"), "{}", names.len());
    let rules = read("deny.toml");
    let banned: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next())
        .collect();
    assert!(["ring", "openssl", "native-tls"].iter().all(|name| banned.contains(name)));
    for name in banned {
        assert!(!names.contains(name), "{name} is a dependency");
    }
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "yanked = \"deny\""] {
        assert!(rules.lines().any(|line| line == rule), "{rule}");
    }
    let licences = rules.lines().find_map(|line| line.strip_prefix("allow = [")).unwrap();
    for copyleft in ["GPL", "MPL", "SSPL"] {
        assert!(!licences.contains(copyleft), "{licences}");
    }
    assert!(read("tools/stages.sh").contains("cargo deny"), "./dev check looks at them");
}

#[test]
fn sup_01_packages_of_npm_are_locked_to_a_hash_and_run_nothing_when_installed() {
    for folder in ["ui", "tests/browser", "tests/identity-provider", "tools/api-types"] {
        let lock: Value =
            serde_json::from_str(&read(&format!("{folder}/package-lock.json"))).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        assert!(packages.len() > 1, "{folder}");
        for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            // Without an address of its own a package comes from the one registry.
            let source = package["resolved"].as_str();
            let is_known = source.is_none_or(|url| url.starts_with("https://registry.npmjs.org/"));
            assert!(is_known, "{folder} {path}: {source:?}");
            let hash = package["integrity"].as_str().unwrap_or_default();
            assert!(hash.starts_with("sha512-"), "{folder} {path}: {hash}");
        }
    }
    let mut installs = 0;
    for script in std::fs::read_dir(root().join("tools")).unwrap() {
        let path = script.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "sh") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            assert!(!line.contains("npm install"), "{}: {line}", path.display());
            if line.contains("npm ci") {
                installs += 1;
                assert!(line.contains("--ignore-scripts"), "{}: {line}", path.display());
            }
        }
    }
    assert!(installs > 0);
}

#[test]
fn sup_02_unsafe_code_and_panics_are_forbidden_in_every_crate_of_ours() {
    let workspace = read("Cargo.toml");
    assert!(table(&workspace, "[workspace.lints.rust]").contains(&"unsafe_code = \"forbid\""));
    let clippy = table(&workspace, "[workspace.lints.clippy]");
    for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing"] {
        assert!(clippy.contains(&format!("{lint} = \"warn\"").as_str()), "{lint}");
    }
    assert!(read("tools/stages.sh").contains("-D warnings"), "a warning fails ./dev check");
    let members = table(&workspace, "[workspace]");
    let members: Vec<_> = members
        .iter()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .collect();
    assert!(members.len() > 8, "{members:?}");
    for member in members {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(table(&manifest, "[lints]").contains(&"workspace = true"), "{member}");
    }
}

#[test]
fn sup_02_no_code_of_a_service_may_panic_by_an_exception() {
    let mut files = Vec::new();
    collect(&root().join("workload"), &mut files);
    assert!(files.len() > 100);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests end there when something is not as it should be.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for lint in ["unwrap_used", "expect_used", "clippy::panic", "indexing_slicing"] {
            let path = file.display().to_string();
            let is_test =
                ["/tests/", "tests.rs", "properties.rs"].iter().any(|part| path.contains(part));
            assert!(is_test || !code.contains(lint), "{path} allows {lint}");
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}
