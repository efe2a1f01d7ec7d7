//! How fast a large closure is read, ordered and registered, and how fast a tree is hashed as a NAR.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use storeboot_closure::nar::{Node, Tree, hash_tree};
use storeboot_closure::{Closure, Registration, StoreDir, read_path_info};

const PATHS: usize = 100_000;

/// What `nix path-info --json` prints of a closure in which every path refers to itself and up to four before it.
fn path_info() -> String {
    // Digits of Nix's base 32: names differ in the first ones, as hashes do, and come in no order.
    let name = |number: usize| {
        let spread = number * 7_919 % 1_000_003;
        format!("{spread:07}{:025}-made-up-{number}", 0)
    };
    let mut json = String::from("[");
    for number in 0..PATHS {
        let mut references = format!("\"/nix/store/{}\"", name(number));
        for divisor in [2, 3, 5, 7] {
            if number > 8 {
                let _ = write!(references, ",\"/nix/store/{}\"", name(number / divisor));
            }
        }
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            json,
            "{comma}{{\"path\":\"/nix/store/{}\",\"narHash\":\"sha256:{number:064x}\",\"narSize\":{},\"references\":[{references}]}}",
            name(number),
            number * 100 + 120,
        );
    }
    json.push(']');
    json
}

fn graphs(criterion: &mut Criterion) {
    let json = path_info();
    let store_dir = StoreDir::default();
    let read = || read_path_info(black_box(json.as_bytes()), &store_dir).expect("a closure");
    let closure: Closure = read();
    let mut group = criterion.benchmark_group("closure of 100000 paths");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PATHS as u64));
    group.bench_function("read from JSON and check", |bencher| bencher.iter(read));
    group.bench_function("put references first", |bencher| {
        bencher.iter(|| black_box(&closure).topological().len());
    });
    group.bench_function("write the registration", |bencher| {
        bencher.iter(|| {
            black_box(&closure)
                .write_registration(io::sink(), Registration::DumpDb)
                .expect("complete");
        });
    });
    group.finish();
}

/// A directory of files of one size.
struct Files(Vec<u8>, usize);

impl Tree for Files {
    type Id = Option<usize>;
    type Data<'a> = &'a [u8];
    type Error = Infallible;

    fn node(&mut self, id: &Option<usize>) -> Result<Node<Option<usize>, &[u8]>, Infallible> {
        Ok(match id {
            None => Node::Directory(
                (0..self.1)
                    .map(|number| (number.to_string().into_bytes(), Some(number)))
                    .collect(),
            ),
            Some(number) => Node::File {
                executable: number % 2 == 0,
                size: self.0.len() as u64,
                data: &self.0,
            },
        })
    }
}

fn nars(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("NAR hash");
    for (name, size, count) in [
        ("16 files of 1 MB", 1_000_000, 16),
        ("10000 files of 1 kB", 1_000, 10_000),
    ] {
        let mut files = Files(vec![7; size], count);
        group.throughput(Throughput::Bytes((size * count) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                hash_tree(black_box(&mut files), None, Path::new("files")).expect("a tree")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, graphs, nars);
criterion_main!(benches);
