//! Writes directory listings: runs of entries, each after a header, and an index for long listings.

use super::inode::IndexEntry;
use super::metadata::{MetadataWriter, Position};
use crate::Error;
use crate::format::DIRECTORY_RUN;

/// An entry of a directory whose inode is written.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<[u8]>,
    pub(crate) inode: Position,
    pub(crate) number: u32,
    /// The basic type, also where the inode is an extended one.
    pub(crate) kind: u16,
}

/// A listing in the directory table.
pub(crate) struct Listing {
    pub(crate) start: Position,
    /// Bytes of the listing.
    pub(crate) size: u64,
    pub(crate) index: Vec<IndexEntry>,
}

/// The index has a 16-bit count; a reader that runs past its end goes on by reading the listing.
const INDEX_MAX: usize = u16::MAX as usize;

/// Writes the listing of `entries`, which are sorted by name.
pub(crate) fn write(entries: &[Entry], table: &mut MetadataWriter) -> Result<Listing, Error> {
    let start = table.position();
    let mut size = 0u64;
    let mut index = Vec::new();
    let mut block = start.block;
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let at = table.position();
        if at.block != block && index.len() < INDEX_MAX {
            block = at.block;
            index.push(IndexEntry {
                offset: size as u32,
                block: at.block as u32,
                name: first.name.to_vec(),
            });
        }
        let run = &rest[..run_length(rest, usize::from(at.offset))];
        let bytes = encode(first, run);
        table.write(&bytes)?;
        size += bytes.len() as u64;
        rest = &rest[run.len()..];
    }
    Ok(Listing { start, size, index })
}

const HEADER: usize = 12;
const ENTRY: usize = 8;

/// How many entries follow one header: those whose inodes share a metadata block with the first,
/// whose numbers are near its number, and that begin in the metadata block the header is in.
fn run_length(entries: &[Entry], offset: usize) -> usize {
    let first = &entries[0];
    let mut end = offset + HEADER;
    entries
        .iter()
        .take(DIRECTORY_RUN)
        .take_while(|entry| {
            let begins_here = end < crate::format::METADATA_SIZE || entry.number == first.number;
            end += ENTRY + entry.name.len();
            begins_here && entry.inode.block == first.inode.block && delta(first, entry).is_some()
        })
        .count()
}

fn delta(first: &Entry, entry: &Entry) -> Option<i16> {
    i16::try_from(i64::from(entry.number) - i64::from(first.number)).ok()
}

fn encode(first: &Entry, run: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + run.len() * 32);
    for word in [run.len() as u32 - 1, first.inode.block as u32, first.number] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for entry in run {
        bytes.extend_from_slice(&entry.inode.offset.to_le_bytes());
        // Every entry of a run has one, see `run_length`.
        bytes.extend_from_slice(&delta(first, entry).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(&entry.kind.to_le_bytes());
        bytes.extend_from_slice(&(entry.name.len() as u16 - 1).to_le_bytes());
        bytes.extend_from_slice(&entry.name);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;
    use crate::format::inode;

    fn entries(count: u32, step: u32, per_block: u32) -> Vec<Entry> {
        (0..count)
            .map(|n| Entry {
                name: format!("{n:08}").into_bytes().into(),
                inode: Position {
                    block: u64::from(n / per_block),
                    offset: 0,
                },
                number: 1 + n * step,
                kind: inode::FILE,
            })
            .collect()
    }

    #[test]
    fn a_run_ends_with_its_inode_block_its_count_and_its_number_range() {
        assert_eq!(run_length(&entries(1000, 1, 1000), 0), DIRECTORY_RUN);
        assert_eq!(run_length(&entries(1000, 1, 10), 0), 10);
        assert_eq!(run_length(&entries(1000, 20_000, 1000), 0), 2);
        assert_eq!(run_length(&entries(1000, 1, 1000), 8190), 1);
    }

    #[test]
    fn a_long_listing_has_an_index_entry_for_each_block_after_the_first() {
        let mut table = MetadataWriter::new(Compression::None, 4096).expect("no compressor");
        let listing = write(&entries(5000, 1, 5000), &mut table).expect("in memory");
        let last = table.position();
        assert_eq!(listing.index.len() as u64, last.block / (2 + 8192));
        assert!(
            listing
                .index
                .windows(2)
                .all(|pair| pair[0].name < pair[1].name)
        );
    }
}
