//! What a client accepts and what it has already.

use salvo::Request;
use salvo::http::header::IF_NONE_MATCH;

/// Whether `Accept-Encoding` names the encoding without refusing it (RFC 9110, section 12.5.3).
#[must_use]
pub fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|part| {
        let mut fields = part.split(';').map(str::trim);
        fields.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding))
            && !fields.any(|field| {
                matches!(field.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
            })
    })
}

/// Whether `If-None-Match` names the entity tag, weak or strong (RFC 9110, section 13.1.2).
#[must_use]
pub fn is_known(req: &Request, etag: &str) -> bool {
    let known = req.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.is_some_and(|known| {
        known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_taken_from_the_header() {
        assert!(accepts("gzip, deflate, br;q=0.5", "br"));
        assert!(accepts("GZIP", "gzip"));
        for header in ["", "deflate", "br;q=0", "gzip, br; q=0.000", "brotli"] {
            assert!(!accepts(header, "br"), "{header}");
        }
    }
}
