//! Opens an image, and reads its superblock and tables.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::ops::Range;

use super::fragment::Fragment;
use super::metadata::{Cursor, Metadata};
use super::source::Source;
use super::unpack::Unpacker;
use super::{InodeRef, ReadError};
use crate::format::{METADATA_SIZE, NO_TABLE, SUPERBLOCK_SIZE, Superblock};

/// A squashfs image that is open for reading.
pub struct Image<R> {
    pub(super) source: Source<R>,
    pub(super) superblock: Superblock,
    pub(super) unpacker: Unpacker,
    pub(super) ids: Vec<u32>,
    pub(super) inode_table: Range<u64>,
    pub(super) directory_table: Range<u64>,
    /// The directory and the place in it where a directory was found.
    pub(super) places: HashMap<InodeRef, (InodeRef, usize)>,
    pub(super) fragment: Fragment,
    /// A block before it is unpacked.
    pub(super) packed: Vec<u8>,
    metadata: Metadata,
}

impl<R: Read + Seek> Image<R> {
    /// Opens the image that a file or a device begins with.
    ///
    /// # Errors
    /// When it cannot be read, is cut off, is no squashfs 4.0 image or is packed with an unknown compressor.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use storeboot_squashfs::reader::{Image, ReadError};
    ///
    /// let error = Image::open(Cursor::new(b"something else")).err();
    /// assert!(matches!(error, Some(ReadError::NotSquashfs)));
    /// ```
    pub fn open(source: R) -> Result<Self, ReadError> {
        Self::open_at(source, 0)
    }

    /// Opens the image that begins at this byte of a file, as one in an initrd does.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open_at(source: R, start: u64) -> Result<Self, ReadError> {
        let mut source = Source::new(source, start)?;
        let mut bytes = [0; SUPERBLOCK_SIZE];
        if source.length() < bytes.len() as u64 {
            return Err(ReadError::NotSquashfs);
        }
        source.read(0, &mut bytes)?;
        let superblock = Superblock::decode(&bytes).ok_or(ReadError::NotSquashfs)?;
        source.limit(superblock.bytes_used)?;
        let unpacker = Unpacker::new(superblock.compressor)?;
        let directories_end = directories_end(&mut source, &superblock)?;
        let mut image = Self {
            source,
            superblock,
            unpacker,
            ids: Vec::new(),
            inode_table: superblock.inode_table_start..superblock.directory_table_start,
            directory_table: superblock.directory_table_start..directories_end,
            places: HashMap::new(),
            fragment: Fragment::default(),
            packed: Vec::new(),
            metadata: Metadata::new(),
        };
        image.check_tables()?;
        image.ids = image.read_ids()?;
        Ok(image)
    }

    /// The superblock.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Where the root directory's inode is.
    #[must_use]
    pub fn root(&self) -> InodeRef {
        InodeRef(self.superblock.root_inode)
    }

    /// Where the inode with this number is, by the export table. `None`: the image has no such table.
    ///
    /// # Errors
    /// When there is no such inode, or the table is damaged.
    pub fn inode_by_number(&mut self, number: u32) -> Result<Option<InodeRef>, ReadError> {
        let index = self.superblock.export_table_start;
        if index == NO_TABLE {
            return Ok(None);
        }
        let count = self.superblock.inode_count;
        if number == 0 || number > count {
            return Err(ReadError::damaged(
                index,
                format!("inode {number} is asked for, and there are {count}"),
            ));
        }
        let at = u64::from(number - 1) * 8;
        let block = METADATA_SIZE as u64;
        let mut cursor = Cursor {
            block: self.source.read_u64(index + at / block * 8)?,
            offset: (at % block) as usize,
            table: self.directory_table.end..index,
        };
        let [low, high] = self.words(&mut cursor)?;
        Ok(Some(InodeRef(u64::from(high) << 32 | u64::from(low))))
    }

    fn check_tables(&self) -> Result<(), ReadError> {
        let superblock = &self.superblock;
        let wrong = |what: &str| Err(ReadError::damaged(0, format!("by the superblock, {what}")));
        if superblock.inode_table_start < SUPERBLOCK_SIZE as u64
            || self.inode_table.is_empty()
            || self.directory_table.start > self.directory_table.end
        {
            return wrong("the tables are not one after the other");
        }
        if superblock.inode_count == 0 || superblock.id_count == 0 {
            return wrong("there are no inodes or no ids");
        }
        let fits = |start: u64, count: u32, size: u64| {
            let blocks = (u64::from(count) * size).div_ceil(METADATA_SIZE as u64);
            let end = start.checked_add(blocks * 8);
            end.is_some_and(|end| end <= superblock.bytes_used)
        };
        if !fits(superblock.id_table_start, superblock.id_count.into(), 4) {
            return wrong("the id table goes on after the image's end");
        }
        let fragments = superblock.fragment_count;
        if fragments > 0 && !fits(superblock.fragment_table_start, fragments, 16) {
            return wrong("the fragment table goes on after the image's end");
        }
        let export = superblock.export_table_start;
        if export != NO_TABLE && !fits(export, superblock.inode_count, 8) {
            return wrong("the export table goes on after the image's end");
        }
        Ok(())
    }

    fn read_ids(&mut self) -> Result<Vec<u32>, ReadError> {
        let index = self.superblock.id_table_start;
        let count = usize::from(self.superblock.id_count);
        let mut bytes = vec![0; count * 4];
        for (number, chunk) in bytes.chunks_mut(METADATA_SIZE).enumerate() {
            let mut cursor = Cursor {
                block: self.source.read_u64(index + number as u64 * 8)?,
                offset: 0,
                table: self.directory_table.end..index,
            };
            self.metadata(&mut cursor, chunk)?;
        }
        let words = bytes.chunks_exact(4);
        Ok(words
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect())
    }

    /// Fills a buffer with metadata and moves the cursor.
    pub(super) fn metadata(
        &mut self,
        cursor: &mut Cursor,
        buffer: &mut [u8],
    ) -> Result<(), ReadError> {
        self.metadata
            .read(&mut self.source, &mut self.unpacker, cursor, buffer)
    }

    pub(super) fn halves<const N: usize>(
        &mut self,
        cursor: &mut Cursor,
    ) -> Result<[u16; N], ReadError> {
        let mut bytes = [[0; 2]; N];
        self.metadata(cursor, bytes.as_flattened_mut())?;
        Ok(bytes.map(u16::from_le_bytes))
    }

    pub(super) fn words<const N: usize>(
        &mut self,
        cursor: &mut Cursor,
    ) -> Result<[u32; N], ReadError> {
        let mut bytes = [[0; 4]; N];
        self.metadata(cursor, bytes.as_flattened_mut())?;
        Ok(bytes.map(u32::from_le_bytes))
    }
}

/// Where the directory table ends: at the first block of the table that follows it.
fn directories_end<R: Read + Seek>(
    source: &mut Source<R>,
    superblock: &Superblock,
) -> Result<u64, ReadError> {
    let mut indexes = vec![superblock.id_table_start];
    if superblock.fragment_count > 0 {
        indexes.push(superblock.fragment_table_start);
    }
    if superblock.export_table_start != NO_TABLE {
        indexes.push(superblock.export_table_start);
    }
    let mut end = u64::MAX;
    for index in indexes {
        let first = source.read_u64(index)?;
        if first >= index {
            return Err(ReadError::damaged(
                index,
                format!("a table's index points ahead, to byte {first}"),
            ));
        }
        end = end.min(first);
    }
    Ok(end)
}
