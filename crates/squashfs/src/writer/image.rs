//! Writes blocks, inodes and listings in the order of the steps, and then the tables.

use std::io::{self, Seek, SeekFrom, Write};

use super::content::{Large, LargeId};
use super::directory::{self, Entry};
use super::inode::{Directory, File, Header};
use super::metadata::MetadataWriter;
use super::pipeline::{Pipeline, StoredBlock};
use super::step::{FileData, Node, Step};
use crate::format::{METADATA_UNCOMPRESSED, NO_TABLE, SUPERBLOCK_SIZE, Superblock, flag, inode};
use crate::{Error, Options, Summary};

/// Images end on a page boundary: a loop device cuts its file to whole sectors.
const PADDING: u64 = 4096;

/// An image that is being written.
pub(crate) struct Image<W> {
    out: W,
    /// Where the image begins in `out`.
    base: u64,
    /// Bytes of the image so far.
    position: u64,
    options: Options,
    inodes: MetadataWriter,
    listings: MetadataWriter,
    /// The directories entered and not left, the root first.
    open: Vec<OpenDirectory>,
    large: Vec<Large>,
    /// The large content whose blocks are being written.
    current: Large,
    fragments: Vec<(u64, u32)>,
    /// The inodes' references by number, where the image is to be exported.
    references: Vec<u64>,
    inode_count: u32,
    /// Bytes of the image when the last blocks that were stored ahead were in it.
    ahead_size: u64,
}

struct OpenDirectory {
    node: Node,
    number: u32,
    entries: Vec<Entry>,
}

impl<W: Write + Seek> Image<W> {
    pub(crate) fn new(mut out: W, options: &Options) -> Result<Self, Error> {
        let base = out.stream_position().map_err(Error::Write)?;
        let table = || MetadataWriter::new(options.compression, options.block_size);
        let mut image = Self {
            out,
            base,
            position: 0,
            options: options.clone(),
            inodes: table()?,
            listings: table()?,
            open: Vec::new(),
            large: Vec::new(),
            current: Large::default(),
            fragments: Vec::new(),
            references: Vec::new(),
            inode_count: 0,
            ahead_size: 0,
        };
        image.write(&[0; SUPERBLOCK_SIZE])?;
        if let Some(bytes) = options.compression.options(options.block_size) {
            let header = bytes.len() as u16 | METADATA_UNCOMPRESSED;
            image.write(&header.to_le_bytes())?;
            image.write(&bytes)?;
        }
        let number = image.number()?;
        image.open.push(OpenDirectory {
            node: Node::new(b"", options.root_mode, inode::DIRECTORY),
            number,
            entries: Vec::new(),
        });
        Ok(image)
    }

    /// Carries out the steps that are ready.
    pub(crate) fn write_ready(&mut self, pipeline: &mut Pipeline<Step>) -> Result<(), Error> {
        while let Some((step, block)) = pipeline.next_ready()? {
            self.step(step, &block)?;
            pipeline.recycle(block.bytes);
        }
        Ok(())
    }

    /// Carries out all steps.
    pub(crate) fn write_all(&mut self, pipeline: &mut Pipeline<Step>) -> Result<(), Error> {
        while let Some((step, block)) = pipeline.next_of_all()? {
            self.step(step, &block)?;
            pipeline.recycle(block.bytes);
        }
        Ok(())
    }

    fn step(&mut self, step: Step, block: &StoredBlock) -> Result<(), Error> {
        match step {
            Step::Begin { size, blocks } => {
                self.current = Large {
                    size,
                    blocks: Vec::with_capacity(blocks),
                    ..Large::default()
                };
            }
            Step::Block => {
                self.current.start.get_or_insert(self.position);
                self.current.blocks.push(block.size);
                self.write(&block.bytes)?;
            }
            Step::Hole(size) => {
                self.current.blocks.push(0);
                self.current.sparse += u64::from(size);
            }
            Step::End(tail) => {
                let large = std::mem::take(&mut self.current);
                self.large.push(Large { tail, ..large });
            }
            Step::Fragment(number) => {
                // Two are filled at a time, and the one begun first need not be full first.
                let count = self.fragments.len().max(number as usize + 1);
                self.fragments.resize(count, (0, 0));
                self.fragments[number as usize] = (self.position, block.size);
                self.write(&block.bytes)?;
            }
            // All before this step is in the image, so its place is the same with any number of threads.
            Step::AheadEnd => self.ahead_size = self.position,
            Step::Enter(node) => {
                let number = self.number()?;
                self.open.push(OpenDirectory {
                    node,
                    number,
                    entries: Vec::new(),
                });
            }
            Step::Leave => self.leave()?,
            Step::File(node, data) => self.file(node, data)?,
            Step::Symlink(node, target) => {
                let number = self.number()?;
                let bytes = super::inode::symlink(self.header(node.mode, number), &target);
                self.entry(node, number, &bytes)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::Write)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn number(&mut self) -> Result<u32, Error> {
        self.inode_count = self.inode_count.checked_add(1).ok_or(Error::TooLarge {
            what: "the entries".into(),
            value: 1 << 32,
            limit: u64::from(u32::MAX),
        })?;
        Ok(self.inode_count)
    }

    fn header(&self, mode: u16, number: u32) -> Header {
        Header {
            mode,
            mtime: self.options.mtime,
            number,
        }
    }

    fn file(&mut self, node: Node, data: FileData) -> Result<(), Error> {
        let number = self.number()?;
        let header = self.header(node.mode, number);
        let file = match data {
            FileData::Small { size, tail } => File {
                start: 0,
                size: u64::from(size),
                sparse: 0,
                tail,
                blocks: &[],
            },
            FileData::Large(id) => self.large_file(id),
        };
        let bytes = file.encode(header);
        self.entry(node, number, &bytes)
    }

    fn large_file(&self, id: LargeId) -> File<'_> {
        let large = &self.large[id as usize];
        File {
            start: large.start.unwrap_or(0),
            size: large.size,
            // At least one byte counts as stored, even in a file of zeros: the kernel subtracts this from the size to
            // get the number of sectors.
            sparse: large.sparse.min(large.size - 1),
            tail: large.tail,
            blocks: &large.blocks,
        }
    }

    /// Writes an inode and adds its entry to the directory that is open.
    fn entry(&mut self, node: Node, number: u32, bytes: &[u8]) -> Result<(), Error> {
        let entry = Entry {
            inode: self.inode(number, bytes)?,
            number,
            kind: node.kind,
            name: node.name,
        };
        let parent = self.open.last_mut().ok_or(Error::Nesting)?;
        parent.entries.push(entry);
        Ok(())
    }

    fn inode(&mut self, number: u32, bytes: &[u8]) -> Result<super::metadata::Position, Error> {
        let position = self.inodes.position();
        fits("the inode table", position.block)?;
        self.inodes.write(bytes)?;
        if self.options.export {
            let index = number as usize - 1;
            if self.references.len() <= index {
                self.references.resize(index + 1, 0);
            }
            self.references[index] = position.reference();
        }
        Ok(position)
    }

    fn leave(&mut self) -> Result<(), Error> {
        let directory = self.open.pop().ok_or(Error::Nesting)?;
        let parent = self.open.last().ok_or(Error::Nesting)?.number;
        let number = directory.number;
        let (node, bytes) = self.directory(directory, parent)?;
        self.entry(node, number, &bytes)
    }

    /// Writes a directory's listing and returns its inode.
    fn directory(
        &mut self,
        mut directory: OpenDirectory,
        parent: u32,
    ) -> Result<(Node, Vec<u8>), Error> {
        let entries = &mut directory.entries;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Duplicate {
                name: self.path(&directory.node.name, &twice[0].name),
            });
        }
        let listing = directory::write(entries, &mut self.listings)?;
        let subdirectories = entries
            .iter()
            .filter(|entry| entry.kind == inode::DIRECTORY)
            .count();
        let inode = Directory {
            links: 2 + subdirectories as u32,
            parent,
            size: fits("the listing of a directory", listing.size + 3)?,
            block: fits("the directory table", listing.start.block)?,
            offset: listing.start.offset,
            index: &listing.index,
        };
        let header = self.header(directory.node.mode, directory.number);
        let bytes = inode.encode(header);
        Ok((directory.node, bytes))
    }

    fn path(&self, directory: &[u8], name: &[u8]) -> String {
        let mut names: Vec<&[u8]> = self.open.iter().map(|open| &*open.node.name).collect();
        names.extend([directory, name]);
        names.retain(|name| !name.is_empty());
        String::from_utf8_lossy(&names.join(&b'/')).into_owned()
    }

    /// The most bytes that the image would have if it ended here; `pending` of them wait in a fragment.
    pub(crate) fn size_bound(&self, pending: u64) -> u64 {
        // An entry of an open directory takes its name and 8 bytes, and 12 more where it begins a run.
        let listed = |open: &OpenDirectory| -> u64 {
            let entries = open.entries.iter();
            64 + entries
                .map(|entry| entry.name.len() as u64 + 20)
                .sum::<u64>()
        };
        let open: u64 = self.open.iter().map(listed).sum();
        // Each fragment and each reference has an entry in a table, and each table's block one in its index.
        let tables = 16 * (self.fragments.len() as u64 + 2) + 8 * self.references.len() as u64;
        let tables = tables + tables / 64 + 64;
        let metadata = self.inodes.size_bound() + self.listings.size_bound();
        (self.position + pending + metadata + open + tables).next_multiple_of(PADDING)
    }

    /// Writes the root directory, the tables and the superblock.
    pub(crate) fn finish(mut self) -> Result<(W, Summary), Error> {
        let root = self.open.pop().ok_or(Error::Nesting)?;
        let number = root.number;
        // The root has no parent; readers expect a number that no inode has.
        let (_, bytes) = self.directory(root, self.inode_count.wrapping_add(1))?;
        let root_inode = self.inode(number, &bytes)?.reference();

        let options = self.options.clone();
        let table = || MetadataWriter::new(options.compression, options.block_size);
        let inodes = std::mem::replace(&mut self.inodes, table()?);
        let listings = std::mem::replace(&mut self.listings, table()?);
        let inode_table_start = self.position;
        self.table(inodes)?;
        let directory_table_start = self.position;
        self.table(listings)?;

        let mut fragment_table_start = NO_TABLE;
        if !self.fragments.is_empty() {
            let mut fragments = table()?;
            for (start, size) in &self.fragments {
                fragments.write(&start.to_le_bytes())?;
                fragments.write(&u64::from(*size).to_le_bytes())?;
            }
            fragment_table_start = self.indexed_table(fragments)?;
        }
        let mut export_table_start = NO_TABLE;
        if options.export {
            let mut references = table()?;
            for reference in &self.references {
                references.write(&reference.to_le_bytes())?;
            }
            export_table_start = self.indexed_table(references)?;
        }
        let mut ids = table()?;
        ids.write(&0u32.to_le_bytes())?;
        let id_table_start = self.indexed_table(ids)?;

        let bytes_used = self.position;
        let padding = bytes_used.next_multiple_of(PADDING) - bytes_used;
        self.write(&vec![0; padding as usize])?;
        let superblock = Superblock {
            inode_count: self.inode_count,
            mod_time: options.mtime,
            block_size: options.block_size,
            fragment_count: self.fragments.len() as u32,
            compressor: options.compression.id(),
            flags: self.flags(),
            id_count: 1,
            root_inode,
            bytes_used,
            id_table_start,
            xattr_id_table_start: NO_TABLE,
            inode_table_start,
            directory_table_start,
            fragment_table_start,
            export_table_start,
        };
        let seek_and_write = |out: &mut W| -> io::Result<()> {
            out.seek(SeekFrom::Start(self.base))?;
            out.write_all(&superblock.encode())?;
            out.seek(SeekFrom::Start(self.base + self.position))?;
            out.flush()
        };
        seek_and_write(&mut self.out).map_err(Error::Write)?;
        let summary = Summary {
            inodes: self.inode_count,
            image_size: self.position,
            ahead_size: self.ahead_size,
            ..Summary::default()
        };
        Ok((self.out, summary))
    }

    fn flags(&self) -> u16 {
        let compression = self.options.compression;
        let set = |condition: bool, flag: u16| if condition { flag } else { 0 };
        let stored = flag::UNCOMPRESSED_INODES
            | flag::UNCOMPRESSED_DATA
            | flag::UNCOMPRESSED_FRAGMENTS
            | flag::UNCOMPRESSED_IDS;
        flag::NO_XATTRS
            | flag::DUPLICATES
            | flag::ALWAYS_FRAGMENTS
            | set(compression == crate::Compression::None, stored)
            | set(self.options.export, flag::EXPORTABLE)
            | set(
                compression.options(self.options.block_size).is_some(),
                flag::COMPRESSOR_OPTIONS,
            )
    }

    fn table(&mut self, table: MetadataWriter) -> Result<Vec<u64>, Error> {
        let (length, starts) = table.finish(&mut self.out, self.position)?;
        self.position += length;
        Ok(starts)
    }

    /// Writes a table and after it the index of its blocks; returns where the index is.
    fn indexed_table(&mut self, table: MetadataWriter) -> Result<u64, Error> {
        let starts = self.table(table)?;
        let index = self.position;
        for start in starts {
            self.write(&start.to_le_bytes())?;
        }
        Ok(index)
    }
}

fn fits(what: &str, value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooLarge {
        what: what.into(),
        value,
        limit: u64::from(u32::MAX),
    })
}
