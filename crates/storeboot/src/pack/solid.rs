//! A store as one archive.

use std::io::Write;

use super::archive::{self, ArchiveSink};
use super::extent::Extent;
use super::large_files::LargeFiles;
use crate::compress::{SegmentOptions, SegmentWriter};
use crate::error::OUTPUT;
use crate::store::read_ahead;
use crate::{Error, Progress, Store};

impl Store {
    /// Writes the store's files as members `nix/store/…` of a newc archive, whose directories come first.
    pub(crate) fn write_members<W: Write>(
        &self,
        writer: storeboot_cpio::Writer<W>,
        progress: &dyn Progress,
    ) -> Result<(storeboot_cpio::Writer<W>, Extent), Error> {
        self.write_members_to(self.folder(), LargeFiles::Refused, writer, progress)
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
        read_ahead::feed(self, &paths, &mut sink, |sink| {
            progress.reached(sink.content_size());
        })?;
        if self.is_registered() {
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
        options: &SegmentOptions,
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
        options: &SegmentOptions,
        progress: &dyn Progress,
    ) -> Result<Extent, Error> {
        let failed = |source| Error::Write {
            path: OUTPUT.into(),
            source,
        };
        let out = SegmentWriter::new(out, *options).map_err(failed)?;
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
}
