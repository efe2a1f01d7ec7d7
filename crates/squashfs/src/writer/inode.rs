//! Encodes inodes.

use crate::format::{NO_FRAGMENT, NO_XATTR, inode};

/// The fields that every inode begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) mode: u16,
    pub(crate) mtime: u32,
    pub(crate) number: u32,
}

impl Header {
    /// Type, mode, the ids' places in the id table (there is one id, 0), time and number.
    fn encode(self, kind: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for half in [kind, self.mode & 0o7777, 0, 0] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        put(&mut bytes, &[self.mtime, self.number]);
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
}

/// Where a tail end lies: the fragment's number and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) fragment: u32,
    pub(crate) offset: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Self::NONE
    }
}

impl Tail {
    pub(crate) const NONE: Self = Self {
        fragment: NO_FRAGMENT,
        offset: 0,
    };
}

/// A regular file.
pub(crate) struct File<'a> {
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// Bytes in blocks of zeros, which are not stored.
    pub(crate) sparse: u64,
    pub(crate) tail: Tail,
    pub(crate) blocks: &'a [u32],
}

impl File<'_> {
    pub(crate) fn encode(&self, header: Header) -> Vec<u8> {
        let mut bytes = match (u32::try_from(self.start), u32::try_from(self.size)) {
            (Ok(start), Ok(size)) if self.sparse == 0 => {
                let mut bytes = header.encode(inode::FILE);
                put(
                    &mut bytes,
                    &[start, self.tail.fragment, self.tail.offset, size],
                );
                bytes
            }
            _ => {
                let mut bytes = header.encode(inode::FILE + inode::EXTENDED);
                for long in [self.start, self.size, self.sparse] {
                    bytes.extend_from_slice(&long.to_le_bytes());
                }
                let links = 1;
                put(
                    &mut bytes,
                    &[links, self.tail.fragment, self.tail.offset, NO_XATTR],
                );
                bytes
            }
        };
        put(&mut bytes, self.blocks);
        bytes
    }
}

/// A symbolic link.
pub(crate) fn symlink(header: Header, target: &[u8]) -> Vec<u8> {
    let mut bytes = header.encode(inode::SYMLINK);
    put(&mut bytes, &[1, target.len() as u32]);
    bytes.extend_from_slice(target);
    bytes
}

/// A place in a directory's listing where a reader may begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Offset in the listing.
    pub(crate) offset: u32,
    /// Start of the metadata block in the directory table.
    pub(crate) block: u32,
    /// First name from there on.
    pub(crate) name: Vec<u8>,
}

/// A directory.
pub(crate) struct Directory<'a> {
    pub(crate) links: u32,
    pub(crate) parent: u32,
    /// Bytes of the listing, plus 3 for `.` and `..`.
    pub(crate) size: u32,
    pub(crate) block: u32,
    pub(crate) offset: u16,
    pub(crate) index: &'a [IndexEntry],
}

impl Directory<'_> {
    pub(crate) fn encode(&self, header: Header) -> Vec<u8> {
        if let (Ok(size), []) = (u16::try_from(self.size), self.index) {
            let mut bytes = header.encode(inode::DIRECTORY);
            put(&mut bytes, &[self.block, self.links]);
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(&self.offset.to_le_bytes());
            put(&mut bytes, &[self.parent]);
            return bytes;
        }
        let mut bytes = header.encode(inode::DIRECTORY + inode::EXTENDED);
        put(
            &mut bytes,
            &[self.links, self.size, self.block, self.parent],
        );
        bytes.extend_from_slice(&(self.index.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        put(&mut bytes, &[NO_XATTR]);
        for entry in self.index {
            put(
                &mut bytes,
                &[entry.offset, entry.block, entry.name.len() as u32 - 1],
            );
            bytes.extend_from_slice(&entry.name);
        }
        bytes
    }
}
