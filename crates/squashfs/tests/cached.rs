//! An image is the same whether its blocks come from a cache, whole or with holes in it, and its files are read or
//! known.

use std::collections::HashMap;
use std::io::{self, Cursor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use storeboot_squashfs::{BlockCache, Digest, Error, ImageWriter, Options, Piece};

const BLOCK: usize = 4096;

/// A cache in memory that forgets what it is told to forget.
#[derive(Debug, Default)]
struct Memory {
    blocks: Mutex<HashMap<Digest, Vec<u8>>>,
    misses: AtomicU64,
}

impl BlockCache for Memory {
    fn get(&self, key: &Digest, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        let blocks = self.blocks.lock().expect("no thread panics");
        match blocks.get(key) {
            Some(block) => bytes.extend_from_slice(block),
            None => _ = self.misses.fetch_add(1, Ordering::Relaxed),
        }
        blocks.contains_key(key)
    }

    fn put(&self, key: &Digest, bytes: &[u8]) {
        let mut blocks = self.blocks.lock().expect("no thread panics");
        blocks.insert(*key, bytes.to_vec());
    }
}

/// A file, and what is known of it once it was packed.
struct File {
    name: String,
    content: Arc<Vec<u8>>,
    pieces: Vec<Piece>,
}

/// Files of all sizes around a block, of text and of noise, equal ones among them, some with holes.
fn files() -> Vec<File> {
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize
    };
    (0..200)
        .map(|number| {
            let size = match random() % 8 {
                0 => 0,
                1 => BLOCK * (random() % 4),
                2 | 3 => random() % (5 * BLOCK),
                _ => random() % BLOCK,
            };
            let kind = random() % 4;
            let mut content: Vec<u8> = match kind {
                0 => (0..size).map(|_| random() as u8).collect(),
                _ => (0..size)
                    .map(|at| (at / 7 % (kind * 9 + number % 5)) as u8)
                    .collect(),
            };
            if kind == 2 {
                content
                    .iter_mut()
                    .take(2 * BLOCK)
                    .for_each(|byte| *byte = 0);
            }
            File {
                name: format!("{number:03}"),
                content: Arc::new(content),
                pieces: Vec::new(),
            }
        })
        .collect()
}

fn options(cache: Option<Arc<Memory>>, jobs: usize) -> Options {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let options = Options::new()
        .block_size(BLOCK as u32)
        .compression("zstd:11".parse().expect("a compression"))
        .pool(Arc::new(pool.expect("threads")));
    match cache {
        Some(cache) => options.cache(cache),
        None => options,
    }
}

/// Packs the files, each of which lies in a directory of the root with some others; reads those that `known` does not
/// choose.
fn pack(
    files: &mut [File],
    options: &Options,
    known: impl Fn(usize) -> bool,
    reads: &Arc<AtomicU64>,
) -> Result<Vec<u8>, Error> {
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), options)?;
    for (number, folder) in files.chunks_mut(9).enumerate() {
        image.enter_directory(number.to_string().as_bytes(), 0o555)?;
        for (place, file) in folder.iter_mut().enumerate() {
            let name = file.name.as_bytes();
            let size = file.content.len() as u64;
            if known(number * 9 + place) {
                let content = Arc::clone(&file.content);
                let reads = Arc::clone(reads);
                let reread = Arc::new(move |offset: u64, buffer: &mut [u8]| {
                    reads.fetch_add(1, Ordering::Relaxed);
                    let from = content.get(offset as usize..).unwrap_or_default();
                    let bytes = from
                        .get(..buffer.len())
                        .ok_or(io::ErrorKind::UnexpectedEof)?;
                    buffer.copy_from_slice(bytes);
                    Ok(())
                });
                image.known_file(name, 0o444, size, &file.pieces, reread)?;
            } else {
                let content = Cursor::new(file.content.as_slice());
                image.file_and_pieces(name, 0o444, size, content, &mut file.pieces)?;
            }
        }
        image.leave_directory()?;
    }
    Ok(image.finish()?.0.into_inner())
}

#[test]
fn the_image_is_the_same_with_a_cold_a_warm_and_a_forgetful_cache() {
    let (mut files, reads) = (files(), Arc::new(AtomicU64::new(0)));
    let mut packed = |options: &Options, known: &dyn Fn(usize) -> bool| {
        pack(&mut files, options, known, &reads).expect("it is packed")
    };
    let without = packed(&options(None, 1), &|_| false);

    let cache = Arc::new(Memory::default());
    let cached = |jobs| options(Some(Arc::clone(&cache)), jobs);
    assert!(packed(&cached(2), &|_| false) == without, "a cold cache");
    let misses = cache.misses.load(Ordering::Relaxed);
    assert!(misses > 50, "{misses} blocks");

    assert!(
        packed(&cached(3), &|_| true) == without,
        "a warm cache, nothing read"
    );
    assert_eq!(cache.misses.load(Ordering::Relaxed), misses);
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    assert!(
        packed(&cached(1), &|number| number % 3 > 0) == without,
        "some of it read"
    );
    assert_eq!(cache.misses.load(Ordering::Relaxed), misses);

    let mut number = 0;
    cache
        .blocks
        .lock()
        .expect("no thread panics")
        .retain(|_, _| {
            number += 1;
            number % 2 == 0
        });
    assert!(
        packed(&cached(2), &|number| number % 4 > 0) == without,
        "a forgetful cache"
    );
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert!(
        packed(&options(None, 2), &|_| true) == without,
        "no cache, and every file known"
    );
}

#[test]
fn a_change_leaves_most_blocks_as_they_were() {
    let (mut files, reads) = (files(), Arc::new(AtomicU64::new(0)));
    let cache = Arc::new(Memory::default());
    let options = options(Some(Arc::clone(&cache)), 1);
    pack(&mut files, &options, |_| false, &reads).expect("it is packed");
    let all = cache.misses.swap(0, Ordering::Relaxed);
    Arc::make_mut(&mut files[60].content).extend_from_slice(b"something new");
    pack(&mut files, &options, |number| number != 60, &reads).expect("it is packed");
    let changed = cache.misses.load(Ordering::Relaxed);
    assert!((1..all / 8).contains(&changed), "{changed} of {all} blocks");
}

#[test]
fn a_file_that_is_not_what_is_known_of_it_is_an_error() {
    let (mut files, reads) = (files(), Arc::new(AtomicU64::new(0)));
    let options = options(None, 2);
    pack(&mut files, &options, |_| false, &reads).expect("it is packed");
    let whole: Vec<_> = files.iter().map(|file| Arc::clone(&file.content)).collect();
    let place = whole
        .iter()
        .position(|content| content.len() > 2 * BLOCK)
        .expect("one is large");

    *Arc::make_mut(&mut files[place].content)
        .last_mut()
        .expect("it is large") ^= 1;
    let packed = pack(&mut files, &options, |_| true, &reads).map(drop);
    let error = packed.expect_err("a changed byte");
    let name = format!("{}/{place:03}", place / 9);
    assert!(
        matches!(&error, Error::Changed { name: found } if *found == name),
        "{error}"
    );

    files[place].content = Arc::new(whole[place][..BLOCK].to_vec());
    let packed = pack(&mut files, &options, |_| true, &reads).map(drop);
    let error = packed.expect_err("too few pieces");
    assert!(
        matches!(&error, Error::Pieces { name: found } if *found == name),
        "{error}"
    );
}
