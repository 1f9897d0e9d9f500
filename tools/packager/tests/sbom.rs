//! Bills of materials name what is in a package, and nothing else (security property SUP-03).

#![expect(clippy::unwrap_used, reason = "test code outside test functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cyclonedx_bom::models::component::Component;
use cyclonedx_bom::prelude::{Bom, SpecVersion, Validate};
use packager::sbom::{self, Image};
use sha2::{Digest, Sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the bill of an image is made from; any file serves as the image.
fn inputs() -> Image {
    let target = root().join("target");
    let image = Image {
        root: root(),
        archive: root().join("LICENSE"),
        pages: target.join("ui-packages.json"),
        pebble: target.join("tools/pebble.modules"),
        debian: target.join("tools/debian/packages"),
    };
    for file in [&image.pages, &image.pebble, &image.debian] {
        assert!(file.exists(), "{} is missing: run the tests with ./dev test", file.display());
    }
    image
}

fn image() -> Vec<u8> {
    sbom::image(&inputs(), "amd64").unwrap()
}

fn charm() -> Vec<u8> {
    sbom::charm(&root(), &root().join("LICENSE"), "amd64").unwrap()
}

fn read(bill: &[u8]) -> Bom {
    Bom::parse_from_json_v1_5(bill).unwrap()
}

fn components(bom: &Bom) -> Vec<&Component> {
    bom.components.as_ref().unwrap().0.iter().collect()
}

/// Names of the packages of a system, such as npm.
fn names(bom: &Bom, system: &str) -> BTreeSet<String> {
    let begin = format!("pkg:{system}/");
    let of = components(bom)
        .into_iter()
        .filter(|one| one.purl.as_ref().is_some_and(|purl| purl.as_ref().starts_with(&begin)));
    of.map(|one| one.name.to_string()).collect()
}

/// Names and versions of what is published nowhere.
fn own(bom: &Bom) -> Vec<String> {
    let own = components(bom).into_iter().filter(|one| one.purl.is_none());
    own.filter_map(|one| one.bom_ref.clone()).collect()
}

fn assert_names(found: &BTreeSet<String>, wanted: &[&str], unwanted: &[&str]) {
    for name in wanted {
        assert!(found.contains(*name), "{name} is missing: {found:?}");
    }
    for name in unwanted {
        assert!(!found.contains(*name), "{name} does not belong there");
    }
}

#[test]
fn sup_03_the_bill_of_the_image_names_what_the_program_is_linked_from() {
    let bom = read(&image());
    assert_names(
        &names(&bom, "cargo"),
        &["aws-lc-sys", "mimalloc", "rustls", "salvo", "tokio", "tokio-postgres"],
        // For tests, for builds, for code that is generated, for the charm, for other systems.
        &["proptest", "cc", "serde_derive", "lzma-rs", "windows-sys"],
    );
    let own = own(&bom);
    assert_eq!(
        own,
        [
            "microcloud-cluster-manager-ui@0.1.0",
            "microcloud-cluster-manager@0.1.0",
            "workload-config@0.1.0",
            "workload-limits@0.1.0"
        ]
    );
}

#[test]
fn sup_03_the_bill_of_the_charm_names_what_its_program_is_linked_from() {
    let bom = read(&charm());
    assert_names(
        &names(&bom, "cargo"),
        &["lzma-rs", "rcgen", "serde_json", "yaml_serde"],
        &["tokio", "rustls", "salvo", "proptest", "serde_derive"],
    );
    for name in ["microcloud-cluster-manager-charm@0.1.0", "ops-rs@0.1.0", "relations@0.1.0"] {
        assert!(own(&bom).iter().any(|own| own == name), "{name}");
    }
    for system in ["npm", "deb", "golang"] {
        assert!(names(&bom, system).is_empty(), "{system}");
    }
}

#[test]
fn sup_03_the_bill_names_packages_of_the_pages_of_debian_and_of_pebble() {
    let bom = read(&image());
    // The lock file counts what packages name for their own tests among what is needed.
    let unwanted = ["jsdom", "jest-environment-jsdom", "sass", "vite", "typescript"];
    let wanted = ["react", "react-dom", "@canonical/react-components", "vanilla-framework"];
    assert_names(&names(&bom, "npm"), &wanted, &unwanted);
    let debian = ["ca-certificates", "libc6", "libgcc-s1"].map(str::to_owned);
    assert_eq!(names(&bom, "deb"), debian.into());
    let pebble = ["github.com/canonical/pebble", "golang.org/x/sys", "stdlib"];
    assert_names(&names(&bom, "golang"), &pebble, &["golang.org/x/net"]);
}

#[test]
fn sup_03_each_component_has_a_version_a_licence_and_the_hash_of_its_lock_file() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for bill in [image(), charm()] {
        let bom = read(&bill);
        for one in components(&bom) {
            let name = &one.name;
            let version = one.version.as_ref().unwrap().to_string();
            assert!(!version.is_empty(), "{name}");
            assert_eq!(one.licenses.as_ref().unwrap().0.len(), 1, "{name}");
            let purl = one.purl.as_ref().map(ToString::to_string).unwrap_or_default();
            let system = purl.split('/').next().unwrap();
            let hashes = one.hashes.as_ref().map(|hashes| &hashes.0[..]).unwrap_or_default();
            let lengths: Vec<usize> = hashes.iter().map(|hash| hash.content.0.len()).collect();
            let wanted: &[usize] = match system {
                "pkg:cargo" | "pkg:deb" => &[64],
                "pkg:npm" => &[128],
                _ => &[],
            };
            assert_eq!(lengths, wanted, "{name} {purl}");
            if system == "pkg:cargo" {
                let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
                let locked = lock.split("[[package]]\n").find(|one| one.starts_with(&entry));
                assert!(locked.unwrap().contains(&hashes[0].content.0), "{name}");
            }
        }
    }
}

#[test]
fn sup_03_the_bill_is_valid_and_says_which_file_it_is_about() {
    for bill in [image(), charm()] {
        let bom = read(&bill);
        let faults = bom.validate_version(SpecVersion::V1_5);
        assert!(faults.passed(), "{faults:?}");
        let package = bom.metadata.as_ref().unwrap().component.as_ref().unwrap();
        let hash = hex::encode(Sha256::digest(std::fs::read(root().join("LICENSE")).unwrap()));
        assert_eq!(package.hashes.as_ref().unwrap().0[0].content.0, hash);
        // Everything is reached from the package, by at most one step in between.
        let needs = bom.dependencies.as_ref().unwrap().0.iter();
        let needs: BTreeMap<_, _> =
            needs.map(|need| (need.dependency_ref.as_str(), &need.dependencies)).collect();
        let parts = needs[package.bom_ref.as_deref().unwrap()];
        let all = parts.iter().chain(parts.iter().flat_map(|part| needs[part.as_str()]));
        let all: BTreeSet<_> = all.map(String::as_str).collect();
        let listed = components(&bom).into_iter().filter_map(|one| one.bom_ref.as_deref());
        assert_eq!(all, listed.collect());
    }
}

#[test]
fn sup_03_the_same_inputs_give_the_same_bill_without_a_time() {
    assert_eq!(image(), image());
    assert_eq!(charm(), charm());
    let text = String::from_utf8(image()).unwrap();
    assert!(!text.contains("timestamp") && !text.contains("serialNumber"));
    let path = root().canonicalize().unwrap();
    assert!(!text.contains(&path.display().to_string()), "no path of this machine is in it");
}

#[test]
fn sup_03_what_has_no_licence_or_hash_is_said_and_gives_no_bill() {
    let folder = tempfile::tempdir().unwrap();
    let changed = |file: &Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(from), "{from}");
        let path = folder.path().join("changed");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        path
    };
    let good = inputs();
    let refused = |image: &Image| sbom::image(image, "amd64").unwrap_err().to_string();
    let pebble = changed(&good.pebble, "gorilla/mux", "gorilla/max");
    let words = refused(&Image { pebble, ..good.clone() });
    assert!(
        words.ends_with("licences: the licence of github.com/gorilla/max is missing"),
        "{words}"
    );
    let pages = changed(&good.pages, "node_modules/react\"", "node_modules/read\"");
    let words = refused(&Image { pages, ..good.clone() });
    assert!(words.ends_with("package-lock.json: node_modules/read is missing"), "{words}");
    let debian = changed(&good.debian, "Package: libc6", "Package: musl");
    let words = refused(&Image { debian, ..good.clone() });
    assert!(words.ends_with("the licence of musl is not known"), "{words}");
    let debian = changed(&good.debian, "SHA256: ", "SHA1: ");
    let words = refused(&Image { debian, ..good });
    assert!(words.ends_with("a package has no SHA256"), "{words}");
}
