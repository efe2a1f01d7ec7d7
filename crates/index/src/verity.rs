//! The hash tree of dm-verity behind a store image.

use crate::Reason;

/// Hashes in a block of the tree.
const FAN_OUT: u64 = 128;

/// What dm-verity needs to check the blocks of an image as they are read.
///
/// The tree lies behind the data, without a superblock: hash type 1, SHA-256, data and hash blocks of 4096 bytes, as
/// `veritysetup format --no-superblock --hash-offset=DATA-SIZE` writes it.
///
/// ```
/// use storeboot_index::Verity;
/// let verity = Verity { data_size: 129 * 4096, salt: [1; 32], root: [2; 32] };
/// assert_eq!(verity.tree_size(), Some(3 * 4096));
/// assert_eq!(verity.size(), Some(132 * 4096));
/// assert_eq!(Verity { data_size: 4097, ..verity }.tree_size(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verity {
    /// Bytes of data in front of the tree: one or more whole blocks of 4096 bytes.
    pub data_size: u64,
    /// What is hashed before each block.
    pub salt: [u8; 32],
    /// The root hash.
    pub root: [u8; 32],
}

impl Verity {
    /// Bytes of a block of data, and of the tree.
    pub const BLOCK: u64 = 4096;

    /// Bytes of the tree. None where [`data_size`](Self::data_size) is not one or more whole blocks. Data of one block
    /// has a tree of no bytes.
    #[must_use]
    pub const fn tree_size(&self) -> Option<u64> {
        if self.data_size == 0 || !self.data_size.is_multiple_of(Self::BLOCK) {
            return None;
        }
        let (mut below, mut blocks) = (self.data_size / Self::BLOCK, 0);
        while below > 1 {
            below = below.div_ceil(FAN_OUT);
            blocks += below;
        }
        Some(blocks * Self::BLOCK)
    }

    /// Bytes of the data and the tree together. None as for [`tree_size`](Self::tree_size), and where the sum is too
    /// large.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        match self.tree_size() {
            Some(tree) => self.data_size.checked_add(tree),
            None => None,
        }
    }

    /// Checks that data and tree are an image of this size.
    pub(crate) fn check(&self, image_size: u64) -> Result<(), Reason> {
        if self.size() == Some(image_size) {
            Ok(())
        } else {
            Err(Reason::VeritySize(self.data_size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = Verity::BLOCK;

    #[test]
    fn the_size_is_that_of_all_levels() {
        let tree = |blocks: u64| {
            let verity = Verity {
                data_size: blocks * BLOCK,
                salt: [0; 32],
                root: [0; 32],
            };
            verity.tree_size().map(|size| size / BLOCK)
        };
        for (data, expected) in [
            (1, 0),
            (2, 1),
            (128, 1),
            (129, 2 + 1),
            (128 * 128, 128 + 1),
            (128 * 128 + 1, 129 + 2 + 1),
            (128 * 128 * 128, 128 * 128 + 128 + 1),
        ] {
            assert_eq!(tree(data), Some(expected), "{data} blocks");
        }
        assert_eq!(tree(0), None);
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        let most = u64::MAX / BLOCK * BLOCK;
        let verity = |data_size| Verity {
            data_size,
            salt: [0; 32],
            root: [0; 32],
        };
        assert!(
            verity(most)
                .tree_size()
                .is_some_and(|tree| tree < most / 100)
        );
        assert_eq!(verity(most).size(), None);
        assert_eq!(verity(u64::MAX).size(), None);
    }
}
