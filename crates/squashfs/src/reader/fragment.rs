//! Reads data blocks and fragments.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Image, ReadError};
use crate::format::BLOCK_UNCOMPRESSED;

/// Entries in a metadata block of the fragment table, and the bytes of one.
const PER_BLOCK: u32 = 512;
const ENTRY: u16 = 16;

/// The fragment block that was read last.
#[derive(Default)]
pub(super) struct Fragment {
    number: Option<u32>,
    pub(super) bytes: Vec<u8>,
}

impl<R: Read + Seek> Image<R> {
    /// Makes a fragment block the current one.
    pub(super) fn load_fragment(&mut self, number: u32) -> Result<(), ReadError> {
        if self.fragment.number == Some(number) {
            return Ok(());
        }
        self.fragment.number = None;
        let (start, size) = self.fragment_entry(number)?;
        let most = self.superblock.block_size as usize;
        let mut bytes = std::mem::take(&mut self.fragment.bytes);
        let loaded = self.load_block(start, size, most, &mut bytes);
        self.fragment.bytes = bytes;
        loaded?;
        self.fragment.number = Some(number);
        Ok(())
    }

    /// Where a fragment block is, and its size word.
    fn fragment_entry(&mut self, number: u32) -> Result<(u64, u32), ReadError> {
        let count = self.superblock.fragment_count;
        let index = self.superblock.fragment_table_start;
        if number >= count {
            return Err(ReadError::damaged(
                index,
                format!("fragment {number} is asked for, and there are {count}"),
            ));
        }
        let block = self
            .source
            .read_u64(index + u64::from(number / PER_BLOCK) * 8)?;
        let mut cursor = Cursor {
            block,
            offset: usize::from((number % PER_BLOCK) as u16 * ENTRY),
            table: self.directory_table.end..index,
        };
        let [low, high, size, _] = self.words(&mut cursor)?;
        Ok((u64::from(high) << 32 | u64::from(low), size))
    }

    /// Reads a data block or a fragment block with this size word, which unpacks to at most `most` bytes.
    pub(super) fn load_block(
        &mut self,
        start: u64,
        size: u32,
        most: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let length = stored(size);
        let limit = match size & BLOCK_UNCOMPRESSED {
            0 => self.superblock.block_size as usize,
            _ => most,
        };
        let unknown = size & !(BLOCK_UNCOMPRESSED | (BLOCK_UNCOMPRESSED - 1));
        if length == 0 || length > limit || unknown != 0 {
            return Err(ReadError::damaged(
                start,
                format!("a block cannot have the size {size:#x}"),
            ));
        }
        let mut packed = std::mem::take(&mut self.packed);
        let target = match size & BLOCK_UNCOMPRESSED {
            0 => &mut packed,
            _ => &mut *bytes,
        };
        target.resize(length, 0);
        let mut result = self.source.read(start, target);
        if result.is_ok() && size & BLOCK_UNCOMPRESSED == 0 {
            let unpacked = self.unpacker.unpack(&packed, bytes, most);
            result = unpacked.map_err(|source| ReadError::Unpack {
                offset: start,
                source,
            });
        }
        self.packed = packed;
        result
    }
}

/// The bytes that a block takes in the image, by its size word.
pub(super) fn stored(size: u32) -> usize {
    (size & (BLOCK_UNCOMPRESSED - 1)) as usize
}
