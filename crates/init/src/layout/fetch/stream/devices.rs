//! Block devices of images that are not there whole: network block devices that a process of stage 1 answers, below
//! devices of the device mapper, which can show other ones later.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use storeboot_index::Image;

use super::super::files::Files;
use super::nbd::Nbd;
use super::server::{Export, serve};
use super::there::There;
use crate::block_device::BlockDevice;
use crate::context::Context;
use crate::mapped::{self, Mapped, Target};
use crate::outlive::outlive;
use crate::paths::c_path;
use crate::sys::{self, Errno, Fd, Open};
use crate::verity;

/// The devices of an image.
pub(super) struct Devices {
    /// The number of the device that asks the process.
    pub below: u32,
    /// What is mounted, as the device mapper knows it.
    pub above: Mapped,
}

/// Why there are no such devices.
pub(super) enum Failure {
    /// No process can be started that answers.
    Process(Errno),
    /// The kernel has no network block devices that netlink sets up.
    NoNbd(Errno),
    /// It does not make the network block device of this number.
    Nbd(u32, Errno),
    /// The device cannot be opened.
    Open(String, Errno),
    /// There is no device over it.
    Mapped(mapped::Failure),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(errno) => write!(f, "no process can be started: {errno}"),
            Self::NoNbd(errno) => {
                write!(f, "the kernel has no network block devices (nbd): {errno}")
            }
            Self::Nbd(number, errno) => write!(f, "the kernel does not make nbd{number}: {errno}"),
            Self::Open(path, errno) => write!(f, "{path} cannot be opened: {errno}"),
            Self::Mapped(mapped::Failure::NoMapper(errno)) => {
                write!(f, "the kernel has no device mapper (dm-mod): {errno}")
            }
            Self::Mapped(mapped::Failure::Refused(errno)) => {
                write!(f, "the device mapper refuses a device: {errno}")
            }
        }
    }
}

/// Starts the process that answers, and makes the devices of all images: those to mount, and how to change them later.
pub(super) fn start(
    context: &Context,
    files: &Files,
    there: &There,
) -> Result<Vec<(BlockDevice, Devices)>, Failure> {
    let images = &context.index.images;
    let kernels = start_server(context, files, there).map_err(Failure::Process)?;
    let mut nbd = Nbd::open().map_err(Failure::NoNbd)?;
    let mut all = Vec::with_capacity(images.len());
    for (number, (image, kernel)) in (0..).zip(images.iter().zip(kernels)) {
        match make(context, image, &mut nbd, number, &kernel) {
            Ok(made) => all.push(made),
            Err(failure) => {
                // If one stays, it does no harm.
                for device in 0..=number {
                    let _ = nbd.disconnect(device);
                }
                return Err(failure);
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

/// Makes the devices of an image: the network block device of this number, and one over it.
fn make(
    context: &Context,
    image: &Image,
    nbd: &mut Nbd,
    number: u32,
    kernel: &Fd,
) -> Result<(BlockDevice, Devices), Failure> {
    nbd.connect(number, kernel, image.size)
        .map_err(|errno| Failure::Nbd(number, errno))?;
    let path = format!("/dev/nbd{number}");
    let open = c_path(&path).and_then(|path| sys::open(&path, Open::Read));
    let below = match open {
        Ok(open) => BlockDevice { path, open },
        Err(errno) => return Err(Failure::Open(path, errno)),
    };
    let (device, above) = put_over(context, &below, image)?;
    say(context, image, &device, &below);
    let below = number;
    Ok((device, Devices { below, above }))
}

/// Makes the device that is mounted.
fn put_over(
    context: &Context,
    below: &BlockDevice,
    image: &Image,
) -> Result<(BlockDevice, Mapped), Failure> {
    let target = match &image.verity {
        Some(verity) => verity::target(verity, context.cmdline.on_corruption),
        None => Target::linear(image.size),
    };
    Mapped::over(below, target, context.until_unmounted).map_err(Failure::Mapped)
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
