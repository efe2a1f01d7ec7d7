//! Layout `direct`: the store's files themselves, in one archive that the kernel unpacks into rootfs.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;

use storeboot_squashfs::Compression;

use super::{Host, Packer};
use crate::Error;
use crate::compress::{MAX_WINDOW_LOG, SegmentWriter};
use crate::drain::Drain;
use crate::error::OUTPUT;
use crate::initrd::{InitrdWriter, SegmentKind};
use crate::output;
use crate::pack::archive_options;
use crate::walk::Extent;

/// At this level and with the longest window the archive is smaller than a store image at level 19, in a tenth of its time.
const COMPRESSION: Compression = Compression::Zstd { level: 10 };
/// Where the store is for another stage 1, which `attach` binds to its place.
const UNPACKED_STORE: &str = "storeboot/store";
/// What an inode and its directory entry take in a tmpfs.
const BYTES_PER_ENTRY: u64 = 2048;

/// The store's archive, packed into the scratch folder.
pub(crate) struct PackedArchive {
    file: PathBuf,
    pub(super) size: u64,
    compression: Compression,
    extent: Extent,
}

pub(super) fn pack(packer: &Packer<'_>, host: Host) -> Result<PackedArchive, Error> {
    let file = packer.scratch.join("store.cpio");
    let compression = packer.compression.unwrap_or(COMPRESSION);
    let options = archive_options(compression, packer.jobs);
    let out = File::create_new(&file).map_err(Error::write(&file))?;
    let out = BufWriter::with_capacity(1 << 20, out);
    let out = SegmentWriter::new(out, options).map_err(Error::write(&file))?;
    let writer = storeboot_cpio::Writer::new(out);
    let (writer, extent) = match host {
        Host::Storeboot => packer.store.write_members(writer, packer.progress)?,
        // That stage 1 has programs of its own in `/nix/store`, and runs them until it leaves and deletes them.
        Host::Other => packer
            .store
            .write_members_to(UNPACKED_STORE, writer, packer.progress)?,
    };
    let out = writer.finish().map_err(|source| Error::Archive {
        archive: "the store's archive".into(),
        source,
    })?;
    out.finish()
        .and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(Error::write(&file))?;
    let size = fs::metadata(&file).map_err(Error::read(&file))?.len();
    Ok(PackedArchive {
        file,
        size,
        compression,
        extent,
    })
}

impl PackedArchive {
    pub(super) fn write(&self, initrd: &mut InitrdWriter) -> Result<(), Error> {
        initrd.segment(SegmentKind::Store, Some(self.compression), |out| {
            let packed = Drain::open(&self.file).map_err(Error::read(&self.file))?;
            output::copy_from(packed, &self.file, out, OUTPUT.as_ref())
        })?;
        fs::remove_file(&self.file).map_err(Error::write(&self.file))
    }

    /// What is in rootfs when it is unpacked.
    pub(super) fn unpacked(&self) -> u64 {
        self.extent.pages + self.extent.entries * BYTES_PER_ENTRY
    }

    /// What the kernel's decompressor takes: all of zstd's window, and that is the longest one whatever is in the archive.
    pub(super) fn window(&self) -> u64 {
        match self.compression {
            Compression::Zstd { .. } => 1 << MAX_WINDOW_LOG,
            _ => 0,
        }
    }
}
