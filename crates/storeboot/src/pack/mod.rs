//! Packs a store: into store images, into one archive, or into an archive for each store path.
//!
//! | module | is |
//! | --- | --- |
//! | `image`, `image_files`, `split` | store images: one, several in a folder, and where one ends and the next begins |
//! | `recipe` | how a store path was put into images before, kept in the cache |
//! | `archive`, `solid`, `per_path` | members of a newc archive; all in one archive; an archive for each store path |
//! | `large_files` | files over what a member may have, cut into parts |
//! | `verity` | the tree of dm-verity behind a store image |
//! | `nar_check` | compares a store path with its NAR hash |
//! | `extent` | the memory that unpacked files take |
//! | `follow_up` | follow-up work on a second thread |

pub(crate) mod archive;
pub(crate) mod extent;
mod follow_up;
mod image;
pub(crate) mod image_files;
pub(crate) mod large_files;
mod nar_check;
mod per_path;
mod recipe;
#[cfg(fuzzing)]
pub use recipe::fuzz as fuzz_recipe;
pub(crate) mod solid;
mod split;
pub(crate) mod verity;

use std::fmt;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use storeboot_squashfs::format::MAX_BLOCK_SIZE;

use crate::error::OUTPUT;
use crate::{Compression, Context, Error, Store};
use extent::Extent;
use image::ImageForm;
use image_files::{Hashes, ImageFile};
use large_files::LargeFiles;
pub(crate) use per_path::ArchiveOptions;
pub use per_path::Archives;

/// What a closure is packed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
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

/// A store to pack for an initrd, and how.
pub(crate) struct PackRequest<'a> {
    pub(crate) store: &'a Store,
    /// Images that are there already, which lie below those that are packed; the first one is on top.
    pub(crate) below: Vec<ImageFile>,
    /// How archives are cut.
    pub(crate) archives: Archives,
    /// `None`: what suits the layout.
    pub(crate) compression: Option<Compression>,
    pub(crate) block_size: u32,
    /// Bytes of a store image at most.
    pub(crate) image_limit: u64,
    /// The boot profile by which files come first in store images.
    pub(crate) profile: Option<&'a Path>,
    /// What is hashed of each image.
    pub(crate) hashes: Hashes,
    /// Whether each image gets a tree of dm-verity.
    pub(crate) verity: bool,
    /// Whether stage 1 is told what a boot needs of each image, to fetch the rest while the system runs.
    pub(crate) stream: bool,
    /// A folder for what is packed before the initrd can be written.
    pub(crate) scratch: &'a Path,
    pub(crate) context: &'a Context<'a>,
}

/// How a closure is packed into one file.
///
/// ```no_run
/// use std::fs::File;
/// use storeboot::{Context, Format, Pack, Store};
/// # fn store() -> Store { unimplemented!() }
///
/// let mut pack = Pack::new(Format::Squashfs);
/// pack.compression = Some("zstd:15".parse()?);
/// storeboot::write_file("store.squashfs".as_ref(), |file| {
///     pack.write(&store(), file, &Context::new())
/// })?;
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
    /// Whether a store image has the export table, by which NFS finds inodes by their numbers.
    pub export: bool,
    /// How an archive is cut: one for all, or one for each store path. The cache helps with the latter.
    pub archives: Archives,
    /// A boot profile ([`Profile`](crate::Profile)), whose files come first in a store image, in its order.
    pub profile: Option<PathBuf>,
}

impl Pack {
    /// Packs into this format, with its defaults.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            compression: None,
            block_size: MAX_BLOCK_SIZE,
            export: false,
            archives: Archives::Solid,
            profile: None,
        }
    }

    /// Writes the store into `out`, from the place where it stands.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what a store holds, where the format cannot hold it, and where `out`
    /// cannot be written. Where a store path is not what its NAR hash says, unless [`Context::without_nar_check`] leaves that out. [`Error::Cancelled`].
    pub fn write(
        &self,
        store: &Store,
        out: impl Write + Seek,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let written = match self.format {
            Format::Squashfs => {
                note_no_archives(self.archives, context);
                let form = ImageForm {
                    compression: self.compression.unwrap_or_default(),
                    block_size: self.block_size,
                    export: self.export,
                    limit: u64::MAX,
                    profile: self.profile.as_deref(),
                };
                image::write_image(store, form, &mut out, context)
            }
            Format::Cpio => self.write_archive(store, &mut out, context),
        };
        let written = written.and_then(|()| out.flush().map_err(Error::write(OUTPUT)));
        context.token().settle(written)?;
        context.evict();
        Ok(())
    }

    /// Writes the store into `out` as archives, a stream that is never sought in, whatever [`Self::format`] says.
    ///
    /// # Errors
    /// As [`Self::write`]; and where a file is larger than newc can say, 4 GiB - 1.
    pub fn write_archive(
        &self,
        store: &Store,
        out: impl Write,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        note_no_images(self.profile.as_deref(), context);
        let options = ArchiveOptions {
            folder: store.folder(),
            // The archive may be unpacked without a stage 1 that puts files together.
            large_files: LargeFiles::Refused,
            compression: self.compression.unwrap_or(Compression::None),
            scratch: &std::env::temp_dir(),
            context,
        };
        let written = write_archives(store, self.archives, &options, out);
        context.token().settle(written.map(drop))
    }
}

/// Says that how archives are cut changes nothing where there are none.
pub(crate) fn note_no_archives(archives: Archives, context: &Context<'_>) {
    if archives != Archives::Solid {
        context.note("how archives are cut changes nothing: store images are no archives");
    }
}

/// Says that a boot profile changes nothing where there are no images.
pub(crate) fn note_no_images(profile: Option<&Path>, context: &Context<'_>) {
    if let Some(profile) = profile {
        context.note(&format!(
            "the boot profile {} changes nothing: an archive is unpacked as a whole",
            profile.display()
        ));
    }
}

/// Writes the store's files as archives, cut as asked.
pub(crate) fn write_archives(
    store: &Store,
    archives: Archives,
    options: &ArchiveOptions<'_>,
    out: impl Write,
) -> Result<Extent, Error> {
    match archives {
        Archives::Solid => solid::write(
            store,
            options.folder,
            options.large_files,
            options.compression,
            out,
            options.context,
        ),
        Archives::PerPath => per_path::write(store, options, out),
    }
}
