//! The path of a request through a tunnel.

/// Most bytes of path and query together.
const MAX_BYTES: usize = 8 << 10;

/// Path and query of a request to a cluster, exactly as the client wrote them: still encoded, never decoded and encoded again.
/// Only paths that mean the same to everybody exist here (RFC 3986, sections 3.3, 3.4 and 6.2.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelPath {
    text: String,
    path_length: usize,
}

/// Why a path is not sent to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It leads to something else than the API of LXD.
    #[error("the path of a tunnel request must be /1.0 or begin with /1.0/")]
    Foreign,
    /// It is too long.
    #[error("the path of a tunnel request must have at most 8192 bytes")]
    TooLong,
    /// It may mean different things to different programs.
    #[error(
        "the path of a tunnel request must have no empty segment, no dot segment and no encoded slash, backslash or control character"
    )]
    Ambiguous,
    /// It has a character that does not belong into an address.
    #[error("the path of a tunnel request has a character that must be percent-encoded")]
    Character,
    /// A percent sign without two hexadecimal digits.
    #[error("the path of a tunnel request has an invalid percent escape")]
    Escape,
    /// Members compare `/1.0` as text, so a query makes them refuse it.
    #[error("a query needs a path below /1.0/")]
    QueryOfRoot,
}

impl TunnelPath {
    /// Takes a path and its query apart from each other, as they stand in the request line.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] says what is wrong.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, InvalidPath> {
        if path.len() + query.map_or(0, |query| query.len() + 1) > MAX_BYTES {
            return Err(InvalidPath::TooLong);
        }
        check_segments(path)?;
        let mut text = path.to_owned();
        if let Some(query) = query {
            check_characters(query, is_query_character)?;
            if path == "/1.0" {
                return Err(InvalidPath::QueryOfRoot);
            }
            text.push('?');
            text.push_str(query);
        }
        Ok(Self { text, path_length: path.len() })
    }

    /// The same, path and query in one text.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] says what is wrong.
    pub fn parse_joined(text: &str) -> Result<Self, InvalidPath> {
        match text.split_once('?') {
            Some((path, query)) => Self::parse(path, Some(query)),
            None => Self::parse(text, None),
        }
    }

    /// Path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path without its query, for the log.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(..self.path_length).unwrap_or_default()
    }
}

fn check_segments(path: &str) -> Result<(), InvalidPath> {
    check_characters(path, is_path_character)?;
    let mut segments = path.split('/');
    if segments.next() != Some("") || segments.next() != Some("1.0") {
        return Err(InvalidPath::Foreign);
    }
    for segment in segments {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        if matches!(plain.as_str(), "" | "." | "..") || hides_a_separator(&plain) {
            return Err(InvalidPath::Ambiguous);
        }
    }
    Ok(())
}

/// Whether an escape stands for a slash, a backslash or a control character; `segment` is in lower case.
fn hides_a_separator(segment: &str) -> bool {
    segment.split('%').skip(1).any(|rest| {
        let octet = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octet.is_none_or(|octet| octet.is_ascii_control() || matches!(octet, b'/' | b'\\'))
    })
}

fn check_characters(text: &str, allowed: impl Fn(u8) -> bool) -> Result<(), InvalidPath> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
            if !(digit(bytes.next()) && digit(bytes.next())) {
                return Err(InvalidPath::Escape);
            }
        } else if !allowed(byte) {
            return Err(InvalidPath::Character);
        }
    }
    Ok(())
}

/// `pchar` of RFC 3986, section 3.3, and the slash.
fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

/// What browsers leave as it is in a query (URL Standard, "special-query percent-encode set"), without the fragment's mark.
fn is_query_character(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>'\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tun_02_paths_of_the_api_pass_unchanged() {
        for (path, query) in [
            ("/1.0", None),
            ("/1.0/instances", Some("recursion=1&all-projects=true")),
            ("/1.0/instances/web%201/state", Some("project=shop")),
            ("/1.0/instances%3Fproject=x", None),
            ("/1.0/a%25b", Some("filter=name%20eq%20%22x%22&x={[|]}")),
            ("/1.0/...", Some("")),
            ("/1.0/caf%C3%A9", Some("?/1.0/../x")),
        ] {
            let parsed = TunnelPath::parse(path, query).unwrap();
            let text = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
            assert_eq!((parsed.as_str(), parsed.path()), (text.as_str(), path));
            assert_eq!(TunnelPath::parse_joined(&text).unwrap(), parsed);
        }
    }

    #[test]
    fn tun_02_what_may_mean_something_else_is_refused() {
        use InvalidPath::{Ambiguous, Character, Escape, Foreign, QueryOfRoot, TooLong};
        for (path, reason) in [
            ("", Foreign),
            ("/", Foreign),
            ("1.0", Foreign),
            ("/1.00", Foreign),
            ("/1.0x", Foreign),
            ("/1%2E0", Foreign),
            ("//1.0", Foreign),
            ("/internal/x", Foreign),
            ("/../1.0/x", Foreign),
            ("/1.0/", Ambiguous),
            ("/1.0//x", Ambiguous),
            ("/1.0/x/", Ambiguous),
            ("/1.0/.", Ambiguous),
            ("/1.0/../internal", Ambiguous),
            ("/1.0/%2e%2E/x", Ambiguous),
            ("/1.0/.%2e", Ambiguous),
            ("/1.0/a%2fb", Ambiguous),
            ("/1.0/a%5Cb", Ambiguous),
            ("/1.0/a%00", Ambiguous),
            ("/1.0/a%0d%0a", Ambiguous),
            ("/1.0/a%7F", Ambiguous),
            ("/1.0/a\\b", Character),
            ("/1.0/a#b", Character),
            ("/1.0/a b", Character),
            ("/1.0/é", Character),
            ("/1.0/a\u{0}", Character),
            ("/1.0/a\r\nX: y", Character),
            ("/1.0/%", Escape),
            ("/1.0/%2", Escape),
            ("/1.0/%zz", Escape),
        ] {
            assert_eq!(TunnelPath::parse(path, None), Err(reason), "{path:?}");
        }
        for (query, reason) in [
            ("a b", Character),
            ("a#b", Character),
            ("\r\n", Character),
            ("é", Character),
            ("%g0", Escape),
        ] {
            assert_eq!(TunnelPath::parse("/1.0/x", Some(query)), Err(reason), "{query:?}");
        }
        assert_eq!(TunnelPath::parse("/1.0", Some("a=b")), Err(QueryOfRoot));
        let long = |bytes: usize| format!("/1.0/{}", "x".repeat(bytes - 5));
        assert!(TunnelPath::parse(&long(8192), None).is_ok());
        assert_eq!(TunnelPath::parse(&long(8193), None), Err(TooLong));
        assert_eq!(TunnelPath::parse(&long(8190), Some("ab")), Err(TooLong));
        assert_eq!(TunnelPath::parse(&long(819_200), None), Err(TooLong));
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z0-9.~-]{1,4}",
            3 => Just("/".to_owned()),
            2 => prop::sample::select(vec![".", "..", "%2e", "%2E", "%2f", "%5c", "%25", "%00", "?", "#", "\\", "%", "//", "é", "<", "|"])
                .prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn tun_02_no_accepted_path_changes_under_normalisation(tail in pieces()) {
            let text = format!("/1.0/{tail}");
            if let Ok(accepted) = TunnelPath::parse_joined(&text) {
                prop_assert_eq!(accepted.as_str(), &text);
                let url = url::Url::parse(&format!("https://lxd:8443{text}")).unwrap();
                prop_assert_eq!(url.path(), accepted.path());
                prop_assert_eq!(url.fragment(), None);
                let query = text.split_once('?').map(|(_, query)| query);
                prop_assert_eq!(url.query(), query);
                prop_assert!(accepted.path() == "/1.0" || accepted.path().starts_with("/1.0/"));
            }
        }
    }
}
