//! Writes a store as one archive.

use std::io::Write;

use storeboot_cpio::Writer;

use super::archive::{self, ArchiveSink};
use super::extent::Extent;
use super::large_files::LargeFiles;
use super::nar_check;
use crate::compress::{Compression, MAX_WINDOW_LOG, SegmentOptions, SegmentWriter};
use crate::error::OUTPUT;
use crate::{Context, Error, Store};

/// Writes a store's files as members of an archive, in `folder`; the directories that it is in come first.
pub(crate) fn write_members<W: Write>(
    store: &Store,
    folder: &str,
    large_files: LargeFiles,
    writer: Writer<W>,
    context: &Context<'_>,
) -> Result<(Writer<W>, Extent), Error> {
    context.begin("packing the store's files", store.packed_size())?;
    let mut sink = ArchiveSink::new(writer, large_files);
    sink.directories(folder.as_bytes())?;
    let paths: Vec<_> = store.packed().collect();
    nar_check::feed(store, &paths, context, &mut sink, |sink| {
        context.reached(sink.content_size())
    })?;
    if store.is_registered() {
        let (size, registration) = store.registration()?;
        sink.registration(size, registration)?;
    }
    Ok(sink.finish())
}

/// Writes a store's files as one archive, compressed; with zstd, over the longest window that the kernel unpacks.
pub(crate) fn write(
    store: &Store,
    folder: &str,
    large_files: LargeFiles,
    compression: Compression,
    out: impl Write,
    context: &Context<'_>,
) -> Result<Extent, Error> {
    let mut options = SegmentOptions::new(compression).threads(context.threads());
    if let Compression::Zstd(_) = compression {
        options = options.long_window(MAX_WINDOW_LOG);
    }
    let out =
        SegmentWriter::new(context.token().watch(out), options).map_err(Error::write(OUTPUT))?;
    let (writer, extent) = write_members(store, folder, large_files, Writer::new(out), context)?;
    let out = writer.finish().map_err(archive::error)?;
    out.finish().map_err(Error::write(OUTPUT))?;
    Ok(extent)
}
