//! The last answer on a connection leaves in one packet with what ends the connection, which TLS writes by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A longer answer is not held: it is more than a packet anyway.
const MOST_HELD: usize = 8 << 10;
/// An answer is not held for longer. The end follows within microseconds or not at all.
const HOLD_TIME: Duration = Duration::from_millis(1);

/// Whether the last answer of a connection comes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct LastAnswer(Arc<AtomicBool>);

impl LastAnswer {
    /// Nothing but the end of the connection follows what is written now.
    pub(super) fn comes(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream below TLS that holds the last answer until the end follows it.
pub(super) struct Held<S: AsyncWrite + Unpin> {
    stream: S,
    last: LastAnswer,
    answer: Vec<u8>,
    /// Since when it is to be sent. The HTTP library asks for that several times before it ends the connection.
    due_since: Option<Instant>,
}

impl<S: AsyncWrite + Unpin> Held<S> {
    pub(super) fn new(stream: S, last: LastAnswer) -> Self {
        Self { stream, last, answer: Vec::new(), due_since: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Held<S> {
    /// Sends what is held.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answer))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether so many bytes more are held.
    fn holds(&self, bytes: usize) -> bool {
        self.last.0.load(Ordering::Relaxed) && self.answer.len().saturating_add(bytes) <= MOST_HELD
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add);
        if self.holds(length) {
            for buf in bufs {
                self.answer.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.answer.is_empty() {
            let due_since = *self.due_since.get_or_insert_with(Instant::now);
            if due_since.elapsed() < HOLD_TIME {
                // The end follows before the task is woken, or else this is asked for again then.
                cx.waker().wake_by_ref();
                return Poll::Ready(Ok(()));
            }
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Not every connection is ended: one that asked for another protocol is given up.
impl<S: AsyncWrite + Unpin> Drop for Held<S> {
    fn drop(&mut self) {
        // There is room in the kernel for what fits into a packet or two.
        drop(self.poll_send(&mut Context::from_waker(Waker::noop())));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A stream that notes what each write to it was.
    #[derive(Default)]
    struct Noted(Vec<String>);

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(String::from_utf8_lossy(buf).into_owned());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.push("end".into());
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_last_answer_and_the_end_are_one_write() {
        let last = LastAnswer::default();
        let mut stream = Held::new(Noted::default(), last.clone());
        stream.write_all(b"handshake").await.unwrap();
        last.comes();
        stream.write_all(b"answer, ").await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(b"no more").await.unwrap();
        for _ in 0..3 {
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
        assert_eq!(stream.stream.0, ["handshake", "answer, no more", "end"]);
    }

    #[tokio::test]
    async fn an_answer_is_sent_before_its_connection_is_given_up() {
        let (mut client, server) = tokio::io::duplex(64);
        let last = LastAnswer::default();
        let mut stream = Held::new(server, last.clone());
        last.comes();
        stream.write_all(b"refused").await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "refused");
    }

    #[tokio::test]
    async fn an_answer_that_was_not_the_last_or_is_long_is_sent_all_the_same() {
        let last = LastAnswer::default();
        let mut stream = Held::new(Noted::default(), last.clone());
        last.comes();
        stream.write_all(b"first").await.unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let flushed = Pin::new(&mut stream).poll_flush(&mut Context::from_waker(&waker));
        assert!(flushed.is_ready() && woken.0.load(Ordering::Relaxed), "it is asked for again");
        assert!(stream.stream.0.is_empty());
        std::thread::sleep(HOLD_TIME);
        stream.flush().await.unwrap();
        for piece in ["second", "third"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        assert_eq!(stream.stream.0, ["first", "second", "third"]);
        let mut stream = Held::new(Noted::default(), last);
        let long = "x".repeat(MOST_HELD);
        stream.write_all(b"fourth").await.unwrap();
        stream.write_all(long.as_bytes()).await.unwrap();
        assert_eq!(stream.stream.0, ["fourth", &long]);
    }
}
