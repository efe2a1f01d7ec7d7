//! Layout `fetch`: the store images are on a server, and the initrd has the SHA-256 of each of their chunks.
//!
//! [`fetch`] sets up the network, unless another stage 1 did, and downloads the images to files in memory ([`files`]).
//! Each is then a file whose every chunk is right, and is attached as in layout `file`. The booted system finds the
//! network as after a boot from disk, unless `storeboot.keep-network` asks for something else.

mod available;
mod error;
mod files;
mod machine;
mod progress;

use alloc::string::String;
use alloc::vec::Vec;

use storeboot_fetch::{Limits, Plan, Url, download};
use storeboot_index::{CHUNK_SIZE, CHUNKS_HEADER, CHUNKS_PATH, Chunks, Class, Image, MAX_CHUNKS};

pub(crate) use error::Error;

use crate::console::Console;
use crate::context::Context;
use crate::drivers::{self, DeviceDrivers};
use crate::error::Error as Failure;
use crate::image;
use crate::loop_device::LoopDevice;
use crate::mib::MiB;
use crate::network::{Modules, Network, Resolver};
use crate::paths::{read_file, rooted};
use crate::sys;
use files::Files;
use machine::Machine;
use progress::Rate;

const _: () = assert!(CHUNK_SIZE == storeboot_fetch::CHUNK_SIZE);

/// The longest list of chunks.
const MAX_LIST: usize = CHUNKS_HEADER.len() + 1 + MAX_CHUNKS * 32;

/// Fetches every image and attaches it.
pub(super) fn attach(context: &Context) -> Result<Vec<(&Image, LoopDevice)>, Failure> {
    let images = &context.index.images;
    let places = places(&context.cmdline.store)?;
    let chunks = read_chunks(images)?;
    let console = &context.console;
    let files = if sys::process_id() == 1 {
        let drivers = drivers::read()?;
        let mut drivers = DeviceDrivers::new(&drivers);
        drivers.load_for_devices(Class::Network, console);
        let mut modules = NetworkModules {
            drivers: &mut drivers,
            console,
        };
        let mut network =
            Network::start(&context.cmdline, console, &mut modules).map_err(Failure::Network)?;
        drivers.forget(console);
        let files = fetch(context, &places, &chunks, &mut network.resolver)?;
        if !context.cmdline.keep_network {
            network.leave(console);
        }
        files
    } else {
        fetch(
            context,
            &places,
            &chunks,
            &mut Resolver::of_another_stage1(),
        )?
    };
    let attach = |(image, file)| Ok((image, attach_one(context, image, file)?));
    images.iter().zip(&files.0).map(attach).collect()
}

/// The URLs of `storeboot.store`.
fn places(words: &[String]) -> Result<Vec<Url>, Error> {
    if words.is_empty() {
        return Err(Error::NoPlace);
    }
    let parse = |word: &String| word.parse().map_err(Error::BadPlace);
    words.iter().map(parse).collect()
}

fn read_chunks(images: &[Image]) -> Result<Chunks, Failure> {
    let path = rooted(CHUNKS_PATH);
    let bytes = read_file(&path, MAX_LIST).map_err(|errno| Failure::Read { path, errno })?;
    Ok(Chunks::parse(&bytes, images).map_err(Error::BadChunks)?)
}

/// Downloads all images.
fn fetch(
    context: &Context,
    places: &[Url],
    chunks: &Chunks,
    resolver: &mut Resolver,
) -> Result<Files, Error> {
    let (images, console) = (&context.index.images, &context.console);
    let total = images
        .iter()
        .fold(0, |sum: u64, image| sum.saturating_add(image.size));
    available::check(total, console)?;
    let mut files = Files::in_memory(images).map_err(Error::Memory)?;
    console.info(&format_args!(
        "fetching the store, {} in {}",
        MiB(total),
        Counted(images.len(), "image")
    ));
    let plan = Plan {
        images: images
            .iter()
            .zip(chunks.images())
            .map(|(image, chunks)| storeboot_fetch::Image {
                path: &image.path,
                size: image.size,
                chunks,
                present: Vec::new(),
            })
            .collect(),
        places: places.to_vec(),
        limits: Limits {
            patience: context.cmdline.patience(),
            ..Limits::default()
        },
    };
    let mut machine = Machine { console, resolver };
    let summary = download(&plan, &mut machine, &mut files)?;
    let millis = u64::try_from(summary.time.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    console.info(&format_args!(
        "the store is there: {} in {}.{} s, {}, {}",
        MiB(summary.bytes),
        millis / 1000,
        millis % 1000 / 100,
        Rate(summary.bytes.saturating_mul(1000) / millis),
        Counted(
            usize::try_from(summary.requests).unwrap_or(usize::MAX),
            "request"
        ),
    ));
    Ok(files)
}

/// Attaches an image that is there whole.
fn attach_one(context: &Context, image: &Image, file: &sys::Fd) -> Result<LoopDevice, Failure> {
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
    context.attach(file, 0, image.size, name)
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

/// A number of things.
struct Counted(usize, &'static str);

impl core::fmt::Display for Counted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_urls() {
        let places = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| String::from(*word)).collect();
            places(&words)
        };
        assert!(matches!(places(&[]), Err(Error::NoPlace)));
        assert!(matches!(
            places(&["http://a/b", "https://c"]),
            Err(Error::BadPlace(_))
        ));
        assert_eq!(places(&["http://a/b", "http://[::1]:81"]).unwrap().len(), 2);
    }
}
