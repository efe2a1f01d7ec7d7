//! Compresses blocks on all threads, and returns them in the order in which they came.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};

use super::cache::{BlockCache, Keys};
use super::chunk::Chunk;
use super::codec::Encoder;
use crate::format::BLOCK_UNCOMPRESSED;
use crate::{Compression, Error, Options};

/// Blocks under way for each thread: enough that no thread waits while the oldest block is still
/// being compressed, few enough to bound memory.
const BLOCKS_PER_THREAD: usize = 8;
/// Steps without a block may queue behind a slow one, up to this many.
const STEPS: usize = 4096;

/// The last byte of a block in the cache: it is compressed, or stored as it was.
const COMPRESSED: u8 = b'c';
const STORED: u8 = b's';

/// A block as it is stored in the image.
#[derive(Default)]
pub(crate) struct StoredBlock {
    pub(crate) bytes: Vec<u8>,
    /// Length, and [`BLOCK_UNCOMPRESSED`] where it is stored as it was.
    pub(crate) size: u32,
}

/// A queue of steps, each with or without a block to compress; steps leave it in order,
/// and not before their block is compressed.
///
/// Dropping it gives up the blocks that no thread has begun to compress.
pub(crate) struct Pipeline<S> {
    pool: Arc<ThreadPool>,
    shared: Arc<Shared>,
    steps: VecDeque<(S, Option<Compressing>)>,
    blocks: usize,
    limit: usize,
}

/// Where a block will come from.
type Compressing = Receiver<Result<StoredBlock, Error>>;

struct Shared {
    compression: Compression,
    block_size: u32,
    cache: Option<(Arc<dyn BlockCache>, Keys)>,
    encoders: Mutex<Vec<Encoder>>,
    buffers: Mutex<Vec<Vec<u8>>>,
    /// The pipeline is gone: its blocks are not wanted any more.
    abandoned: AtomicBool,
}

impl<S> Pipeline<S> {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let pool = match &options.pool {
            Some(pool) => Arc::clone(pool),
            None => own_pool()?,
        };
        let limit = pool.current_num_threads() * BLOCKS_PER_THREAD;
        let (compression, block_size) = (options.compression, options.block_size);
        let cache = match &options.cache {
            Some(cache) => Some((Arc::clone(cache), Keys::new(compression, block_size)?)),
            None => None,
        };
        Ok(Self {
            pool,
            shared: Arc::new(Shared {
                compression,
                block_size,
                cache,
                encoders: Mutex::default(),
                buffers: Mutex::default(),
                abandoned: AtomicBool::new(false),
            }),
            steps: VecDeque::new(),
            blocks: 0,
            limit,
        })
    }

    /// An empty buffer, one used before where there is one.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.shared.buffer()
    }

    /// Takes a buffer to be used again.
    pub(crate) fn recycle(&self, buffer: Vec<u8>) {
        self.shared.recycle(buffer);
    }

    /// Adds a step without a block.
    pub(crate) fn push(&mut self, step: S) {
        self.steps.push_back((step, None));
    }

    /// Adds a step whose block is to be compressed.
    pub(crate) fn push_block(&mut self, step: S, chunk: Chunk) {
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        self.pool.spawn_fifo(move || {
            if !shared.abandoned.load(Ordering::Relaxed) {
                // The receiver is gone if the writer was dropped in the meantime.
                let _ = sender.send(shared.stored_block(chunk));
            }
        });
        self.blocks += 1;
        self.steps.push_back((step, Some(receiver)));
    }

    /// The next step, if it is ready, with its block, which is empty where it has none. Waits for it if too much is
    /// under way.
    pub(crate) fn next_ready(&mut self) -> Result<Option<(S, StoredBlock)>, Error> {
        let full = self.blocks >= self.limit || self.steps.len() >= STEPS;
        self.next(full)
    }

    /// The next step, with its block; waits for it. `None`: there are no more.
    pub(crate) fn next_of_all(&mut self) -> Result<Option<(S, StoredBlock)>, Error> {
        self.next(true)
    }

    fn next(&mut self, wait: bool) -> Result<Option<(S, StoredBlock)>, Error> {
        let block = match self.steps.front() {
            None => return Ok(None),
            Some((_, None)) => StoredBlock::default(),
            Some((_, Some(block))) => {
                let block = if wait {
                    self.wait(block)
                } else {
                    match block.try_recv() {
                        Err(TryRecvError::Empty) => return Ok(None),
                        block => block.ok(),
                    }
                };
                self.blocks -= 1;
                block.ok_or_else(|| Error::Threads(io::Error::other("a thread panicked")))??
            }
        };
        Ok(self.steps.pop_front().map(|(step, _)| (step, block)))
    }

    /// Waits for a block. A thread of the pool compresses others meanwhile: it may be the only one that can.
    fn wait(&self, block: &Compressing) -> Option<Result<StoredBlock, Error>> {
        loop {
            match block.try_recv() {
                Err(TryRecvError::Empty) => {}
                block => return block.ok(),
            }
            if self.pool.yield_now() != Some(Yield::Executed) {
                return block.recv().ok();
            }
        }
    }
}

impl<S> Drop for Pipeline<S> {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
    }
}

/// A pool of one thread for each processor.
fn own_pool() -> Result<Arc<ThreadPool>, Error> {
    let pool = ThreadPoolBuilder::new()
        .thread_name(|index| format!("squashfs-{index}"))
        .build();
    // As text: the error says what its own cause says.
    let pool = pool.map_err(|error| Error::Threads(io::Error::other(error.to_string())))?;
    Ok(Arc::new(pool))
}

impl Shared {
    /// The block that a chunk becomes, from the cache or from a compressor.
    fn stored_block(&self, chunk: Chunk) -> Result<StoredBlock, Error> {
        let Some((cache, keys)) = &self.cache else {
            return self.compress(chunk);
        };
        let key = keys.key(chunk.kind, chunk.digests());
        let mut bytes = self.buffer();
        if cache.get(&key, &mut bytes) {
            // Its last byte tells how the block is stored.
            let mark = match bytes.pop() {
                Some(STORED) => Some(BLOCK_UNCOMPRESSED),
                Some(COMPRESSED) => Some(0),
                _ => None,
            };
            if let Some(mark) = mark.filter(|_| bytes.len() <= self.block_size as usize) {
                self.recycle(chunk.into_buffer());
                let size = bytes.len() as u32 | mark;
                return Ok(StoredBlock { bytes, size });
            }
        }
        self.recycle(bytes);
        let mut block = self.compress(chunk)?;
        let uncompressed = block.size & BLOCK_UNCOMPRESSED != 0;
        let mark = if uncompressed { STORED } else { COMPRESSED };
        block.bytes.push(mark);
        cache.put(&key, &block.bytes);
        block.bytes.pop();
        Ok(block)
    }

    fn compress(&self, chunk: Chunk) -> Result<StoredBlock, Error> {
        let (block, mut output) = chunk.load(self.buffer())?;
        let encoder = lock(&self.encoders).pop();
        let mut encoder = match encoder {
            Some(encoder) => encoder,
            None => Encoder::new(self.compression, self.block_size)?,
        };
        let smaller = encoder.compress_if_worthwhile(&block, &mut output)?;
        lock(&self.encoders).push(encoder);
        let (bytes, spare, mark) = if smaller {
            (output, block, 0)
        } else {
            (block, output, BLOCK_UNCOMPRESSED)
        };
        self.recycle(spare);
        let size = bytes.len() as u32 | mark;
        Ok(StoredBlock { bytes, size })
    }

    fn buffer(&self) -> Vec<u8> {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    fn recycle(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            buffer.clear();
            lock(&self.buffers).push(buffer);
        }
    }
}

/// Locks a list, which is sound even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
