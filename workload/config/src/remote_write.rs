//! Where the metrics of clusters go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::Reader;

/// Labels that the manager gives by itself.
const OWN_LABELS: [&str; 3] = ["cluster", "job", "member"];

/// Most labels that may be added, and bytes of a value: every sample carries them.
const MAX_LABELS: usize = 16;
const MAX_VALUE_BYTES: usize = 256;

/// More receivers than any deployment has; each has workers and a queue of its own.
const MAX_RECEIVERS: usize = 16;

/// The receivers of remote write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteWrite {
    /// `PROMETHEUS_BASE_URL`: complete addresses, each once; without any nothing is forwarded.
    pub receivers: Vec<Url>,
    /// `REMOTE_WRITE_LABELS`: what every sample carries besides its own labels, names and values.
    pub labels: BTreeMap<String, String>,
    /// `REMOTE_WRITE_CA_FILE`: PEM file with authorities to trust besides the machine's.
    pub ca_file: Option<PathBuf>,
}

impl RemoteWrite {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            receivers: receivers(read),
            labels: labels(read, "REMOTE_WRITE_LABELS"),
            ca_file: read.text("REMOTE_WRITE_CA_FILE").map(PathBuf::from),
        }
    }
}

/// Addresses with spaces between them, because an address may hold any other separator. `http://base` is what existing
/// deployments write for "none".
fn receivers(read: &mut Reader<'_>) -> Vec<Url> {
    let text = read.text("PROMETHEUS_BASE_URL").filter(|text| text != "http://base");
    let mut receivers: Vec<Url> = Vec::new();
    let mut good = true;
    for part in text.as_deref().unwrap_or_default().split_whitespace() {
        match Url::parse(part) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                if !receivers.contains(&url) {
                    receivers.push(url);
                }
            }
            _ => good = false,
        }
    }
    if !good || receivers.len() > MAX_RECEIVERS {
        read.refuse(
            "PROMETHEUS_BASE_URL",
            "the http or https addresses of at most 16 remote-write receivers, separated by spaces",
        );
    }
    receivers
}

/// `name=value` with commas between them.
pub(crate) fn labels(read: &mut Reader<'_>, setting: &str) -> BTreeMap<String, String> {
    let text = read.text(setting).unwrap_or_default();
    let mut labels = BTreeMap::new();
    let mut good = true;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or_default();
        let (name, value) = (name.trim(), value.trim());
        good &= is_label(name) && !value.is_empty() && value.len() <= MAX_VALUE_BYTES;
        good &= labels.insert(name.to_owned(), value.to_owned()).is_none();
    }
    if !good || labels.len() > MAX_LABELS {
        read.refuse(
            setting,
            "at most 16 labels, written name=value and separated by commas, each name once and none of cluster, job and member",
        );
    }
    labels
}

/// A name that a label may have and that the manager does not give by itself.
fn is_label(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let reserved = name.starts_with("__") || OWN_LABELS.contains(&name);
    name.bytes().all(letters)
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RemoteWrite, String> {
        read_setting("PROMETHEUS_BASE_URL", text)
    }

    fn read_setting(name: &str, text: &str) -> Result<RemoteWrite, String> {
        let get = |asked: &str| (asked == name).then(|| text.to_owned());
        let mut reader = Reader::new(&get);
        let settings = RemoteWrite::read(&mut reader);
        reader.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn one_address_or_several_and_each_counts_once() {
        let texts = |text: &str| -> Vec<String> {
            read(text).unwrap().receivers.iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts("http://a/api/v1/write"), ["http://a/api/v1/write"]);
        assert_eq!(
            texts("http://b/x?y=1,2  https://a/\nhttp://b/x?y=1,2"),
            ["http://b/x?y=1,2", "https://a/"]
        );
        assert!(texts("http://base").is_empty());
    }

    #[test]
    fn conf_05_one_bad_address_among_good_ones_is_refused_and_not_repeated() {
        for bad in ["http://a/ secret", "http://a/ ftp://secret/", "http://a/, http://:80/secret"] {
            let error = read(bad).unwrap_err();
            assert!(
                error.contains("PROMETHEUS_BASE_URL") && !error.contains("secret"),
                "{bad}: {error}"
            );
        }
        let many: Vec<_> = (0..=MAX_RECEIVERS).map(|n| format!("http://r{n}/")).collect();
        assert!(read(&many.join(" ")).is_err());
        assert!(read(&many[1..].join(" ")).is_ok());
    }

    #[test]
    fn met_02_labels_are_read_and_the_managers_own_cannot_be_given() {
        let read = |text: &str| read_setting("REMOTE_WRITE_LABELS", text);
        let settings = read("juju_model=cm-prod, b=x=y,").unwrap();
        let labels: Vec<_> =
            settings.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("b", "x=y"), ("juju_model", "cm-prod")]);
        assert!(read("").unwrap().labels.is_empty());
        for bad in
            ["a", "a=", "=secret", "job=secret", "__a=secret", "1a=secret", "a-b=secret", "a=1,a=2"]
        {
            let error = read(bad).unwrap_err();
            assert!(
                error.contains("REMOTE_WRITE_LABELS") && !error.contains("secret"),
                "{bad}: {error}"
            );
        }
        let many: Vec<_> = (0..=MAX_LABELS).map(|n| format!("l{n}=x")).collect();
        assert!(read(&many.join(",")).is_err() && read(&many[1..].join(",")).is_ok());
    }
}
