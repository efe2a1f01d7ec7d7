//! Writes a tree while its data passes by.

use std::io::{self, Seek, SeekFrom, Write};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{BLOCK, DIGEST, Error, FAN_OUT, MAX_SALT, Shape};

/// Bytes of data below one block of level 0.
const GROUP: usize = FAN_OUT * BLOCK;
/// Bytes of data that are hashed at once: enough for 16 threads.
const BATCH: usize = 16 * GROUP;

/// Takes the data, from front to back, and writes its tree.
///
/// Each level grows at its own place in the output, so it is sought in. It hashes on the threads of the rayon pool that
/// it is called in. The bytes are the same for any number of threads.
///
/// ```no_run
/// use std::fs::File;
/// use storeboot_verity::{Shape, TreeWriter};
///
/// let mut data = File::open("image")?;
/// let shape = Shape::of(data.metadata()?.len())?;
/// let mut writer = TreeWriter::new(shape, &[], File::create("tree")?, 0)?;
/// std::io::copy(&mut data, &mut writer)?;
/// let root_hash = writer.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TreeWriter<W> {
    shape: Shape,
    /// The hasher that has taken the salt.
    salted: Sha256,
    out: W,
    levels: Vec<Level>,
    /// Data that is not hashed yet.
    batch: Vec<u8>,
    /// Bytes of data that came.
    taken: u64,
    root: [u8; DIGEST],
}

/// A level of the tree.
struct Level {
    /// Where its next block goes.
    position: u64,
    /// The hashes of its block that is not full.
    block: Vec<u8>,
}

impl<W: Write + Seek> TreeWriter<W> {
    /// Begins a tree of this shape, at this byte of the output.
    ///
    /// # Errors
    /// Where the salt is too long, or the tree does not begin with a block.
    pub fn new(shape: Shape, salt: &[u8], out: W, start: u64) -> Result<Self, Error> {
        if salt.len() > MAX_SALT {
            return Err(Error::Salt(salt.len()));
        }
        let end = start
            .checked_add(shape.tree_size())
            .filter(|&end| start.is_multiple_of(BLOCK as u64) && i64::try_from(end).is_ok());
        let mut position = end.ok_or(Error::Place(start))?;
        // The highest level lies first, and level 0 ends the tree.
        let level = |blocks| {
            position -= blocks * BLOCK as u64;
            Level {
                position,
                block: Vec::with_capacity(BLOCK),
            }
        };
        Ok(Self {
            shape,
            salted: Sha256::new_with_prefix(salt),
            out,
            levels: shape.levels().map(level).collect(),
            batch: Vec::new(),
            taken: 0,
            root: [0; DIGEST],
        })
    }

    /// Ends the tree, and returns the root hash.
    ///
    /// # Errors
    /// Where data is missing, or the tree cannot be written.
    pub fn finish(mut self) -> Result<[u8; DIGEST], Error> {
        let expected = self.shape.data_size();
        if self.taken != expected {
            return Err(Error::TooShort {
                found: self.taken,
                expected,
            });
        }
        self.hash_batch()?;
        for number in 0..self.levels.len() {
            if !self.levels[number].block.is_empty() {
                self.end_block(number)?;
            }
        }
        self.out.flush()?;
        Ok(self.root)
    }

    /// Hashes the data that came, a block of level 0 on each thread.
    fn hash_batch(&mut self) -> io::Result<()> {
        let salted = &self.salted;
        let group = |group: &[u8]| -> Vec<u8> {
            let blocks = group.chunks(BLOCK);
            blocks.flat_map(|block| digest(salted, block)).collect()
        };
        let groups: Vec<_> = self.batch.par_chunks(GROUP).map(group).collect();
        self.batch.clear();
        for hashes in groups {
            for hash in hashes.as_chunks::<DIGEST>().0 {
                self.push(0, *hash)?;
            }
        }
        Ok(())
    }

    /// Adds a hash to a level; above the highest, it is the root hash.
    fn push(&mut self, number: usize, hash: [u8; DIGEST]) -> io::Result<()> {
        let Some(level) = self.levels.get_mut(number) else {
            self.root = hash;
            return Ok(());
        };
        level.block.extend_from_slice(&hash);
        if level.block.len() == BLOCK {
            self.end_block(number)
        } else {
            Ok(())
        }
    }

    /// Writes a level's block, and adds its hash to the level above.
    fn end_block(&mut self, number: usize) -> io::Result<()> {
        let level = &mut self.levels[number];
        level.block.resize(BLOCK, 0);
        self.out.seek(SeekFrom::Start(level.position))?;
        self.out.write_all(&level.block)?;
        level.position += BLOCK as u64;
        let hash = digest(&self.salted, &level.block);
        level.block.clear();
        self.push(number + 1, hash)
    }
}

impl<W: Write + Seek> Write for TreeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.shape.data_size() - self.taken;
        if bytes.len() as u64 > left {
            let message = "more data came than the hash tree is for";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let room = BATCH - self.batch.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.batch.extend_from_slice(taken);
        self.taken += taken.len() as u64;
        if self.batch.len() == BATCH {
            self.hash_batch()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn digest(salted: &Sha256, block: &[u8]) -> [u8; DIGEST] {
    salted.clone().chain_update(block).finalize().into()
}

#[cfg(test)]
mod tests;
