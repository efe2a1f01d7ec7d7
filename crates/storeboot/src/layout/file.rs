//! Layout `file`: the kernel unpacks the store images to files in rootfs, where stage 1 mounts them.

use storeboot_cpio::{Metadata, Writer};
use storeboot_squashfs::Compression;

use super::images::PackedImage;
use crate::Error;
use crate::initrd::{InitrdWriter, SegmentKind};

fn member(number: usize) -> String {
    format!("storeboot/images/{number}.squashfs")
}

pub(super) fn index_images(images: &[PackedImage]) -> Vec<storeboot_index::Image> {
    let index = |(number, image): (usize, &PackedImage)| image.index(member(number), None);
    images.iter().enumerate().map(index).collect()
}

pub(super) fn write(
    images: &[PackedImage],
    initrd: &mut InitrdWriter,
) -> Result<Vec<crate::manifest::Image>, Error> {
    let mut entries = Vec::with_capacity(images.len());
    for (number, image) in images.iter().enumerate() {
        let name = member(number);
        let failed = |source| Error::Archive {
            archive: name.clone(),
            source,
        };
        let start = initrd.position();
        let file = image.open()?;
        // The images are compressed inside; what compresses them again takes time and saves nothing.
        let offset = initrd.segment(SegmentKind::Store, Some(Compression::None), |out| {
            let write = || {
                let mut archive = Writer::with_offset(out, start)?;
                archive.directory("storeboot", &Metadata::directory())?;
                archive.directory("storeboot/images", &Metadata::directory())?;
                let offset = archive.aligned_file(&name, &Metadata::file(), 4, image.size, file)?;
                archive.finish()?;
                Ok(offset)
            };
            write().map_err(failed)
        })?;
        image.remove()?;
        entries.push(image.manifest(name, offset));
    }
    Ok(entries)
}
