//! What stage 1 knows of this boot: what the kernel and the index of the initrd say.

use alloc::string::String;

use storeboot_index::{INDEX_PATH, Image, Index, MAX_TEXT};

use crate::block_device::BlockDevice;
use crate::cmdline::Cmdline;
use crate::console::Console;
use crate::error::Error;
use crate::image;
use crate::loop_device;
use crate::paths::{read_file, rooted};
use crate::read_at::ReadAt;
use crate::sys::{self, Errno, Fd, Open, Room};
use crate::verity::{self, OnCorruption};

/// The command line, the index, the kernel's release, and where messages go.
pub(crate) struct Context {
    pub cmdline: Cmdline,
    pub console: Console,
    pub index: Index,
    /// The kernel's release.
    pub release: String,
    /// Whether loop devices detach their images at the last unmount.
    pub until_unmounted: bool,
}

impl Context {
    /// Reads what the kernel and the initrd say. `/dev`, `/proc` and `/sys` are mounted.
    pub(crate) fn read() -> Result<Self, Error> {
        let cmdline = read_cmdline()?;
        let console = Console::new(cmdline.debug);
        let release = sys::kernel_release();
        console.step(format_args!(
            "storeboot-init {} on Linux {release}",
            env!("CARGO_PKG_VERSION")
        ));
        for word in &cmdline.ignored {
            console.warning(&format_args!(
                "`{word}` on the kernel command line counts for nothing: its value must be a number of seconds"
            ));
        }
        if let Some(word) = &cmdline.refused {
            return Err(Error::VerityWord(word.clone()));
        }
        let index = read_index()?;
        console.step(format_args!(
            "layout {}, {} store images",
            index.layout,
            index.images.len()
        ));
        let has_trees = index.images.iter().any(|image| image.verity.is_some());
        if cmdline.on_corruption == OnCorruption::Panic && !has_trees {
            console.warning(
                &"storeboot.verity: the store images have no hash trees: build them with --verity",
            );
        }
        Ok(Self {
            cmdline,
            console,
            index,
            release,
            until_unmounted: true,
        })
    }

    /// Makes a block device of an image that was found, and that begins at `offset` of `file`. An image with a hash
    /// tree is only ever shown by dm-verity.
    pub(crate) fn attach(
        &self,
        file: &Fd,
        offset: u64,
        image: &Image,
    ) -> Result<BlockDevice, Error> {
        let until = self.until_unmounted;
        let device = loop_device::attach(file, offset, image.size, &image.path, until)?;
        let Some(verity) = &image.verity else {
            return Ok(device);
        };
        let device = verity::protect(&device, image, verity, self.cmdline.on_corruption, until)?;
        self.console.step(format_args!(
            "dm-verity checks {} on {}",
            image.path, device.path
        ));
        Ok(device)
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
