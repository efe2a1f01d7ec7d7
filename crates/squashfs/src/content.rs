//! Which contents the image holds already.

use std::collections::HashMap;

use crate::inode::Tail;

/// 128 bits of BLAKE3: no two contents will be taken for one.
pub(crate) type Digest = [u8; 16];

pub(crate) fn digest(hasher: &blake3::Hasher) -> Digest {
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

/// A content that has blocks of its own. Small ones lie whole in a fragment and need only a [`Tail`].
#[derive(Debug, Default)]
pub(crate) struct Large {
    /// Where the first stored block begins; known once it is written.
    pub(crate) start: Option<u64>,
    pub(crate) size: u64,
    pub(crate) sparse: u64,
    pub(crate) blocks: Vec<u32>,
    pub(crate) tail: Tail,
}

/// The number of a [`Large`] content.
pub(crate) type LargeId = u32;

/// Contents by size and hash.
#[derive(Default)]
pub(crate) struct Contents {
    small: HashMap<Digest, Tail>,
    large: HashMap<(u64, Digest), Vec<(Digest, LargeId)>>,
}

impl Contents {
    pub(crate) fn small(&self, digest: &Digest) -> Option<Tail> {
        self.small.get(digest).copied()
    }

    pub(crate) fn add_small(&mut self, digest: Digest, tail: Tail) {
        self.small.insert(digest, tail);
    }

    /// Contents of this size that begin with a block of this hash, by the hash of the whole.
    pub(crate) fn candidates(&self, size: u64, head: Digest) -> &[(Digest, LargeId)] {
        self.large.get(&(size, head)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn add_large(&mut self, size: u64, head: Digest, whole: Digest, id: LargeId) {
        self.large
            .entry((size, head))
            .or_default()
            .push((whole, id));
    }
}
