//! Why the store cannot be fetched. Each error is one sentence.

use core::fmt;

use storeboot_fetch::UrlError;
use storeboot_index::ParseError;

use crate::mib::MiB;
use crate::sys::Errno;

/// Why the store cannot be fetched.
#[derive(Debug)]
pub(crate) enum Error {
    /// `storeboot.store=` is not on the command line.
    NoPlace,
    /// `storeboot.store=` holds something else than URLs.
    BadPlace(UrlError),
    /// The hashes of the chunks cannot be read.
    BadChunks(ParseError),
    /// The images do not fit into memory.
    TooLittleMemory { need: u64, have: u64 },
    /// The kernel makes no file in memory, or cannot fill it.
    Memory(Errno),
    /// The download failed.
    Download(storeboot_fetch::Error<Errno>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace => f.write_str(
                "`storeboot.store=` is missing on the kernel command line: add \
                 storeboot.store=http://SERVER/PATH, the URL of the folder that holds `images`",
            ),
            Self::BadPlace(error) => write!(
                f,
                "`storeboot.store=` on the kernel command line does not say where the store is: {error}"
            ),
            Self::BadChunks(error) => write!(
                f,
                "/storeboot/chunks cannot be read: {error}; download the initrd again, or build it anew"
            ),
            Self::TooLittleMemory { need, have } => write!(
                f,
                "the store needs {} of memory and {} are free: give the machine more memory, or keep the store on a \
                 disk with storeboot.keep=",
                MiB(*need),
                MiB(*have)
            ),
            Self::Memory(errno) => write!(f, "the store cannot be kept in memory: {errno}"),
            Self::Download(error) => error.fmt(f),
        }
    }
}

impl From<storeboot_fetch::Error<Errno>> for Error {
    fn from(error: storeboot_fetch::Error<Errno>) -> Self {
        match error {
            storeboot_fetch::Error::Sink(errno) => Self::Memory(errno),
            error => Self::Download(error),
        }
    }
}
