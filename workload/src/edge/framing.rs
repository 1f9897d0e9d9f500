//! Requests whose end could be read in two ways (RFC 9112, section 11.2).
//!
//! The HTTP library forgives what the RFC lets it forgive: a line that ends without CR, the same length twice, a length beside
//! chunks. Somebody before us may have read the same bytes otherwise. So the heads of HTTP/1.1 requests are looked at on their way
//! to the library, and in one with two readings a byte is replaced by NUL, which stands nowhere in a head: the library answers 400
//! and closes the connection. It may not look at a head before that is complete, so the end of one follows the NUL.
//!
//! A head that has begun must be complete in time: the library knows only when it began to wait for one.
//!
//! A body in chunks is followed as well. What stands beside the sizes of its chunks, and nobody has a use for, is only so long:
//! beyond that a byte is replaced by LF, at which the library gives the body up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use salvo::conn::tcp::TcpCoupler;
use salvo::conn::{Accepted, Acceptor, Holding};
use salvo::fuse::ArcFusePolicy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// As much of a line as has to be known: a name that counts, and a length of any sensible size.
const LINE: usize = 64;
/// What ends a head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// As much as may stand beside the sizes of all chunks of a body, in bytes.
const EXTENSIONS: usize = 4 << 10;
/// The head that begins a connection of HTTP/2 (RFC 9113, section 3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// Lets the streams of another acceptor through with requests that have one reading.
pub(super) struct FramedAcceptor<A> {
    inner: A,
    header_time: Duration,
}

impl<A> FramedAcceptor<A> {
    /// A head that has begun must be complete within `header_time`.
    pub(super) fn new(inner: A, header_time: Duration) -> Self {
        Self { inner, header_time }
    }
}

impl<A> Acceptor for FramedAcceptor<A>
where
    A: Acceptor<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static> + Send + 'static,
{
    type Coupler = TcpCoupler<Self::Stream>;
    /// Boxed: the future of a connection holds the stream several times, once for each function that hands it on.
    type Stream = Box<Framed<A::Stream>>;

    fn holdings(&self) -> &[Holding] {
        self.inner.holdings()
    }

    async fn accept(
        &mut self,
        policy: Option<ArcFusePolicy>,
    ) -> io::Result<Accepted<Self::Coupler, Self::Stream>> {
        let accepted = self.inner.accept(policy).await?;
        Ok(Accepted {
            coupler: TcpCoupler::new(),
            stream: Box::new(Framed::new(accepted.stream, self.header_time)),
            fuse_config: accepted.fuse_config,
            conn_ctrl: accepted.conn_ctrl,
            local_addr: accepted.local_addr,
            remote_addr: accepted.remote_addr,
            http_scheme: accepted.http_scheme,
        })
    }
}

/// A stream whose reader sees no request with two readings.
pub(super) struct Framed<S> {
    stream: S,
    framing: Framing,
    header_time: Duration,
    /// When the head that has begun must be complete; known once somebody has to wait for the rest of it.
    head_end: Option<Pin<Box<Sleep>>>,
}

impl<S> Framed<S> {
    fn new(stream: S, header_time: Duration) -> Self {
        Self { stream, framing: Framing::default(), header_time, head_end: None }
    }

    /// Pending for as long as there is time.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.framing.is_in_head() {
            return Poll::Pending;
        }
        let header_time = self.header_time;
        let end = self.head_end.get_or_insert_with(|| Box::pin(sleep(header_time)));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "a head takes too long"))
    }
}

/// Where in its requests a connection is.
#[derive(Debug, Default)]
struct Framing {
    part: Part,
    line: Line,
    /// Whether the request's first line is over.
    begun: bool,
    length: Option<Length>,
    chunked: bool,
    upgrade: bool,
}

#[derive(Debug, Default)]
enum Part {
    #[default]
    Head,
    /// Bytes of the body that are left.
    Body(u64),
    /// A body in chunks.
    Chunks(Chunks),
    /// The head has two readings, and this is still to follow it.
    Spoiled(&'static [u8]),
    /// Nothing more is known about the connection: it ends after this request, or belongs to another protocol.
    Rest,
}

/// The beginning of a line and its end.
#[derive(Debug, Default)]
struct Line {
    start: Vec<u8>,
    length: usize,
    last: u8,
}

/// Where in a body in chunks a connection is.
#[derive(Debug, Default)]
struct Chunks {
    /// Bytes of the chunk and of the end of its line that are left.
    left: u64,
    /// The size in the line, as far as it has come.
    size: u64,
    /// Whether the size is over, and an extension or blanks follow.
    is_beside: bool,
    /// Bytes beside the sizes so far.
    beside: usize,
    last: u8,
}

/// What follows a byte of a line with a size.
enum Next {
    More,
    /// Nothing that has to be looked at.
    End,
    TooMuch,
}

#[derive(Debug)]
enum Length {
    Of(u64),
    /// Twice, longer than any length has to be, or none at all.
    Bad,
}

impl Framing {
    /// Looks at bytes as they arrive, and spoils a head that has two readings.
    fn inspect(&mut self, bytes: &mut [u8]) {
        let mut at = 0_usize;
        while let Some(byte) = bytes.get_mut(at) {
            match &mut self.part {
                Part::Spoiled(_) | Part::Rest => return,
                Part::Body(left) => {
                    at = pass(left, at, bytes.len());
                    if *left == 0 {
                        self.part = Part::Head;
                    }
                    continue;
                }
                Part::Chunks(chunks) if chunks.left > 0 => {
                    at = pass(&mut chunks.left, at, bytes.len());
                    continue;
                }
                Part::Chunks(chunks) => match chunks.push(*byte) {
                    Next::More => {}
                    Next::End => self.part = Part::Rest,
                    Next::TooMuch => {
                        *byte = b'\n';
                        self.part = Part::Rest;
                    }
                },
                Part::Head if *byte == b'\n' => {
                    if !self.end_of_line() {
                        *byte = 0;
                        self.part = Part::Spoiled(END_OF_HEAD);
                    }
                }
                Part::Head => self.line.push(*byte),
            }
            at = at.saturating_add(1);
        }
    }

    /// Whether a head has begun and is not complete.
    fn is_in_head(&self) -> bool {
        matches!(self.part, Part::Head) && (self.begun || self.line.length > 0)
    }

    /// Takes what the line says. Not true when it gives the head a second reading.
    fn end_of_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        if line.last != b'\r' {
            return false;
        }
        let is_empty = line.length == 1;
        if is_empty && self.begun {
            return self.end_of_head();
        }
        if self.begun {
            self.header(&line);
        } else if !is_empty {
            self.begun = true;
            if line.start.starts_with(HTTP2) {
                self.part = Part::Rest;
            }
        }
        self.line.start = line.start;
        self.line.start.clear();
        true
    }

    fn header(&mut self, line: &Line) {
        let mut parts = line.start.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = parts.next().unwrap_or_default().trim_ascii();
            let is_whole = line.length <= LINE && value.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            self.length = Some(match (&self.length, number) {
                (None, Some(number)) if is_whole => Length::Of(number),
                _ => Length::Bad,
            });
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        }
    }

    fn end_of_head(&mut self) -> bool {
        let head = std::mem::take(self);
        self.part = match head.length {
            Some(Length::Bad) => return false,
            Some(_) if head.chunked => return false,
            None if head.chunked => Part::Chunks(Chunks::default()),
            _ if head.upgrade => Part::Rest, // the answer is 101, or the last one
            Some(Length::Of(length)) if length > 0 => Part::Body(length),
            Some(Length::Of(_)) | None => Part::Head,
        };
        true
    }
}

/// Passes over bytes that are `left` from `at` on, as far as they are there: where it comes to.
fn pass(left: &mut u64, at: usize, end: usize) -> usize {
    let here = end.saturating_sub(at);
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
    *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
    at.saturating_add(taken)
}

impl Chunks {
    /// Takes a byte of a line with a size. Where the library refuses the line, as one without a size, it does not matter what is
    /// taken for what.
    fn push(&mut self, byte: u8) -> Next {
        let digit = char::from(byte).to_digit(16).filter(|_| !self.is_beside);
        if let Some(digit) = digit {
            let size = self.size.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
            let Some(size) = size else { return Next::End };
            self.size = size;
        } else if byte == b'\n' {
            let Some(left) = self.size.checked_add(2).filter(|_| self.size > 0) else {
                return Next::End; // of the last chunk: what follows are trailers
            };
            *self = Self { left, beside: self.beside, ..Self::default() };
            return Next::More;
        } else if byte != b'\r' {
            self.is_beside = true;
            self.beside = self.beside.saturating_add(1);
            // After a CR the library refuses everything but LF.
            if self.beside > EXTENSIONS && self.last != b'\r' {
                return Next::TooMuch;
            }
        }
        self.last = byte;
        Next::More
    }
}

impl Line {
    fn push(&mut self, byte: u8) {
        if self.start.len() < LINE {
            self.start.push(byte);
        }
        self.length = self.length.saturating_add(1);
        self.last = byte;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Part::Spoiled(left) = self.framing.part {
            let (now, later) = left.split_at(left.len().min(buf.remaining()));
            buf.put_slice(now);
            self.framing.part = if later.is_empty() { Part::Rest } else { Part::Spoiled(later) };
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let step = Pin::new(&mut self.stream).poll_read(cx, buf);
        if step.is_pending() {
            return self.poll_late(cx).map(Err);
        }
        self.framing.inspect(buf.filled_mut().get_mut(before..).unwrap_or_default());
        if !self.framing.is_in_head() {
            self.head_end = None;
        }
        step
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library sees of `bytes` that arrive in pieces of `size`.
    fn seen(bytes: &str, size: usize) -> Vec<u8> {
        let mut framing = Framing::default();
        let mut bytes = bytes.as_bytes().to_vec();
        for piece in bytes.chunks_mut(size) {
            framing.inspect(piece);
        }
        bytes
    }

    fn is_left_alone(bytes: &str) -> bool {
        let whole = seen(bytes, bytes.len()) == bytes.as_bytes();
        for size in 1..9 {
            assert_eq!(
                seen(bytes, size) == bytes.as_bytes(),
                whole,
                "in pieces of {size}: {bytes:?}"
            );
        }
        whole
    }

    #[test]
    fn lim_03_a_head_has_one_reading() {
        for (headers, one_reading) in [
            ("Host: x\r\n", true),
            ("Content-Length: 0\r\n", true),
            ("Content-Length: 5\nHost: x\r\n", false),
            ("\nContent-Length: 5\r\n", false),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", false),
            ("Content-Length: 5\r\ncontent-LENGTH : 5\r\n", false),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", false),
            ("Transfer-Encoding: chunked\r\n", true),
            ("X-Content-Length: 5\r\n", true),
        ] {
            let head = format!("POST / HTTP/1.1\r\n{headers}\r\n");
            assert_eq!(is_left_alone(&head), one_reading, "{head:?}");
        }
        assert!(!is_left_alone("GET / HTTP/1.1\nHost: x\r\n\r\n"));
        assert!(!is_left_alone("GET / HTTP/1.1\r\nHost: x\r\n\n"));
        assert!(is_left_alone("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    #[test]
    fn lim_03_every_head_of_a_connection_is_looked_at_and_no_body() {
        let first = "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nHost:\n\n\n\n";
        assert!(is_left_alone(&format!("{first}GET / HTTP/1.1\r\n\r\n")));
        assert!(!is_left_alone(&format!("{first}GET / HTTP/1.1\n\r\n")));
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(is_left_alone(&format!("{chunked}3;a=\"b\"\r\n\n\n\n\r\n0\r\n\r\nGET\n")));
        // What comes after belongs to another protocol, or to a connection that is being closed.
        assert!(is_left_alone("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\n\n"));
        assert!(is_left_alone(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n"
        ));
        assert!(is_left_alone("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n"));
    }

    #[test]
    fn lim_03_a_length_is_a_number_of_sensible_size() {
        let long = format!("{}5", "0".repeat(100));
        for (length, is_taken) in [
            ("5", true),
            ("0000005", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("+5", false),
            ("5, 5", false),
            ("", false),
            ("0x5", false),
            (long.as_str(), false),
        ] {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n\n\n");
            assert_eq!(is_left_alone(&head), is_taken, "{length}");
        }
    }

    #[test]
    fn lim_03_extensions_of_chunks_have_four_kibibytes_in_all() {
        let body = |chunks: usize, beside: &str| {
            let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("00A{beside}\r\n;;;\n\n\r\n;;;\r\n");
            format!("{head}{}0\r\n\r\n", chunk.repeat(chunks))
        };
        let extension = |length: usize| format!(";{}", "x".repeat(length - 1));
        for (chunks, beside, fits) in [
            (1, extension(4096), true),
            (1, extension(4097), false),
            (1, extension(409_600), false),
            (1024, extension(4), true),
            (1025, extension(4), false),
            (1, " ".repeat(4096), true),
            (1, " ".repeat(4097), false),
            (5000, String::new(), true),
        ] {
            assert_eq!(is_left_alone(&body(chunks, &beside)), fits, "{chunks} x {}", beside.len());
        }
        // The byte that is too much ends the line in a way that the library refuses.
        let seen = seen(&body(1, &extension(5000)), usize::MAX);
        let after = seen.split(|byte| *byte == b';').nth(1).unwrap();
        assert_eq!(after.iter().position(|byte| *byte == b'\n'), Some(4095));
    }
}
