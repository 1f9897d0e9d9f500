//! Reading request bodies within limits: of one body, and of all that are in memory at a time.

use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use salvo::http::Body as _;
use salvo::http::ReqBody;
use salvo::http::header::CONTENT_ENCODING;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};
use serde::de::{DeserializeOwned, DeserializeSeed};
use tokio::time::Instant;

use super::answer_time::AnswerClock;
use super::buffer::{Buffer, SHORT_BYTES};
use super::{ApiError, presented_certificate};
use crate::model::Fingerprint;

/// How much of a body that is refused is read on and thrown away, so that the client has finished writing when it gets the
/// answer: so much more than the limit, but not without bound. Beyond it the connection is closed under the client's hands.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_MAX_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Within each window of this length a body that is not complete must have grown at the rate of [`BodyRules`].
const WINDOW: Duration = Duration::from_secs(WINDOW_SECONDS as u64);
const WINDOW_SECONDS: usize = 10;
/// How much longer the first window is: a connection begins slowly.
const HEAD_START: Duration = Duration::from_secs(5);

/// Bodies are counted in blocks of this size.
const BLOCK_BYTES: usize = 16 << 10;

/// Room for the bodies that one service holds in memory at a time. Cloning is cheap. A hoop that hands it to [`read_body`], and
/// reads on what a refused client still writes.
#[derive(Debug, Clone)]
pub struct BodyRoom(Arc<Room>);

/// What holds for the bodies of one service.
#[derive(Debug, Clone, Copy)]
pub struct BodyRules {
    /// Most bytes in memory at a time.
    pub bytes: usize,
    /// As many of them as the bodies of one certificate may take, so that nobody keeps the others out; none where callers have no
    /// certificate.
    pub share: Option<usize>,
    /// Longest time for a body.
    pub time: Duration,
    /// Least bytes per second, after the first five seconds, over any ten.
    pub rate: usize,
}

#[derive(Debug)]
struct Room {
    rules: BodyRules,
    taken: Mutex<Taken>,
}

/// Every caller in it holds a block at least, so that the room bounds it, too.
#[derive(Debug, Default)]
struct Taken {
    blocks: usize,
    by_caller: HashMap<Fingerprint, usize>,
}

impl BodyRoom {
    /// All of the room that the rules give.
    #[must_use]
    pub fn new(rules: BodyRules) -> Self {
        Self(Arc::new(Room { rules, taken: Mutex::default() }))
    }

    /// Nothing yet, for a body of the caller.
    fn empty(&self, req: &mut Request) -> Held {
        let caller = self.0.rules.share.and_then(|_| presented_certificate(req));
        Held { room: Arc::clone(&self.0), caller, blocks: 0 }
    }
}

impl Room {
    /// Nothing panics while it is locked; were it so, the numbers would still be good.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body takes of the room until it is dropped.
#[derive(Debug)]
struct Held {
    room: Arc<Room>,
    caller: Option<Fingerprint>,
    blocks: usize,
}

impl Held {
    /// Takes what is missing for a body of so many bytes.
    fn grow(&mut self, bytes: usize) -> Result<(), Stopped> {
        let more = bytes.div_ceil(BLOCK_BYTES).saturating_sub(self.blocks);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.room.taken();
        let all = taken.blocks.saturating_add(more);
        if all > self.room.rules.bytes / BLOCK_BYTES {
            return Err(Stopped::NoRoom("there is no room for another request body"));
        }
        if let Some(caller) = self.caller {
            let its = taken.by_caller.get(&caller).copied().unwrap_or(0).saturating_add(more);
            if self.room.rules.share.is_some_and(|share| its > share.div_ceil(BLOCK_BYTES)) {
                return Err(Stopped::NoRoom("the caller's other request bodies take all its room"));
            }
            taken.by_caller.insert(caller, its);
        }
        taken.blocks = all;
        self.blocks = self.blocks.saturating_add(more);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.blocks = taken.blocks.saturating_sub(self.blocks);
        let Some(caller) = self.caller else { return };
        let left = taken.by_caller.get(&caller).map_or(0, |its| its.saturating_sub(self.blocks));
        if left == 0 {
            taken.by_caller.remove(&caller);
        } else {
            taken.by_caller.insert(caller, left);
        }
    }
}

#[async_trait]
impl Handler for BodyRoom {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        req.extensions_mut().insert(self.clone());
        ctrl.call_next(req, depot, res).await;
        // Refused before anybody read it: the connection would close under the client's hands, which might never see the answer.
        let mut unread = req.take_body();
        if !unread.is_end_stream() {
            drop(tokio::time::timeout(LINGER_TIME, discard(&mut unread, LINGER_BYTES)).await);
        }
    }
}

/// A complete body; it takes room until it is dropped.
#[derive(Debug)]
pub struct Body {
    bytes: Buffer,
    room: Held,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a body is not read to its end.
enum Stopped {
    TooLong,
    TooSlow,
    /// And why there is none.
    NoRoom(&'static str),
    NoMemory(io::Error),
    Broken,
}

/// Reads the whole body: at most `max_bytes`, and as fast as the service's [`BodyRules`] say. Compressed bodies are not accepted, so
/// that a few bytes never become many.
///
/// # Errors
///
/// 413 when it is longer, 415 for a compressed body, 408 when it takes too long, 400 when the transfer breaks, 503 when the service
/// holds as many bodies as it may, of this caller or in all.
pub async fn read_body(req: &mut Request, max_bytes: usize) -> Result<Body, ApiError> {
    let clock = req.extensions().get::<AnswerClock>().cloned();
    if let Some(clock) = &clock {
        clock.stop();
    }
    let read = read_by_the_rules(req, max_bytes).await;
    if let Some(clock) = &clock {
        clock.restart();
    }
    read
}

async fn read_by_the_rules(req: &mut Request, max_bytes: usize) -> Result<Body, ApiError> {
    let encoded =
        req.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let announced = req.header::<usize>("content-length");
    let Some(room) = req.extensions().get::<BodyRoom>().cloned() else {
        return Err(ApiError::Internal("the service has no room for bodies".into()));
    };
    let (time, room) = (room.0.rules.time, room.empty(req));
    let mut body = req.take_body();
    let refusal = if encoded {
        ApiError::UnsupportedMediaType("compressed request bodies are not accepted")
    } else {
        let stopped = if announced.is_some_and(|length| length > max_bytes) {
            Stopped::TooLong
        } else {
            let reading = collect(&mut body, max_bytes, announced, room);
            match tokio::time::timeout(time, reading).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(stopped)) => stopped,
                Err(_) => Stopped::TooSlow,
            }
        };
        match stopped {
            Stopped::TooLong => ApiError::PayloadTooLarge(max_bytes),
            Stopped::NoRoom(why) => {
                ApiError::Unavailable("the service is busy, try again later", Some(why.into()))
            }
            Stopped::NoMemory(error) => {
                ApiError::Unavailable("the service is busy, try again later", Some(error.into()))
            }
            Stopped::TooSlow => return Err(ApiError::RequestTimeout),
            Stopped::Broken => {
                return Err(ApiError::BadRequest("the request body broke off".into()));
            }
        }
    };
    let most = max_bytes.saturating_add(LINGER_BYTES).min(LINGER_MAX_BYTES);
    drop(tokio::time::timeout(LINGER_TIME, discard(&mut body, most)).await);
    Err(refusal)
}

/// Memory is taken for bytes that have arrived, and for each of them once: a buffer that grew step by step would be copied, and
/// there would be two of it meanwhile.
async fn collect(
    body: &mut ReqBody,
    max_bytes: usize,
    announced: Option<usize>,
    mut room: Held,
) -> Result<Body, Stopped> {
    let window_least = room.room.rules.rate.saturating_mul(WINDOW_SECONDS);
    let expected = announced.unwrap_or(max_bytes).min(max_bytes);
    let begin = announced.unwrap_or_default().min(SHORT_BYTES);
    let mut bytes = Buffer::Short(Vec::with_capacity(begin));
    let (mut window_end, mut window_bytes) = (Instant::now() + WINDOW + HEAD_START, 0);
    loop {
        let frame = match tokio::time::timeout_at(window_end, body.frame()).await {
            Ok(Some(frame)) => frame.map_err(|_| Stopped::Broken)?,
            Ok(None) => return Ok(Body { bytes, room }),
            Err(_) if window_bytes < window_least => return Err(Stopped::TooSlow),
            Err(_) => {
                (window_end, window_bytes) = (Instant::now() + WINDOW, 0);
                continue;
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        window_bytes += data.len();
        if Instant::now() >= window_end {
            if window_bytes < window_least {
                return Err(Stopped::TooSlow);
            }
            (window_end, window_bytes) = (Instant::now() + WINDOW, 0);
        }
        let length = bytes.len() + data.len();
        if length > max_bytes {
            return Err(Stopped::TooLong);
        }
        room.grow(length)?;
        bytes.extend(&data, expected).map_err(Stopped::NoMemory)?;
    }
}

impl Body {
    /// The room alone, for as long as what was read out of the body stays in memory.
    #[must_use]
    pub fn into_room(self) -> impl Sized + Send + use<> {
        self.room
    }
}

async fn discard(body: &mut ReqBody, mut most: usize) {
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        if length > most {
            return;
        }
        most -= length;
    }
}

/// Parses a JSON body: UTF-8, one object, no key twice, at most `max_depth` levels of objects and lists.
///
/// # Errors
///
/// 400: `EOF` for an empty body, as clients know it, else what is wrong and where.
pub fn parse_json<T: DeserializeOwned>(body: &[u8], max_depth: usize) -> Result<T, ApiError> {
    parse_json_as(body, max_depth, PhantomData)
}

/// The same where the parser has to know more than the type.
///
/// # Errors
///
/// The same.
pub fn parse_json_as<'de, S: DeserializeSeed<'de>>(
    body: &'de [u8],
    max_depth: usize,
    seed: S,
) -> Result<S::Value, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::BadRequest("EOF".into()));
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::BadRequest("invalid JSON: expected an object".into()));
    }
    if is_too_deep(body, max_depth) {
        let text = format!("invalid JSON: more than {max_depth} levels of objects and lists");
        return Err(ApiError::BadRequest(text));
    }
    // All of it: what is passed over by the parser, such as unknown keys, is not looked at there.
    let body = str::from_utf8(body)
        .map_err(|_| ApiError::BadRequest("invalid JSON: expected UTF-8".into()))?;
    let mut parser = serde_json::Deserializer::from_str(body);
    let parsed = seed.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| ApiError::BadRequest(format!("invalid JSON: {error}")))
}

/// Whether more objects and lists are open at some place than are allowed. Of bytes that are no JSON it need not be true: those
/// are refused anyway.
fn is_too_deep(body: &[u8], max_depth: usize) -> bool {
    let (mut depth, mut rest) = (0_usize, body);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_text(after),
            _ => {}
        }
        if depth > max_depth {
            return true;
        }
    }
    false
}

/// What follows the text whose first quote was taken. Most of a heartbeat is inside one, so that this hurries.
fn after_text(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(place) == Some(&b'"');
        let next = if is_end { place + 1 } else { place + 2 }; // the escaped character is passed over
        rest = rest.get(next..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
impl BodyRoom {
    /// Room for `bytes`.
    pub(super) fn of(bytes: usize) -> Self {
        let (share, time, rate) = (None, Duration::from_mins(1), 4 << 10);
        Self::new(BodyRules { bytes, share, time, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Heartbeat;

    fn parses(text: &str) -> bool {
        parse_json::<serde_json::Value>(text.as_bytes(), 16).is_ok()
    }

    #[test]
    fn lim_01_one_caller_takes_its_share_of_the_room_and_all_together_take_the_room() {
        let rules =
            BodyRules { share: Some(3 * BLOCK_BYTES), ..BodyRoom::of(8 * BLOCK_BYTES).0.rules };
        let room = BodyRoom::new(rules);
        let body = |caller: Option<&[u8]>| {
            let caller = caller.map(Fingerprint::of);
            Held { room: Arc::clone(&room.0), caller, blocks: 0 }
        };
        let (mut first, mut second) = (body(Some(b"lyon")), body(Some(b"lyon")));
        assert!(first.grow(2 * BLOCK_BYTES).is_ok() && first.grow(1).is_ok(), "it grows only");
        assert!(second.grow(BLOCK_BYTES).is_ok());
        assert!(second.grow(BLOCK_BYTES + 1).is_err() && first.grow(3 * BLOCK_BYTES).is_err());
        // Neither another caller nor those without a certificate are concerned.
        let (mut other, mut anonymous) = (body(Some(b"oslo")), body(None));
        assert!(other.grow(3 * BLOCK_BYTES).is_ok());
        assert!(anonymous.grow(2 * BLOCK_BYTES).is_ok());
        assert!(anonymous.grow(3 * BLOCK_BYTES).is_err(), "the room is full");
        drop(first);
        assert!(second.grow(3 * BLOCK_BYTES).is_ok());
        drop((second, other, anonymous));
        let taken = room.0.taken();
        assert!(taken.blocks == 0 && taken.by_caller.is_empty(), "nothing stays behind");
    }

    #[test]
    fn lim_05_sixteen_levels_of_json_are_accepted_and_seventeen_are_not() {
        let nested = |levels: usize| {
            format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
        };
        for (levels, fits) in [(1, true), (16, true), (17, false), (1600, false)] {
            assert_eq!(parses(&nested(levels)), fits, "{levels}");
        }
        let limits = workload_config::Limits::default().heartbeat;
        let unknown = b"{\"unknown\":\"\xff\"}";
        let read = Heartbeat::within(&limits);
        assert!(parse_json_as(unknown, 16, read).is_err(), "not UTF-8");
        // Neither brackets within texts nor lists beside each other are levels.
        let text =
            format!(r#"{{"a":"\\\"{}","b":[{}]}}"#, "[{".repeat(50), vec!["[]"; 50].join(","));
        assert!(parses(&text), "{text}");
        for text in [r#"{"a":""#, r#"{"a":"\"#, r#"{"a":"\""#] {
            assert!(!parses(text), "{text}");
        }
    }
}
