//! Where traces go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::Reader;
use crate::remote_write::labels;

/// The receiver of traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// `TRACING_URL`: complete address that takes OTLP over HTTP; without it there are no traces.
    pub url: Option<Url>,
    /// `TRACING_SAMPLE_RATIO`: share of requests that are traced, 0 to 1, default 0.01.
    pub sample_ratio: f64,
    /// `TRACING_LABELS`: attributes of everything that this process sends, names and values.
    pub labels: BTreeMap<String, String>,
    /// `TRACING_CA_FILE`: PEM file with authorities to trust besides the machine's.
    pub ca_file: Option<PathBuf>,
}

impl Tracing {
    pub(crate) fn read(read: &mut Reader<'_>) -> Self {
        let text = read.text("TRACING_URL");
        let url = text.as_deref().and_then(|text| Url::parse(text).ok());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if text.is_some() && url.is_none() {
            read.refuse("TRACING_URL", "the http or https address of a receiver of traces");
        }
        let share = "a number from 0 to 1";
        let sample_ratio = read.parsed("TRACING_SAMPLE_RATIO", 0.01, share);
        if !(0.0..=1.0).contains(&sample_ratio) {
            read.refuse("TRACING_SAMPLE_RATIO", share);
        }
        Self {
            url,
            sample_ratio,
            labels: labels(read, "TRACING_LABELS"),
            ca_file: read.text("TRACING_CA_FILE").map(PathBuf::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Tracing, String> {
        let get = |asked: &str| {
            settings.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
        };
        let mut reader = Reader::new(&get);
        let tracing = Tracing::read(&mut reader);
        reader.finish(tracing).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_traced_unless_a_receiver_is_set_and_one_request_in_a_hundred_then() {
        let off = read(&[]).unwrap();
        assert!(off.url.is_none() && off.labels.is_empty());
        let on = read(&[("TRACING_URL", "http://tempo:4318/v1/traces")]).unwrap();
        assert_eq!(on.url.unwrap().as_str(), "http://tempo:4318/v1/traces");
        assert!((on.sample_ratio - 0.01).abs() < f64::EPSILON);
        for ratio in ["0", "1", "0.5"] {
            assert!(read(&[("TRACING_SAMPLE_RATIO", ratio)]).is_ok(), "{ratio}");
        }
    }

    #[test]
    fn conf_05_wrong_settings_of_traces_are_named_and_not_repeated() {
        for (name, value) in [
            ("TRACING_URL", "secret"),
            ("TRACING_URL", "ftp://secret/"),
            ("TRACING_SAMPLE_RATIO", "1.5"),
            ("TRACING_SAMPLE_RATIO", "NaN"),
            ("TRACING_SAMPLE_RATIO", "secret"),
            ("TRACING_LABELS", "secret"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
