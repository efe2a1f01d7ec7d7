//! Layout `direct`: the store's files themselves, in archives that the kernel unpacks into rootfs.

use std::cell::Cell;

use storeboot_squashfs::{Compression, ZstdLevel};

use super::Host;
use crate::compress::unpacking_memory;
use crate::initrd::InitrdWriter;
use crate::manifest::SegmentKind;
use crate::pack::extent::Extent;
use crate::pack::large_files::{LargeFiles, MEMBER_MAX};
use crate::pack::{ArchiveOptions, PackRequest, note_no_images, write_archives};
use crate::{Archives, Error};

/// Where the store is for another stage 1, which `attach` binds to its place: that stage 1 has programs of its own in
/// `/nix/store`, and runs them until it leaves and deletes them.
pub(crate) const UNPACKED_STORE: &str = "storeboot/store";
/// What an inode and its directory entry take in a tmpfs.
const BYTES_PER_ENTRY: u64 = 2048;

/// The levels that suit. At 10, one archive with the longest window is smaller than a store image at level 19, in a
/// tenth of its time. Cut by paths, it saves less than 1 % over 9, whose search is a quicker one.
fn suits(archives: Archives) -> Compression {
    const fn zstd(level: u8) -> ZstdLevel {
        ZstdLevel::new(level).expect("1 to 22")
    }
    Compression::Zstd(match archives {
        Archives::Solid => const { zstd(10) },
        Archives::PerPath => const { zstd(9) },
    })
}

/// The store's files, which are packed right into the initrd: nothing has to be known of them before.
pub(crate) struct DirectStore<'a> {
    request: PackRequest<'a>,
    host: Host,
    compression: Compression,
    /// What the files take; nothing before they are written.
    extent: Cell<Extent>,
}

impl<'a> DirectStore<'a> {
    pub(super) fn new(request: PackRequest<'a>, host: Host) -> Self {
        Self {
            compression: request
                .compression
                .unwrap_or_else(|| suits(request.archives)),
            request,
            host,
            extent: Cell::default(),
        }
    }

    /// All archives are one segment: they come and go together, and a store may have many thousand paths.
    pub(super) fn write(&self, initrd: &mut InitrdWriter) -> Result<(), Error> {
        let request = &self.request;
        note_no_images(request.profile, request.context);
        let folder = match self.host {
            Host::Storeboot => request.store.folder(),
            Host::Other => UNPACKED_STORE,
        };
        let options = ArchiveOptions {
            folder,
            large_files: LargeFiles::InParts(MEMBER_MAX),
            compression: self.compression,
            scratch: request.scratch,
            context: request.context,
        };
        let extent = initrd.segment(SegmentKind::Store, Some(self.compression), |out| {
            write_archives(request.store, request.archives, &options, out)
        })?;
        self.extent.set(extent);
        Ok(())
    }

    /// What is in rootfs when it is unpacked, and while stage 1 puts large files together.
    pub(super) fn unpacked(&self) -> u64 {
        let extent = self.extent.get();
        extent.pages + extent.part + extent.entries * BYTES_PER_ENTRY
    }

    /// How many files, links and directories there are.
    pub(super) fn entries(&self) -> u64 {
        self.extent.get().entries
    }

    /// What the kernel's decompressor takes: for one archive of the whole store as much as for any content.
    pub(super) fn window(&self) -> u64 {
        let content = match self.request.archives {
            Archives::Solid => u64::MAX,
            Archives::PerPath => {
                let sizes = self.request.store.packed().filter_map(|info| info.nar_size);
                sizes.max().unwrap_or_default()
            }
        };
        unpacking_memory(self.compression, content)
    }
}
