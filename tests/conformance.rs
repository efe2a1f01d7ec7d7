//! Other programs and libraries read store images and initrds, and find exactly what was packed.

#[path = "conformance/initrd.rs"]
mod initrd;
#[path = "conformance/kernel.rs"]
mod kernel;
#[path = "conformance/readers.rs"]
mod readers;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use storeboot::{Compression, Context, Format, Pack};
use storeboot_tests::fixture::{Fixture, MANY, Manner, Recipe, make_removable};
use storeboot_tests::sample::{Sample, squashfs};

const KIB: u32 = 1 << 10;

/// The folder of these tests, which is empty when they start.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        make_removable(&folder);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("the last run's folder is gone");
        folder
    })
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| Recipe::new().write(&folder().join("fixture"), Manner::default()))
}

/// The whole tree.
fn whole() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::new(fixture()))
}

/// The tree without the directory of 20 000 entries, which takes most of the time.
fn most() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| Sample::new(&fixture().without(&[MANY])))
}

/// Packs a sample into an image of this name.
fn pack_image(sample: &Sample, name: &str, pack: &Pack) -> PathBuf {
    let path = folder().join(name);
    sample.image(&path, pack);
    path
}

/// Packs and has all programs read it, at the smallest, a middle and the largest block size.
fn every_reader_reads(compression: &str, middle: &Sample) {
    let name = compression.split(':').next().expect("a name");
    for (block_size, sample) in [(4 * KIB, most()), (128 * KIB, middle), (KIB * KIB, most())] {
        let name = format!("{name}-{block_size}");
        let image = pack_image(sample, &name, &squashfs(compression, block_size));
        readers::ours(&image, &sample.expected);
        readers::unsquashfs(&image, &sample.expected);
        readers::rdsquashfs(&image, &sample.expected);
        fs::remove_file(image).expect("it was there");
    }
}

#[test]
fn every_reader_reads_zstd() {
    every_reader_reads("zstd:3", whole());
}

#[test]
fn every_reader_reads_xz() {
    every_reader_reads("xz:0", most());
}

#[test]
fn every_reader_reads_gzip() {
    every_reader_reads("gzip:6", most());
}

#[test]
fn every_reader_reads_lz4() {
    every_reader_reads("lz4:12", whole());
}

#[test]
fn every_reader_reads_an_uncompressed_image() {
    every_reader_reads("none", most());
}

#[test]
fn an_export_table_is_found_and_leads_to_every_inode() {
    let mut options = squashfs("zstd:1", 128 * KIB);
    options.export = true;
    let image = pack_image(whole(), "exportable", &options);
    readers::ours(&image, &whole().expected);
    readers::ours_by_number(&image);
    let plain = pack_image(most(), "not-exportable", &squashfs("zstd:1", 128 * KIB));
    readers::superblock(&image, true, "zstd", 128 * KIB);
    readers::superblock(&plain, false, "zstd", 128 * KIB);
}

#[test]
fn the_superblock_has_the_requested_options() {
    for (compression, name) in [("xz:0", "xz"), ("gzip:1", "gzip"), ("lz4:1", "lz4")] {
        for block_size in [8 * KIB, 512 * KIB] {
            let image = pack_image(
                most(),
                &format!("super-{name}-{block_size}"),
                &squashfs(compression, block_size),
            );
            readers::superblock(&image, false, name, block_size);
            readers::ours(&image, &most().expected);
            fs::remove_file(image).expect("it was there");
        }
    }
}

#[test]
fn the_kernel_reads_every_compression() {
    // Without compression, the superblock says gzip and nothing in the image is compressed.
    let images = [
        ("zstd", "zstd:3", 128 * KIB, whole()),
        ("xz", "xz:1", KIB * KIB, most()),
        ("gzip", "gzip:6", 4 * KIB, most()),
        ("lz4", "lz4:12", 64 * KIB, most()),
        ("none", "none", 128 * KIB, most()),
    ];
    kernel::reads(&images.map(|(name, compression, block_size, sample)| {
        let mut pack = squashfs(compression, block_size);
        pack.export = name == "gzip";
        let image = pack_image(sample, &format!("kernel-{name}"), &pack);
        (name, image, &sample.expected)
    }));
}

#[test]
fn every_program_lists_the_same_initrd() {
    initrd::is_listed_alike(fixture(), folder());
}

#[test]
fn every_program_unpacks_the_same_archive_of_a_store() {
    let path = folder().join("store.newc");
    let file = BufWriter::new(File::create(&path).expect("a file"));
    Pack::new(Format::Cpio)
        .write_archive(&whole().store, file, &Context::new())
        .expect("packed");
    initrd::is_unpacked_alike(&path, &whole().expected);
    fs::remove_file(path).expect("it was there");
}

/// Fails when there is a new compression, so that it gets a test above.
#[test]
fn there_are_no_other_compressions() {
    let mut names = Vec::new();
    for text in ["zstd:3", "xz:1", "gzip:6", "lz4:12", "none"] {
        names.push(match text.parse::<Compression>().expect("known") {
            Compression::Zstd(_) => "zstd",
            Compression::Xz(_) => "xz",
            Compression::Gzip(_) => "gzip",
            Compression::Lz4(_) => "lz4",
            Compression::None => "none",
            other => panic!("{other} is not tested"),
        });
    }
    assert_eq!(names, ["zstd", "xz", "gzip", "lz4", "none"]);
}
