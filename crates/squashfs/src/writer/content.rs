//! Which contents the image holds already.

use std::collections::HashMap;

use super::inode::Tail;
use super::piece::Digest;

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
///
/// The whole BLAKE3, 256 bits, stands for a content: nobody can make two contents that have the same one, so the bytes
/// need not be compared. Half of it would not be enough: with 2^64 tries one finds two files of which an image then holds
/// only one.
#[derive(Default)]
pub(crate) struct Contents {
    small: HashMap<Digest, Tail>,
    /// By size and the hash of the first block: the hashes of the whole.
    large: HashMap<(u64, Digest), Vec<(Digest, LargeId)>>,
}

impl Contents {
    pub(crate) fn small(&self, digest: &Digest) -> Option<Tail> {
        self.small.get(digest).copied()
    }

    pub(crate) fn add_small(&mut self, digest: &Digest, tail: Tail) {
        self.small.insert(*digest, tail);
    }

    /// Whether a content of this size begins with a block of this hash.
    pub(crate) fn has_candidates(&self, size: u64, head: &Digest) -> bool {
        self.large.contains_key(&(size, *head))
    }

    pub(crate) fn large(&self, size: u64, head: &Digest, whole: &Digest) -> Option<LargeId> {
        let candidates = self.large.get(&(size, *head))?;
        let found = candidates.iter().find(|(digest, _)| digest == whole);
        found.map(|&(_, id)| id)
    }

    pub(crate) fn add_large(&mut self, size: u64, head: &Digest, whole: &Digest, id: LargeId) {
        let candidates = self.large.entry((size, *head)).or_default();
        candidates.push((*whole, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hashes that differ in their last bit.
    const ONE: Digest = [7; 32];
    const OTHER: Digest = {
        let mut digest = ONE;
        digest[31] ^= 1;
        digest
    };

    #[test]
    fn every_bit_of_a_hash_counts() {
        let mut contents = Contents::default();
        let tail = Tail {
            fragment: 1,
            offset: 2,
        };
        contents.add_small(&ONE, tail);
        assert_eq!(contents.small(&ONE), Some(tail));
        assert_eq!(contents.small(&OTHER), None);

        contents.add_large(5, &ONE, &ONE, 3);
        assert_eq!(contents.large(5, &ONE, &ONE), Some(3));
        assert_eq!(contents.large(5, &ONE, &OTHER), None);
        assert_eq!(contents.large(5, &OTHER, &ONE), None);
        assert!(contents.has_candidates(5, &ONE) && !contents.has_candidates(5, &OTHER));
    }
}
