//! How an image is written, and what it holds then.

use std::sync::Arc;

use rayon::ThreadPool;

use crate::format::MAX_BLOCK_SIZE;
use crate::{BlockCache, Compression};

/// How an image is written.
///
/// ```
/// use storeboot_squashfs::Options;
///
/// let options = Options::new().block_size(128 << 10).compression("xz:9".parse()?);
/// # Ok::<(), storeboot_squashfs::ParseCompressionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) compression: Compression,
    pub(super) block_size: u32,
    pub(super) mtime: u32,
    pub(super) export: bool,
    pub(super) root_mode: u16,
    pub(super) pool: Option<Arc<ThreadPool>>,
    pub(super) cache: Option<Arc<dyn BlockCache>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            block_size: MAX_BLOCK_SIZE,
            mtime: 1,
            export: false,
            root_mode: 0o755,
            pool: None,
            cache: None,
        }
    }
}

impl Options {
    /// zstd at level 19 in blocks of 1 MiB, time 1 as in a Nix store, no export table, a root directory with mode 0755,
    /// one thread for each processor, no cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the compressor and level of data and metadata.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self {
            compression,
            ..self
        }
    }

    /// Sets how many bytes are compressed together: a power of two from 4096 to 1048576.
    #[must_use]
    pub fn block_size(self, block_size: u32) -> Self {
        Self { block_size, ..self }
    }

    /// Sets the time of every inode and of the image, in seconds since 1970.
    #[must_use]
    pub fn mtime(self, mtime: u32) -> Self {
        Self { mtime, ..self }
    }

    /// Sets whether to write the table that NFS servers need to export the image.
    #[must_use]
    pub fn export(self, export: bool) -> Self {
        Self { export, ..self }
    }

    /// Sets the permission bits of the root directory.
    #[must_use]
    pub fn root_mode(self, root_mode: u16) -> Self {
        Self { root_mode, ..self }
    }

    /// Compresses on these threads, which may have other work at the same time. Their number does not change the image.
    ///
    /// Without a pool, each writer starts a thread for each processor.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use storeboot_squashfs::Options;
    ///
    /// let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    /// let options = Options::new().pool(Arc::new(pool));
    /// # Ok::<(), rayon::ThreadPoolBuildError>(())
    /// ```
    #[must_use]
    pub fn pool(self, pool: Arc<ThreadPool>) -> Self {
        Self {
            pool: Some(pool),
            ..self
        }
    }

    /// Looks blocks up in this cache before they are compressed, and puts new ones there. The image is the same without
    /// it.
    #[must_use]
    pub fn cache(self, cache: Arc<dyn BlockCache>) -> Self {
        Self {
            cache: Some(cache),
            ..self
        }
    }
}

/// What an image holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files, directories and everything else.
    pub inodes: u32,
    /// Bytes of the image, padding included.
    pub image_size: u64,
    /// Bytes of all files, equal ones counted each time.
    pub content_size: u64,
    /// Bytes of files that were in the image already and are not stored again.
    pub duplicate_size: u64,
    /// Bytes from the image's beginning to the end of what was stored ahead, as of the last
    /// [`ImageWriter::finish_ahead`](crate::ImageWriter::finish_ahead). 0 where nothing was.
    pub ahead_size: u64,
}
