//! The web UI's files, inside the binary.

use mime_guess::mime;
use rust_embed::{EmbeddedFile, RustEmbed};
use salvo::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, VARY,
};
use salvo::http::{ResBody, StatusCode};
use salvo::{Request, Response, handler};

use crate::edge::{ApiError, Redirect, accepts, is_known};

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
struct Files;

/// What is shown when the server was built without the UI.
const LEFT_OUT: &str = "<!doctype html><html lang=\"en\"><title>MicroCloud Cluster Manager</title>\
    <p>This server was built without the web UI. Build it in ui/ and build the server again.</p></html>\n";

/// `GET /ui` leads to `/ui/`; `GET /ui/<path>`: the file of that name, else the single page, which has routes of its own. A file that is missing under
/// `assets/` is 404: an open page of an older release must not take the page for a script.
#[handler]
pub async fn serve(req: &mut Request, res: &mut Response) {
    let Some(path) = req.uri().path().strip_prefix("/ui/").map(str::to_owned) else {
        return res.render(Redirect("/ui/"));
    };
    if path == "index.html" {
        res.status_code(StatusCode::MOVED_PERMANENTLY);
        res.headers_mut().insert("location", HeaderValue::from_static("./"));
        return;
    }
    let is_asset = path.starts_with("assets/") && path.len() > "assets/".len();
    let name = match Files::get(&path) {
        Some(_) if is_page_file(&path) => path.as_str(),
        None if is_asset => return ApiError::unknown_path().respond(req, res),
        _ => "index.html",
    };
    send(req, res, name, is_asset);
}

/// The precompressed variants are chosen by `Accept-Encoding`, not by name.
fn is_page_file(path: &str) -> bool {
    !matches!(path.rsplit('.').next(), Some("br" | "gz"))
}

fn send(req: &Request, res: &mut Response, name: &str, immutable: bool) {
    let accepted = req
        .headers()
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let variant = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(encoding, suffix)| {
        accepts(accepted, encoding)
            .then(|| Files::get(&format!("{name}{suffix}")))
            .flatten()
            .map(|f| (f, Some(encoding)))
    });
    let Some((file, encoding)) = variant.or_else(|| Files::get(name).map(|file| (file, None)))
    else {
        res.render(salvo::writing::Text::Html(LEFT_OUT));
        return;
    };
    let caching = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = res.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    let etag = etag(&file);
    let unchanged = is_known(req, &etag);
    if let Ok(etag) = etag.parse() {
        headers.insert(ETAG, etag);
    }
    if unchanged {
        res.status_code(StatusCode::NOT_MODIFIED);
        return;
    }
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Ok(kind) = content_type(name).parse() {
        headers.insert(CONTENT_TYPE, kind);
    }
    res.status_code(StatusCode::OK);
    res.replace_body(ResBody::Once(file.data.into_owned().into()));
}

fn content_type(name: &str) -> String {
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let text = kind.type_() == mime::TEXT
        || kind.subtype() == mime::JAVASCRIPT
        || kind.subtype() == mime::JSON;
    if text { format!("{kind}; charset=utf-8") } else { kind.to_string() }
}

fn etag(file: &EmbeddedFile) -> String {
    format!("\"{}\"", hex::encode(file.metadata.sha256_hash().get(..16).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_follow_the_name() {
        assert_eq!(content_type("index.html"), "text/html; charset=utf-8");
        assert_eq!(content_type("assets/a.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("assets/a.woff2"), "font/woff2");
        assert_eq!(content_type("assets/a.svg"), "image/svg+xml");
    }
}
