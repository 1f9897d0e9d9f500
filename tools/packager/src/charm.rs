//! The charm: a zip with the program that Juju starts, and what Juju wants to know about it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use serde_yaml::{Mapping, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{PackError, read, read_yaml};

/// Sections of `charmcraft.yaml` that Juju reads as `metadata.yaml`.
const METADATA: [&str; 11] = [
    "name",
    "summary",
    "description",
    "assumes",
    "charm-user",
    "containers",
    "resources",
    "peers",
    "requires",
    "provides",
    "storage",
];

/// The program that Juju starts.
const DISPATCH: &str = "dispatch";

/// Says when and by what a charm was packed; Juju takes `bases` from it and nothing else.
const MANIFEST: &str = "manifest.yaml";

/// A file of the zip.
struct Entry {
    name: &'static str,
    mode: u32,
    content: Vec<u8>,
}

/// Packs the charm of the project in `root` for `architecture` (as Debian calls it), with the program `dispatch`.
///
/// # Errors
///
/// [`PackError`].
pub fn pack(root: &Path, dispatch: &Path, architecture: &str) -> Result<Vec<u8>, PackError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries(root, read(dispatch)?, architecture)? {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(entry.mode);
        zip.start_file(entry.name, options)?;
        zip.write_all(&entry.content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The program of `charm`, which another packer has made of the project in `root`, if everything else in it is what [`pack`] would
/// have put there.
///
/// # Errors
///
/// [`PackError::Charm`] says what is different.
pub fn program(root: &Path, charm: &Path, architecture: &str) -> Result<Vec<u8>, PackError> {
    let wrong = |reason: String| PackError::Charm { path: charm.to_owned(), reason };
    let mut zip = ZipArchive::new(Cursor::new(read(charm)?)).map_err(|e| wrong(e.to_string()))?;
    let mut found = BTreeMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let mode = file.unix_mode().unwrap_or_default() & 0o777;
        found.insert(file.name()?.into_owned(), (mode, content));
    }
    let (_, program) = found.get(DISPATCH).ok_or_else(|| wrong("dispatch is missing".into()))?;
    let program = program.clone();
    for entry in entries(root, program.clone(), architecture)? {
        let name = entry.name;
        let (mode, content) = found.remove(name).ok_or(wrong(format!("{name} is missing")))?;
        if mode != entry.mode {
            return Err(wrong(format!("{name} has the mode {mode:o} instead of {:o}", entry.mode)));
        }
        if !same(name, &content, &entry.content) {
            return Err(wrong(format!("{name} does not say what the project says")));
        }
    }
    match found.keys().next() {
        Some(name) => Err(wrong(format!("{name} does not belong there"))),
        None => Ok(program),
    }
}

/// Whether two files of the same name mean the same to Juju.
fn same(name: &str, one: &[u8], other: &[u8]) -> bool {
    if Path::new(name).extension().is_none_or(|extension| extension != "yaml") {
        return one == other;
    }
    let meant = |bytes: &[u8]| {
        let value: Value = serde_yaml::from_slice(bytes).ok()?;
        if name == MANIFEST { value.get("bases").cloned() } else { Some(value) }
    };
    let one = meant(one);
    one.is_some() && one == meant(other)
}

/// What is in the charm of the project in `root`.
fn entries(root: &Path, dispatch: Vec<u8>, architecture: &str) -> Result<[Entry; 6], PackError> {
    let path = root.join("charmcraft.yaml");
    let project = read_yaml(&path)?;
    let wrong = |reason: String| PackError::Description { path: path.clone(), reason };
    let section =
        |name: &str| project.get(name).cloned().ok_or(wrong(format!("{name} is missing")));
    let platforms = section("platforms")?;
    if platforms.get(architecture).is_none() {
        return Err(wrong(format!("{architecture} is none of the platforms")));
    }
    let base = section("base")?;
    let base = base.as_str().and_then(|base| base.split_once('@'));
    let base = base.ok_or_else(|| wrong("base is not of the form name@channel".into()))?;
    let yaml = |name, value: &Value| -> Result<Entry, PackError> {
        let text = serde_yaml::to_string(value).map_err(|error| wrong(error.to_string()))?;
        Ok(Entry { name, mode: 0o644, content: text.into_bytes() })
    };
    Ok([
        yaml("metadata.yaml", &metadata(&project))?,
        yaml("config.yaml", &section("config")?)?,
        yaml("actions.yaml", &section("actions")?)?,
        yaml(MANIFEST, &manifest(base, architecture))?,
        Entry { name: "LICENSE", mode: 0o644, content: read(&root.join("LICENSE"))? },
        Entry { name: DISPATCH, mode: 0o755, content: dispatch },
    ])
}

fn metadata(project: &Value) -> Value {
    let mut metadata = Mapping::new();
    for name in METADATA {
        if let Some(value) = project.get(name) {
            metadata.insert(name.into(), value.clone());
        }
    }
    if let Some(title) = project.get("title") {
        metadata.insert("display-name".into(), title.clone());
    }
    Value::Mapping(metadata)
}

/// Juju takes base and architecture from here.
fn manifest((name, channel): (&str, &str), architecture: &str) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    let map = |pairs: Vec<(&str, Value)>| -> Value {
        Value::Mapping(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
    };
    let unknown = |attribute| map(vec![("name", text(attribute)), ("result", text("unknown"))]);
    map(vec![
        (
            "bases",
            Value::Sequence(vec![map(vec![
                ("name", text(name)),
                ("channel", text(channel)),
                ("architectures", Value::Sequence(vec![text(architecture)])),
            ])]),
        ),
        (
            "analysis",
            map(vec![(
                "attributes",
                Value::Sequence(vec![unknown("language"), unknown("framework")]),
            )]),
        ),
    ])
}
