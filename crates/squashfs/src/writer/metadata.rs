//! Metadata: a stream cut into blocks of 8 KiB, each compressed by itself.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use super::codec::Encoder;
use crate::format::{METADATA_SIZE, METADATA_UNCOMPRESSED};
use crate::{Compression, Error};

/// Tables up to this size stay in memory; larger ones go through a temporary file.
const SPOOL: usize = 8 << 20;

/// Where something lies in a metadata table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Start of the compressed block, counted from the table's.
    pub(crate) block: u64,
    /// Offset in the uncompressed block.
    pub(crate) offset: u16,
}

impl Position {
    /// The 48-bit form that inodes are referred to by.
    pub(crate) fn reference(self) -> u64 {
        self.block << 16 | u64::from(self.offset)
    }
}

/// Writes one metadata table.
pub(crate) struct MetadataWriter {
    encoder: Encoder,
    block: Vec<u8>,
    packed: Vec<u8>,
    table: SpooledTempFile,
    written: u64,
    /// Start of each block, for the tables that have an index.
    starts: Vec<u64>,
}

impl MetadataWriter {
    pub(crate) fn new(compression: Compression, block_size: u32) -> Result<Self, Error> {
        Ok(Self {
            encoder: Encoder::for_metadata(compression, block_size)?,
            block: Vec::with_capacity(METADATA_SIZE),
            packed: Vec::new(),
            table: SpooledTempFile::new(SPOOL),
            written: 0,
            starts: Vec::new(),
        })
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> Position {
        Position {
            block: self.written,
            offset: self.block.len() as u16,
        }
    }

    /// Bytes of the table if it ended here, at most.
    pub(crate) fn size_bound(&self) -> u64 {
        self.written + 2 + self.block.len() as u64
    }

    /// Adds bytes; they may cross from one block to the next.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = METADATA_SIZE - self.block.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == METADATA_SIZE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.block.is_empty() {
            return Ok(());
        }
        let smaller = self.encoder.compress(&self.block, &mut self.packed)?;
        let (bytes, mark) = if smaller {
            (&self.packed, 0)
        } else {
            (&self.block, METADATA_UNCOMPRESSED)
        };
        let header = bytes.len() as u16 | mark;
        let mut written = self.table.write_all(&header.to_le_bytes());
        written = written.and_then(|()| self.table.write_all(bytes));
        written.map_err(temporary)?;
        self.starts.push(self.written);
        self.written += 2 + bytes.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Copies the table to `out`, which is at `at`; returns its length and where each of its blocks begins.
    pub(crate) fn finish(
        mut self,
        out: &mut impl Write,
        at: u64,
    ) -> Result<(u64, Vec<u64>), Error> {
        self.flush()?;
        self.table.seek(SeekFrom::Start(0)).map_err(temporary)?;
        let copied = io::copy(&mut self.table.take(self.written), out).map_err(Error::Write)?;
        if copied != self.written {
            return Err(temporary(io::ErrorKind::UnexpectedEof.into()));
        }
        let starts = self.starts.iter().map(|start| at + start).collect();
        Ok((self.written, starts))
    }
}

/// Names the folder, which is not the image's.
fn temporary(source: io::Error) -> Error {
    Error::Temporary {
        folder: std::env::temp_dir(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_8_kib_and_positions_point_into_them() {
        let mut table = MetadataWriter::new(Compression::None, 4096).expect("no compressor");
        table.write(&[1; METADATA_SIZE - 1]).expect("in memory");
        assert_eq!(
            table.position(),
            Position {
                block: 0,
                offset: 8191
            }
        );
        table.write(&[2; 2]).expect("in memory");
        let second = 2 + METADATA_SIZE as u64;
        assert_eq!(
            table.position(),
            Position {
                block: second,
                offset: 1
            }
        );
        assert_eq!(table.position().reference(), second << 16 | 1);

        let mut out = Vec::new();
        let (length, starts) = table.finish(&mut out, 1000).expect("in memory");
        assert_eq!(length, out.len() as u64);
        assert_eq!(starts, [1000, 1000 + second]);
        assert_eq!(out[..2], (METADATA_UNCOMPRESSED | 8192).to_le_bytes());
    }
}
