//! Why a tree cannot be made.

use crate::{BLOCK, MAX_SALT};

/// Why a tree cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data is empty, or does not end with a block.
    #[error("{0} bytes are not one or more blocks of {BLOCK} bytes")]
    DataSize(u64),
    /// The salt is longer than the kernel takes.
    #[error("a salt of {0} bytes is over the {MAX_SALT} that the kernel takes")]
    Salt(usize),
    /// The place of the tree is not at a block, or ends beyond the largest file.
    #[error("a tree cannot begin at byte {0}")]
    Place(u64),
    /// Less data came than the tree is for.
    #[error("{found} bytes came, and the tree is for {expected}")]
    TooShort {
        /// Bytes that came.
        found: u64,
        /// Bytes that the tree is for.
        expected: u64,
    },
    /// The tree cannot be written.
    #[error("the hash tree cannot be written")]
    Write(#[from] std::io::Error),
}
