//! The superblock: the first bytes of a store image, which identify it.

use core::fmt;

use storeboot_index::SUPERBLOCK_LEN;

use crate::read_at::ReadAt;
use crate::sys::Errno;

/// Where a superblock is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The file ends before the superblock does.
    CutOff(usize),
    /// The first byte that differs: its place, the byte found, and the byte expected.
    At(usize, u8, u8),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff(len) => write!(f, "only {len} bytes of the superblock are there"),
            Self::At(place, found, expected) => {
                write!(
                    f,
                    "byte {place} of the superblock is 0x{found:02x}, the index says 0x{expected:02x}"
                )
            }
        }
    }
}

/// Compares the bytes at `offset` with the expected superblock, and returns the first difference.
pub(crate) fn check(
    file: &impl ReadAt,
    offset: u64,
    expected: &[u8; SUPERBLOCK_LEN],
) -> Result<Option<Difference>, Errno> {
    let mut found = [0; SUPERBLOCK_LEN];
    let len = file.read_full(&mut found, offset)?;
    if len < SUPERBLOCK_LEN {
        return Ok(Some(Difference::CutOff(len)));
    }
    let pairs = found.into_iter().zip(*expected).enumerate();
    Ok(pairs
        .into_iter()
        .find(|(_, (a, b))| a != b)
        .map(|(place, (a, b))| Difference::At(place, a, b)))
}

/// The kernel option that reads an image compressed like this one.
pub(crate) fn compression_option(superblock: &[u8; SUPERBLOCK_LEN]) -> &'static str {
    match u16::from_le_bytes([superblock[20], superblock[21]]) {
        1 => "CONFIG_SQUASHFS_ZLIB",
        3 => "CONFIG_SQUASHFS_LZO",
        4 => "CONFIG_SQUASHFS_XZ",
        5 => "CONFIG_SQUASHFS_LZ4",
        6 => "CONFIG_SQUASHFS_ZSTD",
        _ => "this compression",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_at::InPieces;

    #[test]
    fn the_first_difference_is_named() {
        let expected: [u8; SUPERBLOCK_LEN] = std::array::from_fn(|i| i as u8);
        let mut file = [&[9; 3][..], &expected].concat();
        assert_eq!(check(&InPieces(&file, 7), 3, &expected), Ok(None));
        assert_eq!(
            check(&InPieces(&file, 7), 4, &expected),
            Ok(Some(Difference::CutOff(95)))
        );
        assert_eq!(
            check(&InPieces(&file, 7), 999, &expected),
            Ok(Some(Difference::CutOff(0)))
        );
        file[3 + 40] = 0xff;
        assert_eq!(
            check(&InPieces(&file, 7), 3, &expected),
            Ok(Some(Difference::At(40, 0xff, 40)))
        );
    }
}
