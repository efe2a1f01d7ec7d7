//! Reads the listing of a directory.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Directory, Image, InodeRef, Kind, ReadError};
use crate::format::{DIRECTORY_RUN, NAME_MAX};

/// Largest listing that is read: some millions of names.
const LISTING_MAX: u32 = 256 << 20;
/// Bytes of a run's header, and of an entry without its name.
const HEADER: u64 = 12;
const ENTRY: u64 = 8;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name: not empty, not `.` or `..`, without `/` and NUL.
    pub name: Vec<u8>,
    /// Where its inode is.
    pub inode: InodeRef,
    /// The number of its inode.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
}

impl<R: Read + Seek> Image<R> {
    /// The entries of a directory, ordered by name.
    ///
    /// A directory that is in two places of the tree is an error, so a walk down from the root, in any order, comes to
    /// an end.
    ///
    /// # Errors
    /// When the listing cannot be read, or holds something impossible.
    pub fn list(&mut self, directory: &Directory) -> Result<Vec<Entry>, ReadError> {
        let table = self.directory_table.clone();
        let mut cursor = Cursor::new(&table, directory.block, directory.offset);
        let start = cursor.clone();
        // The size counts 3 bytes for `.` and `..`, which are not stored.
        let mut left = u64::from(directory.size.saturating_sub(3));
        if directory.size > LISTING_MAX {
            return Err(start.damaged(format!("a directory's listing has {left} bytes")));
        }
        let mut entries: Vec<Entry> = Vec::new();
        while left > 0 {
            let at = cursor.clone();
            let overrun =
                || at.damaged("the entries of a directory do not end where its listing ends");
            left = left.checked_sub(HEADER).ok_or_else(overrun)?;
            let [count, block, base] = self.words(&mut cursor)?;
            if count as usize >= DIRECTORY_RUN {
                return Err(at.damaged(format!("a directory has {count} + 1 entries in a run")));
            }
            for _ in 0..=count {
                let entry = self.entry(&mut cursor, block, base)?;
                let length = ENTRY + entry.name.len() as u64;
                left = left.checked_sub(length).ok_or_else(overrun)?;
                if entries.last().is_some_and(|last| last.name >= entry.name) {
                    return Err(at.damaged(format!(
                        "the name {:?} is out of order or there twice",
                        entry.name.escape_ascii().to_string()
                    )));
                }
                entries.push(entry);
            }
        }
        self.claim(directory.reference, &entries)
            .map_err(|reason| start.damaged(reason))?;
        Ok(entries)
    }

    fn entry(&mut self, cursor: &mut Cursor, block: u32, base: u32) -> Result<Entry, ReadError> {
        let at = cursor.clone();
        let [offset, delta, kind, length] = self.halves(cursor)?;
        let length = usize::from(length) + 1;
        if length > NAME_MAX {
            return Err(at.damaged(format!("a name has {length} bytes")));
        }
        let mut name = vec![0; length];
        self.metadata(cursor, &mut name)?;
        let shown = || name.escape_ascii().to_string();
        if matches!(&name[..], b"." | b"..") || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(at.damaged(format!("there is an impossible name, {:?}", shown())));
        }
        let Some(kind) = Kind::of(kind) else {
            return Err(at.damaged(format!("{:?} has the unknown type {kind}", shown())));
        };
        Ok(Entry {
            inode: InodeRef::new(block, offset),
            number: base.wrapping_add_signed(i32::from(delta as i16)),
            kind,
            name,
        })
    }

    /// Notes where directories were found. Fails if one is found in a second place.
    fn claim(&mut self, parent: InodeRef, entries: &[Entry]) -> Result<(), String> {
        for (place, entry) in entries.iter().enumerate() {
            if entry.kind != Kind::Directory {
                continue;
            }
            let here = (parent, place);
            let known = *self.places.entry(entry.inode).or_insert(here);
            if known != here || entry.inode == self.root() {
                return Err(format!(
                    "the directory {:?} has a second place in the tree",
                    entry.name.escape_ascii().to_string()
                ));
            }
        }
        Ok(())
    }
}
