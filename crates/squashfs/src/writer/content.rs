//! Which contents the image holds already.

use std::collections::HashMap;

use super::inode::Tail;
use super::piece::Digest;

/// 128 bits of a hash: no two contents will be taken for one.
type Short = [u8; 16];

fn short(digest: &Digest) -> Short {
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
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
    small: HashMap<Short, Tail>,
    /// By size and the hash of the first block: the hashes of the whole.
    large: HashMap<(u64, Short), Vec<(Short, LargeId)>>,
}

impl Contents {
    pub(crate) fn small(&self, digest: &Digest) -> Option<Tail> {
        self.small.get(&short(digest)).copied()
    }

    pub(crate) fn add_small(&mut self, digest: &Digest, tail: Tail) {
        self.small.insert(short(digest), tail);
    }

    /// Whether a content of this size begins with a block of this hash.
    pub(crate) fn has_candidates(&self, size: u64, head: &Digest) -> bool {
        self.large.contains_key(&(size, short(head)))
    }

    pub(crate) fn large(&self, size: u64, head: &Digest, whole: &Digest) -> Option<LargeId> {
        let candidates = self.large.get(&(size, short(head)))?;
        let whole = short(whole);
        let found = candidates.iter().find(|(digest, _)| *digest == whole);
        found.map(|&(_, id)| id)
    }

    pub(crate) fn add_large(&mut self, size: u64, head: &Digest, whole: &Digest, id: LargeId) {
        let candidates = self.large.entry((size, short(head))).or_default();
        candidates.push((short(whole), id));
    }
}
