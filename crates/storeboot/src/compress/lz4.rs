//! The LZ4 legacy frame: a magic number, then blocks of 8 MiB, each after its packed size.
//!
//! The frame has no end of its own. The kernel stops at a size of zero or where the initrd ends, and so do we;
//! the `lz4` command stops at the end of the file only.

use std::io::{self, BufRead, Read, Write};
use std::num::NonZeroUsize;
use std::thread::{Builder, ScopedJoinHandle};

use lz4::block::{CompressionMode, compress_bound, compress_to_buffer, decompress_to_buffer};

const MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();
/// What a block unpacks to; only the last one may be shorter.
const BLOCK: usize = 8 << 20;

/// Packs blocks on several threads and writes them in order.
pub(super) struct Lz4Writer<W> {
    inner: W,
    level: u8,
    /// Blocks that are packed at once.
    threads: NonZeroUsize,
    /// Up to `threads` blocks that wait.
    waiting: Vec<Vec<u8>>,
}

impl<W: Write> Lz4Writer<W> {
    pub(super) fn new(mut inner: W, level: u8, threads: NonZeroUsize) -> io::Result<Self> {
        inner.write_all(&MAGIC)?;
        Ok(Self {
            inner,
            level,
            threads,
            waiting: Vec::new(),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.pack()?;
        Ok(self.inner)
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.inner
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    fn pack(&mut self) -> io::Result<()> {
        let level = i32::from(self.level);
        let packed: Vec<io::Result<Vec<u8>>> = std::thread::scope(|scope| {
            let tasks: Vec<_> = self
                .waiting
                .iter()
                .map(|block| {
                    let thread = Builder::new();
                    let task = thread.spawn_scoped(scope, move || pack_block(block, level));
                    // Where no thread can be started, this one does it.
                    task.map_err(|_| pack_block(block, level))
                })
                .collect();
            let join = |task: Result<ScopedJoinHandle<'_, _>, _>| match task.map(|it| it.join()) {
                Ok(Ok(packed)) | Err(packed) => packed,
                Ok(Err(_)) => Err(io::Error::other("a thread that packs LZ4 blocks panicked")),
            };
            tasks.into_iter().map(join).collect()
        });
        self.waiting.clear();
        for block in packed {
            let block = block?;
            let size = u32::try_from(block.len()).map_err(io::Error::other)?;
            self.inner.write_all(&size.to_le_bytes())?;
            self.inner.write_all(&block)?;
        }
        Ok(())
    }
}

fn pack_block(block: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut packed = vec![0; compress_bound(block.len())?];
    let mode = CompressionMode::HIGHCOMPRESSION(level);
    let length = compress_to_buffer(block, Some(mode), false, &mut packed)?;
    packed.truncate(length);
    Ok(packed)
}

impl<W: Write> Write for Lz4Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let full = self.waiting.last().is_none_or(|block| block.len() == BLOCK);
        if full {
            if self.waiting.len() == self.threads.get() {
                self.pack()?;
            }
            self.waiting.push(Vec::with_capacity(BLOCK));
        }
        let Some(block) = self.waiting.last_mut() else {
            return Err(io::Error::other("no LZ4 block to fill"));
        };
        let length = bytes.len().min(BLOCK - block.len());
        block.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Unpacks a frame, block by block.
pub(super) struct Lz4Reader<R> {
    inner: R,
    packed: Vec<u8>,
    block: Vec<u8>,
    /// How much of `block` has been read.
    at: usize,
    ended: bool,
}

impl<R: BufRead> Lz4Reader<R> {
    pub(super) fn new(mut inner: R) -> io::Result<Self> {
        let mut magic = [0; 4];
        inner.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(invalid("not an LZ4 legacy frame"));
        }
        Ok(Self {
            inner,
            packed: Vec::new(),
            block: Vec::new(),
            at: 0,
            ended: false,
        })
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    fn next_block(&mut self) -> io::Result<()> {
        let mut size = MAGIC;
        // A frame may follow on another one; the kernel takes both as one.
        while size == MAGIC {
            if self.inner.fill_buf()?.is_empty() {
                self.ended = true;
                return Ok(());
            }
            self.inner.read_exact(&mut size)?;
        }
        let size = u32::from_le_bytes(size);
        if size == 0 {
            self.ended = true;
            return Ok(());
        }
        let most = compress_bound(BLOCK)?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        if size > most {
            return Err(invalid(
                "an LZ4 block says that it is longer than blocks can be",
            ));
        }
        self.packed.resize(size, 0);
        self.inner.read_exact(&mut self.packed)?;
        self.block.resize(BLOCK, 0);
        let unpacked = i32::try_from(BLOCK).map_err(io::Error::other)?;
        let length = decompress_to_buffer(&self.packed, Some(unpacked), &mut self.block)
            .map_err(|_| invalid("an LZ4 block is damaged"))?;
        self.block.truncate(length);
        Ok(())
    }
}

impl<R: BufRead> Read for Lz4Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.ended {
            self.block.clear();
            self.at = 0;
            self.next_block()?;
        }
        let rest = &self.block[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
