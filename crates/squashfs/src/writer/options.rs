//! How an image is written, and what it holds then.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::format::MAX_BLOCK_SIZE;
use crate::{BlockCache, Compression};

/// How an image is written.
///
/// ```
/// use storeboot_squashfs::Options;
///
/// let options = Options { block_size: 128 << 10, ..Options::default() };
/// assert_eq!(options.mtime, 1);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Compressor and level of data and metadata.
    pub compression: Compression,
    /// Bytes compressed together: a power of two from 4096 to 1048576.
    pub block_size: u32,
    /// Time of every inode and of the image, in seconds since 1970.
    pub mtime: u32,
    /// Whether to write the table that NFS servers need to export the image.
    pub export: bool,
    /// Permission bits of the root directory.
    pub root_mode: u16,
    /// Threads that compress; `None` takes one for each processor.
    pub jobs: Option<NonZeroUsize>,
    /// Where blocks are looked up before they are compressed, and kept afterwards. The image is the same without it.
    pub cache: Option<Arc<dyn BlockCache>>,
}

impl Default for Options {
    /// zstd at level 19 in blocks of 1 MiB, time 1 as in a Nix store, no export table.
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            block_size: MAX_BLOCK_SIZE,
            mtime: 1,
            export: false,
            root_mode: 0o755,
            jobs: None,
            cache: None,
        }
    }
}

/// What an image holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, directories and everything else.
    pub inodes: u32,
    /// Bytes of the image, padding included.
    pub image_size: u64,
    /// Bytes of all files, equal ones counted each time.
    pub content_size: u64,
    /// Bytes of files that were in the image already and are not stored again.
    pub duplicate_size: u64,
}
