//! The packed charm is one that Juju takes.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use packager::charm::{pack, program};
use serde_yaml::Value;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

type Zip = ZipArchive<Cursor<Vec<u8>>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn packed(architecture: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let dispatch = folder.path().join("program");
    std::fs::write(&dispatch, b"\x7fELF").unwrap();
    pack(&root(), &dispatch, architecture).unwrap()
}

fn opened(architecture: &str) -> Zip {
    ZipArchive::new(Cursor::new(packed(architecture))).unwrap()
}

fn text(charm: &mut Zip, name: &str) -> String {
    let mut text = String::new();
    charm.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn yaml(charm: &mut Zip, name: &str) -> Value {
    serde_yaml::from_str(&text(charm, name)).unwrap()
}

#[test]
fn the_files_that_juju_reads_are_at_its_root_and_only_the_program_is_executable() {
    let mut charm = opened("amd64");
    let names: BTreeSet<String> =
        charm.file_names().map(|name| name.unwrap().into_owned()).collect();
    let wanted =
        ["LICENSE", "actions.yaml", "config.yaml", "dispatch", "manifest.yaml", "metadata.yaml"];
    assert_eq!(names, wanted.map(str::to_owned).into());
    for name in names {
        let file = charm.by_name(&name).unwrap();
        let mode = if name == "dispatch" { 0o100_755 } else { 0o100_644 };
        assert_eq!(file.unix_mode(), Some(mode), "{name}");
        assert_eq!(file.compression(), zip::CompressionMethod::Deflated, "{name}");
    }
    assert!(text(&mut charm, "dispatch").contains("ELF"));
}

#[test]
fn they_say_what_the_project_says() {
    let mut charm = opened("arm64");
    let project = std::fs::read_to_string(root().join("charmcraft.yaml")).unwrap();
    let project: Value = serde_yaml::from_str(&project).unwrap();
    let metadata = yaml(&mut charm, "metadata.yaml");
    for section in ["name", "summary", "assumes", "charm-user", "containers", "resources"] {
        assert_eq!(metadata[section], project[section], "{section}");
    }
    for section in ["requires", "provides", "peers"] {
        assert_eq!(metadata[section], project[section], "{section}");
    }
    assert_eq!(metadata["display-name"], project["title"]);
    // What only the packer needs is not for Juju.
    assert!(metadata.get("parts").is_none() && metadata.get("platforms").is_none());
    assert_eq!(yaml(&mut charm, "config.yaml"), project["config"]);
    assert_eq!(yaml(&mut charm, "actions.yaml"), project["actions"]);
    let manifest = yaml(&mut charm, "manifest.yaml");
    let base = &manifest["bases"][0];
    let found = ["name", "channel"].map(|key| base[key].as_str().unwrap());
    assert_eq!(found.join("@"), project["base"].as_str().unwrap());
    assert_eq!(base["architectures"][0], "arm64");
}

#[test]
fn the_same_project_gives_the_same_file_and_an_unknown_processor_none() {
    assert_eq!(packed("amd64"), packed("amd64"));
    let refused = pack(&root(), &root().join("LICENSE"), "s390x").unwrap_err();
    assert!(refused.to_string().ends_with("s390x is none of the platforms"), "{refused}");
    let missing = pack(&root(), Path::new("/nonexistent"), "amd64").unwrap_err();
    assert_eq!(missing.to_string(), "/nonexistent cannot be used");
}

#[test]
fn a_charm_that_differs_from_the_project_is_refused_with_the_file_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.charm");
    let refused = |architecture: &str, charm: &[u8]| {
        std::fs::write(&file, charm).unwrap();
        program(&root(), &file, architecture).unwrap_err().to_string()
    };
    let good = packed("amd64");
    std::fs::write(&file, &good).unwrap();
    assert_eq!(program(&root(), &file, "amd64").unwrap(), b"\x7fELF");
    assert!(refused("arm64", &good).ends_with("manifest.yaml does not say what the project says"));
    let mut more = ZipWriter::new_append(Cursor::new(good)).unwrap();
    more.start_file("hooks/install", SimpleFileOptions::default()).unwrap();
    let more = more.finish().unwrap().into_inner();
    assert!(refused("amd64", &more).ends_with("hooks/install does not belong there"));
    assert!(refused("amd64", b"no zip").contains(" is not the charm of this project: "));
    let empty = ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner();
    assert!(refused("amd64", &empty).ends_with("dispatch is missing"));
}

#[test]
fn charmcrafts_own_models_take_the_project() {
    let python = root().join(".dev/charmcraft/bin/python");
    assert!(python.exists(), "charmcraft is not installed: run the tests with ./dev test");
    let check = |project: &Path| {
        let script = root().join("tests/charmcraft/check.py");
        let output = Command::new(&python).arg(script).arg(project).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, words) = check(&root().join("charmcraft.yaml"));
    assert!(good, "{words}");
    // The check itself sees mistakes, each by its own words.
    let project = std::fs::read_to_string(root().join("charmcraft.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (right, wrong, word) in [
        ("plugin: nil", "plugin: nix", "nix"),
        ("charm-user: non-root", "charm-user: nobody", "charm-user"),
        ("type: boolean", "type: bool", "bool"),
        ("base: ubuntu@24.04", "base: ubuntu@24.05", "base"),
        ("\nassumes:", "\nassume:", "assume"),
    ] {
        let changed = project.replace(right, wrong);
        assert_ne!(changed, project, "{right}");
        let path = folder.path().join("charmcraft.yaml");
        std::fs::write(&path, changed).unwrap();
        let (good, words) = check(&path);
        assert!(!good && words.contains(word) && !words.contains("Traceback"), "{wrong}: {words}");
    }
}
