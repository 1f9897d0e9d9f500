//! The npm packages that the web interface is made of.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::hash::HashAlgorithm;
use serde_json::Value;

use super::{Part, component, hashes, identify, wrong};
use crate::{PackError, read};

/// The web interface and the packages in `list`, which its build has found in the pages; the lock file says the rest.
pub(super) fn part(lock: &Path, list: &Path) -> Result<Part, PackError> {
    let locked: Value = json(lock)?;
    let about = |path: &str| -> Result<(String, String, &Value), PackError> {
        let package = locked.get("packages").and_then(|packages| packages.get(path));
        let package = package.ok_or_else(|| wrong(lock, format!("{path} is missing")))?;
        let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
        let missing = |key: &str| wrong(lock, format!("{path} has no {key}"));
        let version = text("version").ok_or_else(|| missing("version"))?;
        let licence = text("license").ok_or_else(|| missing("license"))?;
        Ok((version, licence, package))
    };
    let (version, licence, root) = about("")?;
    let name = root.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| wrong(lock, "name is missing".to_owned()))?;
    let pages = component(Classification::Application, name, &version, &licence);
    let paths: Vec<String> = json(list)?;
    let mut made_of = Vec::new();
    for path in paths {
        let (version, licence, package) = about(&path)?;
        let full = path.rsplit("node_modules/").next().unwrap_or_default();
        let (scope, name) = full.split_once('/').unwrap_or(("", full));
        let mut found = component(Classification::Library, full, &version, &licence);
        identify(&mut found, "npm", scope, name, &[])?;
        let sum = package.get("integrity").and_then(Value::as_str);
        let sum = sum.and_then(|sum| STANDARD.decode(sum.strip_prefix("sha512-")?).ok());
        let sum = sum.ok_or_else(|| wrong(lock, format!("{path} has no SHA-512 sum")))?;
        found.hashes = Some(hashes(HashAlgorithm::SHA_512, hex::encode(sum)));
        made_of.push(found);
    }
    Ok(Part { component: pages, made_of })
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PackError> {
    serde_json::from_slice(&read(path)?).map_err(|error| wrong(path, error.to_string()))
}
