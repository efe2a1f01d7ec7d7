//! The pieces of a file, by their hashes: enough to write the file again without reading it.

use std::io;
use std::sync::Arc;

use super::density::is_dense;

/// The BLAKE3 of some bytes.
pub type Digest = [u8; 32];

/// A block of a file, or its last bytes, fewer than a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing but zeros, which are not stored.
    Zeros,
    /// Anything else.
    Data {
        /// The hash of the bytes.
        digest: Digest,
        /// Whether they look compressed already. Last pieces that do share fragments only with each other, except in
        /// what is stored ahead.
        dense: bool,
    },
}

impl Piece {
    /// What stands for it in the hash of the whole file. No content has the hash that stands for zeros.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Zeros => [0; 32],
            Self::Data { digest, .. } => *digest,
        }
    }

    /// A whole block, whose density does not matter.
    pub(crate) fn block(bytes: &[u8]) -> Self {
        Self::Data {
            digest: digest(bytes),
            dense: false,
        }
    }

    /// The last bytes of a file, which go into a fragment.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_other_content() {
        let zeros = whole(&[Piece::Zeros, Piece::block(b"a")]);
        assert_ne!(zeros, whole(&[Piece::block(b"a"), Piece::Zeros]));
        assert_ne!(zeros, whole(&[Piece::block(b"a")]));
    }
}
