//! What an image costs beside its compressor: all of this is stored as it is.

use std::hint::black_box;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use storeboot_squashfs::{Compression, ImageWriter, Lz4Level, Options, Summary};

type Writer = ImageWriter<Cursor<Vec<u8>>>;

/// Bytes that differ with the number, and of which no block is like another.
fn content(number: u64, size: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    let mut bytes: Vec<u8> = words
        .take(size.div_ceil(8))
        .flat_map(u64::to_le_bytes)
        .collect();
    bytes.truncate(size);
    bytes
}

/// A file of zeros.
struct Zeros {
    left: u64,
    size: u64,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = io::repeat(0).take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Seek for Zeros {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(place) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.left = self.size - place;
        Ok(place)
    }
}

fn image(compression: Compression, add: impl FnOnce(&mut Writer)) -> Summary {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let options = Options::new()
        .compression(compression)
        .pool(Arc::new(pool.expect("a thread")));
    let mut writer = ImageWriter::new(Cursor::new(Vec::new()), &options).expect("an image");
    add(&mut writer);
    writer.finish().expect("an image").1
}

fn add(writer: &mut Writer, name: u64, bytes: &[u8]) {
    let name = format!("{name:08}");
    let content = Cursor::new(black_box(bytes));
    writer
        .file(name.as_bytes(), 0o444, bytes.len() as u64, content)
        .expect("a file");
}

fn large_files(criterion: &mut Criterion) {
    const SIZE: usize = 64 << 20;
    let mut group = criterion.benchmark_group("squashfs, 64 MiB in large files");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function("zeros", |bencher| {
        bencher.iter(|| {
            image(Compression::None, |writer| {
                let size = SIZE as u64;
                let content = Zeros { left: size, size };
                writer.file(b"file", 0o444, size, content).expect("a file");
            })
        });
    });
    let bytes = content(1, SIZE);
    group.bench_function("nothing twice", |bencher| {
        bencher.iter(|| image(Compression::None, |writer| add(writer, 0, &bytes)));
    });
    let part = &bytes[..SIZE / 16];
    group.bench_function("one file sixteen times", |bencher| {
        bencher.iter(|| {
            let add_all = |writer: &mut Writer| (0..16).for_each(|name| add(writer, name, part));
            let summary = image(Compression::None, add_all);
            assert_eq!(summary.duplicate_size, SIZE as u64 / 16 * 15);
        });
    });
    group.finish();
}

fn small_files(criterion: &mut Criterion) {
    const FILES: u64 = 20_000;
    let files: Vec<Vec<u8>> = (0..FILES).map(|number| content(number, 1000)).collect();
    let mut group = criterion.benchmark_group("squashfs, 20000 entries");
    group.sample_size(10);
    group.throughput(Throughput::Elements(FILES));
    let of = |group: &mut criterion::BenchmarkGroup<'_, _>,
              name: &str,
              compression,
              number: fn(u64) -> u64| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                image(compression, |writer| {
                    for name in 0..FILES {
                        add(writer, name, &files[number(name) as usize]);
                    }
                })
            });
        });
    };
    of(
        &mut group,
        "small files in fragments",
        Compression::None,
        |name| name,
    );
    of(
        &mut group,
        "small files, ten kinds",
        Compression::None,
        |name| name % 10,
    );
    // Inodes and listings are compressed in blocks of 8 KiB.
    of(
        &mut group,
        "small files, ten kinds, lz4",
        Compression::Lz4(Lz4Level::MIN),
        |name| name % 10,
    );
    group.bench_function("directories and links", |bencher| {
        bencher.iter(|| {
            image(Compression::None, |writer| {
                for number in 0..FILES / 2 {
                    let name = format!("{number:08}");
                    writer
                        .enter_directory(name.as_bytes(), 0o555)
                        .expect("a directory");
                    writer.symlink(b"link", b"../target").expect("a link");
                    writer.leave_directory().expect("entered");
                }
            })
        });
    });
    group.finish();
}

criterion_group!(benches, large_files, small_files);
criterion_main!(benches);
