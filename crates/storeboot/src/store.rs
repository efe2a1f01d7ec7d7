//! A closure's content as nixpkgs lays it out in a store image: the store paths and `nix-path-registration`.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use storeboot_cache::Cache;
use storeboot_closure::{Closure, PathInfo, Registration, StorePath, StoreRoot};
use storeboot_squashfs::{Options, Summary};
use tempfile::SpooledTempFile;

use crate::ahead;
use crate::archive::{self, ArchiveSink};
use crate::error::OUTPUT;
use crate::large::LargeFiles;
use crate::recipe::{Blocks, Recipes};
use crate::split::{Images, SplitSink};
use crate::walk::{self, Extent};
use crate::{Error, Progress};

/// The file in the store that tells Nix what is valid: `nix-store --load-db < /nix/store/nix-path-registration`.
pub const REGISTRATION: &str = "nix-path-registration";

/// Registrations up to this size stay in memory.
const SPOOL: usize = 4 << 20;

/// A closure, and where its files are.
///
/// ```no_run
/// use storeboot::{Silent, Store};
/// use storeboot_closure::{StoreDir, StoreRoot, read_path_info};
///
/// let json = std::fs::File::open("path-info.json")?;
/// let closure = read_path_info(json, &StoreDir::default())?;
/// let store = Store::new(closure, StoreRoot::system())?;
/// let image = std::fs::File::create("store.squashfs")?;
/// let summary = store.write_image(image, &Default::default(), &Silent)?;
/// println!("{} bytes", summary.image_size);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    closure: Arc<Closure>,
    root: StoreRoot,
    /// Paths whose files are packed elsewhere.
    left_out: Arc<BTreeSet<StorePath>>,
    /// Whether [`REGISTRATION`] is packed, which is that of the whole closure.
    registered: bool,
}

impl Store {
    /// Checks that every path of the closure is there, and computes the hashes and sizes it lacks.
    ///
    /// # Errors
    /// Where a path is missing, or cannot be read.
    pub fn new(mut closure: Closure, root: StoreRoot) -> Result<Self, Error> {
        closure.check_present(&root)?;
        closure.complete(&root)?;
        Ok(Self {
            closure: Arc::new(closure),
            root,
            left_out: Arc::default(),
            registered: true,
        })
    }

    /// This store without the files of some paths, with or without the registration of all of them.
    pub(crate) fn part(&self, left_out: BTreeSet<StorePath>, registered: bool) -> Self {
        Self {
            left_out: Arc::new(left_out),
            registered,
            ..self.clone()
        }
    }

    /// The paths whose files are packed, in the order of their base names.
    pub(crate) fn packed(&self) -> impl Iterator<Item = &PathInfo> {
        self.closure
            .paths()
            .filter(|info| !self.left_out.contains(&info.path))
    }

    /// Bytes of the NARs of what is packed.
    pub(crate) fn packed_size(&self) -> Option<u64> {
        self.packed()
            .try_fold(0_u64, |sum, info| Some(sum.saturating_add(info.nar_size?)))
    }

    /// The closure, complete.
    #[must_use]
    pub fn closure(&self) -> &Closure {
        &self.closure
    }

    /// Where its files are.
    #[must_use]
    pub fn root(&self) -> &StoreRoot {
        &self.root
    }

    /// Where the files of one of its paths are.
    pub(crate) fn locate(&self, info: &PathInfo) -> PathBuf {
        self.root.locate(self.closure.store_dir(), &info.path)
    }

    /// Writes a store image: a squashfs whose root is the content of the store directory.
    ///
    /// # Errors
    /// Where a file cannot be read or is not what a store holds, and where `out` cannot be written.
    pub fn write_image(
        &self,
        out: impl Write + Seek,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        self.write_image_with(out, options, None, progress)
    }

    /// As [`Self::write_image`]; what the cache has is neither read nor compressed again, and what it has not is kept. The
    /// image is the same without it.
    ///
    /// # Errors
    /// As [`Self::write_image`]; and where a store path is not what its NAR hash says.
    pub fn write_image_with(
        &self,
        out: impl Write + Seek,
        options: &Options,
        cache: Option<&Arc<Cache>>,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let mut images = One {
            out: Some(out),
            summary: Summary::default(),
        };
        self.write_images(&mut images, options, u64::MAX, cache, progress)?;
        Ok(images.summary)
    }

    /// Writes the store as images of at most `limit` bytes each.
    pub(crate) fn write_images(
        &self,
        images: &mut impl Images,
        options: &Options,
        limit: u64,
        cache: Option<&Arc<Cache>>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.begin("packing the store image", self.packed_size());
        let mut options = options.clone();
        if let Some(cache) = cache {
            options.cache = Some(Arc::new(Blocks(Arc::clone(cache))));
        }
        let mut sink = SplitSink::new(images, &options, limit);
        let paths: Vec<_> = self.packed().collect();
        let done = |sink: &SplitSink<'_, _>| progress.reached(sink.content_size());
        match cache {
            None => ahead::pack(self, &paths, &mut sink, done)?,
            Some(cache) => {
                Recipes::new(self, cache, options.block_size).pack(&paths, &mut sink, done)?;
            }
        }
        if self.registered {
            let (size, registration) = self.registration()?;
            let name = REGISTRATION.as_bytes();
            sink.content(name, walk::FILE, size, registration, &mut Vec::new())?;
        }
        sink.finish()
    }

    /// Writes the store's files as members `nix/store/…` of a newc archive, whose directories come first.
    pub(crate) fn write_members<W: Write>(
        &self,
        writer: storeboot_cpio::Writer<W>,
        progress: &dyn Progress,
    ) -> Result<(storeboot_cpio::Writer<W>, Extent), Error> {
        self.write_members_to(self.folder(), LargeFiles::Refused, writer, progress)
    }

    /// The store directory as members of an archive name it.
    pub(crate) fn folder(&self) -> &str {
        self.closure.store_dir().as_str().trim_start_matches('/')
    }

    /// As [`Self::write_members`], with the store's paths in another folder.
    pub(crate) fn write_members_to<W: Write>(
        &self,
        folder: &str,
        large_files: LargeFiles,
        writer: storeboot_cpio::Writer<W>,
        progress: &dyn Progress,
    ) -> Result<(storeboot_cpio::Writer<W>, Extent), Error> {
        progress.begin("packing the store's files", self.packed_size());
        let mut sink = ArchiveSink::new(writer, large_files);
        sink.directories(folder.as_bytes())?;
        let paths: Vec<_> = self.packed().collect();
        ahead::pack(self, &paths, &mut sink, |sink| {
            progress.reached(sink.content_size());
        })?;
        if self.registered {
            let (size, registration) = self.registration()?;
            sink.registration(size, registration)?;
        }
        Ok(sink.finish())
    }

    /// Writes the store's files as one newc archive, packed as asked, without a first root file system around it.
    ///
    /// # Errors
    /// As [`Self::write_image`]; and where a file is larger than newc can say, 4 GiB - 1.
    pub fn write_archive(
        &self,
        out: impl Write,
        options: &crate::compress::SegmentOptions,
        progress: &dyn Progress,
    ) -> Result<u64, Error> {
        self.write_solid(self.folder(), LargeFiles::Refused, out, options, progress)
            .map(|extent| extent.entries)
    }

    /// As [`Self::write_archive`], with the store's paths in another folder.
    pub(crate) fn write_solid(
        &self,
        folder: &str,
        large_files: LargeFiles,
        out: impl Write,
        options: &crate::compress::SegmentOptions,
        progress: &dyn Progress,
    ) -> Result<Extent, Error> {
        let failed = |source| Error::Write {
            path: OUTPUT.into(),
            source,
        };
        let out = crate::compress::SegmentWriter::new(out, *options).map_err(failed)?;
        let (writer, extent) = self.write_members_to(
            folder,
            large_files,
            storeboot_cpio::Writer::new(out),
            progress,
        )?;
        let out = writer.finish().map_err(archive::error)?;
        out.finish().map_err(failed)?;
        Ok(extent)
    }

    /// Whether the registration is packed.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered
    }

    /// `nix-path-registration` and its size.
    pub(crate) fn registration(&self) -> Result<(u64, SpooledTempFile), Error> {
        let mut file = SpooledTempFile::new(SPOOL);
        // Too large for memory, it is in a temporary file.
        let spool = || std::env::temp_dir().join(REGISTRATION);
        let written = self
            .closure
            .write_registration(&mut file, Registration::ClosureInfo);
        written.map_err(|error| match error {
            storeboot_closure::Error::Write { source } => Error::write(spool())(source),
            other => other.into(),
        })?;
        let failed = Error::read(spool());
        let size = file.stream_position().and_then(|size| {
            file.seek(SeekFrom::Start(0))?;
            Ok(size)
        });
        Ok((size.map_err(failed)?, file))
    }
}

/// One image, whatever its size.
struct One<W> {
    out: Option<W>,
    summary: Summary,
}

impl<W: Write + Seek> Images for One<W> {
    type Out = W;

    fn next(&mut self) -> Result<W, Error> {
        self.out
            .take()
            .ok_or_else(|| Error::Inconsistent("one image became two".into()))
    }

    fn done(&mut self, _: W, summary: Summary) -> Result<(), Error> {
        self.summary = summary;
        Ok(())
    }
}
