//! How fast an archive of many small members is written and read: as a store's files are, one header for each.

use std::hint::black_box;
use std::io;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use storeboot_cpio::{Metadata, Reader, Writer};

const MEMBERS: u32 = 10_000;
const CONTENT: [u8; 1000] = [b'x'; 1000];

fn archive<W: io::Write>(out: W, names: &[String]) -> W {
    let mut writer = Writer::new(out);
    let meta = Metadata::mode(0o444);
    for name in names {
        writer
            .file(name, &meta, CONTENT.len() as u64, &CONTENT[..])
            .expect("a member");
    }
    writer.finish().expect("an archive")
}

fn members(criterion: &mut Criterion) {
    let names: Vec<String> = (0..MEMBERS)
        .map(|number| format!("nix/store/{:032}-made-up/share/doc/{number}", number / 10))
        .collect();
    let mut group = criterion.benchmark_group("cpio");
    group.throughput(Throughput::Elements(MEMBERS.into()));
    group.bench_function("write members of 1 kB", |bencher| {
        bencher.iter(|| archive(io::sink(), black_box(&names)));
    });
    let bytes = archive(Vec::new(), &names);
    group.bench_function("read members of 1 kB", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(bytes.as_slice()));
            let mut count = 0;
            while let Some(mut entry) = reader.next_entry().expect("an archive") {
                io::copy(&mut entry, &mut io::sink()).expect("its content");
                count += 1;
            }
            assert_eq!(count, MEMBERS);
        });
    });
}

criterion_group!(benches, members);
criterion_main!(benches);
