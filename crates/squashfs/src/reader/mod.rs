//! Reads images, and checks that they are sound.
//!
//! [`Image`] reads any squashfs 4.0 image with gzip, xz, LZ4 or Zstandard in it, by any writer. It trusts nothing: it
//! checks every number before it uses it, refuses a directory that is in two places of the tree, and names the byte
//! where an image is wrong. It has a few metadata blocks, one fragment block and, while a file is read, one data block
//! in memory. It does not read extended attributes, but [`Inode::has_xattrs`] tells whether there are any.
//!
//! ```no_run
//! use std::fs::File;
//! use storeboot_squashfs::reader::{Image, InodeKind};
//!
//! let mut image = Image::open(File::open("store.squashfs")?)?;
//! let mut walk = image.walk();
//! while let Some(found) = walk.next(&mut image)? {
//!     if let InodeKind::File(file) = &found.inode.kind {
//!         println!("{} {}", found.path.escape_ascii(), file.size);
//!         std::io::copy(&mut image.read(file), &mut std::io::sink())?;
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod error;
mod file;
mod fragment;
mod image;
mod inode;
mod metadata;
mod source;
mod unpack;
mod walk;

pub use directory::Entry;
pub use error::ReadError;
pub use file::FileReader;
pub use image::Image;
pub use inode::{Device, Directory, File, Inode, InodeKind, InodeRef, Kind};
pub use walk::{Found, Walk};
