//! Which chunks of the images are there, and which one a reader waits for: a file in memory that processes share.
//!
//! The process that fetches notes what is there, after the chunk's bytes; the one that serves notes what it waits for. If
//! that is read while it is written, another chunk comes first, and no harm is done.

use alloc::vec::Vec;

use storeboot_index::{CHUNK_SIZE, Chunks};

use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Fd};
use crate::write_at::write_all_at;

/// A byte for each chunk, 1 for one that is there. Behind them, the chunk that is waited for.
pub(super) struct There {
    file: Fd,
    /// The number of chunks of each image.
    counts: Vec<usize>,
}

/// A chunk: the number of the image, and the byte where it begins.
pub(super) type Place = (usize, u64);

impl There {
    /// With no chunk that is there.
    pub(super) fn new(chunks: &Chunks) -> Result<Self, Errno> {
        let counts: Vec<usize> = chunks.images().iter().map(Vec::len).collect();
        let file = sys::create_in_memory(c"storeboot chunks")?;
        file.set_size((counts.iter().sum::<usize>() + WANTED) as u64)?;
        Ok(Self { file, counts })
    }

    /// Notes that a chunk is there. Its bytes are in the image's file already.
    pub(super) fn add(&self, (image, offset): Place) -> Result<(), Errno> {
        write_all_at(&self.file, &[1], self.at(image, offset))
    }

    /// For each chunk of each image, whether it is there.
    pub(super) fn all(&self) -> Result<Vec<Vec<bool>>, Errno> {
        let mut start = 0;
        let mut read = |&count: &usize| {
            let mut bytes = alloc::vec![0; count];
            self.file.read_full(&mut bytes, start)?;
            start += count as u64;
            Ok(bytes.into_iter().map(|byte| byte == 1).collect())
        };
        self.counts.iter().map(&mut read).collect()
    }

    /// The first chunk that is missing of `length` bytes, one at least, from `offset` on of an image. Reading them must
    /// not go past the image's end.
    pub(super) fn missing(
        &self,
        image: usize,
        offset: u64,
        length: u64,
    ) -> Result<Option<Place>, Errno> {
        let first = offset / CHUNK_SIZE;
        let last = offset.saturating_add(length.max(1) - 1) / CHUNK_SIZE;
        for number in first..=last {
            let mut byte = [0];
            let offset = number * CHUNK_SIZE;
            let is_read = self.file.read_full(&mut byte, self.at(image, offset))? == 1;
            if !is_read || byte != [1] {
                return Ok(Some((image, offset)));
            }
        }
        Ok(None)
    }

    /// Notes the chunk that is to come next.
    pub(super) fn want(&self, place: Option<Place>) -> Result<(), Errno> {
        let (image, offset) = place.map_or((0, 0), |(image, offset)| (image as u64 + 1, offset));
        let bytes = [image.to_le_bytes(), offset.to_le_bytes()];
        write_all_at(&self.file, bytes.as_flattened(), self.end())
    }

    /// The chunk that is to come next.
    pub(super) fn wanted(&self) -> Option<Place> {
        let mut bytes = [0; WANTED];
        self.file.read_full(&mut bytes, self.end()).ok()?;
        let [image, offset] = *bytes.as_chunks::<8>().0 else {
            return None;
        };
        let image = u64::from_le_bytes(image).checked_sub(1)?;
        Some((usize::try_from(image).ok()?, u64::from_le_bytes(offset)))
    }

    /// Where the byte of a chunk is.
    fn at(&self, image: usize, offset: u64) -> u64 {
        let before: usize = self.counts.iter().take(image).sum();
        before as u64 + offset / CHUNK_SIZE
    }

    fn end(&self) -> u64 {
        self.counts.iter().sum::<usize>() as u64
    }
}

/// Bytes of the chunk that is waited for: the image's number and one, and the offset.
const WANTED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = CHUNK_SIZE;

    fn there() -> There {
        There::new(&Chunks::new(alloc::vec![
            alloc::vec![[0; 32]; 3],
            alloc::vec![[0; 32]; 2]
        ]))
        .unwrap()
    }

    #[test]
    fn chunks_are_there_once_they_are_added() {
        let there = there();
        there.add((0, 2 * MIB)).unwrap();
        there.add((1, 0)).unwrap();
        assert_eq!(
            there.all().unwrap(),
            [&[false, false, true][..], &[true, false]]
        );
        let missing = |image, offset, length| there.missing(image, offset, length).unwrap();
        assert_eq!(missing(0, 2 * MIB, MIB), None);
        assert_eq!(missing(0, 2 * MIB - 1, 2), Some((0, MIB)));
        assert_eq!(missing(0, 0, 3 * MIB), Some((0, 0)));
        assert_eq!(missing(1, 5, 0), None);
        assert_eq!(missing(1, 5, MIB), Some((1, MIB)));
        // Behind the last image is what is wanted, which is no chunk.
        there.want(Some((0, 0))).unwrap();
        assert_eq!(missing(1, 3 * MIB, 1), Some((1, 3 * MIB)));
    }

    #[test]
    fn one_chunk_is_wanted_at_a_time() {
        let there = there();
        assert_eq!(there.wanted(), None);
        for place in [Some((0, 0)), Some((1, MIB)), None] {
            there.want(place).unwrap();
            assert_eq!(there.wanted(), place);
        }
    }
}
