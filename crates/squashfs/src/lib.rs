//! squashfs 4.0 images, written in parallel and the same bytes every time, and read with nothing taken on trust.
//!
//! `ImageWriter` takes the entries of a tree in the order of a walk and writes an image that Linux mounts. It
//! compresses on all threads, holds a few blocks per thread in memory whatever the size of the tree, reads each file
//! once, and stores equal files once.
//!
//! The module `reader` reads images, ours and those of other writers, and checks everything in them.
//!
//! The format is described by the Linux kernel's `fs/squashfs/squashfs_fs.h`; see [`mod@format`].
//!
//! # Features
//! All of them are on by default. A program that only reads zstd images needs `default-features = false` and
//! `features = ["reader", "zstd"]`, and then depends on libzstd and on nothing else that is large.
//!
//! - `reader`: the module `reader`.
//! - `writer`: `ImageWriter` and what belongs to it, with rayon, BLAKE3 and tempfile. It includes `zstd`, by which it
//!   tries whether a block is worth the time of a slow compressor: so the features of a program do not change its
//!   images.
//! - `zstd`, `xz`, `gzip`, `lz4`: the codecs, for both. An image whose codec was left out is an error that names the
//!   codec; so is a [`Compression`] that was left out.

#![deny(missing_docs)]

mod compression;
pub mod format;
mod level;
#[cfg(feature = "reader")]
pub mod reader;
#[cfg(feature = "writer")]
mod writer;

pub use compression::{Compression, ParseCompressionError};
pub use level::{GzipLevel, Level, Lz4Level, XzLevel, ZstdLevel};
#[cfg(feature = "writer")]
pub use writer::{BlockCache, Digest, Error, ImageWriter, Options, Piece, Reread, Summary};

#[cfg(all(doctest, feature = "reader", feature = "writer"))]
#[doc = include_str!("../README.md")]
struct Readme;
