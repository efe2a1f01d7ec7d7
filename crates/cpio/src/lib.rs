//! newc cpio archives, written and read as a stream.
//!
//! newc (`cpio -H newc`, magic `070701`) is the only archive the Linux kernel unpacks into its
//! first root file system. [`Writer`] writes such an archive to any [`std::io::Write`],
//! [`Reader`] reads one from any [`std::io::Read`] and checks everything it reads.
//!
//! ```
//! use storeboot_cpio::{Metadata, Reader, Writer};
//!
//! let mut writer = Writer::new(Vec::new());
//! writer.directory("dev", &Metadata::directory())?;
//! writer.char_device("dev/console", &Metadata::mode(0o600), 5, 1)?;
//! writer.file("init", &Metadata::executable(), 9, &b"#!/bin/sh"[..])?;
//! let archive = writer.finish()?;
//!
//! let mut reader = Reader::new(&archive[..]);
//! let mut names = Vec::new();
//! while let Some(entry) = reader.next_entry()? {
//!     names.push(String::from_utf8_lossy(entry.name()).into_owned());
//! }
//! assert_eq!(names, ["dev", "dev/console", "init"]);
//! assert_eq!(reader.position(), archive.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the format cannot hold
//! Sizes, times and numbers have 32 bits: a file of 4 GiB or more is an error, and is never left
//! out. A name has at most 4096 bytes with its final NUL, holds no NUL itself, is not
//! empty and is not `TRAILER!!!`, which ends an archive.

#![deny(missing_docs)]

mod error;
mod header;
mod metadata;
mod name;
mod reader;
mod writer;

pub use error::{ReadError, WriteError};
pub use header::{Header, MAGIC, MAGIC_CRC, TRAILER};
pub use metadata::{FileType, Metadata};
pub use reader::{Entry, Reader};
pub use writer::Writer;

/// The longest name with its final NUL, and the longest target of a symbolic link, in bytes: the
/// kernel skips members whose name or target is longer.
pub const PATH_MAX: usize = 4096;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
