//! Store images of every compression, read by libsquashfs: what comes out is what went in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use storeboot_tests::fixture::{MANY, Manner, Recipe, make_removable};
use storeboot_tests::sample::{Sample, squashfs};
use storeboot_tests_squashfs_ng::{by_number, by_path};

const KIB: u32 = 1 << 10;

/// The tests' own folder, empty when they start.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("squashfs-ng");
        make_removable(&folder);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("the last run's folder is gone");
        folder
    })
}

/// Everything.
fn whole() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        Sample::new(&Recipe::new().write(&folder().join("whole"), Manner::default()))
    })
}

/// Everything but the directory with 20 000 entries, which takes most of the time.
fn most() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let recipe = Recipe::new().without(&[MANY]);
        Sample::new(&recipe.write(&folder().join("most"), Manner::default()))
    })
}

/// Has images read at the smallest, a middle and the largest block size.
fn is_read(compression: &str, middle: &Sample) {
    let name = compression.split(':').next().expect("a name");
    for (block_size, sample) in [(4 * KIB, most()), (128 * KIB, middle), (KIB * KIB, most())] {
        let image = folder().join(format!("{name}-{block_size}"));
        sample.image(&image, &squashfs(compression, block_size));
        by_path(&image, &sample.expected);
        fs::remove_file(image).expect("it was there");
    }
}

#[test]
fn zstd() {
    is_read("zstd:3", whole());
}

#[test]
fn xz() {
    is_read("xz:0", most());
}

#[test]
fn gzip() {
    is_read("gzip:6", most());
}

#[test]
fn lz4() {
    is_read("lz4:12", whole());
}

#[test]
fn none() {
    is_read("none", most());
}

#[test]
fn an_export_table_leads_to_every_inode() {
    let mut pack = squashfs("zstd:1", 128 * KIB);
    pack.export = true;
    let image = folder().join("exportable");
    whole().image(&image, &pack);
    by_number(&image, &whole().expected);
}
