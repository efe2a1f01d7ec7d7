//! How fast keys are derived, and entries of a store path's size looked up, checked and kept.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use storeboot_cache::{Cache, Key, KeyHasher};

const CONTEXT: &str = "a benchmark";

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache keys");
    let digest = [7; 32];
    group.bench_function("of a block", |bencher| {
        bencher.iter(|| Key::derive(CONTEXT, &[black_box(&digest)]));
    });
    // Like the key of an archive: its compression, the length and the name of its folder, its name, its hash and its
    // size.
    group.bench_function("of a store path", |bencher| {
        bencher.iter(|| {
            let mut key = KeyHasher::new(CONTEXT);
            key.part(b"zstd:9")
                .number(10_507)
                .part(b"nix/store")
                .part(b"00000000000000000000000000000000-made-up-1.0")
                .part(black_box(&digest))
                .number(120);
            key.finish()
        });
    });
    group.finish();
}

fn entries(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(folder.path(), u64::MAX).expect("a cache");
    let mut group = criterion.benchmark_group("cache entries");
    for (name, size) in [("1 kB", 1_000_usize), ("300 kB", 300_000)] {
        let content = vec![7; size];
        let key = Key::derive(CONTEXT, &[name.as_bytes()]);
        cache.put(&key, &content);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("found, {name}"), |bencher| {
            let mut found = Vec::new();
            bencher.iter(|| assert!(cache.get_into(black_box(&key), &mut found, size)));
        });
        group.bench_function(format!("kept, {name}"), |bencher| {
            let mut number = 0_u64;
            let new_key = || {
                // The same thousand entries again and again, so that the folder does not grow.
                number = (number + 1) % 1000;
                Key::derive(CONTEXT, &[name.as_bytes(), &number.to_le_bytes()])
            };
            bencher.iter_batched(
                new_key,
                |key| cache.put(&key, &content),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    assert!(cache.first_failure().is_none());
}

criterion_group!(benches, keys, entries);
criterion_main!(benches);
