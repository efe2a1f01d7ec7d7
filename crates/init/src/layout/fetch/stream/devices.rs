//! Block devices of images that are not there whole: network block devices that a process of stage 1 answers, below
//! devices of the device mapper, which can show other ones later.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use storeboot_index::Image;

use super::super::files::Files;
use super::server::{Export, serve};
use super::there::There;
use crate::block_device::BlockDevice;
use crate::context::Context;
use crate::mapped::{Failure, Mapped, Target};
use crate::outlive::outlive;
use crate::paths::c_path;
use crate::sys::{self, Errno, Fd, Open};
use crate::verity;

/// How long the kernel may take to start a device.
const START: Duration = Duration::from_secs(10);
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// The devices of an image.
pub(super) struct Devices {
    /// What asks the process.
    pub below: BlockDevice,
    /// What is mounted, as the device mapper knows it.
    pub above: Mapped,
}

/// Starts the process that answers, and makes the devices of all images: those to mount, and how to change them later.
pub(super) fn start(
    context: &Context,
    files: &Files,
    there: &There,
) -> Result<Vec<(BlockDevice, Devices)>, Errno> {
    let images = &context.index.images;
    let kernels = start_server(context, files, there)?;
    let mut belows = Vec::with_capacity(images.len());
    for (number, (image, kernel)) in images.iter().zip(kernels).enumerate() {
        match connect(number, image, &kernel) {
            Ok(below) => belows.push(below),
            Err(errno) => {
                belows.iter().for_each(disconnect);
                return Err(errno);
            }
        }
    }
    let mut all = Vec::with_capacity(images.len());
    for (below, image) in belows.into_iter().zip(images) {
        match put_over(context, &below, image) {
            Ok((device, above)) => {
                say(context, image, &device, &below);
                all.push((device, Devices { below, above }));
            }
            Err(errno) => {
                disconnect(&below);
                all.iter()
                    .for_each(|(_, made): &(_, Devices)| disconnect(&made.below));
                return Err(errno);
            }
        }
    }
    Ok(all)
}

/// Starts the process that answers; returns the kernel's end of each image's connection.
fn start_server(context: &Context, files: &Files, there: &There) -> Result<Vec<Fd>, Errno> {
    let images = &context.index.images;
    let mut kernels = Vec::with_capacity(images.len());
    let mut exports = Vec::with_capacity(images.len());
    for (number, (image, file)) in images.iter().zip(&files.0).enumerate() {
        let (kernel, socket) = sys::pair()?;
        kernels.push(kernel);
        exports.push(Export {
            image: number,
            size: image.size,
            file,
            socket,
        });
    }
    if sys::fork()? {
        // Each process holds no end but its own, so it sees when the other is gone.
        drop(kernels);
        outlive(c"@storeboot-store");
        serve(exports, there, context.cmdline.patience());
        sys::exit(0);
    }
    Ok(kernels)
}

/// Ends the connection to the process that answers.
pub(super) fn disconnect(below: &BlockDevice) {
    // If it stays, it does no harm.
    let _ = sys::disconnect_nbd(&below.open);
}

/// Connects the network block device of this number.
fn connect(number: usize, image: &Image, kernel: &Fd) -> Result<BlockDevice, Errno> {
    let path = format!("/dev/nbd{number}");
    let open = sys::open(&c_path(&path)?, Open::Read)?;
    sys::connect_nbd(&open, kernel, image.size)?;
    if sys::fork()? {
        outlive(c"@storeboot-nbd");
        let _ = sys::run_nbd(&open);
        sys::exit(0);
    }
    let limit = sys::boot_time() + START;
    while sys::size_in_bytes(&open)? != image.size {
        if sys::boot_time() >= limit {
            let _ = sys::disconnect_nbd(&open);
            return Err(Errno::ETIMEDOUT);
        }
        sys::sleep(LOOK);
    }
    Ok(BlockDevice { path, open })
}

/// Makes the device that is mounted.
fn put_over(
    context: &Context,
    below: &BlockDevice,
    image: &Image,
) -> Result<(BlockDevice, Mapped), Errno> {
    let target = match &image.verity {
        Some(verity) => verity::target(verity, context.cmdline.on_corruption),
        None => Target::linear(image.size),
    };
    let made = Mapped::over(below, target, context.until_unmounted);
    made.map_err(|failure| match failure {
        Failure::NoMapper(errno) | Failure::Refused(errno) => errno,
    })
}

fn say(context: &Context, image: &Image, device: &BlockDevice, below: &BlockDevice) {
    let (name, device, below) = (&image.path, &device.path, &below.path);
    let console = &context.console;
    match &image.verity {
        Some(_) => console.step(format_args!(
            "dm-verity checks {name} on {device} over {below}"
        )),
        None => console.step(format_args!("{name} is on {device} over {below}")),
    }
}
