//! squashfs 4.0 images, written in parallel and the same bytes every time.
//!
//! [`ImageWriter`] takes the entries of a tree in the order of a walk and writes an image that Linux mounts.
//! It compresses on all threads, holds a few blocks per thread in memory whatever the size of the tree,
//! reads each file once, and stores equal files once.
//!
//! [`mod@reader`] reads images, ours and those of other writers, and trusts nothing in them.
//!
//! The format is described by the Linux kernel's `fs/squashfs/squashfs_fs.h`; see [`mod@format`].

#![deny(missing_docs)]

mod compression;
pub mod format;
pub mod reader;
mod writer;

pub use compression::{Compression, ParseCompressionError};
pub use writer::{BlockCache, Digest, Error, ImageWriter, Options, Piece, Reread, Summary};
