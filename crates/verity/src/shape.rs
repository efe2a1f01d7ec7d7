//! How large a tree is, and where its levels lie.

use crate::{BLOCK, Error, FAN_OUT};

/// The longest salt that the kernel takes, in bytes.
pub const MAX_SALT: usize = 256;

/// The shape of the tree over some data: its levels, and where they lie.
///
/// Level 0 has the hashes of the data's blocks, level 1 those of level 0's blocks, and so on up to a level of one
/// block. The highest level lies first. Data of one block has no tree: its root hash is the hash of that block.
///
/// ```
/// use storeboot_verity::Shape;
/// assert_eq!(Shape::of(4096)?.tree_size(), 0);
/// assert_eq!(Shape::of(128 * 4096)?.tree_size(), 4096);
/// assert_eq!(Shape::of(129 * 4096)?.tree_size(), 3 * 4096);
/// assert!(Shape::of(4097).is_err());
/// # Ok::<(), storeboot_verity::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    data_blocks: u64,
}

impl Shape {
    /// The shape over this many bytes of data: one or more whole blocks.
    ///
    /// # Errors
    /// [`Error::DataSize`] for any other number.
    pub const fn of(data_size: u64) -> Result<Self, Error> {
        if data_size == 0 || !data_size.is_multiple_of(BLOCK as u64) {
            return Err(Error::DataSize(data_size));
        }
        Ok(Self {
            data_blocks: data_size / BLOCK as u64,
        })
    }

    /// Bytes of the data.
    #[must_use]
    pub const fn data_size(self) -> u64 {
        self.data_blocks * BLOCK as u64
    }

    /// Bytes of the tree.
    #[must_use]
    pub fn tree_size(self) -> u64 {
        self.levels().sum::<u64>() * BLOCK as u64
    }

    /// The number of blocks of each level, from level 0 on.
    pub(crate) fn levels(self) -> impl Iterator<Item = u64> {
        let mut below = self.data_blocks;
        std::iter::from_fn(move || {
            (below > 1).then(|| {
                below = below.div_ceil(FAN_OUT as u64);
                below
            })
        })
    }
}
