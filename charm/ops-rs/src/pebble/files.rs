//! Files in the container. Written whole and at once: Pebble writes beside and renames.

use secrecy::{ExposeSecret, SecretSlice};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Method, Request};
use super::{Pebble, PebbleError};

/// Separates the parts of a request with files. Content is checked not to contain it.
const BOUNDARY: &str = "ops-rs-6f1c2b8e3f0d4c599d7e0a51c7b7e1a4-boundary";

/// A file to be. The content may be secret, so that it is not shown.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// Absolute path of plain characters.
    pub path: String,
    /// What is in it.
    pub content: SecretSlice<u8>,
    /// Access rights, for example `0o600`.
    pub mode: u32,
}

impl FileSpec {
    /// A file that only its owner can read and write.
    #[must_use]
    pub fn private(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), content: content.into().into(), mode: 0o600 }
    }
}

/// What writing files came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Paths that were different and have been written.
    pub written: Vec<String>,
}

#[derive(Deserialize)]
struct Outcome {
    path: String,
    #[serde(default)]
    error: Option<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    message: String,
    #[serde(default)]
    kind: String,
}

impl Pebble {
    /// Writes those of `files` whose content differs, with folders on the way as `0700`.
    ///
    /// # Errors
    ///
    /// [`PebbleError::File`] for the first that cannot be written; others may have been.
    pub fn write_files(&self, files: &[FileSpec]) -> Result<FileWrite, PebbleError> {
        let mut different = Vec::new();
        for file in files {
            let present = self.read_file(&file.path)?;
            if present.is_none_or(|present| present.expose_secret() != file.content.expose_secret())
            {
                different.push(file);
            }
        }
        if different.is_empty() {
            return Ok(FileWrite { written: Vec::new() });
        }
        self.make_folders(&different)?;
        let (content_type, body) = multipart(&different)?;
        let request = Request::new(Method::Post, "/v1/files").with_body(&content_type, body);
        outcomes(self.request(&request)?.result()?)?;
        Ok(FileWrite { written: different.into_iter().map(|file| file.path.clone()).collect() })
    }

    /// Reads one file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`PebbleError::File`] if it is there and cannot be read.
    pub fn read_file(&self, path: &str) -> Result<Option<SecretSlice<u8>>, PebbleError> {
        let query = format!("/v1/files?action=read&path={}", plain(path)?);
        let request = Request::new(Method::Get, &query).accepting("multipart/form-data");
        let answer = self.request(&request)?;
        if answer.content_type.starts_with("application/json") {
            return Err(answer.result::<Value>().err().unwrap_or(PebbleError::Answer));
        }
        let boundary = boundary_of(&answer.content_type).ok_or(PebbleError::Answer)?;
        let mut content = None;
        for (head, body) in parts(&answer.body, boundary) {
            if head.contains("name=\"response\"") {
                #[derive(Deserialize)]
                struct Envelope {
                    result: Vec<Outcome>,
                }
                let envelope: Envelope =
                    serde_json::from_slice(body).map_err(|_| PebbleError::Answer)?;
                match outcomes(envelope.result) {
                    Err(PebbleError::File { kind, .. }) if kind == "not-found" => return Ok(None),
                    other => other?,
                }
            } else {
                content = Some(SecretSlice::from(body.to_vec()));
            }
        }
        content.map(Some).ok_or(PebbleError::Answer)
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`PebbleError::File`] if it cannot be removed.
    pub fn remove_file(&self, path: &str) -> Result<(), PebbleError> {
        let body = json!({"action": "remove", "paths": [{"path": plain(path)?}]});
        match outcomes(self.post("/v1/files", &body)?) {
            Err(PebbleError::File { kind, .. }) if kind == "not-found" => Ok(()),
            other => other,
        }
    }

    fn make_folders(&self, files: &[&FileSpec]) -> Result<(), PebbleError> {
        let mut folders: Vec<&str> =
            files.iter().filter_map(|file| Some(file.path.rsplit_once('/')?.0)).collect();
        folders.sort_unstable();
        folders.dedup();
        let folders: Vec<Value> = folders
            .into_iter()
            .map(|path| json!({"path": path, "make-parents": true, "permissions": "700"}))
            .collect();
        outcomes(self.post("/v1/files", &json!({"action": "make-dirs", "dirs": folders}))?)
    }
}

fn outcomes(list: Vec<Outcome>) -> Result<(), PebbleError> {
    let failed = list.into_iter().find_map(|outcome| Some((outcome.path, outcome.error?)));
    match failed {
        Some((path, Reason { message, kind })) => Err(PebbleError::File { path, kind, message }),
        None => Ok(()),
    }
}

/// A path that needs no escapes, neither in a query nor in a header.
fn plain(path: &str) -> Result<&str, PebbleError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.starts_with('/') && path.chars().all(good) {
        return Ok(path);
    }
    Err(PebbleError::File {
        path: path.to_owned(),
        kind: "generic-file-error".to_owned(),
        message: "the path must be absolute and have letters, digits and /._- only".to_owned(),
    })
}

/// `multipart/form-data` (RFC 7578): a part with the list, then a part for each file.
fn multipart(files: &[&FileSpec]) -> Result<(String, Vec<u8>), PebbleError> {
    let mut list = Vec::new();
    for file in files {
        let mode = format!("{:03o}", file.mode);
        list.push(json!({"path": plain(&file.path)?, "permissions": mode}));
    }
    let mut body = Vec::new();
    let mut part = |head: String, content: &[u8]| {
        body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    let request = json!({"action": "write", "files": list}).to_string();
    part(
        "Content-Type: application/json\r\nContent-Disposition: form-data; name=\"request\"".into(),
        request.as_bytes(),
    );
    for file in files {
        let content = file.content.expose_secret();
        if find(content, BOUNDARY.as_bytes()).is_some() {
            return Err(PebbleError::Answer);
        }
        let head = format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; \
             name=\"files\"; filename=\"{}\"",
            file.path
        );
        part(head, content);
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={BOUNDARY}"), body))
}

fn boundary_of(content_type: &str) -> Option<&str> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"'))
}

/// The parts of a body: head and content.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<(String, &'a [u8])> {
    let (open, next) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
    let mut found = Vec::new();
    let mut rest = match find(body, open.as_bytes()) {
        Some(at) => body.get(at + open.len()..).unwrap_or_default(),
        None => return found,
    };
    while let Some(end) = find(rest, next.as_bytes()) {
        let part = rest.get(..end).unwrap_or_default();
        if let Some(blank) = find(part, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(part.get(..blank).unwrap_or_default()).into_owned();
            found.push((head, part.get(blank + 4..).unwrap_or_default()));
        }
        rest = rest.get(end + next.len()..).unwrap_or_default();
        rest = rest.strip_prefix(b"\r\n").unwrap_or_default();
    }
    found
}

fn find(all: &[u8], wanted: &[u8]) -> Option<usize> {
    all.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let file = FileSpec::private("/a/b.pem", content.clone());
            let (content_type, body) = multipart(&[&file]).unwrap();
            let parts = parts(&body, boundary_of(&content_type).unwrap());
            prop_assert_eq!(parts.len(), 2);
            prop_assert_eq!(parts[1].1, content.as_slice());
            prop_assert!(parts[1].0.contains("filename=\"/a/b.pem\""));
        }

        #[test]
        fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parts(&body, "x");
        }
    }

    #[test]
    fn a_path_that_would_need_escapes_is_refused() {
        for path in ["relative", "/a b", "/a\"b", "/a&path=/b", "/a\r\nX: y", ""] {
            assert!(plain(path).is_err(), "{path:?}");
        }
        assert_eq!(plain("/var/lib/x-1/tls.crt").unwrap(), "/var/lib/x-1/tls.crt");
    }

    #[test]
    fn content_is_not_shown() {
        assert!(!format!("{:?}", FileSpec::private("/a", "canary")).contains("canary"));
    }
}
