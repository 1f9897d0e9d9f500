//! The charm: a zip with the program that Juju starts, and what Juju wants to know about it.

use std::io::{Cursor, Write};
use std::path::Path;

use serde_yaml::{Mapping, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

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
    let entries = [
        yaml("metadata.yaml", &metadata(&project))?,
        yaml("config.yaml", &section("config")?)?,
        yaml("actions.yaml", &section("actions")?)?,
        yaml("manifest.yaml", &manifest(base, architecture))?,
        Entry { name: "LICENSE", mode: 0o644, content: read(&root.join("LICENSE"))? },
        Entry { name: "dispatch", mode: 0o755, content: read(dispatch)? },
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(entry.mode);
        zip.start_file(entry.name, options)?;
        zip.write_all(&entry.content)?;
    }
    Ok(zip.finish()?.into_inner())
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
