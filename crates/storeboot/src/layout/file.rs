//! Layout `file`: the kernel unpacks the store images to files in rootfs, where stage 1 mounts them.

use storeboot_cpio::{Metadata, Writer};
use storeboot_squashfs::Compression;

use super::Host;
use crate::Error;
use crate::initrd::InitrdWriter;
use crate::manifest::SegmentKind;
use crate::pack::image_files::ImageFile;

/// Where each image is. For another stage 1, the first is where nixpkgs' netboot systems expect theirs.
fn members(count: usize, host: Host) -> Vec<String> {
    let name = |number| match (host, count) {
        (Host::Storeboot, _) => format!("storeboot/images/{number}.squashfs"),
        (Host::Other, 1) => "nix-store.squashfs".into(),
        (Host::Other, _) => format!("nix-store-{}.squashfs", number + 1),
    };
    (0..count).map(name).collect()
}

pub(super) fn index_images(images: &[ImageFile], host: Host) -> Vec<storeboot_index::Image> {
    let members = members(images.len(), host);
    let named = images.iter().zip(members);
    named.map(|(image, name)| image.index(name, None)).collect()
}

pub(super) fn write(
    images: &[ImageFile],
    host: Host,
    initrd: &mut InitrdWriter,
) -> Result<Vec<crate::manifest::Image>, Error> {
    let mut entries = Vec::with_capacity(images.len());
    for (image, name) in images.iter().zip(members(images.len(), host)) {
        let failed = |source| Error::Archive {
            archive: name.clone(),
            source,
        };
        let start = initrd.position();
        let file = image.consume()?;
        // The images are compressed inside; what compresses them again takes time and saves nothing.
        let offset = initrd.segment(SegmentKind::Store, Some(Compression::None), |out| {
            let write = || {
                let mut archive = Writer::with_offset(out, start)?;
                if host == Host::Storeboot {
                    archive.directory("storeboot", &Metadata::directory())?;
                    archive.directory("storeboot/images", &Metadata::directory())?;
                }
                let offset = archive.aligned_file(&name, &Metadata::file(), 4, image.size, file)?;
                archive.finish()?;
                Ok(offset)
            };
            write().map_err(failed)
        })?;
        image.remove()?;
        entries.push(image.manifest(name, Some(offset)));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_stage_1_finds_its_store_where_nixpkgs_puts_it() {
        assert_eq!(members(1, Host::Other), ["nix-store.squashfs"]);
        let two = ["nix-store-1.squashfs", "nix-store-2.squashfs"];
        assert_eq!(members(2, Host::Other), two);
        assert_eq!(members(1, Host::Storeboot), ["storeboot/images/0.squashfs"]);
    }
}
