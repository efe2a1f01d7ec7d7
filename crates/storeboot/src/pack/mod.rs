//! Packs a store: into store images, into one archive, or into an archive for each store path.
//!
//! | module | is |
//! | --- | --- |
//! | `image`, `image_files`, `split` | store images: one, several in a folder, and where one ends and the next begins |
//! | `recipe` | how a store path was put into images before, kept in the cache |
//! | `archive`, `solid`, `per_path` | members of a newc archive; all in one archive; an archive for each store path |
//! | `large_files` | files over what a member may have, cut into parts |
//! | `extent` | the memory that unpacked files take |
//! | `follow_up` | follow-up work on a second thread |

pub(crate) mod archive;
pub(crate) mod extent;
mod follow_up;
mod image;
pub(crate) mod image_files;
pub(crate) mod large_files;
mod per_path;
mod recipe;
mod solid;
mod split;

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::available_parallelism;

use serde::Deserialize;
use storeboot_cache::Cache;
use storeboot_squashfs::format::MAX_BLOCK_SIZE;

use crate::compress::{MAX_WINDOW_LOG, SegmentOptions};
use crate::error::OUTPUT;
use crate::{Compression, Error, ImageOptions, Progress, Store};
use extent::Extent;
use image_files::ImageFile;
use large_files::LargeFiles;
pub(crate) use per_path::ArchiveOptions;
pub use per_path::Archives;

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

/// A store to pack, and how.
pub(crate) struct PackRequest<'a> {
    pub(crate) store: &'a Store,
    /// Images that are there already, which lie below those that are packed; the first one is on top.
    pub(crate) below: Vec<ImageFile>,
    /// How archives are cut.
    pub(crate) archives: Archives,
    /// `None`: what suits the layout.
    pub(crate) compression: Option<Compression>,
    pub(crate) block_size: u32,
    pub(crate) jobs: Option<NonZeroUsize>,
    /// What was packed before.
    pub(crate) cache: Option<&'a Arc<Cache>>,
    /// Bytes of a store image at most.
    pub(crate) image_limit: u64,
    /// A folder for what is packed before the initrd can be written.
    pub(crate) scratch: &'a Path,
    pub(crate) progress: &'a dyn Progress,
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
    pub archives: Archives,
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
            archives: Archives::Solid,
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
                    self.archives,
                    &ArchiveOptions {
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
    archives: Archives,
    options: &ArchiveOptions<'_>,
    out: impl Write,
    progress: &dyn Progress,
) -> Result<Extent, Error> {
    match archives {
        Archives::Solid => {
            let solid = solid_options(options.compression, options.jobs);
            store.write_solid(options.folder, options.large_files, out, &solid, progress)
        }
        Archives::PerPath => per_path::write(store, options, out, progress),
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
