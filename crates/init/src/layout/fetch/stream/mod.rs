//! Starts stage 2 when what a boot reads first is there, and fetches the rest while it runs.
//!
//! Stage 1 waits for the chunks that a boot needs ([`first`]). What is mounted then is a device of the device mapper over
//! a network block device, whose reads a process answers ([`devices`], [`server`]): at once from what is there, and
//! later what is not. Another process fetches the rest: at first only the chunks that a read waits for, so that the boots
//! of a whole fleet do not wait for what none of them needs; after a while all, those that a read waits for before the
//! others. When all is there, the device of the device mapper shows a loop device instead, and both processes end. Only
//! that device is left, over the loop device.

mod devices;
mod first;
mod nbd;
mod request;
mod server;
mod there;

use alloc::vec::Vec;
use core::time::Duration;

use storeboot_fetch::{Next, Sink};
use storeboot_index::{CHUNK_SIZE, Chunks, Class, Image};

use super::download::{Download, Part};
use super::files::Files;
use super::{Error, attach_whole, available, bytes, leave, start_network, total};
use crate::context::Context;
use crate::drivers::{self, DeviceDrivers};
use crate::error::Error as Failure;
use crate::layout::Attached;
use crate::loop_device;
use crate::mib::MiB;
use crate::network::Resolver;
use crate::outlive::outlive;
use crate::sys::{self, Errno, Fd};
use devices::Devices;
use nbd::Nbd;
use there::{Place, There};

/// The wait before a download that failed begins anew, and before a chunk is asked for again that came wrong and that a
/// read waits for.
const WAIT: Duration = Duration::from_secs(10);
/// How many chunks that come wrong are set aside, so that the others come, before such a wait.
const ASIDE: usize = 8;
/// How often the switch to a loop device may be interrupted, and the wait before it is tried again.
const SWITCHES: usize = 10;
const SWITCH_WAIT: Duration = Duration::from_millis(100);

/// Whether the initrd was built for this, and nothing on the command line is against it.
pub(super) fn is_wanted(context: &Context) -> bool {
    let images = &context.index.images;
    let is_built = images.iter().any(|image| image.hot.is_some());
    if !is_built || context.cmdline.all_first {
        return false;
    }
    let against = [
        (context.cmdline.verify, "storeboot.verify"),
        (context.cmdline.keep.is_some(), "storeboot.keep"),
    ];
    let against = against.into_iter().find(|(is_set, _)| *is_set);
    if let Some((_, word)) = against {
        context.console.info(&format_args!(
            "{word} needs the whole store before the system starts"
        ));
    }
    against.is_none()
}

/// Gets what the boot reads first. The network stays as it is, for the rest.
pub(super) fn attach(context: &Context, chunks: Chunks) -> Result<Attached<'_>, Failure> {
    let images = &context.index.images;
    let console = &context.console;
    // What is wrong on the command line is found before the network is set up.
    Download::new(context, &chunks)?;
    let drivers = drivers::read()?;
    let mut drivers = DeviceDrivers::new(&drivers);
    drivers.load_for_devices(Class::Network, console);
    let mut network = start_network(context, drivers)?;
    available::check(total(images), console)?;
    let stream = Stream::begin(context, chunks, &mut network.resolver)?;
    let is_whole = stream.is_whole();
    let made = match is_whole {
        true => None,
        false => devices::start(context, &stream.files, &stream.there)
            .inspect_err(|failure| {
                console.warning(&format_args!(
                    "the whole store is fetched before the system starts: {failure}"
                ));
            })
            .ok(),
    };
    let Some(made) = made else {
        let files = match is_whole {
            true => stream.files,
            false => stream.finish(&mut network.resolver)?,
        };
        leave(network, context);
        return attach_whole(context, &files);
    };
    let (shown, devices): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    Ok(Attached {
        images: images.iter().zip(shown).collect(),
        rest: Some(Rest {
            stream,
            resolver: network.resolver,
            devices,
        }),
    })
}

/// The images in memory, and which of their chunks are there.
struct Stream<'a> {
    context: &'a Context,
    chunks: Chunks,
    files: Files,
    there: There,
}

impl<'a> Stream<'a> {
    /// Fetches what has to be there first.
    fn begin(context: &'a Context, chunks: Chunks, resolver: &mut Resolver) -> Result<Self, Error> {
        let images = &context.index.images;
        let mut stream = Self {
            files: Files::in_memory(images).map_err(Error::Memory)?,
            there: There::new(&chunks).map_err(Error::Memory)?,
            context,
            chunks,
        };
        let later_of = |image, count| {
            first::first(image, count)
                .iter()
                .map(|first| !first)
                .collect()
        };
        let all = images.iter().zip(stream.chunks.images());
        let later: Vec<Vec<bool>> = all
            .map(|(image, chunks)| later_of(image, chunks.len()))
            .collect();
        let all = total(images);
        context.console.info(&format_args!(
            "fetching {} of the store's {}, which the boot reads first",
            MiB(all.saturating_sub(bytes(images, &later))),
            MiB(all)
        ));
        stream.fetch(&later, &[], None, resolver)?;
        Ok(stream)
    }

    /// Whether nothing is left to be fetched.
    fn is_whole(&self) -> bool {
        let there = self.there.all();
        there.is_ok_and(|there| there.iter().flatten().all(|there| *there))
    }

    /// Fetches the rest before the system starts.
    fn finish(mut self, resolver: &mut Resolver) -> Result<Files, Error> {
        self.fetch(&[], &[], None, resolver)?;
        Ok(self.files)
    }

    /// Fetches what is missing, but for what is left for later. With a time, the system runs, and until then only what it
    /// waits for is fetched. If it waits for one of the chunks that are set aside, this ends early.
    fn fetch(
        &mut self,
        later: &[Vec<bool>],
        aside: &[Place],
        rest_at: Option<Duration>,
        resolver: &mut Resolver,
    ) -> Result<(), Error> {
        let there = self.there.all().map_err(Error::Memory)?;
        let retry_at = sys::boot_time().saturating_add(WAIT);
        let next = || {
            let wanted = self.there.wanted();
            let waits_in_vain = wanted.is_some_and(|place| aside.contains(&place));
            Next {
                wanted,
                only: rest_at.is_some_and(|time| sys::boot_time() < time),
                stop: waits_in_vain && sys::boot_time() >= retry_at,
            }
        };
        let part = Part {
            there: &there,
            later,
            next: &next,
            runs: rest_at.is_some(),
        };
        let mut sink = Noting {
            files: &mut self.files,
            there: &self.there,
        };
        Download::new(self.context, &self.chunks)?.fetch(&part, &mut sink, resolver)
    }
}

/// What is still to be done when the system starts.
pub(crate) struct Rest<'a> {
    stream: Stream<'a>,
    resolver: Resolver,
    devices: Vec<Devices>,
}

impl Rest<'_> {
    /// Fetches the rest in a process of its own.
    pub(crate) fn start(mut self) -> Result<(), Failure> {
        let console = &self.stream.context.console;
        match sys::fork() {
            Ok(true) => {
                outlive(c"@storeboot-fetch");
                self.run();
                sys::exit(0);
            }
            Ok(false) => console.step(format_args!("the rest of the store is being fetched")),
            Err(errno) => {
                console.warning(&format_args!(
                    "the rest of the store is fetched before the system starts: no process can be started: {errno}"
                ));
                self.stream.fetch(&[], &[], None, &mut self.resolver)?;
                self.let_go();
            }
        }
        Ok(())
    }

    /// Fetches until all is there, beside the system, and lets go of what this took.
    fn run(&mut self) {
        let console = &self.stream.context.console;
        let rest_at = sys::boot_time().saturating_add(self.stream.context.cmdline.rest_after());
        let mut aside = Vec::new();
        loop {
            let error = match self.fetch(rest_at, &aside) {
                Ok(()) if aside.is_empty() => break,
                Ok(()) => None,
                Err(Error::Download(storeboot_fetch::Error::Stopped)) => {
                    aside.clear();
                    continue;
                }
                Err(error) => Some(error),
            };
            if let Some(error) = &error {
                console.log(&format_args!(
                    "the rest of the store cannot be fetched now: {error}; what reads it waits"
                ));
                if let Some(place) = self.wrong_chunk(error).filter(|_| aside.len() < ASIDE) {
                    aside.push(place);
                    continue;
                }
            }
            aside.clear();
            sys::sleep(WAIT);
        }
        self.let_go();
    }

    /// Fetches what is missing, but for the chunks that are set aside.
    fn fetch(&mut self, rest_at: Duration, aside: &[Place]) -> Result<(), Error> {
        let images = self.stream.chunks.images().iter().enumerate();
        let is_aside = |image, number: usize| aside.contains(&(image, number as u64 * CHUNK_SIZE));
        let later: Vec<Vec<bool>> = images
            .map(|(image, chunks)| {
                (0..chunks.len())
                    .map(|number| is_aside(image, number))
                    .collect()
            })
            .collect();
        let resolver = &mut self.resolver;
        self.stream.fetch(&later, aside, Some(rest_at), resolver)
    }

    /// The chunk that no place sends right, if that is the error.
    fn wrong_chunk(&self, error: &Error) -> Option<Place> {
        let Error::Download(storeboot_fetch::Error::Wrong { path, offset, .. }) = error else {
            return None;
        };
        let mut images = self.stream.context.index.images.iter();
        let image = images.position(|image| image.path == *path)?;
        Some((image, *offset))
    }

    /// Has the images read from loop devices.
    fn let_go(&self) {
        let context = self.stream.context;
        let images = context.index.images.iter().zip(&self.stream.files.0);
        let mut nbd = Nbd::open().ok();
        let mut is_over = true;
        for ((image, file), devices) in images.zip(&self.devices) {
            if let Err(error) = move_to_loop(context, image, file, devices) {
                is_over = false;
                context.console.log(&format_args!(
                    "{} is there, and is still read by a network block device: {error}",
                    image.path
                ));
            } else if let Some(nbd) = &mut nbd {
                // If it stays, it does no harm.
                let _ = nbd.disconnect(devices.below);
            }
        }
        if is_over {
            context.console.info(&"the whole store is there");
        }
    }
}

/// Has one image read from a loop device.
fn move_to_loop(
    context: &Context,
    image: &Image,
    file: &Fd,
    devices: &Devices,
) -> Result<(), Failure> {
    let until = context.until_unmounted;
    let below = loop_device::attach(file, 0, image.size, &image.path, until)?;
    let mut moved = devices.above.move_to(&below);
    for _ in 0..SWITCHES {
        // The kernel waits for reads that are under way. If this process is stopped then, it gives up.
        if !matches!(moved, Err(Errno::EINTR | Errno::EINVAL)) {
            break;
        }
        sys::sleep(SWITCH_WAIT);
        moved = devices.above.move_to(&below);
    }
    moved.map_err(|errno| Failure::Attach {
        name: image.path.clone(),
        errno,
    })
}

/// Keeps chunks, and notes that they are there.
struct Noting<'a> {
    files: &'a mut Files,
    there: &'a There,
}

impl Sink for Noting<'_> {
    type Error = Errno;

    fn keep(&mut self, image: usize, offset: u64, chunk: &[u8]) -> Result<(), Errno> {
        self.files.keep(image, offset, chunk)?;
        self.there.add((image, offset))
    }
}
