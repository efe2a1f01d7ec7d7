//! What files are cut into, told by hashes: enough to write them again without reading them.

use std::io;
use std::sync::Arc;

/// The BLAKE3 of some bytes.
pub type Digest = [u8; 32];

/// A block of a file, or its last bytes, fewer than a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing but zeros, which are not stored.
    Zeros,
    /// Anything else.
    Data {
        /// Of the bytes.
        digest: Digest,
        /// Whether they look as if they were compressed already. Last pieces that do share fragments with each other.
        dense: bool,
    },
}

impl Piece {
    /// What goes into the hash of the whole file. No content has the hash that stands for zeros.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Zeros => [0; 32],
            Self::Data { digest, .. } => *digest,
        }
    }

    /// A block that is a block's size, whose density is of no interest.
    pub(crate) fn block(bytes: &[u8]) -> Self {
        Self::Data {
            digest: digest(bytes),
            dense: false,
        }
    }

    /// What goes into a fragment.
    pub(crate) fn last(bytes: &[u8]) -> Self {
        Self::Data {
            digest: digest(bytes),
            dense: is_dense(bytes),
        }
    }
}

/// Reads a file's bytes again: from this offset on, as many as the buffer has.
pub type Reread = Arc<dyn Fn(u64, &mut [u8]) -> io::Result<()> + Send + Sync>;

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    blake3::hash(bytes).into()
}

/// The hash of a whole file of several pieces.
pub(crate) fn whole(pieces: &[Piece]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(&piece.digest());
    }
    hasher.finalize().into()
}

/// Bytes that are looked at to tell how dense a content is.
const SAMPLE: usize = 4096;
/// With fewer bytes, chance is too strong.
const SAMPLE_MIN: usize = 512;

/// Whether all byte values come about equally often, as they do in what is compressed.
///
/// This is Pearson's chi-squared over 256 values, which is 255 on average where all are equally likely, and grows with the
/// sample where they are not: text has more than 4 for each byte, a compressed manual page 0.1.
fn is_dense(bytes: &[u8]) -> bool {
    let length = bytes.len().min(SAMPLE);
    if length < SAMPLE_MIN {
        return false;
    }
    let start = (bytes.len() - length) / 2;
    let mut counts = [0u64; 256];
    for &byte in &bytes[start..start + length] {
        counts[usize::from(byte)] += 1;
    }
    let length = length as u64;
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let chi_squared = (256 * squares / length).saturating_sub(length);
    chi_squared < 384 + length / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_dense_and_what_is_not_is_not() {
        let text = [
            include_str!("intake.rs"),
            include_str!("image.rs"),
            include_str!("writer.rs"),
        ]
        .concat();
        let text = text.into_bytes();
        assert!(!is_dense(&text));
        for length in [SAMPLE_MIN, 1000, SAMPLE, 6000] {
            let mut packed = Vec::with_capacity(text.len());
            flate2::Compress::new(flate2::Compression::best(), true)
                .compress_vec(&text, &mut packed, flate2::FlushCompress::Finish)
                .expect("in memory");
            assert!(is_dense(&packed[..length]), "{length}");
            assert!(!is_dense(&text[..length]), "{length}");
        }
        assert!(!is_dense(&[]));
        assert!(!is_dense(&vec![7; 5000]));
    }

    #[test]
    fn zeros_are_no_other_content() {
        let zeros = whole(&[Piece::Zeros, Piece::block(b"a")]);
        assert_ne!(zeros, whole(&[Piece::block(b"a"), Piece::Zeros]));
        assert_ne!(zeros, whole(&[Piece::block(b"a")]));
    }
}
