//! Files are read, cut into blocks and fragments, and compared with what was read before.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};

use crate::Error;
use crate::content::{Contents, Digest, LargeId, digest};
use crate::image::Image;
use crate::inode::Tail;
use crate::pipeline::Pipeline;
use crate::step::{Content, Step};

/// The reading side of an image writer.
pub(crate) struct Intake {
    block_size: usize,
    contents: Contents,
    large_count: LargeId,
    /// The fragment that is being filled, and its number.
    fragment: Vec<u8>,
    fragment_number: u32,
    /// A small file, until it is known to be new.
    small: Vec<u8>,
    /// Names of the directories entered and not left, for messages.
    directories: Vec<Box<[u8]>>,
    pub(crate) content_size: u64,
    pub(crate) duplicate_size: u64,
}

impl Intake {
    pub(crate) fn new(block_size: usize) -> Self {
        Self {
            block_size,
            contents: Contents::default(),
            large_count: 0,
            fragment: Vec::new(),
            fragment_number: 0,
            small: Vec::new(),
            directories: Vec::new(),
            content_size: 0,
            duplicate_size: 0,
        }
    }

    /// Bytes taken in that wait for their fragment to be full.
    pub(crate) fn pending(&self) -> u64 {
        self.fragment.len() as u64
    }

    pub(crate) fn enter(&mut self, name: &[u8]) {
        self.directories.push(name.into());
    }

    pub(crate) fn leave(&mut self) -> Result<(), Error> {
        self.directories.pop().map(drop).ok_or(Error::Nesting)
    }

    /// The path of an entry of the directory entered last, as text.
    pub(crate) fn path(&self, name: &[u8]) -> String {
        let mut names: Vec<&[u8]> = self.directories.iter().map(AsRef::as_ref).collect();
        names.push(name);
        String::from_utf8_lossy(&names.join(&b'/')).into_owned()
    }

    /// Reads one file and hands its blocks on.
    pub(crate) fn read<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        content: &mut (impl Read + Seek),
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<Content, Error> {
        let (result, duplicate) = if size < self.block_size as u64 {
            self.read_small(name, size as usize, content, pipeline)?
        } else {
            self.read_large(name, size, content, pipeline, image)?
        };
        self.content_size += size;
        if duplicate {
            self.duplicate_size += size;
        }
        Ok(result)
    }

    fn read_small(
        &mut self,
        name: &[u8],
        size: usize,
        content: &mut impl Read,
        pipeline: &mut Pipeline<Step>,
    ) -> Result<(Content, bool), Error> {
        let mut small = std::mem::take(&mut self.small);
        let source = Source {
            intake: self,
            name,
            size: size as u64,
        };
        source.fill(content, &mut small, 0, size)?;
        source.at_end(content)?;
        let (tail, duplicate) = if size == 0 {
            (Tail::NONE, false)
        } else {
            let digest = digest(blake3::Hasher::new().update(&small));
            match self.contents.small(&digest) {
                Some(tail) => (tail, true),
                None => {
                    let tail = self.add_tail(&small, pipeline)?;
                    self.contents.add_small(digest, tail);
                    (tail, false)
                }
            }
        };
        self.small = small;
        let size = size as u32;
        Ok((Content::Small { size, tail }, duplicate))
    }

    fn read_large<W: Write + Seek>(
        &mut self,
        name: &[u8],
        size: u64,
        content: &mut (impl Read + Seek),
        pipeline: &mut Pipeline<Step>,
        image: &mut Image<W>,
    ) -> Result<(Content, bool), Error> {
        let block_size = self.block_size;
        let block_count = usize::try_from(size.div_ceil(block_size as u64))
            .ok()
            .filter(|&count| u32::try_from(count).is_ok())
            .ok_or_else(|| Error::TooLarge {
                what: format!("{}, in blocks of {block_size} bytes", self.path(name)),
                value: size,
                limit: u64::from(u32::MAX) * block_size as u64,
            })?;

        let mut block = pipeline.buffer();
        let source = Source {
            intake: self,
            name,
            size,
        };
        source.fill(content, &mut block, 0, block_size)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&block);
        let head = digest(&hasher);

        let candidates = self.contents.candidates(size, head);
        if !candidates.is_empty() {
            let whole = source.hash_rest(content, hasher.clone(), pipeline)?;
            if let Some(&(_, id)) = candidates.iter().find(|(digest, _)| *digest == whole) {
                pipeline.recycle(block);
                return Ok((Content::Large(id), true));
            }
            content
                .seek(SeekFrom::Start(block_size as u64))
                .map_err(|error| source.error(error))?;
        }

        pipeline.push(Step::Begin {
            size,
            blocks: block_count,
        });
        let mut done = 0u64;
        let mut tail = Tail::NONE;
        loop {
            done += block.len() as u64;
            let length = block.len();
            if is_zero(&block) {
                pipeline.recycle(block);
                pipeline.push(Step::Hole(length as u32));
            } else if length < block_size {
                tail = self.add_tail(&block, pipeline)?;
                pipeline.recycle(block);
            } else {
                pipeline.push_block(Step::Block, block);
            }
            image.drain(pipeline, false)?;
            let left = size - done;
            if left == 0 {
                break;
            }
            block = pipeline.buffer();
            let source = Source {
                intake: self,
                name,
                size,
            };
            source.fill(content, &mut block, done, block_size.min(left as usize))?;
            hasher.update(&block);
        }
        Source {
            intake: self,
            name,
            size,
        }
        .at_end(content)?;
        pipeline.push(Step::End(tail));
        let id = self.large_count;
        self.large_count += 1;
        self.contents.add_large(size, head, digest(&hasher), id);
        Ok((Content::Large(id), false))
    }

    /// Puts a tail end into the fragment that is being filled, or into the next one.
    fn add_tail(&mut self, bytes: &[u8], pipeline: &mut Pipeline<Step>) -> Result<Tail, Error> {
        if self.fragment.len() + bytes.len() > self.block_size {
            self.flush_fragment(pipeline)?;
        }
        let tail = Tail {
            fragment: self.fragment_number,
            offset: self.fragment.len() as u32,
        };
        self.fragment.extend_from_slice(bytes);
        Ok(tail)
    }

    fn flush_fragment(&mut self, pipeline: &mut Pipeline<Step>) -> Result<(), Error> {
        if self.fragment.is_empty() {
            return Ok(());
        }
        self.fragment_number = self.fragment_number.checked_add(1).ok_or(Error::TooLarge {
            what: "the fragments".into(),
            value: 1 << 32,
            limit: u64::from(u32::MAX),
        })?;
        let fragment = std::mem::replace(&mut self.fragment, pipeline.buffer());
        pipeline.push_block(Step::Fragment, fragment);
        Ok(())
    }

    pub(crate) fn finish(&mut self, pipeline: &mut Pipeline<Step>) -> Result<(), Error> {
        if !self.directories.is_empty() {
            return Err(Error::Nesting);
        }
        self.flush_fragment(pipeline)
    }
}

/// A file that is being read, for the messages about it.
struct Source<'a> {
    intake: &'a Intake,
    name: &'a [u8],
    size: u64,
}

impl Source<'_> {
    fn error(&self, source: std::io::Error) -> Error {
        Error::Read {
            name: self.intake.path(self.name),
            source,
        }
    }

    fn changed(&self, found: u64) -> Error {
        Error::SizeChanged {
            name: self.intake.path(self.name),
            expected: self.size,
            found,
        }
    }

    /// Reads exactly `length` bytes, the file's bytes from `done` on, into the emptied buffer.
    fn fill(
        &self,
        content: &mut impl Read,
        buffer: &mut Vec<u8>,
        done: u64,
        length: usize,
    ) -> Result<(), Error> {
        buffer.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match content.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.changed(done + filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error)),
            }
        }
        Ok(())
    }

    /// Makes sure that nothing follows.
    fn at_end(&self, content: &mut impl Read) -> Result<(), Error> {
        match content.read_exact(&mut [0]) {
            Ok(()) => Err(self.changed(self.size + 1)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(self.error(error)),
        }
    }

    /// The hash of the whole file, its first block being in `hasher`.
    fn hash_rest(
        &self,
        content: &mut impl Read,
        mut hasher: blake3::Hasher,
        pipeline: &Pipeline<Step>,
    ) -> Result<Digest, Error> {
        let block_size = self.intake.block_size;
        let mut block = pipeline.buffer();
        let mut done = block_size as u64;
        while done < self.size {
            let length = (self.size - done).min(block_size as u64) as usize;
            self.fill(content, &mut block, done, length)?;
            hasher.update(&block);
            done += length as u64;
        }
        pipeline.recycle(block);
        self.at_end(content)?;
        Ok(digest(&hasher))
    }
}

fn is_zero(block: &[u8]) -> bool {
    // Most blocks are told apart by their first bytes.
    block.iter().take(16).all(|&byte| byte == 0) && block.iter().all(|&byte| byte == 0)
}
