//! Reads the sample databags and compares bags.

use std::collections::BTreeMap;
use std::path::PathBuf;

use relations::{Bag, Databag, SecretContent};
use serde::Deserialize;

/// One file of `tests/databags`, as far as these tests need it.
#[derive(Deserialize)]
pub(crate) struct Sample {
    pub(crate) interface: String,
    pub(crate) local_app_data: Bag,
    pub(crate) local_unit_data: BTreeMap<String, Bag>,
    pub(crate) remote_app_data: Bag,
    pub(crate) remote_unit_data: BTreeMap<String, Bag>,
    pub(crate) secrets: Vec<SampleSecret>,
    pub(crate) expect: serde_json::Value,
    #[serde(default)]
    pub(crate) before: Before,
}

#[derive(Deserialize, Default)]
pub(crate) struct Before {
    pub(crate) local_app_data: Option<Bag>,
}

#[derive(Deserialize)]
pub(crate) struct SampleSecret {
    uri: String,
    #[serde(deserialize_with = "content")]
    content: SecretContent,
}

fn content<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SecretContent, D::Error> {
    let plain = Bag::deserialize(from)?;
    Ok(plain.into_iter().map(|(key, value)| (key, value.into())).collect())
}

impl Sample {
    pub(crate) fn load(case: &str) -> Self {
        let path = folder().join(format!("{case}.json"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The content of the secret that `uri` names.
    pub(crate) fn secret(&self, uri: &str) -> &SecretContent {
        &self.secrets.iter().find(|secret| secret.uri == uri).unwrap().content
    }

    pub(crate) fn our_unit(&self) -> &Bag {
        &self.local_unit_data["microcloud-cluster-manager-k8s/0"]
    }
}

/// All samples.
pub(crate) fn all() -> impl Iterator<Item = Sample> {
    let files = std::fs::read_dir(folder()).unwrap();
    files.filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".json").map(Sample::load)
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/databags")
}

/// Reads `bag`, writes it again and demands the same text for every key of `T`. Keys in `rewritten`
/// need only have the same meaning as JSON or YAML: their writer orders or quotes differently.
pub(crate) fn both_ways<T: Databag>(bag: &Bag, rewritten: &[&str]) -> T {
    let value = T::decode(bag).unwrap().expect("the sample has keys of this type");
    let written = value.encode();
    let ours = |bag: &Bag| -> Vec<String> {
        bag.iter()
            .filter(|(key, value)| T::KEYS.contains(&key.as_str()) && !value.is_empty())
            .map(|(key, _)| key.clone())
            .collect()
    };
    assert_eq!(ours(&written), ours(bag), "keys of {}", T::INTERFACE);
    for (key, text) in &written {
        if rewritten.contains(&key.as_str()) {
            let meaning =
                |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).expect("JSON or YAML");
            assert_eq!(meaning(text), meaning(&bag[key]), "meaning of key {key}");
        } else {
            assert_eq!(text, &bag[key], "text of key {key}");
        }
    }
    value
}

/// `bag` has nothing of `T` in it yet.
pub(crate) fn is_empty<T: Databag>(bag: &Bag) -> bool {
    T::decode(bag).unwrap().is_none()
}
