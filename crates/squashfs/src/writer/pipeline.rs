//! Blocks are compressed on all threads and come back in the order they went in.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::cache::{BlockCache, Keys};
use super::chunk::Chunk;
use super::codec::Encoder;
use crate::format::BLOCK_UNCOMPRESSED;
use crate::{Compression, Error, Options};

/// Blocks under way for each thread: enough that no thread waits while the oldest block is still
/// being compressed, few enough to bound memory.
const BLOCKS_PER_THREAD: usize = 8;
/// Steps that carry no block may queue behind a slow one, up to this many.
const STEPS: usize = 4096;

/// The last byte of a block in the cache: it is compressed, or stored as it was.
const COMPRESSED: u8 = b'c';
const STORED: u8 = b's';

/// A block as it goes into the image.
#[derive(Default)]
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    /// Length, and [`BLOCK_UNCOMPRESSED`] where it is stored as it was.
    pub(crate) size: u32,
}

/// A queue of steps, each with or without a block to compress; steps leave it in order,
/// and not before their block is compressed.
pub(crate) struct Pipeline<S> {
    pool: ThreadPool,
    shared: Arc<Shared>,
    steps: VecDeque<(S, Option<Compressing>)>,
    blocks: usize,
    limit: usize,
}

/// Where a block will come from.
type Compressing = Receiver<Result<Packed, Error>>;

struct Shared {
    compression: Compression,
    block_size: u32,
    cache: Option<(Arc<dyn BlockCache>, Keys)>,
    encoders: Mutex<Vec<Encoder>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl<S> Pipeline<S> {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.jobs.map_or(0, NonZeroUsize::get))
            .thread_name(|index| format!("squashfs-{index}"))
            .build()
            .map_err(|error| Error::Threads(error.to_string()))?;
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

    /// Gives a buffer back.
    pub(crate) fn recycle(&self, buffer: Vec<u8>) {
        self.shared.recycle(buffer);
    }

    /// Adds a step that needs no compressing.
    pub(crate) fn push(&mut self, step: S) {
        self.steps.push_back((step, None));
    }

    /// Adds a step whose block is to be compressed.
    pub(crate) fn push_block(&mut self, step: S, chunk: Chunk) {
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        self.pool.spawn_fifo(move || {
            // Nobody waits for it where the writer was dropped after an error.
            let _ = sender.send(shared.pack(chunk));
        });
        self.blocks += 1;
        self.steps.push_back((step, Some(receiver)));
    }

    /// The next step that is ready, with its block, which is empty where it has none; waits for it only where `all` is to be
    /// drained or too much is under way.
    pub(crate) fn next(&mut self, all: bool) -> Result<Option<(S, Packed)>, Error> {
        let wait = all || self.blocks >= self.limit || self.steps.len() >= STEPS;
        let packed = match self.steps.front() {
            None => return Ok(None),
            Some((_, None)) => Packed::default(),
            Some((_, Some(job))) => {
                let done = if wait {
                    job.recv().map_err(|error| error.to_string())
                } else {
                    match job.try_recv() {
                        Err(TryRecvError::Empty) => return Ok(None),
                        done => done.map_err(|error| error.to_string()),
                    }
                };
                self.blocks -= 1;
                done.map_err(Error::Threads)??
            }
        };
        Ok(self.steps.pop_front().map(|(step, _)| (step, packed)))
    }
}

impl Shared {
    fn pack(&self, chunk: Chunk) -> Result<Packed, Error> {
        let Some((cache, keys)) = &self.cache else {
            return self.compress(chunk);
        };
        let key = keys.key(chunk.kind, chunk.digests());
        let mut bytes = self.buffer();
        if cache.get(&key, &mut bytes) {
            // Whoever put it wrote one byte more, which tells how the block is stored.
            let mark = match bytes.pop() {
                Some(STORED) => Some(BLOCK_UNCOMPRESSED),
                Some(COMPRESSED) => Some(0),
                _ => None,
            };
            if let Some(mark) = mark.filter(|_| bytes.len() <= self.block_size as usize) {
                self.recycle(chunk.into_buffer());
                let size = bytes.len() as u32 | mark;
                return Ok(Packed { bytes, size });
            }
        }
        self.recycle(bytes);
        let mut packed = self.compress(chunk)?;
        let stored = packed.size & BLOCK_UNCOMPRESSED != 0;
        packed.bytes.push(if stored { STORED } else { COMPRESSED });
        cache.put(&key, &packed.bytes);
        packed.bytes.pop();
        Ok(packed)
    }

    fn compress(&self, chunk: Chunk) -> Result<Packed, Error> {
        let (block, mut output) = chunk.load(self.buffer())?;
        let failed = |source| Error::Compress {
            compression: self.compression,
            source,
        };
        let encoder = lock(&self.encoders).pop();
        let mut encoder = match encoder {
            Some(encoder) => encoder,
            None => Encoder::new(self.compression, self.block_size).map_err(failed)?,
        };
        let smaller = encoder
            .compress_if_worthwhile(&block, &mut output)
            .map_err(failed)?;
        lock(&self.encoders).push(encoder);
        let (bytes, spare, mark) = if smaller {
            (output, block, 0)
        } else {
            (block, output, BLOCK_UNCOMPRESSED)
        };
        self.recycle(spare);
        let size = bytes.len() as u32 | mark;
        Ok(Packed { bytes, size })
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

/// The lists behind the locks are sound whatever thread stopped while it held one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
