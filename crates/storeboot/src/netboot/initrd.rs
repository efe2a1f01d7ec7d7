//! The initrd: the user's archives, stage 1, the index and the store, one behind the other.

use std::path::{Path, PathBuf};

use storeboot_index::Index;
use storeboot_squashfs::{Compression, ZstdLevel};

use super::entry;
use super::memory::Demand;
use crate::compress::{SegmentOptions, SegmentWriter};
use crate::initrd::other_initrd::OtherInitrd;
use crate::initrd::{InitrdWriter, PAGE, drivers_segment, stage1_segment};
use crate::kernel::KernelImage;
use crate::layout::PreparedStore;
use crate::manifest::{self, FileEntry, FileKind, SegmentKind};
use crate::modules::{DriverSet, Module};
use crate::{Context, Error, Layout, output};

/// Drivers pack well, and there are many more than a machine has devices.
const DRIVERS_COMPRESSION: Compression =
    Compression::Zstd(const { ZstdLevel::new(19).expect("1 to 22") });

/// As a power of two, what of them the kernel remembers while it unpacks. A longer window saves next to nothing.
const DRIVERS_WINDOW_LOG: u8 = 23;

/// What an initrd is put together from.
pub(super) struct Parts<'a> {
    pub(super) prepend: &'a [PathBuf],
    /// Another initrd whose stage 1 it is.
    pub(super) other_initrd: Option<&'a OtherInitrd>,
    pub(super) stage1: &'a [u8],
    pub(super) modules: &'a [Module],
    /// Device drivers for stage 1 to choose from; may be empty.
    pub(super) drivers: &'a DriverSet,
    pub(super) layout: Layout,
    pub(super) packed: &'a PreparedStore<'a>,
    pub(super) kernel: &'a KernelImage,
}

pub(super) struct Initrd {
    pub(super) file: FileEntry,
    pub(super) segments: Vec<manifest::Segment>,
    pub(super) images: Vec<manifest::Image>,
    pub(super) memory: Memory,
}

/// The memory that a machine needs to boot it.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) bios: u64,
    pub(super) uefi: u64,
}

impl Parts<'_> {
    pub(super) fn write(&self, path: &Path, context: &Context<'_>) -> Result<Initrd, Error> {
        let mut initrd = InitrdWriter::create(path, context.token())?;
        for file in self.prepend {
            initrd.segment(SegmentKind::Prepended, None, |out| {
                output::copy(file, out, path)
            })?;
        }
        if let Some(other_initrd) = self.other_initrd {
            initrd.segment(SegmentKind::Stage1, None, |out| {
                output::copy(&other_initrd.path, out, path)
            })?;
        }
        let (kind, archive) = match self.other_initrd {
            None => (
                SegmentKind::Stage1,
                stage1_segment::archive(self.stage1, self.modules),
            ),
            Some(_) => (SegmentKind::Attach, stage1_segment::attach(self.stage1)),
        };
        let archive = archive.map_err(|source| Error::Archive {
            archive: "stage 1".into(),
            source,
        })?;
        let uncompressed = Some(Compression::None);
        let put = |initrd: &mut InitrdWriter, kind, bytes: &[u8]| {
            initrd.segment(kind, uncompressed, |out| {
                out.write_all(bytes).map_err(Error::write(path))
            })
        };
        put(&mut initrd, kind, &archive)?;
        let plain = initrd.position();
        let drivers = self.write_drivers(&mut initrd, path, context)?;
        // Stage 1 finds out from the index whether the images are whole, and so it comes before them. Without images
        // in the initrd nothing but the index itself shows that all before it was unpacked, and so it comes last.
        let index_is_last = matches!(self.layout, Layout::Direct | Layout::Fetch);
        let mut images = Vec::new();
        if index_is_last {
            images = self.packed.write(&mut initrd)?;
        }
        let (index, memory) = self.index(plain + drivers, drivers, initrd.position())?;
        put(&mut initrd, SegmentKind::Index, &index)?;
        if !index_is_last {
            images = self.packed.write(&mut initrd)?;
        }
        let (segments, size, sha256) = initrd.finish()?;
        Ok(Initrd {
            file: entry("initrd", FileKind::Initrd, size, &sha256),
            segments,
            images,
            memory,
        })
    }

    /// Writes the segment of the device drivers, if there are any; returns the bytes that the kernel unpacks of it.
    fn write_drivers(
        &self,
        initrd: &mut InitrdWriter,
        path: &Path,
        context: &Context<'_>,
    ) -> Result<u64, Error> {
        if self.drivers.modules.is_empty() {
            return Ok(0);
        }
        let size = drivers_segment::content_size(self.drivers)?;
        let options = SegmentOptions::new(DRIVERS_COMPRESSION)
            .threads(context.threads())
            .content(size)
            .long_window(DRIVERS_WINDOW_LOG);
        initrd.segment(SegmentKind::Drivers, Some(DRIVERS_COMPRESSION), |out| {
            let out = SegmentWriter::new(context.token().watch(out), options);
            let mut out = out.map_err(Error::write(path))?;
            drivers_segment::write(self.drivers, &mut out)?;
            out.finish().map(drop).map_err(Error::write(path))
        })?;
        Ok(size)
    }

    /// The archive of the index, and the memory that a boot needs. The archive begins at `start`; `before` bytes are
    /// unpacked of what comes before it and the store, `drivers` of them from a compressed segment.
    ///
    /// The index tells where the images lie, and they lie behind it. So it is written again until its length is the one
    /// that the offsets were computed with.
    fn index(&self, before: u64, drivers: u64, start: u64) -> Result<(Vec<u8>, Memory), Error> {
        let module_paths = self
            .modules
            .iter()
            .enumerate()
            .map(|(number, module)| stage1_segment::module_path(number, module))
            .collect();
        let mut index = Index {
            layout: self.layout.in_index(),
            memory: 0,
            modules: module_paths,
            images: Vec::new(),
        };
        let other_initrd = self.other_initrd.map_or(0, |initrd| initrd.content_size);
        let window = match drivers {
            0 => 0,
            _ => 1 << DRIVERS_WINDOW_LOG,
        };
        let chunks = self.packed.chunks();
        let mut store_start = start;
        loop {
            index.images = self.packed.index_images(store_start);
            let demand = Demand {
                initrd: store_start + self.packed.size(),
                unpacked: before + other_initrd + self.packed.unpacked(),
                entries: self.packed.entries(),
                window: window.max(self.packed.window()),
                fetched: self.packed.fetched(),
                // Another stage 1 keeps its files until it leaves.
                kept: other_initrd,
            };
            let memory = Memory {
                bios: demand.memory(self.kernel),
                uefi: demand.memory_uefi(self.kernel),
            };
            // Stage 1 looks at what the kernel has left for it; what the firmware took before is no matter by then.
            index.memory = memory.bios;
            index.check()?;
            if let Some(chunks) = &chunks {
                chunks.check(&index.images)?;
            }
            let archive = stage1_segment::index(&index, chunks.as_ref()).map_err(|source| {
                Error::Archive {
                    archive: "the index".into(),
                    source,
                }
            })?;
            let end = (start + archive.len() as u64).next_multiple_of(PAGE);
            // The loop ends, since the index only grows with the numbers in it.
            if end == store_start {
                return Ok((archive, memory));
            }
            store_start = end;
        }
    }
}
