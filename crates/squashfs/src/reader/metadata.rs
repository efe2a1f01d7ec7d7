//! Metadata blocks: at most 8 KiB each, unpacked once and kept for a while.

use std::io::{Read, Seek};
use std::ops::Range;

use super::ReadError;
use super::source::Source;
use super::unpack::Unpacker;
use crate::format::{METADATA_SIZE, METADATA_UNCOMPRESSED};

/// Blocks that are kept: 256 KiB in all.
const KEPT: usize = 32;

/// A place in a table of metadata blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Where the block is in the image.
    pub(super) block: u64,
    /// Where in the unpacked block.
    pub(super) offset: usize,
    /// Where the table is: nothing is read after its end.
    pub(super) table: Range<u64>,
}

impl Cursor {
    /// A place by a block counted from the table's start.
    pub(super) fn new(table: &Range<u64>, block: u32, offset: u16) -> Self {
        Self {
            block: table.start.saturating_add(block.into()),
            offset: offset.into(),
            table: table.clone(),
        }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> ReadError {
        ReadError::damaged(self.block, reason)
    }
}

struct Block {
    start: u64,
    /// Where the next one is.
    next: u64,
    bytes: Vec<u8>,
    /// When it was last used.
    used: u64,
}

/// The blocks that were read last.
pub(super) struct Metadata {
    blocks: Vec<Block>,
    clock: u64,
    packed: Vec<u8>,
}

impl Metadata {
    pub(super) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            clock: 0,
            packed: Vec::new(),
        }
    }

    /// Fills `buffer` from the cursor on and moves it.
    pub(super) fn read<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        unpacker: &mut Unpacker,
        cursor: &mut Cursor,
        buffer: &mut [u8],
    ) -> Result<(), ReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let block = self.block(source, unpacker, cursor)?;
            let Some(rest) = block.bytes.get(cursor.offset..) else {
                return Err(cursor.damaged(format!(
                    "byte {} of this metadata block is asked for, but it has {}",
                    cursor.offset,
                    block.bytes.len()
                )));
            };
            if rest.is_empty() {
                cursor.block = block.next;
                cursor.offset = 0;
                continue;
            }
            let length = rest.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&rest[..length]);
            filled += length;
            cursor.offset += length;
        }
        Ok(())
    }

    fn block<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        unpacker: &mut Unpacker,
        cursor: &Cursor,
    ) -> Result<&Block, ReadError> {
        let start = cursor.block;
        if !cursor.table.contains(&start) {
            return Err(cursor.damaged(format!(
                "metadata is asked for here, but its table is from byte {} to {}",
                cursor.table.start, cursor.table.end
            )));
        }
        self.clock += 1;
        let found = self.blocks.iter().position(|block| block.start == start);
        let at = match found {
            Some(at) => at,
            None => {
                let mut block = self.oldest();
                block.start = start;
                block.next = load(source, unpacker, start, &mut self.packed, &mut block.bytes)?;
                self.blocks.push(block);
                self.blocks.len() - 1
            }
        };
        let block = &mut self.blocks[at];
        block.used = self.clock;
        // A block that begins in this table may end in another one.
        if block.next > cursor.table.end {
            return Err(cursor.damaged("this metadata block goes on after its table's end"));
        }
        Ok(block)
    }

    /// A block to fill: a new one, or the one that was not used for longest.
    fn oldest(&mut self) -> Block {
        let oldest = (0..self.blocks.len())
            .min_by_key(|at| self.blocks[*at].used)
            .filter(|_| self.blocks.len() >= KEPT);
        match oldest {
            Some(at) => self.blocks.swap_remove(at),
            None => Block {
                start: 0,
                next: 0,
                bytes: Vec::new(),
                used: 0,
            },
        }
    }
}

/// Reads a block and tells where the next one is.
fn load<R: Read + Seek>(
    source: &mut Source<R>,
    unpacker: &mut Unpacker,
    start: u64,
    packed: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
) -> Result<u64, ReadError> {
    let damaged = |reason: String| ReadError::damaged(start, reason);
    let mut header = [0; 2];
    source.read(start, &mut header)?;
    let header = u16::from_le_bytes(header);
    let length = usize::from(header & !METADATA_UNCOMPRESSED);
    if length == 0 || length > METADATA_SIZE {
        return Err(damaged(format!(
            "a metadata block cannot have {length} bytes"
        )));
    }
    let target = match header & METADATA_UNCOMPRESSED {
        0 => &mut *packed,
        _ => &mut *bytes,
    };
    target.resize(length, 0);
    source.read(start + 2, target)?;
    if header & METADATA_UNCOMPRESSED == 0 {
        unpacker
            .unpack(packed, bytes, METADATA_SIZE)
            .map_err(|source| ReadError::Unpack {
                offset: start,
                source,
            })?;
    }
    Ok(start + 2 + length as u64)
}
