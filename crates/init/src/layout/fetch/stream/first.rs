//! Which chunks of an image have to be there before stage 2 starts.

use alloc::vec::Vec;

use storeboot_index::{CHUNK_SIZE, Image};

/// Where the superblock has the beginning of the inodes and of the listings (`fs/squashfs/squashfs_fs.h`). One of them
/// is the first of the tables, which go to the image's end.
const TABLES: [usize; 2] = [64, 72];

/// For each of the image's chunks, whether it has to be there: those with the hot bytes and the tables, or all of an
/// image that does not tell what is hot.
pub(super) fn first(image: &Image, count: usize) -> Vec<bool> {
    let Some(hot) = image.hot else {
        return alloc::vec![true; count];
    };
    let tables = TABLES.into_iter().map(|at| number(image, at)).min();
    let tables = tables.unwrap_or_default();
    let offsets = (0..).map(|number: u64| number.saturating_mul(CHUNK_SIZE));
    // The superblock is in the first chunk.
    let has_to =
        |offset: u64| offset == 0 || offset < hot || offset.saturating_add(CHUNK_SIZE) > tables;
    offsets.take(count).map(has_to).collect()
}

/// A number of the superblock.
fn number(image: &Image, at: usize) -> u64 {
    let bytes = image.superblock.get(at..at + 8);
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(hot: Option<u64>, inodes: u64, listings: u64) -> Image {
        let mut superblock = [0; 96];
        superblock[64..72].copy_from_slice(&inodes.to_le_bytes());
        superblock[72..80].copy_from_slice(&listings.to_le_bytes());
        Image {
            path: "i".into(),
            size: 10 * CHUNK_SIZE - 5,
            offset: None,
            sha256: [0; 32],
            superblock,
            verity: None,
            hot,
        }
    }

    /// The numbers of the first chunks.
    fn numbers(image: &Image) -> Vec<usize> {
        let first = first(image, 10);
        assert_eq!(first.len(), 10);
        (0..10).filter(|&number| first[number]).collect()
    }

    #[test]
    fn the_hot_chunks_and_those_of_the_tables_come_first() {
        let mib = CHUNK_SIZE;
        for (hot, tables, expected) in [
            (2 * mib, 9 * mib, &[0, 1, 9][..]),
            (2 * mib + 1, 9 * mib - 1, &[0, 1, 2, 8, 9]),
            (0, 9 * mib, &[0, 9]),
            (5 * mib, 5 * mib, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (mib, 0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (mib, u64::MAX, &[0]),
        ] {
            assert_eq!(
                numbers(&image(Some(hot), tables, tables.saturating_add(3))),
                expected
            );
            assert_eq!(numbers(&image(Some(hot), tables.max(3), tables)), expected);
        }
    }

    #[test]
    fn without_hot_bytes_all_chunks_come_first() {
        assert_eq!(numbers(&image(None, 9 << 20, 9 << 20)).len(), 10);
    }
}
