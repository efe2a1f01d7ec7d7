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

mod cache;
mod chunk;
mod codec;
mod compression;
mod content;
mod density;
mod directory;
mod error;
pub mod format;
mod fragments;
mod image;
mod inode;
mod intake;
mod metadata;
mod piece;
mod pipeline;
pub mod reader;
mod source;
mod step;
mod writer;

pub use cache::BlockCache;
pub use compression::{Compression, ParseCompressionError};
pub use error::Error;
pub use piece::{Digest, Piece, Reread};
pub use writer::{ImageWriter, Options, Summary};
