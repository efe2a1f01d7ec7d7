//! A folder that keeps results, each found again by a key.
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
//! `CACHEDIR.TAG` marks the folder as a cache, for this crate and for backup programs: it begins as
//! <https://bford.info/cachedir/> says, and the line `storeboot-cache 1` says whose cache it is. Only an empty folder
//! gets the mark. A folder that holds something and has no such mark is refused and stays as it is. That includes the
//! caches of versions before the mark: their names do not prove that the files are entries, and making a cache again
//! loses nothing.
//!
//! Whoever can write to the folder decides what is found in it: keys are no secret. So [`Cache::open`] takes a folder
//! only if it belongs to the user of the process or to root, and nobody else can write to it; and an entry counts only
//! if the same holds for its file. [`Cache::open_shared`] is for a group whose members trust each other; its line in
//! `CACHEDIR.TAG` is `storeboot-cache 1 shared`, so that nobody uses it without knowing.
//!
//! `v1/ab/cdef…` is the entry with the key `abcdef…`, 64 hexadecimal digits. `v1/new` holds the files that are being
//! written, and the process that evicts locks `v1/lock`. Another format of entries would have another folder beside
//! `v1`. Eviction removes only regular files with such names and leaves everything else alone.
//!
//! A file in `v1/new` has the host, its boot id, the process, the time and a count in its name. The process that writes
//! it locks it. When a process was killed, eviction removes its file: ten minutes after the last write where the file
//! is of this boot of this host and not locked, and a day after the last write where it is of another, as the locks of
//! one machine are not seen by another on every file system.
//!
//! An entry is a header of 48 bytes and the content. The header has the 8 bytes `sbcache1`, the content's length as a
//! 64-bit little-endian number, and the content's BLAKE3 hash, keyed with the entry's key. The hash also shows that the
//! entry has the right name.
//!
//! Entries are not synced to the disk. The check before use finds one that a crash of the machine left incomplete.

#![deny(missing_docs)]

mod cache;
mod entry;
mod error;
mod evict;
mod key;
mod names;
mod stats;
mod tag;
mod trust;
mod writer;

pub use cache::Cache;
pub use entry::Entry;
pub use error::Error;
pub use key::{Key, KeyHasher};
pub use stats::Stats;
pub use trust::Distrust;
pub use writer::EntryWriter;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
