//! A closure in one file.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::available_parallelism;

use serde::Deserialize;
use storeboot_cache::Cache;
use storeboot_squashfs::format::MAX_BLOCK_SIZE;

use crate::compress::{MAX_WINDOW_LOG, SegmentOptions};
use crate::error::OUTPUT;
use crate::frames::{self, FrameOptions};
use crate::large::LargeFiles;
use crate::walk::Extent;
use crate::{Compression, Error, Frames, ImageOptions, Progress, Store};

/// What a closure is packed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A store image: squashfs.
    Squashfs,
    /// A newc archive with members `nix/store/…`.
    Cpio,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Squashfs => "squashfs",
            Self::Cpio => "cpio",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "squashfs" => Ok(Self::Squashfs),
            "cpio" => Ok(Self::Cpio),
            _ => Err(format!("`{text}` is not a format; write squashfs or cpio")),
        }
    }
}

/// How a closure is packed into one file.
///
/// ```no_run
/// use std::fs::File;
/// use storeboot::{Format, Pack, Silent, Store};
/// # fn store() -> Store { unimplemented!() }
///
/// let mut pack = Pack::new(Format::Squashfs);
/// pack.compression = Some("zstd:15".parse()?);
/// storeboot::write_file("store.squashfs".as_ref(), |file| pack.write(&store(), file, &Silent))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pack {
    /// What it is packed into.
    pub format: Format,
    /// `None`: zstd at level 19 for a store image, none for an archive.
    pub compression: Option<Compression>,
    /// Bytes of a store image's blocks.
    pub block_size: u32,
    /// How an archive is cut: one for all, or one for each store path. The cache helps with the latter.
    pub frames: Frames,
    /// Threads that compress; `None` takes one for each processor.
    pub jobs: Option<NonZeroUsize>,
    /// What was packed before, for any output. It never changes the bytes.
    pub cache: Option<Arc<Cache>>,
}

impl Pack {
    /// Packs into this format, with its defaults.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            compression: None,
            block_size: MAX_BLOCK_SIZE,
            frames: Frames::Solid,
            jobs: None,
            cache: None,
        }
    }

    /// Writes the store into `out`, an empty file.
    ///
    /// # Errors
    /// As [`Store::write_image`] and [`Store::write_archive`]; and with a cache where a store path is not what its NAR hash says.
    pub fn write(
        &self,
        store: &Store,
        out: &mut File,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        match self.format {
            Format::Squashfs => {
                let options = ImageOptions {
                    compression: self.compression.unwrap_or_default(),
                    block_size: self.block_size,
                    jobs: self.jobs,
                    ..ImageOptions::default()
                };
                store.write_image_with(&mut out, &options, self.cache.as_ref(), progress)?;
            }
            Format::Cpio => {
                let compression = self.compression.unwrap_or(Compression::None);
                write_archives(
                    store,
                    self.frames,
                    &FrameOptions {
                        folder: store.folder(),
                        // Who unpacks it may have nobody to put files together.
                        large_files: LargeFiles::Refused,
                        compression,
                        jobs: threads(self.jobs),
                        cache: self.cache.as_deref(),
                        scratch: &std::env::temp_dir(),
                    },
                    &mut out,
                    progress,
                )?;
            }
        }
        if let Some(cache) = &self.cache {
            cache.evict();
        }
        out.flush().map_err(Error::write(OUTPUT))
    }
}

/// Threads that compress.
pub(crate) fn threads(jobs: Option<NonZeroUsize>) -> NonZeroUsize {
    jobs.or_else(|| available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

/// Writes the store's files as archives, cut as asked.
pub(crate) fn write_archives(
    store: &Store,
    frames: Frames,
    options: &FrameOptions<'_>,
    out: impl Write,
    progress: &dyn Progress,
) -> Result<Extent, Error> {
    match frames {
        Frames::Solid => {
            let solid = solid_options(options.compression, options.jobs);
            store.write_solid(options.folder, options.large_files, out, &solid, progress)
        }
        Frames::Path => frames::write(store, options, out, progress),
    }
}

/// How a store's one archive is compressed: with zstd, over the longest window that the kernel unpacks.
fn solid_options(compression: Compression, threads: NonZeroUsize) -> SegmentOptions {
    let options = SegmentOptions::new(compression).threads(threads);
    match compression {
        Compression::Zstd { .. } => options.long_window(MAX_WINDOW_LOG),
        _ => options,
    }
}
