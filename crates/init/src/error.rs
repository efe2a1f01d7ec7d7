//! Why a boot ends. Each error is one sentence, for a reader who sees only the console.

use alloc::string::String;
use core::fmt;

use storeboot_index::ParseError;
use storeboot_index::hex::Hex;

use crate::image::Difference;
use crate::layout::fetch;
use crate::mib::MiB;
use crate::network;
use crate::paths::UNPACKED_STORE;
use crate::sys::{Errno, Room};

/// The first Linux that shows the initrd to user space.
pub(crate) const SHOWS_INITRD: (u32, u32) = (6, 8);

/// Why stage 1 cannot start the system.
#[derive(Debug)]
pub(crate) enum Error {
    /// `init=` is not on the command line.
    NoInit,
    /// `init=` is not a path that starts at the root.
    InitNotAbsolute(String),
    /// `init=` names nothing in the store.
    InitMissing(String),
    /// `init=` names a symbolic link whose target is missing.
    InitDangling { path: String, target: String },
    /// `init=` names a directory.
    InitIsDirectory(String),
    /// `init=` names no regular file, or one that is not executable.
    InitNotExecutable(String),
    /// The kernel refuses facts about what `init=` names.
    InitUnreadable { path: String, errno: Errno },
    /// The kernel refuses to execute what `init=` names.
    InitNotStarted { path: String, errno: Errno },
    /// The index is missing.
    NoIndex { room: Option<Room> },
    /// The index cannot be parsed.
    BadIndex(ParseError),
    /// The list of device drivers cannot be parsed.
    BadDrivers(ParseError),
    /// A file of the initrd or of the kernel cannot be read.
    Read { path: String, errno: Errno },
    /// A store image's file is missing.
    ImageMissing { name: String, room: Option<Room> },
    /// A store image's file or device does not have the size that the index says.
    ImageSize {
        name: String,
        found: u64,
        expected: u64,
    },
    /// A store image's file has holes: the kernel made it, but could not fill it.
    ImageCutOff {
        name: String,
        found: u64,
        expected: u64,
        room: Option<Room>,
    },
    /// Something else is where a store image should be.
    ImageDiffers {
        name: String,
        difference: Difference,
    },
    /// A store image's content has another hash.
    ImageDamaged {
        name: String,
        found: [u8; 32],
        expected: [u8; 32],
    },
    /// A store image's size is not a multiple of squashfs's device block.
    ImageNotPadded { name: String, size: u64 },
    /// The kernel does not show the initrd.
    InitrdNotShown { release: String, why: NotShown },
    /// The initrd ends before a store image does.
    InitrdCutOff {
        name: String,
        found: u64,
        expected: u64,
    },
    /// No place in the initrd has the superblock.
    ImageNotFound { name: String, size: u64 },
    /// There are no loop devices.
    NoLoop(Errno),
    /// A loop device refuses an image.
    Attach { name: String, errno: Errno },
    /// `storeboot.verity` asks for something that is not known.
    VerityWord(String),
    /// There is no device mapper.
    NoDeviceMapper(Errno),
    /// dm-verity refuses an image.
    Verity { name: String, errno: Errno },
    /// dm-verity found that an image's first blocks are not what the root hash stands for.
    ImageNotVerified { name: String },
    /// Something cannot be mounted. `needs` names the kernel options for it.
    Mount {
        what: String,
        place: String,
        needs: String,
        errno: Errno,
    },
    /// A directory cannot be made or entered.
    Directory { path: String, errno: Errno },
    /// The overlay cannot take that many images.
    TooManyImages(usize),
    /// The caller of `attach` has not mounted this yet.
    KernelNotMounted(&'static str),
    /// `attach` is to put the store on rootfs: the new root is not mounted yet.
    NoNewRoot(String),
    /// The unpacked store is missing.
    StoreMissing { room: Option<Room> },
    /// `attach` has moved the unpacked store already.
    AttachedAlready,
    /// `attach` is to make devices, but layout `direct` has no images.
    NoDevices,
    /// The list of a large file's parts cannot be parsed.
    BadList { path: String, error: ParseError },
    /// A part of a large file is missing or cut off.
    PartMissing {
        file: String,
        part: String,
        found: Option<u64>,
        expected: u64,
        room: Option<Room>,
    },
    /// A large file cannot be put together from its parts.
    NotPutTogether {
        file: String,
        errno: Errno,
        room: Option<Room>,
    },
    /// There is no network.
    Network(network::Error),
    /// The store cannot be fetched.
    Fetch(fetch::Error),
    /// A link to a loop device cannot be made.
    Link { path: String, errno: Errno },
}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        Self::Fetch(error)
    }
}

/// Why `/sys/firmware/initrd` is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// The kernel is too old to have it.
    OldKernel,
    /// The kernel was not told to keep the initrd.
    NotRetained,
    /// Neither of these.
    Unknown,
}

/// What to do when the initrd's content is at fault.
const AGAIN: &str = "download the initrd again, or build it anew";
/// What to do when there is too little memory.
const MORE_MEMORY: &str =
    "give the machine more memory, or use a layout that needs less (in-place)";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInit => f.write_str(
                "`init=` is missing on the kernel command line: add the line that `kernelAppend` holds, \
                 with init=/nix/store/... as the program to start",
            ),
            Self::InitNotAbsolute(path) => write!(
                f,
                "`init={path}` is no path that starts with a slash: it must be a path of the packed closure, \
                 as `kernelAppend` holds it"
            ),
            Self::InitMissing(path) => {
                write!(f, "`init={path}` is not in this initrd's store: ")?;
                f.write_str("it must be a path of the packed closure, so take kernelAppend and initrd from one build")
            }
            Self::InitDangling { path, target } => write!(
                f,
                "`init={path}` is a symbolic link to `{target}`, which is not in this initrd's store: \
                 take kernelAppend and initrd from one build"
            ),
            Self::InitIsDirectory(path) => write!(
                f,
                "`init={path}` is a directory, not a program: did you mean `init={}/init`?",
                path.trim_end_matches('/')
            ),
            Self::InitNotExecutable(path) => {
                write!(f, "`init={path}` is in the store, but is no executable file: name the program to start")
            }
            Self::InitUnreadable { path, errno } => {
                write!(f, "cannot look at `init={path}`: {errno}; {AGAIN}")
            }
            Self::InitNotStarted { path, errno } => {
                write!(f, "cannot start `init={path}`: {errno}; ")?;
                f.write_str(match *errno {
                    Errno::ENOENT => "its interpreter is not in the store",
                    Errno::ENOEXEC => "is it a program for this processor?",
                    _ => "check what it is",
                })
            }
            Self::NoIndex { room } => {
                f.write_str("/storeboot/index is missing: the kernel did not unpack the whole initrd")?;
                unpacking(f, *room)
            }
            Self::BadIndex(error) => write!(f, "/storeboot/index cannot be read: {error}; {AGAIN}"),
            Self::BadDrivers(error) => {
                write!(f, "/storeboot/drivers cannot be read: {error}; {AGAIN}")
            }
            Self::Read { path, errno } => write!(f, "cannot read {path}: {errno}; {AGAIN}"),
            Self::ImageMissing { name, room } => {
                write!(f, "store image {name} is missing: the kernel did not unpack the whole initrd")?;
                unpacking(f, *room)
            }
            Self::ImageSize { name, found, expected } => {
                write!(f, "store image {name} has {found} bytes, the index says {expected}: {AGAIN}")
            }
            Self::ImageCutOff { name, found, expected, room } => {
                write!(f, "only {found} of the {expected} bytes of store image {name} are there: ")?;
                f.write_str("the kernel did not unpack the whole initrd")?;
                unpacking(f, *room)
            }
            Self::ImageDiffers { name, difference } => {
                write!(f, "store image {name} is not the expected one: {difference}; {AGAIN}")
            }
            Self::ImageDamaged { name, found, expected } => {
                write!(f, "store image {name} is damaged: its SHA-256 is ")?;
                write!(f, "{}, the index says {}; {AGAIN}", Hex(found), Hex(expected))
            }
            Self::ImageNotPadded { name, size } => write!(
                f,
                "store image {name} has {size} bytes, which is no multiple of 1024: pack it with padding"
            ),
            Self::InitrdNotShown { release, why } => not_shown(f, release, *why),
            Self::InitrdCutOff { name, found, expected } => write!(
                f,
                "the initrd is cut off: store image {name} ends at byte {expected}, but only {found} bytes are \
                 there; download it again, and look for a size limit in firmware or boot loader"
            ),
            Self::ImageNotFound { name, size } => write!(
                f,
                "store image {name} is not in the {size} bytes of the initrd: its superblock was searched for \
                 everywhere; {AGAIN}"
            ),
            Self::NoLoop(errno) => write!(
                f,
                "this kernel has no loop devices (/dev/loop-control: {errno}): it needs CONFIG_BLK_DEV_LOOP, or \
                 its module `loop`: build with --modules of the same kernel, or have the initrd's own stage 1 load it"
            ),
            Self::Attach { name, errno } => {
                write!(f, "the loop device does not take store image {name}: {errno}")
            }
            Self::VerityWord(word) => write!(
                f,
                "`{word}` on the kernel command line is not known: write `storeboot.verity=panic`, or leave it out"
            ),
            Self::NoDeviceMapper(errno) => write!(
                f,
                "this kernel has no device mapper (/dev/mapper/control: {errno}), and the store images have hash trees: \
                 it needs CONFIG_BLK_DEV_DM, or its module `dm-mod`: build with --modules of the same kernel, or have \
                 the initrd's own stage 1 load it"
            ),
            Self::Verity { name, errno } => {
                write!(f, "dm-verity does not take store image {name}: {errno}")?;
                if matches!(*errno, Errno::EINVAL | Errno::ENOENT) {
                    f.write_str(
                        "; this kernel needs CONFIG_DM_VERITY and CONFIG_CRYPTO_SHA256, built in or as modules in the initrd, or the initrd is damaged",
                    )?;
                }
                Ok(())
            }
            Self::ImageNotVerified { name } => write!(
                f,
                "store image {name} is damaged: it is not the one that the root hash in the index stands for; {AGAIN}"
            ),
            Self::Mount { what, place, needs, errno } => {
                write!(f, "cannot mount {what} at {place}: {errno}")?;
                if matches!(*errno, Errno::ENODEV | Errno::EINVAL) && !needs.is_empty() {
                    write!(f, "; this kernel needs {needs}, built in or as a module in the initrd")?;
                }
                Ok(())
            }
            Self::Directory { path, errno } => write!(f, "cannot use the directory {path}: {errno}"),
            Self::TooManyImages(count) => {
                write!(f, "{count} store images are more than an overlay takes: build with a larger --image-limit")
            }
            Self::KernelNotMounted(place) => {
                write!(f, "{place} is not mounted: mount /dev, /proc and /sys before the store is attached")
            }
            Self::NoNewRoot(path) => write!(
                f,
                "{path} is on the initrd's own file system, which is emptied when the system starts: mount the new \
                 root before the store is attached to it"
            ),
            Self::StoreMissing { room } => {
                write!(f, "{UNPACKED_STORE} is missing: the kernel did not unpack the whole initrd")?;
                unpacking(f, *room)
            }
            Self::AttachedAlready => {
                f.write_str("the store of layout direct is attached already, and can be only once")
            }
            Self::NoDevices => f.write_str(
                "layout direct has no store images to make devices of: say where the store belongs with --root or --store",
            ),
            Self::BadList { path, error } => {
                write!(f, "{path}, the list of a large file's parts, cannot be read: {error}; {AGAIN}")
            }
            Self::PartMissing { file, part, found, expected, room } => {
                write!(f, "{file} cannot be put together: of the {expected} bytes of its part {part}, ")?;
                match found {
                    Some(found) => write!(f, "{found} are there")?,
                    None => f.write_str("none are there")?,
                }
                f.write_str("; the kernel did not unpack the whole initrd")?;
                unpacking(f, *room)
            }
            Self::NotPutTogether { file, errno, room } => {
                write!(f, "{file} cannot be put together from its parts: {errno}")?;
                match *errno {
                    Errno::ENOENT | Errno::ENOSPC => unpacking(f, *room),
                    Errno::ENOMEM => write!(f, "; {MORE_MEMORY}"),
                    _ => write!(f, "; look into your own archives for what is in its place, or {AGAIN}"),
                }
            }
            Self::Network(error) => error.fmt(f),
            Self::Fetch(error) => error.fmt(f),
            Self::Link { path, errno } => write!(f, "cannot make the link {path}: {errno}"),
        }
    }
}

/// Adds why the kernel may not have unpacked everything, judged by the room that rootfs has left.
fn unpacking(f: &mut fmt::Formatter<'_>, room: Option<Room>) -> fmt::Result {
    let more = MORE_MEMORY;
    match room {
        // Some bytes stay free: the kernel stops at the first file that does not fit whole.
        Some(Room { total, free, .. }) if total > 0 && free < total / 16 => write!(
            f,
            "; it holds at most {} here, and {} are left: {more}",
            MiB(total),
            MiB(free)
        ),
        // The kernel silently skips a file that it cannot make.
        Some(Room {
            files,
            free_files: 0,
            ..
        }) if files > 0 => {
            write!(
                f,
                "; it holds at most {files} files here, and none are left: {more}"
            )
        }
        _ => write!(f, "; the initrd was cut off or is damaged: {AGAIN}"),
    }
}

fn not_shown(f: &mut fmt::Formatter<'_>, release: &str, why: NotShown) -> fmt::Result {
    let (major, minor) = SHOWS_INITRD;
    match why {
        NotShown::OldKernel => write!(
            f,
            "Linux {release} does not show the initrd to stage 1, which layout in-place needs: boot Linux \
             {major}.{minor} or newer, or build with --layout file"
        ),
        NotShown::NotRetained => {
            f.write_str("`retain_initrd` is missing on the kernel command line, so the kernel gave the store's ")?;
            f.write_str("memory away: add it, as `kernelAppend` has it")
        }
        NotShown::Unknown => write!(
            f,
            "Linux {release} does not show the initrd as /sys/firmware/initrd, although `retain_initrd` is on \
             the command line: build with --layout file"
        ),
    }
}

#[cfg(test)]
mod tests;
