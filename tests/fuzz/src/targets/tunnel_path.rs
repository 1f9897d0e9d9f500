//! Paths of requests through a tunnel: one that is accepted means the same to a library for URLs.

use cluster_manager::tunnel::TunnelPath;
use url::Url;

use super::ensure;
use crate::{Target, Verdict};

pub(super) fn target() -> Target {
    Target {
        name: "tunnel_path",
        dictionary: &[
            "/1.0", "/1.0/", "..", "%2e", "%2F", "%5c", "//", "?", "#", "%00", "%", "\\", "@", ":",
            "é",
        ],
        max_bytes: 9000,
        changes: 6000,
        check: Box::new(check),
    }
}

fn check(input: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(input) else { return Ok("not text".into()) };
    let path = match TunnelPath::parse_joined(text) {
        Ok(path) => path,
        Err(reason) => return Ok(format!("{reason:?}")),
    };
    ensure!(path.as_str() == text, "an accepted path changes");
    ensure!(text.len() <= 8192 && text.is_ascii(), "too long, or not ASCII");
    ensure!(!text.bytes().any(|byte| byte.is_ascii_control()), "a control character");
    let base = Url::parse("https://cluster.example.net:8443").map_err(|error| error.to_string())?;
    let url = base.join(text).map_err(|error| error.to_string())?;
    let (authority, seen) = (url.authority(), &url[url::Position::BeforePath..]);
    ensure!(authority == "cluster.example.net:8443", "it leads to {authority}");
    ensure!(seen == text, "a library reads it as {seen}");
    ensure!(url.fragment().is_none(), "it has a fragment");
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    ensure!(segments.first() == Some(&"1.0"), "it does not lead to the API of LXD");
    ensure!(segments.iter().all(|segment| !segment.is_empty()), "it has an empty segment");
    ensure!(path.path() == url.path(), "the path for the log is another");
    let query = url.query().map(|query| super::size(query.len()));
    Ok(format!("{} segments, {query:?}", super::size(segments.len())))
}
