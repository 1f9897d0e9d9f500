//! Paths, taken to the letter.

use percent_encoding::percent_decode_str;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};

use super::ApiError;

/// Lets a request through only if its path is written the one right way: no empty segment, no trailing slash and no escape in
/// the fixed parts. The router below splits and decodes more generously, which would give one resource many names.
#[derive(Debug)]
pub struct ExactPath;

#[async_trait]
impl Handler for ExactPath {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        let path = req.uri().path();
        let error = if has_bad_escape(path) {
            Some(ApiError::BadRequest("the path has an invalid percent escape".into()))
        } else if !is_exact(path) {
            Some(ApiError::unknown_path())
        } else {
            None
        };
        if let Some(error) = error {
            error.respond(req, res);
            ctrl.skip_rest();
        } else {
            ctrl.call_next(req, depot, res).await;
        }
    }
}

/// The name in `/1.0/<resource>/<name>`: one segment of the encoded path, decoded exactly once.
///
/// # Errors
///
/// 404 when the segment is not UTF-8 or has a NUL character: no cluster has such a name.
pub fn cluster_name(req: &Request) -> Result<String, ApiError> {
    name_at(req, 3)
}

/// The same for a name that is the path's segment number `position`; the first one after the leading slash is number 1.
///
/// # Errors
///
/// 404 when the segment is not UTF-8 or has a NUL character.
pub fn name_at(req: &Request, position: usize) -> Result<String, ApiError> {
    let segment = req.uri().path().split('/').nth(position).unwrap_or_default();
    match percent_decode_str(segment).decode_utf8() {
        Ok(name) if !name.contains('\0') => Ok(name.into_owned()),
        _ => Err(ApiError::unknown_path()),
    }
}

fn is_exact(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    if path == "/" || path.starts_with("/ui/") {
        return true;
    }
    let mut segments = path.split('/').skip(1);
    let fixed =
        segments.by_ref().take(2).all(|segment| !segment.is_empty() && !segment.contains('%'));
    // What follows `/1.0/remote-cluster/<name>/tunnel` is another server's path with rules of its own: see `tunnel::TunnelPath`.
    let named = segments.next().is_none_or(|segment| !segment.is_empty());
    let tunnel = segments.clone().next() == Some("tunnel");
    fixed && named && (tunnel || segments.all(|segment| !segment.is_empty()))
}

fn has_bad_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        !rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

/// The path of a request for a record: at most 1 KiB, other than printable ASCII escaped.
pub fn path_for_log(req: &Request) -> String {
    for_log(req.uri().path())
}

/// The same for a line of the log.
pub(super) fn for_log(path: &str) -> String {
    path.get(..path.floor_char_boundary(1024)).unwrap_or_default().escape_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_path_passes() {
        for good in [
            "/",
            "/ui/",
            "/ui/cluster/a%20b",
            "/1.0",
            "/1.0/remote-cluster",
            "/1.0/remote-cluster/oslo%2Fcore%201",
            "/1.0/remote-cluster/a+b",
            "/1.0/remote-cluster/a/tunnel/1.0//x/",
        ] {
            assert!(is_exact(good), "{good}");
        }
        for bad in [
            "//",
            "/1.0/",
            "/1%2E0",
            "/1.0//remote-cluster",
            "/1.0/remote-cluster/",
            "/1.0/remote-cluster//tunnel/1.0",
            "/1.0/remote-cluster/a/status//tunnel",
            "/1.0/remote%2Dcluster",
            "",
        ] {
            assert!(!is_exact(bad), "{bad}");
        }
        for bad in ["/%", "/%z", "/%zz", "/a%2", "/%%30"] {
            assert!(has_bad_escape(bad), "{bad}");
        }
    }

    #[test]
    fn aud_02_a_logged_path_has_no_more_than_a_kibibyte_wherever_its_characters_end() {
        let long = format!("/{}", "é".repeat(2000));
        assert_eq!(for_log(&long), format!("/{}", "\\u{e9}".repeat(511)));
        assert_eq!(for_log("/1.0"), "/1.0");
    }

    #[test]
    fn a_name_is_decoded_exactly_once() {
        let name = |path: &str| {
            let mut req = Request::new();
            req.set_uri(path.parse().unwrap());
            cluster_name(&req)
        };
        assert_eq!(name("/1.0/remote-cluster/oslo%2Fcore%201").unwrap(), "oslo/core 1");
        assert_eq!(name("/1.0/remote-cluster/a%2520b+c").unwrap(), "a%20b+c");
        assert!(name("/1.0/remote-cluster/%ff").is_err());
        assert!(name("/1.0/remote-cluster/a%00").is_err());
    }
}
