//! The initrd: the user's archives, stage 1, the index and the store, one behind the other.

use std::path::{Path, PathBuf};

use storeboot_index::Index;
use storeboot_squashfs::Compression;

use super::entry;
use super::memory::Demand;
use crate::initrd::other_initrd::OtherInitrd;
use crate::initrd::{InitrdWriter, PAGE, stage1_segment};
use crate::kernel::KernelImage;
use crate::layout::PreparedStore;
use crate::manifest::{self, FileEntry, FileKind, SegmentKind};
use crate::modules::Module;
use crate::{Cancel, Error, Layout, output};

/// What an initrd is put together from.
pub(super) struct Parts<'a> {
    pub(super) prepend: &'a [PathBuf],
    /// Another initrd whose stage 1 it is.
    pub(super) other_initrd: Option<&'a OtherInitrd>,
    pub(super) stage1: &'a [u8],
    pub(super) modules: &'a [Module],
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
    pub(super) fn write(&self, path: &Path, cancel: &Cancel) -> Result<Initrd, Error> {
        let mut initrd = InitrdWriter::create(path, cancel)?;
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
        // Stage 1 finds out from the index whether the images are whole, and so it comes before them. Without images
        // nothing but the index itself shows that all before it was unpacked, and so it comes last.
        let index_is_last = self.layout == Layout::Direct;
        let before = initrd.position();
        let mut images = Vec::new();
        if index_is_last {
            images = self.packed.write(&mut initrd)?;
        }
        let (index, memory) = self.index(before, initrd.position())?;
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

    /// The archive of the index, and the memory that a boot needs. The archive begins at `start`; `before` bytes
    /// come before it and the store.
    ///
    /// The index tells where the images lie, and they lie behind it. So it is written again until its length is the one
    /// that the offsets were computed with.
    fn index(&self, before: u64, start: u64) -> Result<(Vec<u8>, Memory), Error> {
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
        let mut store_start = start;
        loop {
            index.images = self.packed.index_images(store_start);
            let other_initrd = self
                .other_initrd
                .map_or(0, |other_initrd| other_initrd.content_size);
            let demand = Demand {
                initrd: store_start + self.packed.size(),
                // The segments before the store are unpacked by the kernel, and not compressed.
                unpacked: before + other_initrd + self.packed.unpacked(),
                window: self.packed.window(),
            };
            let memory = Memory {
                bios: demand.memory(self.kernel),
                uefi: demand.memory_uefi(self.kernel),
            };
            // Stage 1 looks at what the kernel has left for it; what the firmware took before is no matter by then.
            index.memory = memory.bios;
            index.check()?;
            let archive = stage1_segment::index(&index).map_err(|source| Error::Archive {
                archive: "the index".into(),
                source,
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
