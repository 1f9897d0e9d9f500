//! Where the metrics of clusters go.

use url::Url;

use crate::Reader;

/// More receivers than any deployment has; each has workers and a queue of its own.
const MAX_RECEIVERS: usize = 16;

/// The receivers of remote write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteWrite {
    /// `PROMETHEUS_BASE_URL`: complete addresses, each once; without any nothing is forwarded.
    pub receivers: Vec<Url>,
}

impl RemoteWrite {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        Self { receivers: receivers(read) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RemoteWrite, String> {
        let get = |name: &str| (name == "PROMETHEUS_BASE_URL").then(|| text.to_owned());
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
}
