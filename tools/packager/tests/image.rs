//! The image is the tree that `rockcraft.yaml` describes, and its program runs in it and with nothing else.

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use packager::image::{Parts, tree};
use packager::tree::{Item, Node, Tree};
use packager::{oci, read_yaml};
use serde_json::Value;
use sha2::{Digest, Sha256};

const PROGRAM: &str = "/usr/bin/microcloud-cluster-manager";
const DAEMON: u32 = 584_792;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The image with the program that cargo has built for tests.
static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_packager")).parent().unwrap().to_owned();
    let tools = root().join("target/tools");
    let parts = Parts {
        root: root(),
        program: target.join("microcloud-cluster-manager"),
        pebble: tools.join("pebble"),
        debian: tools.join("debian"),
    };
    for part in [&parts.program, &parts.pebble, &parts.debian] {
        assert!(part.exists(), "{} is missing: run the tests with ./dev test", part.display());
    }
    tree(&parts).unwrap()
});

fn executables() -> Vec<&'static str> {
    let program =
        |(_, item): &(&String, &Item)| matches!(item.node, Node::File(_)) && item.mode & 0o111 != 0;
    let all = TREE.0.iter().filter(program).map(|(path, _)| path.as_str());
    all.filter(|path| !path.contains(".so")).collect()
}

#[test]
fn charm_05_there_is_no_program_but_the_services_and_pebble() {
    assert_eq!(executables(), ["usr/bin/microcloud-cluster-manager", "usr/bin/pebble"]);
    let names = TREE.0.keys().filter_map(|path| path.rsplit('/').next());
    for name in names {
        for other in ["sh", "bash", "dash", "busybox", "apt", "dpkg", "python3", "perl", "su"] {
            assert_ne!(name, other);
        }
    }
}

#[test]
fn charm_05_an_ordinary_user_can_write_to_its_own_folders_only() {
    for (path, item) in &TREE.0 {
        assert_eq!(item.mode & 0o6000, 0, "{path} changes the user");
        if !matches!(item.node, Node::Link(_)) {
            assert_eq!(item.mode & 0o022, 0, "{path} can be written by others");
        }
    }
    let own: BTreeMap<&str, u32> = TREE
        .0
        .iter()
        .filter(|(_, item)| item.owner == DAEMON)
        .map(|(path, item)| (path.as_str(), item.mode))
        .collect();
    let wanted = [
        ("var/lib/microcloud-cluster-manager", 0o700),
        ("var/lib/pebble", 0o755),
        ("var/lib/pebble/default", 0o755),
    ];
    assert_eq!(own, wanted.into());
    let Node::File(users) = &TREE.0["etc/passwd"].node else { panic!("no users") };
    assert!(String::from_utf8_lossy(users).contains(&format!("_daemon_:x:{DAEMON}:{DAEMON}:")));
}

#[test]
fn the_services_are_those_of_rockcraft_yaml_and_authorities_are_there() {
    let rock = read_yaml(&root().join("rockcraft.yaml")).unwrap();
    let path = "var/lib/pebble/default/layers/001-microcloud-cluster-manager.yaml";
    let Node::File(layer) = &TREE.0[path].node else { panic!("no layer") };
    let layer: serde_yaml::Value = serde_yaml::from_slice(layer).unwrap();
    assert_eq!(layer["services"], rock["services"]);
    let Node::File(all) = &TREE.0["etc/ssl/certs/ca-certificates.crt"].node else {
        panic!("no authorities")
    };
    let count = String::from_utf8_lossy(all).matches("-----BEGIN CERTIFICATE-----").count();
    assert!(count > 100, "{count}");
}

/// The archive, unpacked: path and content.
fn layout(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
    files
}

#[test]
fn the_archive_is_an_oci_layout_whose_digests_are_right() {
    let mut tree = Tree::default();
    tree.add_text("etc/long/folder/file", &"text ".repeat(1000));
    tree.add("usr/bin/program", Node::File(b"\x7fELF".to_vec()), 0o755);
    tree.add("lib", Node::Link("usr/lib".to_owned()), 0o777);
    let archive = oci::archive(&tree, "mcm", "1.2", "_daemon_", "amd64").unwrap();
    let files = layout(&archive);
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(format!("sha256:{}", hex::encode(Sha256::digest(content))), digest);
        assert_eq!(descriptor["size"], content.len());
        content.clone()
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let manifest = json(&blob(&json(&files["index.json"])["manifests"][0]));
    let config = json(&blob(&manifest["config"]));
    assert_eq!(config["config"]["User"], "_daemon_");
    assert_eq!((&config["architecture"], &config["os"]), (&"amd64".into(), &"linux".into()));
    let mut layer = Vec::new();
    let packed = blob(&manifest["layers"][0]);
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut layer).unwrap();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([digest]));
    assert_eq!(layer, tree.tar().unwrap(), "the same tree gives the same layer");
    let modes: Vec<(String, u32)> = tar::Archive::new(layer.as_slice())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| (e.path().unwrap().to_string_lossy().into_owned(), e.header().mode().unwrap()))
        .collect();
    assert!(modes.contains(&("usr/bin/program".to_owned(), 0o755)), "{modes:?}");
}

#[test]
fn sup_03_the_same_parts_give_the_same_archive_in_whichever_order_they_come() {
    let archive = |names: &[&str]| {
        let mut tree = Tree::default();
        for name in names {
            tree.add_text(&format!("etc/{name}/file"), name);
        }
        oci::archive(&tree, "mcm", "1.2", "_daemon_", "amd64").unwrap()
    };
    assert!(archive(&["one", "two", "three"]) == archive(&["three", "two", "one"]));
}

/// Runs a command in the unpacked tree and in nothing else; as the services' user where that is possible.
fn run_in(folder: &Path, command: &[&str]) -> Output {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut run = if is_root {
        let mut run = Command::new("chroot");
        run.arg(format!("--userspec={DAEMON}:{DAEMON}")).arg(folder);
        run
    } else {
        let mut run = Command::new("unshare");
        run.arg("--map-root-user").arg("--root").arg(folder);
        run
    };
    run.args(command).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
}

#[test]
fn charm_05_the_programs_run_in_the_tree_as_the_services_user() {
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer.tar");
    std::fs::write(&layer, TREE.tar().unwrap()).unwrap();
    let image = folder.path().join("image");
    std::fs::create_dir(&image).unwrap();
    let unpacked = Command::new("tar").arg("-xpf").arg(&layer).arg("-C").arg(&image).output();
    let unpacked = unpacked.unwrap();
    let words = String::from_utf8_lossy(&unpacked.stderr).into_owned();
    assert!(unpacked.status.success() || words.contains("Cannot change ownership"), "{words}");
    // mktemp makes a folder that only its owner can enter.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();

    let version = run_in(&image, &[PROGRAM, "--version"]);
    let words = String::from_utf8_lossy(&version.stderr).into_owned();
    assert!(version.status.success(), "{words}");
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("microcloud-cluster-manager "));
    // A service gets as far as its settings: it finds its libraries, and says what is missing.
    let service = run_in(&image, &[PROGRAM, "management-api"]);
    let words = String::from_utf8_lossy(&service.stderr).into_owned();
    assert_eq!(service.status.code(), Some(78), "{words}");
    assert!(words.contains("MANAGEMENT_API_TLS_PATH must be set"), "{words}");
    let pebble = run_in(&image, &["/usr/bin/pebble", "version", "--client"]);
    assert!(pebble.status.success(), "{}", String::from_utf8_lossy(&pebble.stderr));
    let shell = run_in(&image, &["/bin/sh", "-c", "true"]);
    assert_eq!(shell.status.code(), Some(127), "there is no shell");
}
