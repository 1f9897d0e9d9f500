//! The text of a member's metrics, against the slow reference reader of the server's own tests.

use cluster_manager::remote_write::exposition::{Exposition, Item, LineError, SampleLimits};

use super::{ensure, reference};
use crate::{Target, Verdict};

pub(super) const DICTIONARY: &[&str] = &[
    "# TYPE ",
    "# HELP ",
    "# EOF",
    "lxd_a",
    "lxd_a 1\n",
    "{",
    "}",
    "=\"",
    "\"",
    "\\",
    "\\n",
    ",",
    " ",
    "\t",
    "\r\n",
    "\n",
    " counter",
    " odd\n",
    "_bucket",
    "_sum",
    "le=\"+Inf\"",
    "NaN",
    "+Inf",
    "-Inf",
    "1e308",
    "0x1p3",
    "1_000",
    " 1700000000000",
    "cluster=\"x\"",
    "member=\"x\"",
    "job=\"x\"",
    "exported_job=\"x\"",
    "__name__=\"x\"",
    "\u{2028}",
    "\u{1f600}",
    "\u{b}",
    "\u{c}",
];

pub(super) fn target() -> Target {
    Target {
        name: "exposition",
        dictionary: DICTIONARY,
        max_bytes: 64 << 10,
        changes: 8000,
        check: Box::new(check),
    }
}

/// Samples as they stand in the text; without limits, so that all of them are.
fn read(text: &str) -> Result<Vec<reference::Sample>, LineError> {
    let most = usize::MAX;
    let limits = SampleLimits { labels: most, name_bytes: most, value_bytes: most };
    let mut exposition = Exposition::new(text, limits);
    let mut samples = Vec::new();
    while let Some(item) = exposition.next_item()? {
        if let Item::Sample { name, labels, value } = item {
            let labels = labels.iter().map(|l| (l.name.to_owned(), l.value.to_string())).collect();
            samples.push((name.to_owned(), labels, value));
        }
    }
    Ok(samples)
}

fn check(input: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(input) else { return Ok("not text".into()) };
    match (read(text), reference::read(text)) {
        (Ok(ours), Ok(theirs)) => {
            ensure!(ours.len() == theirs.len(), "{} samples, not {}", ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let same = (&ours.0, &ours.1, ours.2.to_bits())
                    == (&theirs.0, &theirs.1, theirs.2.to_bits());
                ensure!(same, "{ours:?} is read, not {theirs:?}");
            }
            let labels = ours.iter().map(|sample| sample.1.len()).max().unwrap_or(0);
            Ok(format!("{} samples, {} labels", super::size(ours.len()), super::size(labels)))
        }
        (Err(ours), Err(theirs)) => {
            ensure!(ours.line == theirs, "the bad line is {theirs}, not {}", ours.line);
            Ok(format!("line {} {}", super::size(ours.line), ours.reason))
        }
        (ours, theirs) => Err(format!("{ours:?} against {theirs:?}")),
    }
}
