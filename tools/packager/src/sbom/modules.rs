//! Pebble and the Go modules in it.

use std::path::Path;

use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::prelude::Component;

use super::{Part, component, identify, wrong};
use crate::{PackError, read};

/// Pebble from what `go version -m` says of the program: it holds its modules with their versions. The licences, which it does not
/// hold, are in a list: module and licence on each line.
pub(super) fn part(licences: &Path, versions: &Path) -> Result<Part, PackError> {
    let known = String::from_utf8_lossy(&read(licences)?).into_owned();
    let module = |kind, name: &str, version: &str| -> Result<Component, PackError> {
        let found = known.lines().filter_map(|line| line.split_once(' '));
        let mut found = found.filter(|(module, _)| *module == name).map(|(_, licence)| licence);
        let licence = found
            .next()
            .ok_or_else(|| wrong(licences, format!("the licence of {name} is missing")))?;
        let mut found = component(kind, name, version, licence);
        // URLs of this system are in lower case.
        let lower = name.to_lowercase();
        let (namespace, last) = lower.rsplit_once('/').unwrap_or(("", &lower));
        identify(&mut found, "golang", namespace, last, &[])?;
        Ok(found)
    };
    let text = String::from_utf8_lossy(&read(versions)?).into_owned();
    let mut lines = text.lines();
    // The path of the program, and the version of Go.
    let go = lines.next().and_then(|line| line.rsplit_once(": go"));
    let (_, go) = go.ok_or_else(|| wrong(versions, "it does not begin with a version".into()))?;
    let mut program = None;
    let mut made_of = vec![module(Classification::Library, "stdlib", go)?];
    for line in lines {
        match line.trim().split('\t').collect::<Vec<_>>()[..] {
            ["mod", name, version, ..] => {
                program = Some(module(Classification::Application, name, version)?);
            }
            ["dep", name, version, ..] => {
                made_of.push(module(Classification::Library, name, version)?);
            }
            _ => {}
        }
    }
    let component = program.ok_or_else(|| wrong(versions, "it names no module".to_owned()))?;
    Ok(Part { component, made_of })
}
