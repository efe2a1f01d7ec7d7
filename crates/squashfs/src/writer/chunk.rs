//! Collects the bytes of one block of the image. Some were read already, others are read only if the cache lacks the
//! block.

use std::io;

use super::cache::Kind;
use super::piece::{Digest, Reread, digest};
use crate::Error;

/// Bytes to be compressed together.
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    /// The bytes that were read, one part after the other.
    bytes: Vec<u8>,
    /// The parts that were not read, in order, each with its offset in the chunk.
    unread: Vec<(usize, Unread)>,
    size: usize,
    digests: Vec<Digest>,
}

/// Bytes of a file that are read only if the cache lacks the block that they are in.
pub(crate) struct Unread {
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) size: usize,
    pub(crate) digest: Digest,
    pub(crate) reread: Reread,
}

impl Chunk {
    /// An empty chunk that will use this buffer.
    pub(crate) fn new(kind: Kind, buffer: Vec<u8>) -> Self {
        Self {
            kind,
            bytes: buffer,
            unread: Vec::new(),
            size: 0,
            digests: Vec::new(),
        }
    }

    /// A block that was read into this buffer.
    pub(crate) fn block(bytes: Vec<u8>, digest: Digest) -> Self {
        Self {
            size: bytes.len(),
            digests: vec![digest],
            ..Self::new(Kind::Block, bytes)
        }
    }

    /// A block that was not read.
    pub(crate) fn unread(part: Unread) -> Self {
        let mut chunk = Self::new(Kind::Block, Vec::new());
        chunk.add_unread(part);
        chunk
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The hashes of its parts.
    pub(crate) fn digests(&self) -> &[Digest] {
        &self.digests
    }

    pub(crate) fn add(&mut self, bytes: &[u8], digest: Digest) {
        self.bytes.extend_from_slice(bytes);
        self.size += bytes.len();
        self.digests.push(digest);
    }

    pub(crate) fn add_unread(&mut self, part: Unread) {
        let at = self.size;
        self.size += part.size;
        self.digests.push(part.digest);
        self.unread.push((at, part));
    }

    /// Returns all bytes, and a second buffer to be used again. Uses `spare` if there are parts to be read.
    pub(crate) fn load(self, mut spare: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), Error> {
        if self.unread.is_empty() {
            return Ok((self.bytes, spare));
        }
        let mut read = self.bytes.as_slice();
        spare.clear();
        spare.reserve(self.size);
        for (at, part) in &self.unread {
            let (before, after) = read.split_at(at - spare.len());
            spare.extend_from_slice(before);
            read = after;
            part.load(&mut spare)?;
        }
        spare.extend_from_slice(read);
        Ok((spare, self.bytes))
    }

    /// Its buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

impl Unread {
    fn load(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let start = bytes.len();
        bytes.resize(start + self.size, 0);
        let read = (self.reread)(self.offset, &mut bytes[start..]);
        let changed = || Error::Changed {
            name: self.name.clone(),
        };
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => changed(),
            _ => Error::Read {
                name: self.name.clone(),
                source,
            },
        })?;
        if digest(&bytes[start..]) == self.digest {
            Ok(())
        } else {
            Err(changed())
        }
    }
}
