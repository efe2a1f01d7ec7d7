//! Why a disk cannot keep the images. Each is one sentence; the boot goes on without the disk.

use alloc::string::String;
use core::fmt;

use crate::disk::{Kind, Wanted};
use crate::mib::MiB;
use crate::sys::Errno;

/// Why a disk cannot keep the images.
#[derive(Debug)]
pub(in crate::layout::fetch) enum Trouble {
    /// The word names no disk.
    Word(String),
    /// The disk did not show up.
    Missing { wanted: Wanted, seconds: u64 },
    /// Its file system is not known.
    Unknown(String),
    /// It cannot be mounted.
    Mount {
        path: String,
        kind: Kind,
        errno: Errno,
    },
    /// The folder cannot be used.
    Folder { path: String, errno: Errno },
    /// It has too little room.
    Full { path: String, need: u64, free: u64 },
    /// Its file system has no files of that size.
    TooLarge { path: String, size: u64 },
    /// It takes no bytes.
    Write { path: String, errno: Errno },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(
                f,
                "`storeboot.keep={word}` does not name a disk: write LABEL=..., UUID=..., PARTUUID=... or /dev/..."
            ),
            Self::Missing { wanted, seconds } => write!(
                f,
                "no disk is {wanted}, for {seconds} s: look whether it is there, and build with --disk-modules for it"
            ),
            Self::Unknown(path) => write!(
                f,
                "{path} has no file system that can keep the store: make it ext4, xfs or vfat"
            ),
            Self::Mount { path, kind, errno } => {
                write!(f, "{path} cannot be mounted as {kind}: {errno}")?;
                match *errno {
                    Errno::ENODEV => write!(
                        f,
                        "; this kernel needs {kind}, built in or as a module in the initrd (build with --disk-modules)"
                    ),
                    Errno::EUCLEAN | Errno::EBADMSG | Errno::EINVAL => {
                        write!(f, "; check it with fsck")
                    }
                    _ => Ok(()),
                }
            }
            Self::Folder { path, errno } => {
                write!(f, "{path} has no folder for the store: {errno}")
            }
            Self::Full { path, need, free } => write!(
                f,
                "{path} is too full for the store: it needs {} more, and {} are free",
                MiB(*need),
                MiB(*free)
            ),
            Self::TooLarge { path, size } => write!(
                f,
                "the file system of {path} has no files as large as a store image of {}",
                MiB(*size)
            ),
            Self::Write { path, errno } => {
                write!(f, "the store cannot be written to {path}: {errno}")
            }
        }?;
        f.write_str("; the store goes into memory")
    }
}
