//! newc cpio archives, written and read as a stream.
//!
//! newc (`cpio -H newc`, magic `070701`) is the only archive the Linux kernel unpacks into its
//! first root file system. [`Writer`] makes such an archive over any [`std::io::Write`].
//!
//! ```
//! use storeboot_cpio::{Metadata, Writer};
//!
//! let mut writer = Writer::new(Vec::new());
//! writer.directory("dev", &Metadata::directory())?;
//! writer.char_device("dev/console", &Metadata::mode(0o600), 5, 1)?;
//! writer.file("init", &Metadata::executable(), 9, &b"#!/bin/sh"[..])?;
//! let archive = writer.finish()?;
//! # Ok::<(), storeboot_cpio::WriteError>(())
//! ```
//!
//! # What the format cannot say
//! Sizes, times and numbers have 32 bits: a file of 4 GiB or more is an error here, never a
//! member left out. A name has at most 4096 bytes with its final NUL, holds no NUL itself, is not
//! empty and is not `TRAILER!!!`, which ends an archive.

#![deny(missing_docs)]

mod error;
mod header;
mod metadata;
mod name;
mod writer;

pub use error::WriteError;
pub use header::{MAGIC, MAGIC_CRC, TRAILER};
pub use metadata::{FileType, Metadata};
pub use writer::Writer;

/// The longest name with its final NUL, and the longest target of a symbolic link, in bytes: the
/// kernel skips members whose name or target is longer.
pub const PATH_MAX: usize = 4096;
