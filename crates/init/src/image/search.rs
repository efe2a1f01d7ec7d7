//! Finds a store image in the initrd, wherever a boot loader moved it.

use alloc::vec;
use core::ops::Range;

use storeboot_index::SUPERBLOCK_LEN;

use super::superblock::check;
use crate::read_at::ReadAt;
use crate::sys::Errno;

/// Every segment of an initrd starts at a multiple of this.
const WORD: u64 = 4;
/// How many bytes are searched at once. The kernel gives a page at a time anyway.
const PIECE: usize = 1 << 16;

/// Where the superblock is: at one of the `guesses`, else on the first word boundary behind the last of them, else on
/// the first before it.
///
/// Most often another archive was put before the initrd, which moves the image by its size, so it is found soon.
/// Reading all of one GiB, a page for each call, takes half a second on an ordinary machine.
pub(crate) fn find(
    initrd: &impl ReadAt,
    size: u64,
    superblock: &[u8; SUPERBLOCK_LEN],
    guesses: &[u64],
) -> Result<Option<u64>, Errno> {
    for &offset in guesses {
        if is_at(initrd, offset, superblock)? {
            return Ok(Some(offset));
        }
    }
    let middle = guesses
        .last()
        .map_or(0, |guess| guess.min(&size) / WORD * WORD);
    match find_within(initrd, middle..size, superblock)? {
        None => find_within(initrd, 0..middle, superblock),
        found => Ok(found),
    }
}

/// The first word boundary of the range that the superblock begins at.
fn find_within(
    initrd: &impl ReadAt,
    range: Range<u64>,
    superblock: &[u8; SUPERBLOCK_LEN],
) -> Result<Option<u64>, Errno> {
    let [a, b, c, d, ..] = *superblock;
    let magic = [a, b, c, d];
    let mut piece = vec![0; PIECE];
    for start in range.clone().step_by(PIECE) {
        let want = usize::try_from(range.end - start).map_or(PIECE, |rest| rest.min(PIECE));
        let filled = initrd.read_full(&mut piece[..want], start)?;
        let (words, _) = piece[..filled].as_chunks();
        // Matches are rare: nearly all time goes into looking for the next one.
        let mut done = 0;
        while let Some(hit) = words[done..].iter().position(|word| *word == magic) {
            let offset = start + (done + hit) as u64 * WORD;
            if is_at(initrd, offset, superblock)? {
                return Ok(Some(offset));
            }
            done += hit + 1;
        }
    }
    Ok(None)
}

fn is_at(
    initrd: &impl ReadAt,
    offset: u64,
    superblock: &[u8; SUPERBLOCK_LEN],
) -> Result<bool, Errno> {
    check(initrd, offset, superblock).map(|difference| difference.is_none())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::read_at::InPieces;

    const PAGE: usize = 4096;

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
    fn guesses_come_first_then_what_is_behind_them_then_what_is_before() {
        let page = PAGE as u64;
        let bytes = initrd(5 * PAGE, &[400, PAGE, 2 * PAGE, 3 * PAGE]);
        assert_eq!(found(&bytes, &[2 * page]), Some(2 * page));
        assert_eq!(
            found(&bytes, &[77, u64::MAX - 96, 3 * page]),
            Some(3 * page)
        );
        assert_eq!(found(&bytes, &[page + 4]), Some(2 * page));
        assert_eq!(found(&bytes, &[3 * page + 4]), Some(400));
        assert_eq!(found(&bytes, &[u64::MAX - 96]), Some(400));
        assert_eq!(found(&bytes, &[]), Some(400));
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
        fn every_word_boundary_is_found(
            word in 0..(2 * PIECE / 4 - 24),
            guess in 0..3 * PIECE as u64,
            piece in 1..5000_usize,
        ) {
            let bytes = initrd(2 * PIECE, &[4 * word]);
            let found = find(&InPieces(&bytes, piece), bytes.len() as u64, &superblock(), &[guess]);
            prop_assert_eq!(found, Ok(Some(4 * word as u64)));
        }
    }
}
