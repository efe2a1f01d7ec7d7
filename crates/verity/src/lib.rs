//! Hash trees of dm-verity, as `veritysetup format --no-superblock` writes them, made in one reading of the data.
//!
//! The form is always the same: hash type 1 (the salt comes before the block), SHA-256, data and hash blocks of
//! [`BLOCK`] bytes. A [`Shape`] tells how large the tree of some data is, and a [`TreeWriter`] makes it.
//!
//! ```
//! use std::io::{Cursor, Write};
//! use storeboot_verity::{BLOCK, Shape, TreeWriter};
//!
//! let data = vec![7; 300 * BLOCK];
//! let shape = Shape::of(data.len() as u64)?;
//! assert_eq!(shape.tree_size(), 4 * BLOCK as u64);
//!
//! let mut tree = Cursor::new(Vec::new());
//! let mut writer = TreeWriter::new(shape, b"salt", &mut tree, 0)?;
//! writer.write_all(&data)?;
//! let root = writer.finish()?;
//! assert_eq!(tree.into_inner().len() as u64, shape.tree_size());
//! assert_ne!(root, [0; 32]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
mod shape;
mod writer;

pub use error::Error;
pub use shape::{MAX_SALT, Shape};
pub use writer::TreeWriter;

/// Bytes of a data block, and of a hash block.
pub const BLOCK: usize = 4096;
/// Bytes of a SHA-256.
const DIGEST: usize = 32;
/// Hashes in a hash block.
const FAN_OUT: usize = BLOCK / DIGEST;
