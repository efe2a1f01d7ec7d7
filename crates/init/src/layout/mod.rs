//! How the store gets from the initrd to `/nix/store`, one module for each
//! [`Layout`].
//!
//! - `file`: the kernel unpacked the store images to files in rootfs.
//! - `in_place`: the store images are in the initrd, which the kernel retained.
//! - `direct`: the kernel unpacked the store itself.
//!
//! The first two end in [loop devices](crate::sys::LoopInfo) that are mounted in a new, empty root; the third makes
//! rootfs a root like any other.
//!
//! Files of archives before or behind storeboot's are in the booted system under their names, whatever the layout: for
//! the first two, they are copied from rootfs to the new root before rootfs is emptied.

pub(crate) mod direct;
pub(crate) mod fetch;
mod file;
mod in_place;

use alloc::vec::Vec;

use storeboot_index::{Image, Layout};

use crate::block_device::BlockDevice;
use crate::context::Context;
use crate::error::Error;
use fetch::Rest;
use in_place::Initrd;

/// The store images' devices, and what is to be done about them when the system starts.
pub(crate) struct Attached<'a> {
    pub images: Vec<(&'a Image, BlockDevice)>,
    pub rest: Option<Rest<'a>>,
}

/// Finds, checks and attaches every store image. In layout `direct` there is none.
pub(crate) fn attach_images(context: &Context) -> Result<Attached<'_>, Error> {
    let images = context.index.images.iter();
    let images: Result<_, Error> = match context.index.layout {
        Layout::Direct => Ok(Vec::new()),
        Layout::Fetch => return fetch::attach(context),
        Layout::File => images
            .map(|image| Ok((image, file::attach(context, image)?)))
            .collect(),
        Layout::InPlace => {
            let mut initrd = Initrd::open(context)?;
            images
                .map(|image| Ok((image, initrd.attach(context, image)?)))
                .collect()
        }
    };
    Ok(Attached {
        images: images?,
        rest: None,
    })
}
