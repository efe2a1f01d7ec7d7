//! Layout `fetch`: the store images are on a server, and the initrd has the SHA-256 of each of their chunks.
//!
//! [`attach`] sets up the network, unless another stage 1 did, and downloads the images to files in memory ([`files`]).
//! Each is then a file whose every chunk is right, and is attached as in layout `file`. The booted system finds the
//! network as after a boot from disk, unless `storeboot.keep-network` asks for something else.
//!
//! If the index tells what is hot, the system starts before all is there ([`stream`]).

mod available;
mod download;
mod error;
mod files;
pub(crate) mod keep;
mod machine;
mod progress;
mod stream;

use alloc::vec::Vec;

use storeboot_index::{
    CHUNK_SIZE, CHUNKS_HEADER, CHUNKS_PATH, Chunks, Class, Drivers, Image, MAX_CHUNKS,
};

use crate::block_device::BlockDevice;
use crate::console::Console;
use crate::context::Context;
use crate::drivers::{self, DeviceDrivers};
use crate::error::Error as Failure;
use crate::image;
use crate::layout::Attached;
use crate::network::{Modules, Network, Resolver};
use crate::paths::{read_file, rooted};
use crate::sys;
use download::Download;
pub(crate) use error::Error;
use files::Files;
use keep::Kept;
pub(crate) use stream::Rest;

const _: () = assert!(CHUNK_SIZE == storeboot_fetch::CHUNK_SIZE);

/// The longest list of chunks.
const MAX_LIST: usize = CHUNKS_HEADER.len() + 1 + MAX_CHUNKS * 32;

/// Fetches every image and attaches it; or as much as the boot needs first, and tells what is left to do.
pub(super) fn attach(context: &Context) -> Result<Attached<'_>, Failure> {
    let images = &context.index.images;
    let chunks = read_chunks(images)?;
    let files = if sys::process_id() != 1 {
        // Another stage 1 has loaded the drivers, and has set up the network.
        let none = Drivers::default();
        let kept = keep(context, &chunks, &mut DeviceDrivers::new(&none));
        let mut resolver = Resolver::of_another_stage1(&context.cmdline.network);
        Download::new(context, &chunks)?.run(kept, &mut resolver)?
    } else if stream::is_wanted(context) {
        return stream::attach(context, chunks);
    } else {
        get(context, &chunks)?
    };
    attach_whole(context, &files)
}

/// Gets the images, with drivers and a network of stage 1's own.
fn get(context: &Context, chunks: &Chunks) -> Result<Files, Failure> {
    let console = &context.console;
    let drivers = drivers::read()?;
    let mut drivers = DeviceDrivers::new(&drivers);
    // First, so that cards get ready while the disk is looked at.
    drivers.load_for_devices(Class::Network, console);
    let mut kept = keep(context, chunks, &mut drivers);
    if !context.cmdline.keep_network
        && let Some(whole) = kept.as_mut().filter(|kept| kept.is_whole())
    {
        match whole.finish(console) {
            Ok(files) => {
                // Firmware would get into the booted system as a file of another archive.
                drivers.forget(console);
                console.info(&"the whole store is on the disk: the network is not needed");
                return Ok(files);
            }
            Err(trouble) => console.warning(&trouble),
        }
    }
    let download = Download::new(context, chunks)?;
    let mut network = start_network(context, drivers)?;
    let files = download.run(kept, &mut network.resolver)?;
    leave(network, context);
    Ok(files)
}

/// Sets up the network, for which the drivers are there.
fn start_network(context: &Context, mut drivers: DeviceDrivers<'_>) -> Result<Network, Failure> {
    let console = &context.console;
    let mut modules = NetworkModules {
        drivers: &mut drivers,
        console,
    };
    let network =
        Network::start(&context.cmdline, console, &mut modules).map_err(Failure::Network)?;
    drivers.forget(console);
    Ok(network)
}

/// Takes the network back, unless the command line wants it to stay.
fn leave(network: Network, context: &Context) {
    if !context.cmdline.keep_network {
        network.leave(&context.console);
    }
}

/// Attaches images that are there whole.
fn attach_whole<'a>(context: &'a Context, files: &Files) -> Result<Attached<'a>, Failure> {
    let attach = |(image, file)| Ok((image, attach_one(context, image, file)?));
    let images = context.index.images.iter().zip(&files.0);
    let images: Result<_, Failure> = images.map(attach).collect();
    Ok(Attached {
        images: images?,
        rest: None,
    })
}

/// The disk that keeps the images, if the command line names one and it can be used.
fn keep<'a>(
    context: &'a Context,
    chunks: &Chunks,
    drivers: &mut DeviceDrivers<'_>,
) -> Option<Kept<'a>> {
    let word = context.cmdline.keep.as_deref()?;
    let console = &context.console;
    Kept::open(word, &context.index.images, chunks, drivers, console)
        .inspect_err(|trouble| console.warning(trouble))
        .ok()
}

fn read_chunks(images: &[Image]) -> Result<Chunks, Failure> {
    let path = rooted(CHUNKS_PATH);
    let bytes = read_file(&path, MAX_LIST).map_err(|errno| Failure::Read { path, errno })?;
    Ok(Chunks::parse(&bytes, images).map_err(Error::BadChunks)?)
}

/// The bytes of all images.
fn total(images: &[Image]) -> u64 {
    let sizes = images.iter().map(|image| image.size);
    sizes.fold(0, u64::saturating_add)
}

/// The bytes of the chunks that are set.
fn bytes(images: &[Image], set: &[Vec<bool>]) -> u64 {
    let of_image = |(image, set): (&Image, &Vec<bool>)| {
        let offsets = (0..).map(|number: u64| number.saturating_mul(CHUNK_SIZE));
        let set = offsets.zip(set).filter(|(_, set)| **set);
        let size = |(offset, _)| image.size.saturating_sub(offset).min(CHUNK_SIZE);
        set.map(size).sum::<u64>()
    };
    images.iter().zip(set).map(of_image).sum()
}

/// Attaches an image that is there whole.
fn attach_one(context: &Context, image: &Image, file: &sys::Fd) -> Result<BlockDevice, Failure> {
    let name = &image.path;
    let unreadable = |errno| Failure::Read {
        path: name.clone(),
        errno,
    };
    let difference = image::check_superblock(file, 0, &image.superblock).map_err(unreadable)?;
    if let Some(difference) = difference {
        return Err(Failure::ImageDiffers {
            name: name.clone(),
            difference,
        });
    }
    context.verify(file, 0, image, name)?;
    context.attach(file, 0, image)
}

/// The modules of the network, from the initrd.
struct NetworkModules<'a, 'b> {
    drivers: &'a mut DeviceDrivers<'b>,
    console: &'a Console,
}

impl Modules for NetworkModules<'_, '_> {
    fn load_protocol(&mut self, name: &str) {
        self.drivers.load_by_name(name, self.console);
    }

    fn load_drivers(&mut self) {
        self.drivers.load_for_devices(Class::Network, self.console);
    }
}
