//! HTTP/1.1 over a Unix socket (RFC 9112): one request per connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PebbleError;

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// Longest body of an answer, in bytes: files that charms read and plans are far smaller.
const MAX_BODY: u64 = 16 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// One request.
pub(super) struct Request<'a> {
    method: Method,
    path: &'a str,
    content_type: Option<String>,
    accept: Option<&'static str>,
    body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        Self { method, path, content_type: None, accept: None, body: Vec::new() }
    }

    pub(super) fn json(method: Method, path: &'a str, body: &Value) -> Self {
        Self::new(method, path).with_body("application/json", body.to_string().into_bytes())
    }

    pub(super) fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.body = body;
        self
    }

    pub(super) fn accepting(mut self, content_type: &'static str) -> Self {
        self.accept = Some(content_type);
        self
    }

    fn head(&self) -> String {
        let method = match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: pebble\r\n", self.path);
        head.push_str("Connection: close\r\n");
        for (name, value) in
            [("Content-Type", self.content_type.as_deref()), ("Accept", self.accept)]
        {
            if let Some(value) = value {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        if self.method == Method::Post {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }
}

/// One answer.
pub(super) struct Response {
    status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// The form of Pebble's JSON answers.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    change: Option<String>,
    #[serde(default)]
    result: Value,
}

impl Response {
    /// The result of an answer that is there at once.
    pub(super) fn result<T: DeserializeOwned>(self) -> Result<T, PebbleError> {
        let envelope = self.envelope()?;
        serde_json::from_value(envelope.result).map_err(|_| PebbleError::Answer)
    }

    /// The change that a request has begun.
    pub(super) fn change(self) -> Result<String, PebbleError> {
        self.envelope()?.change.ok_or(PebbleError::Answer)
    }

    /// The change with the result: `exec` has both.
    pub(super) fn change_and_result(self) -> Result<(String, Value), PebbleError> {
        let envelope = self.envelope()?;
        Ok((envelope.change.ok_or(PebbleError::Answer)?, envelope.result))
    }

    fn envelope(self) -> Result<Envelope, PebbleError> {
        let envelope: Envelope =
            serde_json::from_slice(&self.body).map_err(|_| PebbleError::Answer)?;
        if envelope.kind != "error" {
            return Ok(envelope);
        }
        let text = |key: &str| {
            let value = envelope.result.get(key).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Err(PebbleError::Api { status: self.status, kind: text("kind"), message: text("message") })
    }
}

/// Connects, with time limits on every read and write.
pub(super) fn connect(socket: &Path, time: Duration) -> Result<UnixStream, PebbleError> {
    let open = || -> io::Result<UnixStream> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))?;
        Ok(stream)
    };
    open().map_err(PebbleError::NotReady)
}

/// Sends one request and reads its answer.
pub(super) fn send(
    socket: &Path,
    time: Duration,
    request: &Request<'_>,
) -> Result<Response, PebbleError> {
    let mut stream = connect(socket, time)?;
    stream.write_all(request.head().as_bytes()).map_err(PebbleError::NotReady)?;
    stream.write_all(&request.body).map_err(PebbleError::NotReady)?;
    read_answer(&mut BufReader::new(stream))
}

fn read_answer(from: &mut impl BufRead) -> Result<Response, PebbleError> {
    let head = read_head(from)?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let complete = parsed.parse(&head).map_err(|_| PebbleError::Answer)?;
    if complete.is_partial() {
        return Err(PebbleError::Answer);
    }
    let status = parsed.code.ok_or(PebbleError::Answer)?;
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let content_type = header("Content-Type").unwrap_or_default().to_owned();
    let body = if header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        read_chunks(from)?
    } else if let Some(length) = header("Content-Length") {
        let length: u64 = length.parse().map_err(|_| PebbleError::Answer)?;
        read_exactly(from, length)?
    } else {
        let mut body = Vec::new();
        from.take(MAX_BODY).read_to_end(&mut body).map_err(PebbleError::NotReady)?;
        body
    };
    Ok(Response { status, content_type, body })
}

/// Everything up to and with the empty line.
fn read_head(from: &mut impl BufRead) -> Result<Vec<u8>, PebbleError> {
    let mut head = Vec::new();
    loop {
        let line = read_line(from, MAX_HEAD.saturating_sub(head.len()))?;
        head.extend_from_slice(&line);
        if line == b"\r\n" {
            return Ok(head);
        }
    }
}

fn read_line(from: &mut impl BufRead, limit: usize) -> Result<Vec<u8>, PebbleError> {
    let mut line = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    from.take(limit).read_until(b'\n', &mut line).map_err(PebbleError::NotReady)?;
    if line.is_empty() {
        // The other side has closed: it went away.
        return Err(PebbleError::NotReady(io::ErrorKind::UnexpectedEof.into()));
    }
    if line.ends_with(b"\n") { Ok(line) } else { Err(PebbleError::Answer) }
}

fn read_exactly(from: &mut impl BufRead, length: u64) -> Result<Vec<u8>, PebbleError> {
    if length > MAX_BODY {
        return Err(PebbleError::Answer);
    }
    let mut body = Vec::new();
    let read = from.take(length).read_to_end(&mut body).map_err(PebbleError::NotReady)?;
    if u64::try_from(read) == Ok(length) {
        Ok(body)
    } else {
        Err(PebbleError::NotReady(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// RFC 9112, section 7.1. Trailers are read and dropped.
fn read_chunks(from: &mut impl BufRead) -> Result<Vec<u8>, PebbleError> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from, 1024)?;
        let text = std::str::from_utf8(&line).map_err(|_| PebbleError::Answer)?;
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| PebbleError::Answer)?;
        let have = u64::try_from(body.len()).unwrap_or(u64::MAX);
        if have.saturating_add(size) > MAX_BODY {
            return Err(PebbleError::Answer);
        }
        if size == 0 {
            while read_line(from, 1024)? != b"\r\n" {}
            return Ok(body);
        }
        body.extend(read_exactly(from, size)?);
        if read_line(from, 2)? != b"\r\n" {
            return Err(PebbleError::Answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Response, PebbleError> {
        read_answer(&mut &*bytes)
    }

    #[test]
    fn bodies_of_all_three_kinds_are_read() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let response = read(answer.as_bytes()).unwrap();
            assert_eq!((response.status, response.body.as_slice()), (200, &b"hello"[..]));
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_a_container_that_went_away() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for end in [0, 17, 30, whole.len() - 1] {
            let error = read(&whole.as_bytes()[..end]).map(|r| r.body).unwrap_err();
            let away = error.is_not_ready() || matches!(error, PebbleError::Answer);
            assert!(away, "{end}: {error}");
        }
    }

    #[test]
    fn pebbles_own_words_are_the_error() {
        let body = r#"{"type":"error","status-code":400,"result":{"message":"no such layer"}}"#;
        let answer = format!("HTTP/1.1 400 Bad Request\r\n\r\n{body}");
        let error = read(answer.as_bytes()).unwrap().result::<Value>().unwrap_err();
        assert_eq!(error.to_string(), "Pebble refused: no such layer");
    }

    #[test]
    fn an_answer_without_end_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
        assert!(matches!(read(long.as_bytes()), Err(PebbleError::Answer)));
        let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        assert!(matches!(read(huge.as_bytes()), Err(PebbleError::Answer)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300),
            head in "(HTTP/1.1 200 OK\r\n)?([A-Za-z-]{0,17}: [a-z0-9]{0,9}\r\n){0,3}(\r\n)?") {
            let mut all = head.into_bytes();
            all.extend(bytes);
            let _ = read(&all);
        }
    }
}
