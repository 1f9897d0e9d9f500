//! Bills of materials in the format of CycloneDX 1.5: what a package is made of, with versions, licences and hashes, so that a scanner
//! can say whether a weakness of a component concerns it.
//!
//! The same input gives the same bytes: there is no time and no random serial number, and components are sorted.

mod crates;
mod debian;
mod modules;
mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{
    Bom, Component, Components, Metadata, Purl, SpdxExpression, SpecVersion, Validate,
};
use purl::GenericPurlBuilder;
use serde_yaml::Value;
use sha2::{Digest, Sha256};

use crate::{PackError, read, read_yaml};

/// What the bill of an image is made from.
#[derive(Debug, Clone)]
pub struct Image {
    /// The project.
    pub root: PathBuf,
    /// The packed image.
    pub archive: PathBuf,
    /// Which npm packages the web pages are made of, as their build writes it.
    pub pages: PathBuf,
    /// What `go version -m` says of Pebble.
    pub pebble: PathBuf,
    /// Name, version and hash of each of Debian's packages, as `tools/install.sh` writes them.
    pub debian: PathBuf,
}

/// Something in a package, with what it is made of itself.
struct Part {
    component: Component,
    made_of: Vec<Component>,
}

/// The bill of the charm that is in the file `charm`, for `architecture` (as Debian calls it).
///
/// # Errors
///
/// [`PackError`].
pub fn charm(root: &Path, charm: &Path, architecture: &str) -> Result<Vec<u8>, PackError> {
    let program = crates::part(root, "microcloud-cluster-manager-charm", architecture)?;
    let description = root.join("charmcraft.yaml");
    // A charm's version is its revision in the store, which nobody knows before it is there.
    let version = program.component.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let package = package(&description, Classification::Application, &version, charm)?;
    document(package, vec![program])
}

/// The bill of the image, for `architecture` (as Debian calls it).
///
/// # Errors
///
/// [`PackError`].
pub fn image(of: &Image, architecture: &str) -> Result<Vec<u8>, PackError> {
    let mut parts = vec![
        crates::part(&of.root, "microcloud-cluster-manager", architecture)?,
        pages::part(&of.root.join("ui/package-lock.json"), &of.pages)?,
        modules::part(&of.root.join("tools/pebble/licences"), &of.pebble)?,
    ];
    for component in debian::components(&of.debian)? {
        parts.push(Part { component, made_of: Vec::new() });
    }
    let description = of.root.join("rockcraft.yaml");
    let version = text(&read_yaml(&description)?, "version", &description)?;
    let package = package(&description, Classification::Container, &version, &of.archive)?;
    document(package, parts)
}

/// The package that the project describes in a YAML file, and that is in the file `packed`.
fn package(
    description: &Path,
    kind: Classification,
    version: &str,
    packed: &Path,
) -> Result<Component, PackError> {
    let name = text(&read_yaml(description)?, "name", description)?;
    let mut package = component(kind, &name, version, "Apache-2.0");
    package.bom_ref = Some(format!("{name}@{version}#package"));
    let hash = hex::encode(Sha256::digest(read(packed)?));
    package.hashes = Some(hashes(HashAlgorithm::SHA_256, hash));
    Ok(package)
}

/// The document about a package and its parts.
fn document(package: Component, parts: Vec<Part>) -> Result<Vec<u8>, PackError> {
    let reference = |component: &Component| component.bom_ref.clone().unwrap_or_default();
    let mut components = BTreeMap::new();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in parts {
        let name = reference(&part.component);
        needs.entry(reference(&package)).or_default().insert(name.clone());
        let made_of = needs.entry(name.clone()).or_default();
        for component in part.made_of {
            made_of.insert(reference(&component));
            components.insert(reference(&component), component);
        }
        components.insert(name, part.component);
    }
    let dependencies = needs.into_iter().map(|(dependency_ref, needed)| Dependency {
        dependency_ref,
        dependencies: needed.into_iter().collect(),
    });
    let bom = Bom {
        serial_number: None,
        spec_version: SpecVersion::V1_5,
        dependencies: Some(Dependencies(dependencies.collect())),
        components: Some(Components(components.into_values().collect())),
        metadata: Some(Metadata { component: Some(package), ..Metadata::default() }),
        ..Bom::default()
    };
    let faults = bom.validate_version(SpecVersion::V1_5);
    if faults.has_errors() {
        return Err(PackError::Bill(format!("{faults:?}")));
    }
    let mut text = Vec::new();
    bom.output_as_json_v1_5(&mut text).map_err(|error| PackError::Bill(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// A component without a package URL, as those of ours stay: they are published nowhere.
fn component(kind: Classification, name: &str, version: &str, licence: &str) -> Component {
    let mut component = Component::new(kind, name, version, Some(format!("{name}@{version}")));
    // Some authors write what is no SPDX expression: then it is a name like any other.
    let licence = SpdxExpression::parse_lax(licence.to_owned())
        .map_or_else(|_| LicenseChoice::license(licence), LicenseChoice::Expression);
    component.licenses = Some(Licenses(vec![licence]));
    component
}

/// Gives a component the package URL by which it is known everywhere.
fn identify(
    component: &mut Component,
    system: &str,
    namespace: &str,
    name: &str,
    qualifiers: &[(&str, &str)],
) -> Result<(), PackError> {
    let wrong = |reason: String| PackError::Bill(format!("{name}: {reason}"));
    let version = component.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut purl = GenericPurlBuilder::new(system.to_owned(), name).with_version(version);
    if !namespace.is_empty() {
        purl = purl.with_namespace(namespace);
    }
    for (key, value) in qualifiers {
        purl = purl.with_qualifier(*key, *value).map_err(|error| wrong(error.to_string()))?;
    }
    let purl = purl.build().map_err(|error| wrong(error.to_string()))?.to_string();
    component.purl = Purl::from_str(&purl).ok();
    component.bom_ref = Some(purl);
    Ok(())
}

fn hashes(algorithm: HashAlgorithm, hex: String) -> Hashes {
    Hashes(vec![Hash { alg: algorithm, content: HashValue(hex) }])
}

/// A text in a description.
fn text(of: &Value, key: &str, path: &Path) -> Result<String, PackError> {
    let text = of.get(key).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| wrong(path, format!("{key} is missing")))
}

fn wrong(path: &Path, reason: String) -> PackError {
    PackError::Description { path: path.to_owned(), reason }
}
