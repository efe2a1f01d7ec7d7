//! A folder of what was made before, found again by a key.
//!
//! ```
//! use std::io::{Read, Write};
//! use storeboot_cache::{Cache, Key};
//!
//! # let folder = tempfile::tempdir()?;
//! let cache = Cache::open(folder.path(), 10 << 30)?;
//! let key = Key::derive("example 1: archive", &[b"what it is made from"]);
//! assert!(cache.get(&key).is_none());
//!
//! let mut writer = cache.writer(&key);
//! writer.write_all(b"a long archive")?;
//! assert!(writer.keep());
//!
//! let mut entry = cache.get(&key).ok_or("it was kept")?;
//! let mut text = String::new();
//! entry.read_to_string(&mut text)?;
//! assert_eq!(text, "a long archive");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The folder
//! `v1/ab/cdef…` is the entry with the key `abcdef…`, 64 hexadecimal digits; `v1/new` holds what is being written, `v1/lock` is
//! held by whoever evicts. Another form of entries would be another folder beside `v1`.
//!
//! An entry is a header of 48 bytes and its content. The header: the 8 bytes `sbcache1`, the content's length in 8 bytes, little-endian,
//! and the content's BLAKE3 in 32, keyed with the entry's key: so it is no other entry under a wrong name, either.
//!
//! Entries are not synced when they are written. What a crash of the machine leaves half written is found out when it is read.

#![deny(missing_docs)]

mod cache;
mod entry;
mod error;
mod evict;
mod key;
mod stats;
mod writer;

pub use cache::Cache;
pub use entry::Entry;
pub use error::Error;
pub use key::{Key, KeyHasher};
pub use stats::Stats;
pub use writer::EntryWriter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
