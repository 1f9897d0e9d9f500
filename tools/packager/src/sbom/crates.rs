//! The Rust crates that a program is linked from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cargo_lock::Lockfile;
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::hash::HashAlgorithm;

use super::{Part, component, hashes, identify, wrong};
use crate::PackError;

/// A program of ours and its crates: those that are linked into it, without what only builds or tests need.
///
/// Cargo's tree knows them exactly: its metadata would also name what features of other members of the workspace bring.
pub(super) fn part(root: &Path, package: &str, architecture: &str) -> Result<Part, PackError> {
    let path = root.join("Cargo.lock");
    let lock = Lockfile::load(&path).map_err(|error| wrong(&path, error.to_string()))?;
    let packages = lock.packages.iter();
    let packages: BTreeMap<_, _> =
        packages.map(|one| ((one.name.to_string(), one.version.to_string()), one)).collect();
    let mut program = None;
    let mut made_of = Vec::new();
    for line in tree(root, package, architecture)?.lines().filter(|line| !line.ends_with("(*)")) {
        let (of, licence) = line.split_once('|').unwrap_or((line, ""));
        let mut words = of.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next().unwrap_or_default().trim_start_matches('v');
        let locked = packages
            .get(&(name.to_owned(), version.to_owned()))
            .ok_or_else(|| wrong(&path, format!("{name} {version} is missing")))?;
        if licence.is_empty() {
            return Err(PackError::Bill(format!("{name} {version} has no licence")));
        }
        let is_program = name == package;
        let kind = if is_program { Classification::Application } else { Classification::Library };
        let mut found = component(kind, name, version, licence);
        // Crates of ours are on no registry: a URL would name somebody else's crate.
        if locked.source.is_some() {
            identify(&mut found, "cargo", "", name, &[])?;
            let sum = locked.checksum.as_ref().and_then(cargo_lock::Checksum::as_sha256);
            let sum = sum.ok_or_else(|| wrong(&path, format!("{name} has no SHA-256 sum")))?;
            found.hashes = Some(hashes(HashAlgorithm::SHA_256, hex::encode(sum)));
        }
        if is_program { program = Some(found) } else { made_of.push(found) }
    }
    let component =
        program.ok_or_else(|| PackError::Bill(format!("cargo does not know {package}")))?;
    Ok(Part { component, made_of })
}

/// `name vVERSION|LICENCE` of each crate; a crate's second line ends with `(*)`.
fn tree(root: &Path, package: &str, architecture: &str) -> Result<String, PackError> {
    let processor = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    let tree = Command::new("cargo")
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{l}"])
        .args(["--edges", "normal,no-proc-macro", "--package", package])
        .args(["--target", &format!("{processor}-unknown-linux-gnu")])
        .current_dir(root)
        .output()?;
    if !tree.status.success() {
        let words = String::from_utf8_lossy(&tree.stderr).trim().to_owned();
        return Err(PackError::Bill(words));
    }
    Ok(String::from_utf8_lossy(&tree.stdout).into_owned())
}
