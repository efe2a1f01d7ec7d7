//! Finding a store image in the initrd, wherever a boot loader moved it.

use alloc::vec;

use storeboot_index::SUPERBLOCK_LEN;

use super::superblock::check;
use crate::read_at::ReadAt;
use crate::sys::Errno;

/// The builder puts an image on such a boundary; what a boot loader puts before it may be as large as it likes.
const PAGE: usize = 4096;
/// Segments of an initrd start on such a boundary, whoever wrote them.
const WORD: u64 = 4;
/// How much is looked at in one piece; the kernel hands out a page at a time anyway.
const PIECE: usize = 16 * PAGE;

/// Where the superblock is: at one of the `guesses`, else on the first page boundary that fits, else on the first
/// word boundary.
///
/// A look at each page reads four bytes of it, a look at each word has to read everything: 0.1 and 0.3 s for one
/// GiB on ordinary hardware.
pub(crate) fn find(
    initrd: &impl ReadAt,
    size: u64,
    superblock: &[u8; SUPERBLOCK_LEN],
    guesses: &[u64],
) -> Result<Option<u64>, Errno> {
    let is_at =
        |offset: u64| check(initrd, offset, superblock).map(|difference| difference.is_none());
    let magic = &superblock[..WORD as usize];
    for &offset in guesses {
        if is_at(offset)? {
            return Ok(Some(offset));
        }
    }
    for offset in (0..size).step_by(PAGE) {
        let mut word = [0; WORD as usize];
        if initrd.read_full(&mut word, offset)? == word.len() && word == magic && is_at(offset)? {
            return Ok(Some(offset));
        }
    }
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < size {
        let filled = initrd.read_full(&mut piece, at)?;
        for (place, word) in piece[..filled].chunks_exact(WORD as usize).enumerate() {
            let offset = at + place as u64 * WORD;
            if word == magic && is_at(offset)? {
                return Ok(Some(offset));
            }
        }
        at += PIECE as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::read_at::InPieces;

    fn superblock() -> [u8; SUPERBLOCK_LEN] {
        std::array::from_fn(|i| *b"hsqs".get(i).unwrap_or(&(i as u8)))
    }

    /// An initrd that is full of near misses, with the superblock at each of `places`.
    fn initrd(len: usize, places: &[usize]) -> Vec<u8> {
        let mut near_miss = superblock();
        near_miss[95] ^= 1;
        let mut bytes: Vec<u8> = near_miss.iter().copied().cycle().take(len).collect();
        for &place in places {
            bytes[place..place + SUPERBLOCK_LEN].copy_from_slice(&superblock());
        }
        bytes
    }

    fn found(bytes: &[u8], guesses: &[u64]) -> Option<u64> {
        find(
            &InPieces(bytes, PAGE),
            bytes.len() as u64,
            &superblock(),
            guesses,
        )
        .unwrap()
    }

    #[test]
    fn guesses_come_before_pages_and_pages_before_words() {
        let bytes = initrd(5 * PAGE, &[400, PAGE, 2 * PAGE, 3 * PAGE]);
        assert_eq!(found(&bytes, &[2 * PAGE as u64]), Some(2 * PAGE as u64));
        assert_eq!(
            found(&bytes, &[77, u64::MAX - 96, 3 * PAGE as u64]),
            Some(3 * PAGE as u64)
        );
        assert_eq!(found(&bytes, &[]), Some(PAGE as u64));
        assert_eq!(found(&initrd(5 * PAGE, &[400]), &[0]), Some(400));
        assert_eq!(found(&initrd(5 * PAGE, &[]), &[0]), None);
        assert_eq!(found(&[], &[]), None);
    }

    #[test]
    fn the_end_is_looked_at_too() {
        let len = 3 * PIECE + 96;
        assert_eq!(
            found(&initrd(len, &[3 * PIECE]), &[]),
            Some(3 * PIECE as u64)
        );
        let len = 2 * PIECE + 444;
        assert_eq!(found(&initrd(len, &[len - 96]), &[]), Some(len as u64 - 96));
        assert_eq!(
            found(&initrd(len, &[len - 96])[..len - 1], &[]),
            None,
            "cut off"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn every_word_boundary_is_found(word in 0..(2 * PIECE / 4 - 24), piece in 1..5000_usize) {
            let bytes = initrd(2 * PIECE, &[4 * word]);
            let found = find(&InPieces(&bytes, piece), bytes.len() as u64, &superblock(), &[]);
            prop_assert_eq!(found, Ok(Some(4 * word as u64)));
        }
    }
}
