//! A closure's content as nixpkgs lays it out in a store image: the store paths and `nix-path-registration`.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use storeboot_closure::{Closure, PathInfo, Registration, StorePath, StoreRoot};
use storeboot_cpio::Metadata;
use storeboot_squashfs::{Options, Summary};
use tempfile::SpooledTempFile;

use crate::error::OUTPUT;
use crate::split::{Images, SplitSink};
use crate::walk::{self, Extent, OpenFile, Sink, walk};
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
    fn packed_size(&self) -> Option<u64> {
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
        let mut images = One {
            out: Some(out),
            summary: Summary::default(),
        };
        self.write_images(&mut images, options, u64::MAX, progress)?;
        Ok(images.summary)
    }

    /// Writes the store as images of at most `limit` bytes each.
    pub(crate) fn write_images(
        &self,
        images: &mut impl Images,
        options: &Options,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.begin("packing the store image", self.packed_size());
        let mut sink = SplitSink::new(images, options, limit);
        for info in self.packed() {
            let path = self.root.locate(self.closure.store_dir(), &info.path);
            sink.begin_path(info.nar_size.unwrap_or_default())?;
            walk(&path, info.path.to_basename().as_bytes(), &mut sink)?;
            progress.reached(sink.content_size());
        }
        if self.registered {
            let (size, registration) = self.registration()?;
            sink.content(REGISTRATION.as_bytes(), walk::FILE, size, registration)?;
        }
        sink.finish()
    }

    /// Writes the store's files as members `nix/store/…` of a newc archive, whose directories come first.
    pub(crate) fn write_members<W: Write>(
        &self,
        writer: storeboot_cpio::Writer<W>,
        progress: &dyn Progress,
    ) -> Result<(storeboot_cpio::Writer<W>, Extent), Error> {
        let store_dir = self.closure.store_dir().as_str().trim_start_matches('/');
        self.write_members_to(store_dir, writer, progress)
    }

    /// As [`Self::write_members`], with the store's paths in another folder.
    pub(crate) fn write_members_to<W: Write>(
        &self,
        folder: &str,
        writer: storeboot_cpio::Writer<W>,
        progress: &dyn Progress,
    ) -> Result<(storeboot_cpio::Writer<W>, Extent), Error> {
        progress.begin("packing the store's files", self.packed_size());
        let mut sink = ArchiveSink {
            writer,
            directories: Vec::new(),
            extent: Extent::default(),
            content_size: 0,
        };
        for part in folder.split('/') {
            sink.directory(part.as_bytes(), 0o755)?;
        }
        for info in self.packed() {
            let path = self.root.locate(self.closure.store_dir(), &info.path);
            walk(&path, info.path.to_basename().as_bytes(), &mut sink)?;
            progress.reached(sink.content_size);
        }
        if self.registered {
            let (size, registration) = self.registration()?;
            let name = sink.name(REGISTRATION.as_bytes());
            sink.writer
                .file(
                    &name,
                    &Metadata::mode(walk::FILE.into()),
                    size,
                    registration,
                )
                .map_err(archive_error)?;
        }
        Ok((sink.writer, sink.extent))
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
        let failed = |source| Error::Write {
            path: OUTPUT.into(),
            source,
        };
        let out = crate::compress::SegmentWriter::new(out, *options).map_err(failed)?;
        let (writer, extent) = self.write_members(storeboot_cpio::Writer::new(out), progress)?;
        let out = writer.finish().map_err(archive_error)?;
        out.finish().map_err(failed)?;
        Ok(extent.entries)
    }

    /// `nix-path-registration` and its size.
    fn registration(&self) -> Result<(u64, SpooledTempFile), Error> {
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

struct ArchiveSink<W: Write> {
    writer: storeboot_cpio::Writer<W>,
    /// Names of the directories entered, joined.
    directories: Vec<Vec<u8>>,
    extent: Extent,
    content_size: u64,
}

impl<W: Write> ArchiveSink<W> {
    /// The member's name: the path from the archive's root.
    fn name(&self, name: &[u8]) -> Vec<u8> {
        match self.directories.last() {
            None => name.to_vec(),
            Some(directory) => [directory.as_slice(), b"/", name].concat(),
        }
    }

    fn directory(&mut self, name: &[u8], mode: u16) -> Result<(), Error> {
        let name = self.name(name);
        self.writer
            .directory(&name, &Metadata::mode(mode.into()))
            .map_err(archive_error)?;
        self.extent.add(0);
        self.directories.push(name);
        Ok(())
    }
}

impl<W: Write> Sink for ArchiveSink<W> {
    fn enter(&mut self, name: &[u8]) -> Result<(), Error> {
        self.directory(name, walk::DIRECTORY)
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.directories.pop();
        Ok(())
    }

    fn file(&mut self, name: &[u8], file: OpenFile) -> Result<(), Error> {
        let name = self.name(name);
        let meta = Metadata::mode(file.mode().into());
        self.extent.add(file.size);
        self.content_size += file.size;
        self.writer
            .file(&name, &meta, file.size, file.file)
            .map_err(archive_error)
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let name = self.name(name);
        self.extent.add(target.len() as u64);
        self.writer
            .symlink(&name, &Metadata::mode(0o777), target)
            .map_err(archive_error)
    }
}

fn archive_error(source: storeboot_cpio::WriteError) -> Error {
    Error::Archive {
        archive: "the store's archive".into(),
        source,
    }
}
