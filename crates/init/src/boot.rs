//! From the first instruction of stage 1 to the first of stage 2.

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ffi::CStr;

use storeboot_index::{INDEX_PATH, Image, Index, Layout, MAX_TEXT};

use crate::cmdline::Cmdline;
use crate::console::Console;
use crate::error::Error;
use crate::image;
use crate::layout::in_place::Initrd;
use crate::layout::{direct, file};
use crate::paths::{read_file, rooted};
use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Open, Room};
use crate::{cleanup, keep, memory, modules, root, stage2, store};

/// What is known about this boot.
pub(crate) struct Boot {
    pub cmdline: Cmdline,
    pub console: Console,
    pub index: Index,
    /// The kernel's release.
    pub release: String,
}

/// Boots. Returns only what went wrong.
pub(crate) fn boot(args: &[&CStr], env: &[&CStr]) -> Result<Infallible, Error> {
    root::mount_kernel()?;
    let cmdline = read_cmdline()?;
    let console = Console::new(cmdline.debug);
    let release = sys::kernel_release();
    console.step(format_args!(
        "storeboot-init {} on Linux {release}",
        env!("CARGO_PKG_VERSION")
    ));
    let index = read_index()?;
    let boot = Boot {
        cmdline,
        console,
        index,
        release,
    };
    let console = &boot.console;
    console.step(format_args!(
        "layout {}, {} store images",
        boot.index.layout,
        boot.index.images.len()
    ));
    // Not later, although it is used last: nothing else on this list is so easily mended.
    let init = boot.cmdline.init.as_deref().ok_or(Error::NoInit)?;

    memory::check(boot.index.memory, console);
    modules::load(&boot.index.modules, console);
    boot.make_root()?;
    if boot.cmdline.read_only_store {
        store::make_read_only(console)?;
    }
    stage2::check(init)?;
    console.info(&format_args!(
        "layout {}, starting {init}",
        boot.index.layout
    ));
    console.step(format_args!("leaving stage 1"));
    stage2::start(init, args, env)
}

impl Boot {
    /// Makes `/` the booted system's root, with the store in it and no more of the initrd than that needs.
    fn make_root(&self) -> Result<(), Error> {
        let Index { layout, images, .. } = &self.index;
        let devices = match layout {
            Layout::Direct => {
                if self.cmdline.verify {
                    self.console
                        .info(&"storeboot.verify: layout direct has no store image to check");
                }
                return direct::enter();
            }
            Layout::File => images
                .iter()
                .map(|image| file::attach(self, image))
                .collect::<Result<Vec<_>, _>>()?,
            Layout::InPlace => {
                let mut initrd = Initrd::open(self)?;
                images
                    .iter()
                    .map(|image| initrd.attach(self, image))
                    .collect::<Result<_, _>>()?
            }
        };
        root::make_empty()?;
        let rootfs = root::enter()?;
        let images: Vec<_> = images.iter().zip(devices).collect();
        store::mount(&images, &self.console)?;
        // After the store is mounted, so that what somebody added to it gets into it.
        keep::keep(&rootfs, &self.console);
        // Whatever is mounted holds its file, named or not.
        cleanup::empty(&rootfs);
        self.console
            .step(format_args!("removed the unpacked initrd"));
        Ok(())
    }

    /// Checks an image's SHA-256 if `storeboot.verify` asks for it.
    pub(crate) fn verify(
        &self,
        file: &impl ReadAt,
        offset: u64,
        image: &Image,
        name: &str,
    ) -> Result<(), Error> {
        if !self.cmdline.verify {
            return Ok(());
        }
        self.console.info(&format_args!(
            "storeboot.verify: reading all {} bytes of {name}",
            image.size
        ));
        let found = image::verify(file, offset, image.size).map_err(|errno| Error::Read {
            path: name.into(),
            errno,
        })?;
        if found != image.sha256 {
            return Err(Error::ImageDamaged {
                name: name.into(),
                found,
                expected: image.sha256,
            });
        }
        self.console
            .step(format_args!("the SHA-256 of {name} is right"));
        Ok(())
    }

    /// The room on the file system that the kernel unpacked the initrd to.
    pub(crate) fn rootfs_room(&self) -> Option<Room> {
        rootfs_room()
    }
}

fn read_cmdline() -> Result<Cmdline, Error> {
    let path = "/proc/cmdline";
    let text = read_file(path, 1 << 16).map_err(|errno| Error::Read {
        path: path.into(),
        errno,
    })?;
    Ok(Cmdline::parse(&String::from_utf8_lossy(&text)))
}

fn read_index() -> Result<Index, Error> {
    let path = rooted(INDEX_PATH);
    let text = read_file(&path, MAX_TEXT).map_err(|errno| match errno {
        Errno::ENOENT => Error::NoIndex {
            room: rootfs_room(),
        },
        errno => Error::Read { path, errno },
    })?;
    Index::parse(&text).map_err(Error::BadIndex)
}

fn rootfs_room() -> Option<Room> {
    sys::open(c"/", Open::Directory)
        .and_then(|rootfs| sys::room(&rootfs))
        .ok()
}
