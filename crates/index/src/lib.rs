//! The index that tells stage 1 where the store images are in an initrd.
//!
//! A program that makes an initrd fills an [`Index`], calls [`check`](Index::check), and writes its text
//! ([`Display`](core::fmt::Display)) to [`INDEX_PATH`]. Stage 1 reads it with [`Index::parse`]. A file that is larger
//! than a member of the initrd may be is there in parts, and a [`PartedFile`] tells how to put them together.
//! [`Drivers`] are the device drivers that stage 1 loads for the devices that it finds.
//!
//! ```
//! use storeboot_index::{Image, Index, Layout};
//!
//! let index = Index {
//!     layout: Layout::File,
//!     memory: 805_306_368,
//!     modules: vec!["storeboot/modules/00-loop.ko".into()],
//!     images: vec![Image {
//!         path: "storeboot/images/0.squashfs".into(),
//!         size: 255_852_544,
//!         offset: None,
//!         sha256: [0; 32],
//!         superblock: [0; 96],
//!         verity: None,
//!         hot: None,
//!     }],
//! };
//! index.check()?;
//! assert_eq!(Index::parse(index.to_string().as_bytes())?, index);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod chunks;
mod drivers;
mod error;
pub mod glob;
pub mod hex;
mod parse;
mod parts;
mod path;
mod verity;
mod write;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

pub use chunks::{CHUNK_SIZE, CHUNKS_HEADER, CHUNKS_PATH, Chunks, MAX_CHUNKS, chunk_count};
pub use drivers::{
    Class, DRIVERS_HEADER, DRIVERS_PATH, Driver, Drivers, Lookup, MAX_ALIAS, MAX_ALIASES,
    MAX_DRIVER_FILES, MAX_DRIVERS, MAX_DRIVERS_TEXT, UnknownClass,
};
pub use error::{ParseError, Reason};
pub use parts::{
    LIST, MAX_FILE_PATH, MAX_LIST, MAX_PARTS, PARTS_HEADER, PARTS_PATH, Part, PartedFile,
    UNFINISHED,
};
pub use verity::Verity;

/// The path of the index in the initrd, without the leading slash. In layout `direct` it must be the last member: by it
/// stage 1 knows that the kernel unpacked everything.
pub const INDEX_PATH: &str = "storeboot/index";
/// The first line of every index: the format's name and version.
pub const HEADER: &str = "storeboot-index 1";
/// The longest index that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// The most modules an index may list.
pub const MAX_MODULES: usize = 4096;
/// The most store images an index may list. The overlay's mount options, a page at most, have to hold all their mount
/// points. So too many are refused when the initrd is built, not when it boots.
pub const MAX_IMAGES: usize = 128;
/// The longest path an index may hold, in bytes.
pub const MAX_PATH: usize = 1024;
/// The size of a store image's superblock in bytes.
pub const SUPERBLOCK_LEN: usize = 96;

/// What stage 1 has to know about its initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// How the initrd holds the store.
    pub layout: Layout,
    /// An estimate of the memory that a boot needs, in bytes.
    pub memory: u64,
    /// Kernel modules in the order of loading, as paths inside the initrd.
    pub modules: Vec<String>,
    /// Store images; image `i` becomes the overlay's lower directory `i`.
    pub images: Vec<Image>,
}

/// One store image: a squashfs file system that holds store paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The path inside the initrd. In layout `in-place`, only a name for messages; in layout `fetch`, the path below
    /// the URL that the images are fetched from.
    pub path: String,
    /// The size in bytes, with the tree of dm-verity where there is one.
    pub size: u64,
    /// The offset in the whole initrd at which the image is expected, in bytes.
    pub offset: Option<u64>,
    /// The hash of all [`size`](Self::size) bytes.
    pub sha256: [u8; 32],
    /// The image's first bytes, which identify it.
    pub superblock: [u8; SUPERBLOCK_LEN],
    /// The tree of dm-verity at the image's end, where the image has one.
    pub verity: Option<Verity>,
    /// In layout `fetch`, where stage 2 may start before the whole image is there: the bytes at its beginning that a boot
    /// needs. Stage 1 waits for these and for the tables at the end. `None`: it waits for all.
    pub hot: Option<u64>,
}

/// How the initrd holds the store.
///
/// ```
/// use storeboot_index::Layout;
/// assert_eq!("in-place".parse(), Ok(Layout::InPlace));
/// assert_eq!(Layout::InPlace.to_string(), "in-place");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The kernel unpacks each store image to a file.
    File,
    /// The store images are mounted from where the boot loader put them.
    InPlace,
    /// The kernel unpacks the store itself; there are no images.
    Direct,
    /// The store images are not in the initrd: stage 1 fetches them, and checks each chunk.
    Fetch,
}

impl Layout {
    /// Every layout, for help texts and tests.
    pub const ALL: [Self; 4] = [Self::File, Self::InPlace, Self::Direct, Self::Fetch];

    /// The layout's name in the index and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::InPlace => "in-place",
            Self::Direct => "direct",
            Self::Fetch => "fetch",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of a name that no [`Layout`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLayout;

impl fmt::Display for UnknownLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the layouts are `file`, `in-place`, `direct` and `fetch`")
    }
}

impl core::error::Error for UnknownLayout {}

impl FromStr for Layout {
    type Err = UnknownLayout;

    fn from_str(name: &str) -> Result<Self, UnknownLayout> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.name() == name)
            .ok_or(UnknownLayout)
    }
}

#[cfg(test)]
mod tests;
