//! Answers that cost little: nothing but "not changed" for who has the answer already, fewer bytes for everybody else.
//!
//! Only for answers without secrets: the length of a compressed answer tells something about its content, and whoever can write a
//! part of it might learn the rest (the BREACH attack). Routes ask for it one by one; tokens, sessions, settings, logins and
//! what comes through tunnels never do.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use bytes::Bytes;
use salvo::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, VARY,
};
use salvo::http::{Method, ResBody, StatusCode};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait};

use super::pieces::{self, Piece};
use super::{accepts, is_known};

/// Shorter answers fit into one packet anyway.
const MIN_BYTES: usize = 1024;
/// From here on compressing takes longer than a request may keep a thread that others need.
const ASIDE_BYTES: usize = 64 << 10;
/// Low levels: somebody waits for the answer, and rows of a list are much alike.
const BROTLI_QUALITY: i32 = 3;
const GZIP_LEVEL: u32 = 2;

/// Turns the successful answers of a route's `GET` into lean ones.
#[derive(Debug)]
pub struct LeanAnswers;

#[async_trait]
impl Handler for LeanAnswers {
    async fn handle(
        &self,
        req: &mut Request,
        depot: &mut Depot,
        res: &mut Response,
        ctrl: &mut FlowCtrl,
    ) {
        ctrl.call_next(req, depot, res).await;
        let lean = matches!(*req.method(), Method::GET | Method::HEAD)
            && res.status_code.is_none_or(|status| status == StatusCode::OK)
            && !res.headers().contains_key(ETAG);
        if lean && res.body.is_once() {
            let ResBody::Once(body) = res.take_body() else { return };
            Arc::new(Prepared::new(body)).answer(req, res).await;
        }
    }
}

/// A JSON answer that may be given to many: it is hashed once and compressed once, when the first one asks for it.
#[derive(Debug)]
pub struct Prepared {
    etag: String,
    plain: Bytes,
    brotli: OnceLock<Option<Bytes>>,
    gzip: OnceLock<Option<Bytes>>,
    /// What may have been compressed for an earlier body; empty: nothing.
    pieces: Vec<Piece>,
}

impl Prepared {
    /// Prepares a body.
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        let mut known = [0; SHA256_OUTPUT_LEN];
        known.copy_from_slice(digest(&SHA256, &body).as_ref());
        Self::tagged(body, known)
    }

    /// Prepares a body that is known by a digest of what it was made from.
    #[must_use]
    pub fn tagged(body: Bytes, digest: [u8; SHA256_OUTPUT_LEN]) -> Self {
        Self::in_pieces(body, digest, Vec::new())
    }

    /// The same for a long body of which parts have been in others before: it is compressed as gzip only, piece by piece.
    #[must_use]
    pub fn in_pieces(body: Bytes, digest: [u8; SHA256_OUTPUT_LEN], pieces: Vec<Piece>) -> Self {
        let [digest @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = &digest;
        // Weak: the same content may be compressed or not.
        let etag = format!("W/\"{}\"", hex::encode(digest));
        Self { etag, plain: body, brotli: OnceLock::new(), gzip: OnceLock::new(), pieces }
    }

    /// Answers with 304 to who has it already, else with the body as the client accepts it.
    pub async fn answer(self: Arc<Self>, req: &Request, res: &mut Response) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            headers.insert(ETAG, etag);
        }
        if is_known(req, &self.etag) {
            res.headers_mut().remove(CONTENT_TYPE);
            res.status_code(StatusCode::NOT_MODIFIED);
            return;
        }
        let accepted = req.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let accepted = accepted.unwrap_or_default();
        let encodings: &[Encoding] = match self.pieces.as_slice() {
            [] => &[Encoding::Brotli, Encoding::Gzip],
            _ => &[Encoding::Gzip],
        };
        let encoding = encodings
            .iter()
            .copied()
            .find(|encoding| accepts(accepted, encoding.name()) && self.plain.len() >= MIN_BYTES);
        let encoded = match encoding {
            None => None,
            Some(encoding) if self.plain.len() < ASIDE_BYTES => {
                self.encoded(encoding).map(|body| (encoding, body))
            }
            Some(encoding) => {
                let this = Arc::clone(&self);
                let aside = tokio::task::spawn_blocking(move || this.encoded(encoding)).await;
                aside.ok().flatten().map(|body| (encoding, body))
            }
        };
        res.status_code(StatusCode::OK);
        match encoded {
            Some((encoding, body)) => {
                let name = HeaderValue::from_static(encoding.name());
                res.headers_mut().insert(CONTENT_ENCODING, name);
                res.replace_body(ResBody::Once(body));
            }
            None => {
                res.replace_body(ResBody::Once(self.plain.clone()));
            }
        }
    }

    /// The compressed body; `None` in the unlikely case that it could not be made.
    fn encoded(&self, encoding: Encoding) -> Option<Bytes> {
        let cell = match encoding {
            Encoding::Brotli => &self.brotli,
            Encoding::Gzip => &self.gzip,
        };
        let encode = || match (encoding, self.pieces.as_slice()) {
            (Encoding::Gzip, pieces @ [_, ..]) => {
                pieces::gzip(&self.plain, pieces, flate2::Compression::new(GZIP_LEVEL))
            }
            _ => encoding.encode(&self.plain).ok(),
        };
        cell.get_or_init(|| encode().map(Bytes::from)).clone()
    }
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    fn encode(self, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        let room = Vec::with_capacity(plain.len() / 6);
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    size_hint: plain.len(),
                    ..Default::default()
                };
                let mut writer = brotli::CompressorWriter::with_params(room, 64 << 10, &params);
                writer.write_all(plain)?;
                writer.flush()?;
                Ok(writer.into_inner())
            }
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut writer = flate2::write::GzEncoder::new(room, level);
                writer.write_all(plain)?;
                writer.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_encoding_holds_the_whole_body() {
        let names: Vec<_> = (0..20_000).map(|n| format!("cluster-{n}")).collect();
        let body = serde_json::to_string(&names).unwrap();
        let prepared = Prepared::new(body.clone().into());
        let packed = prepared.encoded(Encoding::Gzip).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        assert!(text == body && packed.len() * 4 < body.len(), "{}", packed.len());
        let packed = prepared.encoded(Encoding::Brotli).unwrap();
        let mut text = String::new();
        brotli::Decompressor::new(&packed[..], 4096).read_to_string(&mut text).unwrap();
        assert!(text == body && packed.len() * 4 < body.len(), "{}", packed.len());
    }

    #[test]
    fn equal_bodies_have_equal_tags() {
        let tag = |body: &'static str| Prepared::new(body.into()).etag;
        assert_eq!(tag("a"), tag("a"));
        assert_ne!(tag("a"), tag("b"));
    }
}
