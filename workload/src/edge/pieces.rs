//! A gzip body out of pieces that were compressed before.
//!
//! DEFLATE (RFC 1951) is a sequence of blocks. A piece is compressed on its own and ends at a byte's boundary, so it may stand in any
//! body; what lies between two pieces is short and goes as it is. So of a long list only what has changed is compressed again.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// A part of a body that is compressed once, however many bodies it is part of.
#[derive(Debug)]
pub struct Piece {
    /// Where it is.
    pub range: Range<usize>,
    /// What it is when compressed.
    pub compressed: Arc<Compressed>,
}

/// The blocks of a piece, as soon as somebody needed them.
#[derive(Debug, Default)]
pub struct Compressed(OnceLock<Option<Box<[u8]>>>);

/// Magic number, the one method, no name, no time, no hint, any system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The body in gzip's format; `pieces` are in their order. `None` when they do not fit the body or cannot be compressed.
pub(super) fn gzip(body: &[u8], pieces: &[Piece], level: Compression) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(body.len() / 2);
    packed.extend_from_slice(&HEADER);
    let mut compress = Compress::new(level, false);
    let mut end = 0;
    for Piece { range, compressed } in pieces {
        store(&mut packed, body.get(end..range.start)?, false);
        let text = body.get(range.clone())?;
        let blocks = compressed.0.get_or_init(|| deflate(&mut compress, text));
        packed.extend_from_slice(blocks.as_deref()?);
        end = range.end;
    }
    store(&mut packed, body.get(end..)?, true);
    let mut check = Crc::new();
    check.update(body);
    packed.extend_from_slice(&check.sum().to_le_bytes());
    packed.extend_from_slice(&check.amount().to_le_bytes());
    Some(packed)
}

/// Writes bytes as they are, in blocks of 65,535 bytes at most.
fn store(packed: &mut Vec<u8>, bytes: &[u8], is_last: bool) {
    let mut rest = bytes;
    loop {
        let (block, more) = rest.split_at(rest.len().min(usize::from(u16::MAX)));
        rest = more;
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        packed.push(u8::from(is_last && rest.is_empty()));
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&(!length).to_le_bytes());
        packed.extend_from_slice(block);
        if rest.is_empty() {
            return;
        }
    }
}

/// Blocks that refer to nothing before them and end at a byte's boundary.
fn deflate(compress: &mut Compress, text: &[u8]) -> Option<Box<[u8]>> {
    compress.reset();
    let mut blocks = Vec::with_capacity(text.len() / 2 + 64);
    loop {
        let done = usize::try_from(compress.total_in()).ok()?;
        let status = compress.compress_vec(text.get(done..)?, &mut blocks, FlushCompress::Sync);
        // Room that is left says that nothing waits to be written.
        let is_complete = compress.total_in() == u64::try_from(text.len()).ok()?
            && blocks.len() < blocks.capacity();
        match status {
            Ok(Status::Ok | Status::BufError) if is_complete => return Some(blocks.into()),
            Ok(Status::Ok | Status::BufError) => blocks.reserve(text.len() / 2 + 64),
            Ok(Status::StreamEnd) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn whatever_the_pieces_are_the_body_comes_out(
            parts in prop::collection::vec((prop::collection::vec(0_u8..9, 0..300), any::<bool>()), 0..20)
        ) {
            let (mut body, mut pieces) = (Vec::new(), Vec::new());
            for (bytes, is_piece) in parts {
                let begin = body.len();
                body.extend(bytes);
                if is_piece {
                    pieces.push(Piece { range: begin..body.len(), compressed: Arc::default() });
                }
            }
            for level in [Compression::none(), Compression::fast(), Compression::best()] {
                prop_assert_eq!(unpacked(&gzip(&body, &pieces, level).unwrap()), body.clone());
            }
        }
    }

    #[test]
    fn a_piece_is_compressed_once_and_stands_anywhere() {
        let row = "{\"name\":\"lyon\",\"status\":\"ACTIVE\"}".repeat(100);
        let compressed = Arc::new(Compressed::default());
        let piece = |begin: usize| Piece {
            range: begin..begin + row.len(),
            compressed: Arc::clone(&compressed),
        };
        let level = Compression::fast();
        let first = gzip(row.as_bytes(), &[piece(0)], level).unwrap();
        assert!(first.len() * 10 < row.len() && unpacked(&first) == row.as_bytes());
        let long = "x".repeat(70_000);
        let body = format!("{long}{row},{row}]");
        let pieces = [piece(70_000), piece(70_001 + row.len())];
        assert_eq!(unpacked(&gzip(body.as_bytes(), &pieces, level).unwrap()), body.as_bytes());
        // What is kept is used: with other bytes under it the body comes out wrong.
        let other = body.replace("lyon", "oslo");
        let mut bytes = Vec::new();
        let packed = gzip(other.as_bytes(), &pieces, level).unwrap();
        assert!(flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).is_err());
        assert_eq!(gzip(b"short", &pieces, level), None, "pieces of another body");
    }

    #[test]
    fn what_cannot_be_compressed_passes_as_well() {
        let mut bytes = vec![0; 100_000];
        aws_lc_rs::rand::fill(&mut bytes).unwrap();
        let piece = Piece { range: 0..bytes.len(), compressed: Arc::default() };
        assert_eq!(unpacked(&gzip(&bytes, &[piece], Compression::fast()).unwrap()), bytes);
    }
}
