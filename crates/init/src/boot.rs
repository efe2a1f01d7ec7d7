//! From the first instruction of stage 1 to the first of stage 2.

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ffi::CStr;

use storeboot_index::{INDEX_PATH, Image, Index, Layout, MAX_TEXT};

use crate::cmdline::Cmdline;
use crate::console::Console;
use crate::error::Error;
use crate::image::{self, LoopDevice};
use crate::layout::in_place::Initrd;
use crate::layout::{direct, file};
use crate::paths::{STORE, read_file, rooted};
use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Fd, Open, Room};
use crate::{changes, cleanup, keep, memory, modules, parts, root, stage2, store};

/// What is known about this boot.
pub(crate) struct Boot {
    pub cmdline: Cmdline,
    pub console: Console,
    pub index: Index,
    /// The kernel's release.
    pub release: String,
    /// Whether loop devices let go of their images at the last unmount.
    pub until_unmounted: bool,
}

/// Boots. Returns only what went wrong.
pub(crate) fn boot(args: &[&CStr], env: &[&CStr]) -> Result<Infallible, Error> {
    root::mount_kernel()?;
    let boot = Boot::read()?;
    let console = &boot.console;
    // Not later, although it is used last: nothing else on this list is so easily mended.
    let init = boot.cmdline.init.as_deref().ok_or(Error::NoInit)?;

    memory::check(boot.index.memory, console);
    modules::load(&boot.index.modules, console);
    boot.make_root()?;
    if boot.cmdline.read_only_store {
        store::make_read_only("", console)?;
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
    /// Reads what the kernel and the initrd say. `/dev`, `/proc` and `/sys` are mounted.
    pub(crate) fn read() -> Result<Self, Error> {
        let cmdline = read_cmdline()?;
        let console = Console::new(cmdline.debug);
        let release = sys::kernel_release();
        console.step(format_args!(
            "storeboot-init {} on Linux {release}",
            env!("CARGO_PKG_VERSION")
        ));
        let index = read_index()?;
        console.step(format_args!(
            "layout {}, {} store images",
            index.layout,
            index.images.len()
        ));
        Ok(Self {
            cmdline,
            console,
            index,
            release,
            until_unmounted: true,
        })
    }

    /// Makes `/` the booted system's root, with the store in it and no more of the initrd than that needs.
    fn make_root(&self) -> Result<(), Error> {
        if self.index.layout == Layout::Direct {
            self.nothing_to_verify();
            parts::put_together(STORE, &self.console)?;
            changes::tell_unpacked(&self.console);
            return direct::enter(&self.console);
        }
        let images = self.attach_images()?;
        root::make_empty()?;
        let rootfs = root::enter()?;
        root::mount_run(&self.console);
        store::mount("", &images, &self.console)?;
        changes::tell(&rootfs, &self.console);
        // After the store is mounted, so that what somebody added to it gets into it.
        keep::keep(&rootfs, &self.console);
        // Whatever is mounted holds its file, named or not.
        cleanup::empty(&rootfs);
        self.console
            .step(format_args!("removed the unpacked initrd"));
        Ok(())
    }

    /// Finds, checks and attaches every store image. In layout `direct` there is none.
    pub(crate) fn attach_images(&self) -> Result<Vec<(&Image, LoopDevice)>, Error> {
        let images = &self.index.images;
        match self.index.layout {
            Layout::Direct => Ok(Vec::new()),
            Layout::File => images
                .iter()
                .map(|image| Ok((image, file::attach(self, image)?)))
                .collect(),
            Layout::InPlace => {
                let mut initrd = Initrd::open(self)?;
                images
                    .iter()
                    .map(|image| Ok((image, initrd.attach(self, image)?)))
                    .collect()
            }
        }
    }

    /// Attaches what was found and checked: `size` bytes of `file` from `offset` on.
    pub(crate) fn attach(
        &self,
        file: &Fd,
        offset: u64,
        size: u64,
        name: &str,
    ) -> Result<LoopDevice, Error> {
        image::attach(file, offset, size, name, self.until_unmounted)
    }

    /// Says so if `storeboot.verify` asks for what layout `direct` cannot do.
    pub(crate) fn nothing_to_verify(&self) {
        if self.cmdline.verify {
            self.console
                .info(&"storeboot.verify: layout direct has no store image to check");
        }
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
