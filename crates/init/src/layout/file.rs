//! Layout `file`: each store image is a file in rootfs.

use storeboot_index::Image;

use crate::block_device::BlockDevice;
use crate::context::Context;
use crate::error::Error;
use crate::image;
use crate::paths::{c_path, rooted};
use crate::sys::{self, Errno, Open};

/// Attaches one image after checking that all of it is there.
pub(crate) fn attach(context: &Context, image: &Image) -> Result<BlockDevice, Error> {
    let name = rooted(&image.path);
    let unreadable = |errno| Error::Read {
        path: name.clone(),
        errno,
    };
    let file = match c_path(&name).and_then(|path| sys::open(&path, Open::Read)) {
        Err(Errno::ENOENT) => {
            return Err(Error::ImageMissing {
                name,
                room: context.rootfs_room(),
            });
        }
        opened => opened.map_err(unreadable)?,
    };
    let offset = image.offset.unwrap_or(0);
    let expected = offset.saturating_add(image.size);
    let stat = file.stat().map_err(unreadable)?;
    if stat.size < expected || image.offset.is_none() && stat.size != expected {
        return Err(Error::ImageSize {
            name,
            found: stat.size,
            expected,
        });
    }
    // The kernel gives a file its full size first and then fills it, so missing data leaves a hole.
    if stat.allocated < expected {
        return Err(Error::ImageCutOff {
            name,
            found: stat.allocated,
            expected,
            room: context.rootfs_room(),
        });
    }
    if let Some(difference) =
        image::check_superblock(&file, offset, &image.superblock).map_err(unreadable)?
    {
        return Err(Error::ImageDiffers { name, difference });
    }
    context.verify(&file, offset, image, &name)?;
    context.attach(&file, offset, image)
}
