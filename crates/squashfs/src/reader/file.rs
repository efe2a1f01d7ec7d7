//! Reads the content of a file as a stream.

use std::io::{self, Read, Seek};

use super::fragment::stored;
use super::metadata::Cursor;
use super::{File, Image, ReadError};

/// Sizes of blocks that are read ahead.
const AHEAD: u64 = 256;

/// Reads a file of an image from its beginning to its end; made by [`Image::read`].
///
/// It returns as many bytes as the inode states, or an error. Holes are zeros, and nothing is read for them.
pub struct FileReader<'a, R> {
    image: &'a mut Image<R>,
    /// Bytes of the file that are not yet in `current`.
    left: u64,
    /// Blocks that have not been read.
    blocks_left: u64,
    /// Where the next block is.
    next: u64,
    sizes: Cursor,
    /// Sizes read ahead, the next one last.
    ahead: Vec<u32>,
    fragment: Option<(u32, u32)>,
    block: Vec<u8>,
    current: Current,
}

/// Where the next bytes come from.
enum Current {
    /// The block from here on.
    Block(usize),
    /// This many zeros.
    Hole(u64),
    /// The image's fragment block, from here to there.
    Tail(usize, usize),
    /// Nothing: the next block is damaged.
    Broken,
}

impl<R: Read + Seek> Image<R> {
    /// The content of a file.
    pub fn read(&mut self, file: &File) -> FileReader<'_, R> {
        let block_size = u64::from(self.superblock.block_size);
        // What does not fill a block is in a fragment, or is a last, shorter block.
        let blocks_left = match file.fragment {
            Some(_) => file.size / block_size,
            None => file.size.div_ceil(block_size),
        };
        FileReader {
            image: self,
            left: file.size,
            blocks_left,
            next: file.start,
            sizes: file.blocks.clone(),
            ahead: Vec::new(),
            fragment: file.fragment,
            block: Vec::new(),
            current: Current::Block(0),
        }
    }
}

impl<R: Read + Seek> FileReader<'_, R> {
    /// Goes on to the next block, hole or tail. Called when `current` is used up and bytes are left to read.
    fn advance(&mut self) -> Result<(), ReadError> {
        self.current = Current::Broken; // unless all that follows succeeds
        if self.blocks_left == 0 {
            return self.tail();
        }
        let size = match self.ahead.pop() {
            Some(size) => size,
            None => self.more_sizes()?,
        };
        self.blocks_left -= 1;
        let length = self.left.min(self.image.superblock.block_size.into());
        if size == 0 {
            self.current = Current::Hole(length);
        } else {
            let expected = length as usize;
            self.image
                .load_block(self.next, size, expected, &mut self.block)?;
            if self.block.len() != expected {
                let found = self.block.len();
                return Err(ReadError::damaged(
                    self.next,
                    format!("a file's block has {found} bytes instead of {expected}"),
                ));
            }
            self.next += stored(size) as u64;
            self.current = Current::Block(0);
        }
        self.left -= length;
        Ok(())
    }

    fn more_sizes(&mut self) -> Result<u32, ReadError> {
        let count = self.blocks_left.min(AHEAD) as usize;
        let mut bytes = [0; 4 * AHEAD as usize];
        let bytes = &mut bytes[..count * 4];
        self.image.metadata(&mut self.sizes, bytes)?;
        let words = bytes.chunks_exact(4).rev();
        self.ahead
            .extend(words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])));
        Ok(self.ahead.pop().unwrap_or_default())
    }

    fn tail(&mut self) -> Result<(), ReadError> {
        let Some((number, offset)) = self.fragment else {
            return Err(self.sizes.damaged("a file's blocks end before it does"));
        };
        self.image.load_fragment(number)?;
        let start = offset as usize;
        let end = usize::try_from(self.left)
            .ok()
            .and_then(|left| start.checked_add(left));
        match end {
            Some(end) if end <= self.image.fragment.bytes.len() => {
                self.left = 0;
                self.current = Current::Tail(start, end);
                Ok(())
            }
            _ => Err(self.sizes.damaged(format!(
                "a file's last {} bytes should be at {offset} in fragment {number}, which has {}",
                self.left,
                self.image.fragment.bytes.len()
            ))),
        }
    }
}

impl<R: Read + Seek> Read for FileReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let rest = match &mut self.current {
                Current::Hole(zeros) if *zeros > 0 => {
                    let length = usize::try_from(*zeros).unwrap_or(usize::MAX);
                    let length = length.min(buffer.len());
                    buffer[..length].fill(0);
                    *zeros -= length as u64;
                    return Ok(length);
                }
                Current::Hole(_) => &[],
                Current::Block(at) => &self.block[*at..],
                Current::Tail(at, end) => &self.image.fragment.bytes[*at..*end],
                Current::Broken => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the file is damaged here, and cannot be read any further",
                    ));
                }
            };
            if rest.is_empty() {
                if self.left == 0 {
                    return Ok(0);
                }
                self.advance()?;
                continue;
            }
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            if let Current::Block(at) | Current::Tail(at, _) = &mut self.current {
                *at += length;
            }
            return Ok(length);
        }
    }
}
