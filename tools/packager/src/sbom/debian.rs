//! Debian's packages.

use std::collections::BTreeMap;
use std::path::Path;

use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::hash::HashAlgorithm;
use cyclonedx_bom::prelude::Component;

use super::{component, hashes, identify, wrong};
use crate::{PackError, read};

/// Licences of what an image takes from a package: for the C library its shared objects, for the certificates the list of
/// authorities. `/usr/share/doc` of the packages has them in words.
const LICENCES: [(&str, &str); 3] = [
    ("ca-certificates", "MPL-2.0"),
    ("libc6", "LGPL-2.1-or-later"),
    ("libgcc-s1", "GPL-3.0-or-later WITH GCC-exception-3.1"),
];

/// The packages in `list`: fields of Debian's control files, an empty line after each package.
pub(super) fn components(list: &Path) -> Result<Vec<Component>, PackError> {
    let text = String::from_utf8_lossy(&read(list)?).into_owned();
    let mut components = Vec::new();
    for stanza in text.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
        let fields: BTreeMap<_, _> =
            stanza.lines().filter_map(|line| line.split_once(": ")).collect();
        let field = |name: &str| {
            let field = fields.get(name).copied().filter(|value| !value.is_empty());
            field.ok_or_else(|| wrong(list, format!("a package has no {name}")))
        };
        let name = field("Package")?;
        let licence = LICENCES.iter().find(|(package, _)| *package == name);
        let (_, licence) =
            licence.ok_or_else(|| wrong(list, format!("the licence of {name} is not known")))?;
        let mut found = component(Classification::Library, name, field("Version")?, licence);
        let processor = [("arch", field("Architecture")?), ("distro", field("Release")?)];
        identify(&mut found, "deb", field("Vendor")?, name, &processor)?;
        found.hashes = Some(hashes(HashAlgorithm::SHA_256, field("SHA256")?.to_owned()));
        components.push(found);
    }
    if components.len() == LICENCES.len() {
        Ok(components)
    } else {
        Err(wrong(list, format!("it has {} packages", components.len())))
    }
}
