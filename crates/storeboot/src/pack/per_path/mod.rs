//! Writes a store as an archive for each store path, each compressed by itself: an unchanged path need not be packed
//! again.
//!
//! The kernel takes any number of compressed archives one behind the other, if each ends with a trailer
//! (`init/initramfs.c` has to be back at its beginning when a compressor ends). First comes an archive with the
//! directories that the store lies in, then one for each path in the order of the closure, then one with the
//! registration.
//!
//! Small paths are not grouped: a change of one would pack its whole group anew, and an archive of its own costs a path
//! about a hundred bytes.

mod archive;
mod in_order;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;

use super::extent::Extent;
use super::large_files::LargeFiles;
use crate::compress::{Compression, SegmentOptions, zeros_after};
use crate::error::OUTPUT;
use crate::{Context, Error, Store};
use archive::{ArchiveMaker, PathArchive};

/// How the files of a store are cut into compressed archives.
///
/// ```
/// use storeboot::Archives;
///
/// assert_eq!("per-path".parse(), Ok(Archives::PerPath));
/// assert_eq!(Archives::default().to_string(), "solid");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Archives {
    /// One archive of all of them, which is smallest.
    #[default]
    Solid,
    /// One archive for each store path: with a cache, only those that changed are read and packed. A few percent
    /// larger.
    PerPath,
}

impl fmt::Display for Archives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Solid => "solid",
            Self::PerPath => "per-path",
        })
    }
}

impl FromStr for Archives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "solid" => Ok(Self::Solid),
            "per-path" => Ok(Self::PerPath),
            _ => Err(format!(
                "`{text}` is not a way to cut archives; write solid or per-path"
            )),
        }
    }
}

/// How the archives are made.
pub(crate) struct ArchiveOptions<'a> {
    /// The folder of the store paths, as members of an archive name it.
    pub(crate) folder: &'a str,
    /// What is done with files that are larger than a member may be.
    pub(crate) large_files: LargeFiles,
    pub(crate) compression: Compression,
    /// A folder for archives that wait until those before them are written.
    pub(crate) scratch: &'a Path,
    pub(crate) context: &'a Context<'a>,
}

/// Paths for each thread that are being packed or wait to be written, so that small paths do not wait for a large one.
const AHEAD: usize = 32;
/// The same for all threads: each path may hold a file open.
const AHEAD_MAX: usize = 256;

/// How the archive of a path with a NAR of this size is compressed. zstd's window is no larger than the path needs: the
/// kernel allocates it anew for every archive.
pub(crate) fn path_options(compression: Compression, nar_size: u64) -> SegmentOptions {
    SegmentOptions::new(compression).content(nar_size)
}

/// Writes the store's archives. `out` is at a multiple of four bytes, and is so afterwards.
pub(crate) fn write(
    store: &Store,
    options: &ArchiveOptions<'_>,
    mut out: impl Write,
) -> Result<Extent, Error> {
    let context = options.context;
    context.begin("packing the store's files", store.packed_size())?;
    let maker = ArchiveMaker::new(store, options)?;
    let mut extent = Extent::default();
    let mut buffer = vec![0; 256 << 10];
    let mut put = |archive: PathArchive| {
        extent += archive.extent;
        put(archive, options.compression, &mut buffer, &mut out)
    };
    put(maker.directories()?)?;
    let paths: Vec<_> = store.packed().collect();
    let mut done = 0;
    in_order::in_order(
        paths.len(),
        context.pool()?,
        context.threads().get().saturating_mul(AHEAD).min(AHEAD_MAX),
        |number| maker.path(paths[number]),
        |number, archive| {
            done += paths[number].nar_size.unwrap_or_default();
            put(archive)?;
            context.reached(done)
        },
    )?;
    if let Some(archive) = maker.registration()? {
        put(archive)?;
    }
    Ok(extent)
}

fn put(
    archive: PathArchive,
    compression: Compression,
    buffer: &mut [u8],
    out: &mut impl Write,
) -> Result<(), Error> {
    let PathArchive {
        size, mut content, ..
    } = archive;
    let mut left = size;
    while left > 0 {
        let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        match content.read(&mut buffer[..want]) {
            Ok(0) => {
                return Err(Error::Inconsistent(
                    "an archive is shorter than it was".into(),
                ));
            }
            Ok(count) => {
                out.write_all(&buffer[..count])
                    .map_err(Error::write(OUTPUT))?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(content.failed(error)),
        }
    }
    let zeros = zeros_after(compression, size);
    io::copy(&mut io::repeat(0).take(zeros), out)
        .map(drop)
        .map_err(Error::write(OUTPUT))
}
