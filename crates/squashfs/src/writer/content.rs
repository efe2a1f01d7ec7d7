//! Finds contents that the image holds already.

use std::collections::HashMap;

use hashbrown::HashTable;

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
/// The whole BLAKE3, 256 bits, stands for a content: two contents with the same one cannot be made, so the bytes
/// need not be compared. Half of it would not be enough: with 2^64 tries one finds two files of which an image then
/// holds only one.
#[derive(Default)]
pub(crate) struct Contents {
    small: SmallContents,
    /// By size and the hash of the first block: the hashes of the whole.
    large: HashMap<(u64, Digest), Vec<(Digest, LargeId)>>,
}

impl Contents {
    pub(crate) fn small(&self, digest: &Digest) -> Option<Tail> {
        self.small.get(digest)
    }

    pub(crate) fn add_small(&mut self, digest: &Digest, tail: Tail) {
        self.small.add(*digest, tail);
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

/// Contents in one run of the list of small ones: 640 KiB.
const RUN: usize = 1 << 14;

/// Where each small content is, by its hash.
///
/// A closure has millions of small files, so memory counts: a list in runs that never move takes 40 bytes a file, and
/// the table of places in it, which doubles when it is full, 5 bytes a slot. Measured for a million files, all of an
/// image's writer then takes 76 MB; with a map of the hashes it took 153 MB, most of it while the map doubled.
#[derive(Default)]
struct SmallContents {
    list: Vec<Vec<(Digest, Tail)>>,
    places: HashTable<u32>,
}

impl SmallContents {
    fn get(&self, digest: &Digest) -> Option<Tail> {
        let same = |&place: &u32| entry(&self.list, place).0 == *digest;
        let place = self.places.find(hash(digest), same)?;
        Some(entry(&self.list, *place).1)
    }

    fn add(&mut self, digest: Digest, tail: Tail) {
        // An image has no more inodes than this, so none that is complete lacks an entry.
        let Ok(place) = u32::try_from(self.places.len()) else {
            return;
        };
        match self.list.last_mut() {
            Some(run) if run.len() < RUN => run.push((digest, tail)),
            _ => {
                let mut run = Vec::with_capacity(RUN);
                run.push((digest, tail));
                self.list.push(run);
            }
        }
        let list = &self.list;
        let hash_of = |&place: &u32| hash(&entry(list, place).0);
        self.places.insert_unique(hash(&digest), place, hash_of);
    }
}

fn entry(list: &[Vec<(Digest, Tail)>], place: u32) -> &(Digest, Tail) {
    &list[place as usize / RUN][place as usize % RUN]
}

/// A part of the digest, which is as good as random by itself.
fn hash(digest: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
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
    fn many_small_contents_are_found_again() {
        let digest = |number: u32| crate::writer::piece::digest(&number.to_le_bytes());
        let mut contents = SmallContents::default();
        let count = 2 * RUN as u32 + 5;
        let tail = |number| Tail {
            fragment: number,
            offset: 7,
        };
        for number in 0..count {
            assert_eq!(contents.get(&digest(number)), None);
            contents.add(digest(number), tail(number));
        }
        for number in 0..count {
            assert_eq!(contents.get(&digest(number)), Some(tail(number)));
        }
    }

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
