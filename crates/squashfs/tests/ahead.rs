//! The summary tells where what was stored ahead ends.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use storeboot_squashfs::{BlockCache, Compression, Digest, ImageWriter, Options, Piece, Summary};

const BLOCK: usize = 4096;

#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<Digest, Vec<u8>>>);

impl BlockCache for Memory {
    fn get(&self, key: &Digest, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        let blocks = self.0.lock().expect("no thread panics");
        let block = blocks.get(key);
        block.inspect(|block| bytes.extend_from_slice(block));
        block.is_some()
    }

    fn put(&self, key: &Digest, bytes: &[u8]) {
        let mut blocks = self.0.lock().expect("no thread panics");
        blocks.insert(*key, bytes.to_vec());
    }
}

/// Bytes that no other number has, anywhere.
fn content(number: usize, size: usize) -> Vec<u8> {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// 60 files below a block and above it.
fn files() -> Vec<Vec<u8>> {
    let size = |number: usize| 100 + number * 977 % (3 * BLOCK);
    (0..60)
        .map(|number| content(number, size(number)))
        .collect()
}

fn options(compression: Compression, jobs: usize) -> Options {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    Options::new()
        .block_size(BLOCK as u32)
        .compression(compression)
        .pool(Arc::new(pool.expect("threads")))
}

/// Packs the files in two folders, and those of each folder that `hot` has ahead of it.
fn pack(files: &[Vec<u8>], hot: &[usize], options: &Options) -> (Vec<u8>, Summary) {
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), options).expect("set up");
    for half in [0..30, 30..60] {
        for &number in hot.iter().filter(|number| half.contains(*number)) {
            let bytes = &files[number];
            let (size, content) = (bytes.len() as u64, Cursor::new(bytes));
            let ahead = image.content_ahead(b"ahead", size, content, true);
            ahead.expect("stored ahead");
        }
        image.finish_ahead().expect("stored ahead");
        let name = half.start.to_string();
        image.enter_directory(name.as_bytes(), 0o555).expect("room");
        for number in half {
            let (name, bytes) = (number.to_string(), &files[number]);
            let (size, content) = (bytes.len() as u64, Cursor::new(bytes));
            let added = image.file(name.as_bytes(), 0o444, size, content);
            added.expect("a file");
        }
        image.leave_directory().expect("in it");
    }
    let (out, summary) = image.finish().expect("finished");
    (out.into_inner(), summary)
}

/// The first and the last place of each stretch of a file that is in one block.
fn stretches(image: &[u8], file: &[u8]) -> Vec<(u64, u64)> {
    let place = |stretch: &[u8]| {
        let mut windows = image.windows(stretch.len());
        let start = windows.position(|window| window == stretch);
        let start = start.expect("stored as it is") as u64;
        (start, start + stretch.len() as u64)
    };
    file.chunks(BLOCK).map(place).collect()
}

#[test]
fn what_was_stored_ahead_lies_before_its_end_and_the_rest_behind() {
    let files = files();
    let hot = [7, 3, 20, 11, 29, 4];
    let (image, summary) = pack(&files, &hot, &options(Compression::None, 2));
    let end = summary.ahead_size;
    assert!(0 < end && end < summary.image_size, "{end}");
    for (number, file) in files.iter().enumerate() {
        for (from, to) in stretches(&image, file) {
            match hot.contains(&number) {
                true => assert!(to <= end, "{number}: {from} to {to}, {end} stored ahead"),
                false => assert!(from >= end, "{number}: {from} to {to}, {end} stored ahead"),
            }
        }
    }
    // Nothing lies between: the end is that of the last block.
    let ends = hot
        .iter()
        .flat_map(|&number| stretches(&image, &files[number]));
    assert_eq!(ends.map(|(_, to)| to).max(), Some(end));
}

#[test]
fn the_last_end_counts_where_there_are_several() {
    let files = files();
    let options = options(Compression::None, 2);
    let (_, first) = pack(&files, &[3, 7], &options);
    let (image, both) = pack(&files, &[3, 7, 41, 50], &options);
    assert!(first.ahead_size < both.ahead_size);
    for number in [3, 7, 41, 50] {
        for (_, to) in stretches(&image, &files[number]) {
            assert!(to <= both.ahead_size, "{number} ends at {to}");
        }
    }
    // The second half brings nothing of its own, and so does not move the end.
    let ends = stretches(&image, &files[7])
        .into_iter()
        .chain(stretches(&image, &files[3]));
    assert_eq!(ends.map(|(_, to)| to).max(), Some(first.ahead_size));
    assert_eq!(pack(&files, &[], &options).1.ahead_size, 0);
}

#[test]
fn an_empty_file_is_not_stored_ahead() {
    let mut files = files();
    files[3].clear();
    let (_, summary) = pack(&files, &[3], &options(Compression::None, 1));
    assert_eq!(summary.ahead_size, 0);
}

#[test]
fn threads_and_caches_do_not_move_the_end() {
    let files = files();
    let hot: Vec<usize> = (0..60).step_by(2).collect();
    let compression: Compression = "zstd:5".parse().expect("a compression");
    let (image, expected) = pack(&files, &hot, &options(compression, 1));
    assert!(expected.ahead_size > 0);
    let cache = Arc::new(Memory::default());
    for jobs in [1, 2, 7] {
        for options in [
            options(compression, jobs),
            options(compression, jobs).cache(Arc::<Memory>::clone(&cache)),
        ] {
            let (again, summary) = pack(&files, &hot, &options);
            assert!(again == image, "{jobs} threads");
            assert_eq!(summary, expected, "{jobs} threads");
        }
    }
}

#[test]
fn files_that_are_known_do_not_move_the_end() {
    let bytes = content(1, 2 * BLOCK + 9);
    let size = bytes.len() as u64;
    let options = options(Compression::None, 2);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut packed = |known: bool| {
        let mut image = ImageWriter::new(Cursor::new(Vec::new()), &options).expect("set up");
        let ahead = image.content_ahead(b"a", size, Cursor::new(&bytes), true);
        ahead.and_then(|()| image.finish_ahead()).expect("stored");
        let added = if known {
            let never = |_: u64, _: &mut [u8]| unreachable!("the image has it");
            image.known_file(b"a", 0o444, size, &pieces, Arc::new(never))
        } else {
            image.file_and_pieces(b"a", 0o444, size, Cursor::new(&bytes), &mut pieces)
        };
        added.expect("a file");
        image.finish().expect("finished").1
    };
    let read = packed(false);
    assert!(read.ahead_size >= size);
    assert_eq!(packed(true), read);
}
