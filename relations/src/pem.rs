//! Just enough PEM (RFC 7468) to compare and to split: no ASN.1 is read here.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The DER content of the first block labelled `label`.
pub(crate) fn der(text: &str, label: &str) -> Option<Vec<u8>> {
    blocks(text, label).next().and_then(|block| decode(block, label))
}

/// Every block labelled `label` with a readable body, in order, each as PEM text without a final
/// newline; and how many blocks were not readable.
pub(crate) fn split(text: &str, label: &str) -> (Vec<String>, usize) {
    let mut unreadable = 0;
    let good = blocks(text, label)
        .filter(|block| {
            let readable = decode(block, label).is_some_and(|der| !der.is_empty());
            unreadable += usize::from(!readable);
            readable
        })
        .map(str::to_owned)
        .collect();
    (good, unreadable)
}

fn blocks<'a>(text: &'a str, label: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.get(rest.find(&begin)?..)?;
        let length = from.find(&end)? + end.len();
        rest = from.get(length..)?;
        from.get(..length)
    })
}

fn decode(block: &str, label: &str) -> Option<Vec<u8>> {
    let body = block
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let compact: String = body.split_ascii_whitespace().collect();
    BASE64.decode(compact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_surroundings_do_not_matter() {
        let one = "-----BEGIN X-----\nAQID\nBAU=\n-----END X-----";
        let other = "text\n-----BEGIN X-----\r\nAQIDBAU=\r\n-----END X-----\n";
        assert_eq!(der(one, "X"), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(der(one, "X"), der(other, "X"));
    }

    #[test]
    fn unreadable_blocks_are_counted_and_left_out() {
        let text = "-----BEGIN X-----\nAQID\n-----END X----------BEGIN X-----\n!\n-----END X-----\
                    -----BEGIN X-----\n-----END X-----\n-----BEGIN X-----\nAQ";
        let (good, unreadable) = split(text, "X");
        assert_eq!(good, ["-----BEGIN X-----\nAQID\n-----END X-----"]);
        assert_eq!(unreadable, 2);
    }
}
