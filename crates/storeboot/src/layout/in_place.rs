//! Layout `in-place`: the store images lie in members that the kernel skips, and are mounted where they are.
//!
//! The kernel skips a file whose directory does not exist: it cannot open it, and goes on behind its data
//! (`do_name` and `do_skip` in `init/initramfs.c`). With `retain_initrd` the memory of the initrd is kept, and
//! Linux 6.8 and newer show it as `/sys/firmware/initrd`.

use storeboot_cpio::{Metadata, Writer};
use storeboot_squashfs::Compression;

use crate::Error;
use crate::initrd::{InitrdWriter, PAGE};
use crate::kernel::KernelVersion;
use crate::manifest::SegmentKind;
use crate::pack::image_files::ImageFile;

/// The first kernel that has `/sys/firmware/initrd`.
pub(super) const OLDEST_KERNEL: &str = "6.8";

pub(super) fn works_on(kernel: &KernelVersion) -> bool {
    kernel.at_least(6, 8)
}

fn member(number: usize) -> String {
    format!("no-such-directory/{number}.squashfs")
}

/// Where each image's bytes will be: one page behind the beginning of its segment, which begins on a page.
fn offsets(images: &[ImageFile], start: u64) -> Vec<u64> {
    let mut begin = start;
    let mut offsets = Vec::with_capacity(images.len());
    for image in images {
        let offset = begin + PAGE;
        offsets.push(offset);
        // The trailer that ends the archive is shorter than a page.
        begin = (offset + image.size).next_multiple_of(PAGE) + PAGE;
    }
    offsets
}

pub(super) fn index_images(images: &[ImageFile], start: u64) -> Vec<storeboot_index::Image> {
    let index = |(number, (image, offset)): (usize, (&ImageFile, u64))| {
        image.index(member(number), Some(offset))
    };
    let offsets = offsets(images, start);
    images.iter().zip(offsets).enumerate().map(index).collect()
}

pub(super) fn write(
    images: &[ImageFile],
    initrd: &mut InitrdWriter,
) -> Result<Vec<crate::manifest::Image>, Error> {
    initrd.align(PAGE)?;
    let expected = offsets(images, initrd.position());
    let mut entries = Vec::with_capacity(images.len());
    for (number, (image, expected)) in images.iter().zip(expected).enumerate() {
        initrd.align(PAGE)?;
        let name = member(number);
        let failed = |source| Error::Archive {
            archive: name.clone(),
            source,
        };
        let start = initrd.position();
        let file = image.consume()?;
        let offset = initrd.segment(SegmentKind::Store, Some(Compression::None), |out| {
            let write = || {
                let mut archive = Writer::with_offset(out, start)?;
                let offset =
                    archive.aligned_file(&name, &Metadata::file(), PAGE, image.size, file)?;
                archive.finish()?;
                Ok(offset)
            };
            write().map_err(failed)
        })?;
        if offset != expected {
            return Err(Error::Inconsistent(format!(
                "image {number} is at {offset}, not at {expected}"
            )));
        }
        image.remove()?;
        entries.push(image.manifest(name, Some(offset)));
    }
    Ok(entries)
}
