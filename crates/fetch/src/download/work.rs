//! Which chunks are there, which are on their way, and which are missing.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::{CHUNK_SIZE, Error, Plan};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Missing,
    Asked,
    Done,
}

/// The chunks of all images, numbered through.
pub(super) struct Work<'a> {
    images: Vec<Span<'a>>,
    chunks: Vec<Chunk>,
    /// All chunks before it are done.
    first: usize,
    missing: usize,
    /// Bytes that are there.
    pub(super) done: u64,
    /// Bytes that are to be there in the end.
    pub(super) total: u64,
    /// How often a place sent a chunk wrong: the chunk, the place, the count. Chunks that are done are not listed.
    wrong: Vec<(usize, usize, u32)>,
}

struct Span<'a> {
    chunks: Range<usize>,
    size: u64,
    hashes: &'a [[u8; 32]],
    /// Chunks that are not done.
    wanted: usize,
}

/// The chunks that a list of an image marks, which is as long as the image or not.
fn marked(list: &[bool], chunks: Range<usize>) -> impl Iterator<Item = usize> {
    let chunks = chunks.zip(list);
    chunks.filter_map(|(chunk, is_marked)| is_marked.then_some(chunk))
}

/// One chunk of an image.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) image: usize,
    pub(super) offset: u64,
    pub(super) size: usize,
    pub(super) hash: &'a [u8; 32],
}

impl<'a> Work<'a> {
    pub(super) fn new<E>(plan: &Plan<'a>) -> Result<Self, Error<E>> {
        let mut work = Self {
            images: Vec::with_capacity(plan.images.len()),
            chunks: Vec::new(),
            first: 0,
            missing: 0,
            done: 0,
            total: 0,
            wrong: Vec::new(),
        };
        for image in &plan.images {
            if image.chunks.len() as u64 != image.size.div_ceil(CHUNK_SIZE) {
                return Err(Error::Chunks(image.path.to_string()));
            }
            let start = work.chunks.len();
            let end = start + image.chunks.len();
            work.chunks
                .append(&mut vec![Chunk::Missing; image.chunks.len()]);
            work.images.push(Span {
                chunks: start..end,
                size: image.size,
                hashes: image.chunks,
                wanted: image.chunks.len(),
            });
            work.missing += image.chunks.len();
            work.total = work.total.saturating_add(image.size);
            for chunk in marked(&image.present, start..end) {
                work.finish(chunk);
            }
            for chunk in marked(&image.later, start..end) {
                work.leave(chunk);
            }
        }
        Ok(work)
    }

    pub(super) fn is_done(&self) -> bool {
        self.first == self.chunks.len()
    }

    /// The image that a chunk is of.
    pub(super) fn image_of(&self, chunk: usize) -> usize {
        self.images
            .partition_point(|image| image.chunks.end <= chunk)
    }

    /// The chunks of an image.
    pub(super) fn chunks_of(&self, image: usize) -> Range<usize> {
        self.images[image].chunks.clone()
    }

    /// The chunk that holds a byte of an image, if there is one.
    pub(super) fn chunk_at(&self, image: usize, byte: u64) -> Option<usize> {
        let chunks = &self.images.get(image)?.chunks;
        let number = usize::try_from(byte / CHUNK_SIZE).ok()?;
        chunks.clone().nth(number)
    }

    pub(super) fn size_of(&self, image: usize) -> u64 {
        self.images[image].size
    }

    pub(super) fn piece(&self, chunk: usize) -> Piece<'a> {
        let image = self.image_of(chunk);
        let span = &self.images[image];
        let number = chunk - span.chunks.start;
        let offset = number as u64 * CHUNK_SIZE;
        Piece {
            image,
            offset,
            // At most a chunk, which fits.
            size: (span.size - offset).min(CHUNK_SIZE) as usize,
            hash: &span.hashes[number],
        }
    }

    pub(super) fn is_missing(&self, chunk: usize) -> bool {
        self.chunks[chunk] == Chunk::Missing
    }

    /// The first chunk from `from` on that is missing and was not asked for.
    pub(super) fn next_missing(&self, from: usize) -> Option<usize> {
        (self.first.max(from)..self.chunks.len()).find(|&chunk| self.is_missing(chunk))
    }

    /// Whether any chunk of an image from `from` on is missing.
    pub(super) fn misses_behind(&self, image: usize, from: usize) -> bool {
        (from..self.chunks_of(image).end).any(|chunk| self.is_missing(chunk))
    }

    /// Whether an image is not whole.
    pub(super) fn is_wanted(&self, image: usize) -> bool {
        self.images[image].wanted > 0
    }

    pub(super) fn missing_count(&self) -> usize {
        self.missing
    }

    pub(super) fn ask(&mut self, chunk: usize) {
        if self.chunks[chunk] == Chunk::Missing {
            self.chunks[chunk] = Chunk::Asked;
            self.missing -= 1;
        }
    }

    /// Gives back a chunk that does not come.
    pub(super) fn give_back(&mut self, chunk: usize) {
        if self.chunks[chunk] == Chunk::Asked {
            self.chunks[chunk] = Chunk::Missing;
            self.missing += 1;
        }
    }

    pub(super) fn finish(&mut self, chunk: usize) {
        match self.chunks[chunk] {
            Chunk::Done => return,
            Chunk::Missing => self.missing -= 1,
            Chunk::Asked => {}
        }
        self.chunks[chunk] = Chunk::Done;
        let piece = self.piece(chunk);
        self.done += piece.size as u64;
        self.images[piece.image].wanted -= 1;
        while self.chunks.get(self.first) == Some(&Chunk::Done) {
            self.first += 1;
        }
        self.wrong.retain(|(wrong, ..)| *wrong != chunk);
    }

    /// Leaves a chunk to another download, unless it is there already.
    fn leave(&mut self, chunk: usize) {
        if self.chunks[chunk] != Chunk::Done {
            self.finish(chunk);
            let size = self.piece(chunk).size as u64;
            self.done -= size;
            self.total -= size;
        }
    }

    /// Counts a chunk that came wrong from a place.
    pub(super) fn wrong(&mut self, chunk: usize, place: usize) {
        let known = self
            .wrong
            .iter_mut()
            .find(|(wrong, from, _)| (*wrong, *from) == (chunk, place));
        match known {
            Some((.., count)) => *count += 1,
            None => self.wrong.push((chunk, place, 1)),
        }
    }

    /// How often a place sent a chunk wrong.
    pub(super) fn times_wrong(&self, chunk: usize, place: usize) -> u32 {
        self.wrong
            .iter()
            .find(|(wrong, from, _)| (*wrong, *from) == (chunk, place))
            .map_or(0, |(.., count)| *count)
    }

    /// Whether a chunk came wrong from any place.
    pub(super) fn came_wrong(&self, chunk: usize) -> bool {
        self.wrong.iter().any(|(wrong, ..)| *wrong == chunk)
    }

    /// The chunks that came wrong and are not right yet; one may be listed more than once.
    pub(super) fn wrong_chunks(&self) -> impl Iterator<Item = usize> {
        self.wrong.iter().map(|(chunk, ..)| *chunk)
    }
}
