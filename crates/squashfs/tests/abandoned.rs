//! A writer and the threads that it shares with others: it skips blocks that nobody waits for, and never waits for
//! itself.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use storeboot_squashfs::{BlockCache, Digest, Error, ImageWriter, Options};

const BLOCK: usize = 4096;
const BLOCKS: usize = 6;

fn pool() -> Arc<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    Arc::new(pool.expect("a thread"))
}

/// A cache that counts the blocks it is asked for, and answers the first time only when it is told to.
#[derive(Debug)]
struct Gate {
    asked: AtomicUsize,
    begun: Sender<()>,
    open: Mutex<Receiver<()>>,
}

impl BlockCache for Gate {
    fn get(&self, _: &Digest, _: &mut Vec<u8>) -> bool {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            self.begun.send(()).expect("the test waits");
            let open = self.open.lock().expect("no thread panics");
            open.recv().expect("the test opens it");
        }
        false
    }

    fn put(&self, _: &Digest, _: &[u8]) {}
}

/// A file of which all but its last block can be read: it was changed, or the build was cancelled.
struct Failing {
    left: usize,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.left);
        if length == 0 {
            return Err(io::Error::other("cancelled"));
        }
        buffer[..length].fill(self.left.to_le_bytes()[1]);
        self.left -= length;
        Ok(length)
    }
}

impl Seek for Failing {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn a_writer_that_is_dropped_skips_what_is_queued() {
    let (begun, first_begun) = channel();
    let (opener, open) = channel();
    let gate = Arc::new(Gate {
        asked: AtomicUsize::new(0),
        begun,
        open: Mutex::new(open),
    });
    let options = Options::new()
        .block_size(BLOCK as u32)
        .pool(pool())
        .cache(Arc::clone(&gate) as Arc<dyn BlockCache>);
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options).expect("a writer");
    drop(options);
    let file = Failing {
        left: BLOCKS * BLOCK,
    };
    let size = ((BLOCKS + 1) * BLOCK) as u64;
    let error = image
        .file(b"file", 0o444, size, file)
        .expect_err("cancelled");
    assert!(matches!(error, Error::Read { .. }), "{error}");
    // The cause is told once, by `source`.
    assert_eq!(error.to_string(), "cannot read file");
    assert_eq!(error.name(), Some("file"));
    let cause = std::error::Error::source(&error).expect("a cause");
    assert_eq!(cause.to_string(), "cancelled");

    // The only thread compresses the first block, and the others wait for it.
    first_begun.recv().expect("it begins");
    drop(image);
    opener.send(()).expect("it waits");
    // The last job to end drops the writer's handle to the cache.
    while Arc::strong_count(&gate) > 1 {
        thread::yield_now();
    }
    assert_eq!(
        gate.asked.load(Ordering::SeqCst),
        1,
        "the others are skipped"
    );
}

#[test]
fn a_writer_may_run_on_the_only_thread_of_its_pool() {
    let pool = pool();
    let options = Options::new()
        .block_size(BLOCK as u32)
        .pool(Arc::clone(&pool));
    let write = || {
        let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options)?;
        for name in [b"a", b"b"] {
            let content: Vec<u8> = (0..20 * BLOCK)
                .map(|at| (at / 100) as u8 ^ name[0])
                .collect();
            image.file(name, 0o444, content.len() as u64, Cursor::new(content))?;
        }
        Ok::<_, Error>(image.finish()?.0.into_inner())
    };
    let outside = write().expect("an image");
    let inside = pool.install(write).expect("an image");
    assert!(inside == outside);
}
