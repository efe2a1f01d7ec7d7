//! What becomes one block of the image: bytes that were read, and bytes that are read only where they are needed.

use std::io;

use super::cache::Kind;
use super::piece::{Digest, Reread, digest};
use crate::Error;

/// Bytes to be compressed together.
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    /// What was read, one stretch behind the other.
    bytes: Vec<u8>,
    /// What was not, in order.
    unread: Vec<(usize, Unread)>,
    size: usize,
    digests: Vec<Digest>,
}

/// Bytes of a file that need not be read again where the cache has what became of them.
pub(crate) struct Unread {
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) size: usize,
    pub(crate) digest: Digest,
    pub(crate) reread: Reread,
}

impl Chunk {
    /// A chunk that is empty, and will lie in this buffer.
    pub(crate) fn new(kind: Kind, buffer: Vec<u8>) -> Self {
        Self {
            kind,
            bytes: buffer,
            unread: Vec::new(),
            size: 0,
            digests: Vec::new(),
        }
    }

    /// The block that this buffer holds.
    pub(crate) fn block(bytes: Vec<u8>, digest: Digest) -> Self {
        Self {
            size: bytes.len(),
            digests: vec![digest],
            ..Self::new(Kind::Block, bytes)
        }
    }

    /// The block that can be read here.
    pub(crate) fn unread(part: Unread) -> Self {
        let mut chunk = Self::new(Kind::Block, Vec::new());
        chunk.add_unread(part);
        chunk
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The hashes of what it is made of.
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

    /// All bytes, in `spare` or in a buffer of its own; the other buffer.
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

    /// The buffer, for others.
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
