//! A strict reader of HTTP/1.1 (RFC 9112) and of the answers to what it has read.

/// What a sequence of bytes holds.
pub(super) struct Requests {
    /// Whether each complete request is a HEAD, whose answer has no body.
    heads: Vec<bool>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing follows.
    Clean,
    /// A request whose head is not complete yet.
    Unfinished,
    /// A request whose body is not complete yet. Its answer need not wait for it.
    UnfinishedBody,
    /// Something that is no request in the strict sense; servers differ in what they make of it.
    Odd,
    /// A request whose end could be seen at two places (RFC 9112, section 6.3): the shape of request smuggling.
    Ambiguous,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Requests {
    /// Reads the requests from the beginning until one is not complete or not strictly right.
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let mut heads = Vec::new();
        let end = loop {
            if bytes.is_empty() {
                break End::Clean;
            }
            match request(bytes) {
                Ok((is_head, rest)) => {
                    heads.push(is_head);
                    bytes = rest;
                }
                Err(end) => break end,
            }
        };
        Self { heads, end }
    }

    /// How many complete requests there are.
    pub(super) fn complete(&self) -> usize {
        self.heads.len()
    }

    /// Whether everything was read in the strict sense: then it is known how many answers there may be.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.end, End::Clean | End::Unfinished | End::UnfinishedBody)
    }

    /// Whether the head of one more request is complete.
    pub(super) fn has_one_more_head(&self) -> bool {
        self.end == End::UnfinishedBody
    }

    /// The place of the first request with two possible ends.
    pub(super) fn ambiguous(&self) -> Option<usize> {
        (self.end == End::Ambiguous).then_some(self.heads.len())
    }
}

/// Whether the first request is a HEAD, and what follows it.
fn request(bytes: &[u8]) -> Result<(bool, &[u8]), End> {
    let (line, mut rest) = line(bytes)?;
    let line = str::from_utf8(line).map_err(|_| End::Odd)?;
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words.as_slice() else { return Err(End::Odd) };
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !method.bytes().all(is_token) || method.is_empty() || *method == "CONNECT" {
        return Err(End::Odd);
    }
    if !is_plain(target) || !target.starts_with('/') || target.contains(['#', '\\', '"', '<', '>'])
    {
        return Err(End::Odd);
    }
    let (mut lengths, mut codings, mut hosts) = (Vec::new(), Vec::new(), 0);
    loop {
        let (line, after) = self::line(rest)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        let (name, value) = header(line)?;
        match name.as_str() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            "host" => hosts += 1,
            // What changes the protocol or the order of things is no plain request.
            "expect" | "upgrade" => return Err(End::Odd),
            _ => {}
        }
    }
    let framing = match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Framing::Length(0),
        // One length that is said twice is one length (RFC 9112, section 6.3).
        ([length, others @ ..], []) if others.iter().any(|other| other != length) => {
            return Err(End::Ambiguous);
        }
        ([length, ..], []) if length.bytes().all(|b| b.is_ascii_digit()) => {
            Framing::Length(length.parse().map_err(|_| End::Odd)?)
        }
        ([], [coding]) if coding == "chunked" => Framing::Chunked,
        ([], [_]) | ([_, ..], []) => return Err(End::Odd),
        _ => return Err(End::Ambiguous),
    };
    if hosts != 1 {
        return Err(End::Odd);
    }
    let rest = match framing {
        Framing::Length(length) => rest.get(length..).ok_or(End::UnfinishedBody)?,
        Framing::Chunked => chunks(rest).map_err(|end| match end {
            End::Unfinished => End::UnfinishedBody,
            end => end,
        })?,
    };
    Ok((*method == "HEAD", rest))
}

/// A line that ends with CR LF, without them, and what follows.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), End> {
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).ok_or(End::Unfinished)?;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok((&bytes[..end], &bytes[end + 2..])),
        None if bytes[end] == b'\r' => Err(End::Unfinished),
        _ => Err(End::Odd),
    }
}

fn header(line: &[u8]) -> Result<(String, String), End> {
    let colon = line.iter().position(|b| *b == b':').ok_or(End::Odd)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(End::Odd);
    }
    if !value.iter().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        return Err(End::Odd);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(name).to_ascii_lowercase(), text(value)))
}

/// What follows a chunked body. Extensions and trailers are left to the server's taste.
fn chunks(mut bytes: &[u8]) -> Result<&[u8], End> {
    loop {
        let (size, rest) = line(bytes)?;
        let digits = str::from_utf8(size).map_err(|_| End::Odd)?;
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(End::Odd);
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| End::Odd)?;
        let data_end = rest.get(size..).ok_or(End::Unfinished)?;
        let (nothing, rest) = line(data_end)?;
        if !nothing.is_empty() {
            return Err(End::Odd);
        }
        if size == 0 {
            return Ok(rest);
        }
        bytes = rest;
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The answers of the server.
pub(super) struct Answers {
    pub(super) statuses: Vec<u16>,
}

impl Answers {
    /// How many answers have begun; a quick estimate from their first lines.
    pub(super) fn count(bytes: &[u8]) -> usize {
        bytes.windows(9).filter(|w| w.starts_with(b"HTTP/1.") && w[8] == b' ').count()
    }

    /// Reads all of them; each must be complete.
    pub(super) fn read(mut bytes: &[u8], requests: &Requests) -> Result<Self, String> {
        let mut statuses = Vec::new();
        while !bytes.is_empty() {
            let shown = || bytes.escape_ascii().to_string();
            let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
            let end = end.ok_or_else(|| format!("an answer without an end: {}", shown()))?;
            let head = str::from_utf8(&bytes[..end]).map_err(|_| "an answer that is no text")?;
            let mut lines = head.split("\r\n");
            let first = lines.next().unwrap_or_default();
            let status =
                first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
            let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
            let status: u16 = status.ok_or_else(|| format!("no status in {}", shown()))?;
            bytes = &bytes[end + 4..];
            if (100..200).contains(&status) {
                continue; // an interim answer
            }
            let length = lines.find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            let length =
                length.transpose().map_err(|_| "an answer with a wrong length")?.unwrap_or(0);
            let is_head = requests.heads.get(statuses.len()).copied().unwrap_or(false);
            // Beyond what was read strictly it is not known whether the request was a HEAD.
            let unknown = statuses.len() >= requests.heads.len();
            match bytes.get(length..) {
                _ if is_head => {}
                Some(rest) => bytes = rest,
                None if unknown => bytes = &[],
                None => return Err(format!("the answer {status} has less than {length} bytes")),
            }
            statuses.push(status);
        }
        Ok(Self { statuses })
    }
}
