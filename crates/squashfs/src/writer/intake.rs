//! Reads files, cuts them into blocks and fragments, and finds those that the image holds already.

use std::io::{Read, Seek, SeekFrom, Write};

use super::chunk::{Chunk, Unread};
use super::content::{Contents, LargeId};
use super::fragments::{FragmentPart, Fragments};
use super::image::Image;
use super::inode::Tail;
use super::piece::{Digest, Piece, Reread, whole};
use super::pipeline::Pipeline;
use super::source::Source;
use super::step::{FileData, Step};
use crate::Error;

/// The reading side of an image writer.
pub(crate) struct Intake {
    block_size: usize,
    contents: Contents,
    large_count: LargeId,
    fragments: Fragments,
    /// A small file, until it is known to be new.
    small: Vec<u8>,
    /// Names of the directories entered and not left, for messages.
    directories: Vec<Box<[u8]>>,
    pub(crate) content_size: u64,
    duplicate_size: u64,
    /// Bytes stored ahead of the entries, whose own files are found again as duplicates.
    ahead_size: u64,
    /// Whether something was stored ahead since the last end of it.
    ahead_begun: bool,
}

impl Intake {
    pub(crate) fn new(block_size: usize) -> Self {
        Self {
            block_size,
            contents: Contents::default(),
            large_count: 0,
            fragments: Fragments::new(block_size),
            small: Vec::new(),
            directories: Vec::new(),
            content_size: 0,
            duplicate_size: 0,
            ahead_size: 0,
            ahead_begun: false,
        }
    }

    /// Bytes that wait for their fragment to be full.
    pub(crate) fn pending(&self) -> u64 {
        self.fragments.pending()
    }

    /// An entry is about to be added.
    pub(crate) fn begin(&mut self, pipeline: &mut Pipeline<Step>) {
        if self.directories.is_empty() {
            self.fragments.boundary(pipeline);
        }
    }

    pub(crate) fn enter(&mut self, name: &[u8]) {
        self.directories.push(name.into());
    }

    pub(crate) fn leave(&mut self) -> Result<(), Error> {
        self.directories.pop().map(drop).ok_or(Error::Nesting)
    }

    /// Whether a directory was entered and not left.
    pub(crate) fn is_nested(&self) -> bool {
        !self.directories.is_empty()
    }

    /// The path of an entry of the directory entered last, as text.
    pub(crate) fn path(&self, name: &[u8]) -> String {
        path(&self.directories, name)
    }

    /// Reads a file and passes its blocks to the pipeline. Fills `pieces`.
    pub(crate) fn read<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        content: &mut (impl Read + Seek),
        pieces: &mut Vec<Piece>,
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<FileData, Error> {
        pieces.clear();
        if size < self.block_size as u64 {
            self.read_small(name, size as usize, content, pieces, pipeline)
        } else {
            self.read_large(name, size, content, pieces, pipeline, image)
        }
    }

    /// Stores a content before the entry that it belongs to, apart from what is stored with its entry. The last bytes of a
    /// content of several blocks are stored like all others unless `tail` says that they belong here, too.
    pub(crate) fn read_ahead<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        content: &mut (impl Read + Seek),
        tail: bool,
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<(), Error> {
        self.ahead_begun |= size > 0;
        let (content_size, duplicate_size) = (self.content_size, self.duplicate_size);
        self.fragments.ahead = tail || size < self.block_size as u64;
        let read = self.read(name, size, content, &mut Vec::new(), pipeline, image);
        self.fragments.ahead = false;
        let again = self.duplicate_size - duplicate_size;
        self.ahead_size += size - again;
        (self.content_size, self.duplicate_size) = (content_size, duplicate_size);
        read.map(drop)
    }

    /// Nothing more is stored ahead for now.
    pub(crate) fn finish_ahead(&mut self, pipeline: &mut Pipeline<Step>) {
        self.fragments.finish_ahead(pipeline);
        if std::mem::take(&mut self.ahead_begun) {
            pipeline.push(Step::AheadEnd);
        }
    }

    /// Bytes of files that are not stored again, since other files have the same content.
    pub(crate) fn duplicate_size(&self) -> u64 {
        self.duplicate_size.saturating_sub(self.ahead_size)
    }

    /// Passes the blocks of a known file to the pipeline.
    pub(crate) fn known<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        pieces: &[Piece],
        reread: &Reread,
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<FileData, Error> {
        let block_size = self.block_size as u64;
        let count = self.block_count(name, size)?;
        let small = size < block_size;
        if pieces.len() != count || small && pieces.contains(&Piece::Zeros) {
            return Err(Error::Pieces {
                name: self.path(name),
            });
        }
        self.content_size += size;
        let found = match pieces {
            [] => Some(FileData::EMPTY),
            [piece] if small => {
                let tail = self.contents.small(&piece.digest());
                tail.map(|tail| FileData::Small {
                    size: size as u32,
                    tail,
                })
            }
            _ => self.known_large(size, pieces),
        };
        if let Some(found) = found {
            self.duplicate_size += size;
            return Ok(found);
        }
        if !small {
            pipeline.push(Step::Begin {
                size,
                blocks: count,
            });
        }
        let mut last = Tail::NONE;
        for (number, piece) in pieces.iter().enumerate() {
            let offset = number as u64 * block_size;
            let length = block_size.min(size - offset) as usize;
            match *piece {
                Piece::Zeros => pipeline.push(Step::Hole(length as u32)),
                Piece::Data { digest, dense } => {
                    let part = Unread {
                        name: self.path(name),
                        offset,
                        size: length,
                        digest,
                        reread: Reread::clone(reread),
                    };
                    if length < self.block_size {
                        let part = FragmentPart::Unread(part);
                        last = self.fragments.add(part, digest, dense, pipeline)?;
                    } else {
                        pipeline.push_block(Step::Block, Chunk::unread(part));
                    }
                }
            }
            image.write_ready(pipeline)?;
        }
        if let ([piece], true) = (pieces, small) {
            self.contents.add_small(&piece.digest(), last);
            return Ok(FileData::Small {
                size: size as u32,
                tail: last,
            });
        }
        pipeline.push(Step::End(last));
        Ok(self.add_large(size, pieces))
    }

    fn read_small(
        &mut self,
        name: &[u8],
        size: usize,
        content: &mut impl Read,
        pieces: &mut Vec<Piece>,
        pipeline: &mut Pipeline<Step>,
    ) -> Result<FileData, Error> {
        let source = Source {
            name: &|| path(&self.directories, name),
            size: size as u64,
        };
        source.fill(content, &mut self.small, 0, size)?;
        source.at_end(content)?;
        self.content_size += size as u64;
        if size == 0 {
            return Ok(FileData::EMPTY);
        }
        let piece = Piece::last(&self.small);
        pieces.push(piece);
        let digest = piece.digest();
        let tail = match self.contents.small(&digest) {
            Some(tail) => {
                self.duplicate_size += size as u64;
                tail
            }
            None => {
                let tail = add_tail(&mut self.fragments, &self.small, &piece, pipeline)?;
                self.contents.add_small(&digest, tail);
                tail
            }
        };
        let size = size as u32;
        Ok(FileData::Small { size, tail })
    }

    fn read_large<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        content: &mut (impl Read + Seek),
        pieces: &mut Vec<Piece>,
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<FileData, Error> {
        let block_size = self.block_size;
        let blocks = self.block_count(name, size)?;
        let source = Source {
            name: &|| path(&self.directories, name),
            size,
        };
        let mut block = pipeline.buffer();
        source.fill(content, &mut block, 0, block_size)?;
        let head = piece_of(&block, block_size);
        pieces.push(head);

        if self.contents.has_candidates(size, &head.digest()) {
            let mut other = pipeline.buffer();
            let mut done = block.len() as u64;
            while done < size {
                let length = (size - done).min(block_size as u64) as usize;
                source.fill(content, &mut other, done, length)?;
                pieces.push(piece_of(&other, block_size));
                done += length as u64;
            }
            pipeline.recycle(other);
            source.at_end(content)?;
            if let Some(known) = self.known_large(size, pieces) {
                pipeline.recycle(block);
                self.content_size += size;
                self.duplicate_size += size;
                return Ok(known);
            }
            pieces.truncate(1);
            content
                .seek(SeekFrom::Start(block_size as u64))
                .map_err(|error| source.error(error))?;
        }

        pipeline.push(Step::Begin { size, blocks });
        let mut done = 0u64;
        let mut piece = head;
        let mut tail = Tail::NONE;
        loop {
            let length = block.len();
            done += length as u64;
            if piece == Piece::Zeros {
                pipeline.recycle(block);
                pipeline.push(Step::Hole(length as u32));
            } else if length < block_size {
                tail = add_tail(&mut self.fragments, &block, &piece, pipeline)?;
                pipeline.recycle(block);
            } else {
                pipeline.push_block(Step::Block, Chunk::block(block, piece.digest()));
            }
            image.write_ready(pipeline)?;
            if done == size {
                break;
            }
            block = pipeline.buffer();
            let length = (size - done).min(block_size as u64) as usize;
            source.fill(content, &mut block, done, length)?;
            piece = piece_of(&block, block_size);
            pieces.push(piece);
        }
        source.at_end(content)?;
        self.content_size += size;
        pipeline.push(Step::End(tail));
        Ok(self.add_large(size, pieces))
    }

    fn block_count(&self, name: &[u8], size: u64) -> Result<usize, Error> {
        let block_size = self.block_size as u64;
        let count = u32::try_from(size.div_ceil(block_size)).map_err(|_| Error::TooLarge {
            what: format!("{}, in blocks of {block_size} bytes", self.path(name)),
            value: size,
            limit: u64::from(u32::MAX) * block_size,
        })?;
        Ok(count as usize)
    }

    /// The content in the image that consists of these pieces, if there is one.
    fn known_large(&self, size: u64, pieces: &[Piece]) -> Option<FileData> {
        let head = pieces.first()?.digest();
        let id = self.contents.large(size, &head, &whole(pieces))?;
        Some(FileData::Large(id))
    }

    /// Gives a number to the content that was passed to the pipeline last.
    fn add_large(&mut self, size: u64, pieces: &[Piece]) -> FileData {
        let id = self.large_count;
        self.large_count += 1;
        let head: Digest = pieces.first().map_or([0; 32], Piece::digest);
        self.contents.add_large(size, &head, &whole(pieces), id);
        FileData::Large(id)
    }

    pub(crate) fn finish(&mut self, pipeline: &mut Pipeline<Step>) -> Result<(), Error> {
        if !self.directories.is_empty() {
            return Err(Error::Nesting);
        }
        self.fragments.finish(pipeline);
        Ok(())
    }
}

fn path(directories: &[Box<[u8]>], name: &[u8]) -> String {
    let mut names: Vec<&[u8]> = directories.iter().map(AsRef::as_ref).collect();
    names.push(name);
    String::from_utf8_lossy(&names.join(&b'/')).into_owned()
}

/// A piece of a file that is not small.
fn piece_of(bytes: &[u8], block_size: usize) -> Piece {
    if is_zero(bytes) {
        Piece::Zeros
    } else if bytes.len() < block_size {
        Piece::last(bytes)
    } else {
        Piece::block(bytes)
    }
}

/// Adds the last piece of a file, which was read, to a fragment.
fn add_tail(
    fragments: &mut Fragments,
    bytes: &[u8],
    piece: &Piece,
    pipeline: &mut Pipeline<Step>,
) -> Result<Tail, Error> {
    let dense = matches!(piece, Piece::Data { dense: true, .. });
    let part = FragmentPart::Read(bytes);
    fragments.add(part, piece.digest(), dense, pipeline)
}

fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    // Comparing whole stretches is many times as fast as looking at each byte, and most blocks differ in the first one.
    let mut stretches = block.chunks(ZEROS.len());
    stretches.all(|stretch| *stretch == ZEROS[..stretch.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_enough_not_to_be_zero() {
        for length in [1, 15, 4096, 4097, 20_000] {
            let mut block = vec![0; length];
            assert!(is_zero(&block), "{length}");
            for place in [0, length / 2, length - 1] {
                block[place] = 1;
                assert!(!is_zero(&block), "{length} {place}");
                block[place] = 0;
            }
        }
    }
}
