//! Memory for bytes that arrive one after the other.

use std::io;
use std::ops::Deref;

use memmap2::{Advice, MmapMut};

/// Nothing is reserved for more than so many bytes before that many have arrived.
pub(super) const SHORT_BYTES: usize = 64 << 10;
/// What may become longer has pages of its own. The allocator keeps what was freed for a while, in case somebody wants as much again:
/// of long buffers, which are few, that would be as much memory once more.
const LONG_BYTES: usize = 1 << 20;

/// Bytes in one piece, of which none is copied but the first [`SHORT_BYTES`].
#[derive(Debug)]
pub(super) enum Buffer {
    Short(Vec<u8>),
    /// What is reserved takes no memory before it is written to, and none once it is dropped.
    Long {
        pages: MmapMut,
        length: usize,
    },
}

impl Buffer {
    /// Appends `data`; `expected` bytes in all may come.
    ///
    /// # Errors
    ///
    /// What the system answers that has no memory to give.
    pub(super) fn extend(&mut self, data: &[u8], expected: usize) -> io::Result<()> {
        let length = self.len().saturating_add(data.len());
        match self {
            Self::Short(bytes) if length <= bytes.capacity() => bytes.extend_from_slice(data),
            Self::Short(bytes) => {
                let most = if length > SHORT_BYTES { expected.max(length) } else { SHORT_BYTES };
                if most > LONG_BYTES {
                    let mut pages = MmapMut::map_anon(most)?;
                    // Otherwise one byte may take two megabytes. Where there are no such pages there is nothing to refuse.
                    drop(pages.advise(Advice::NoHugePage));
                    append(&mut pages, 0, bytes)?;
                    append(&mut pages, bytes.len(), data)?;
                    *self = Self::Long { pages, length };
                } else {
                    bytes.reserve_exact(most - bytes.len());
                    bytes.extend_from_slice(data);
                }
            }
            Self::Long { pages, length: before } => {
                append(pages, *before, data)?;
                *before = length;
            }
        }
        Ok(())
    }
}

fn append(pages: &mut MmapMut, at: usize, data: &[u8]) -> io::Result<()> {
    let room = pages.get_mut(at..at.saturating_add(data.len()));
    room.ok_or(io::ErrorKind::FileTooLarge)?.copy_from_slice(data);
    Ok(())
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Short(Vec::new())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long { pages, length } => pages.get(..*length).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_pieces_is_there(
            pieces in prop::collection::vec(0..200_000_usize, 0..20),
            is_announced: bool,
        ) {
            let bytes: Vec<u8> = (0..pieces.iter().sum()).map(|n: usize| n.to_le_bytes()[0]).collect();
            let expected = if is_announced { bytes.len() } else { 32 << 20 };
            let (mut buffer, mut rest) = (Buffer::default(), &bytes[..]);
            for piece in pieces {
                let (data, later) = rest.split_at(piece);
                buffer.extend(data, expected).unwrap();
                rest = later;
            }
            prop_assert!(*buffer == bytes[..]);
            let is_long = bytes.len() > SHORT_BYTES && expected > LONG_BYTES;
            prop_assert_eq!(matches!(buffer, Buffer::Long { .. }), is_long);
        }
    }

    #[test]
    fn more_than_was_expected_is_an_error() {
        let mut buffer = Buffer::default();
        buffer.extend(&vec![0; 1 << 20], 2 << 20).unwrap();
        buffer.extend(&vec![0; 1 << 20], 2 << 20).unwrap();
        assert!(buffer.extend(b"1", 2 << 20).is_err());
        assert_eq!(buffer.len(), 2 << 20, "nothing of it was taken");
    }
}
