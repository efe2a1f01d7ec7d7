//! Boots store images that have hash trees of dm-verity, whole and with changed bytes. Whatever is changed: each file of
//! the booted system has the right bytes or cannot be read, or stage 1 ends with a sentence, or the kernel panics.

#[path = "verity_boot/world.rs"]
mod world;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use storeboot_index::Layout;
use storeboot_tests::qemu::Kernel;
use world::{Image, Netboot, Outcome, World, noise, noise_file};

/// Bytes of a block that is checked.
const BLOCK: usize = 4096;
/// Bytes of a superblock.
const SUPERBLOCK: usize = 96;
/// Where a superblock says where the inodes begin; the data lies before them.
const INODES: Range<usize> = 64..72;

/// A system of a few files, or None if machines cannot be run.
fn small() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let new = || Some(World::new("verity", Kernel::debian("6.12")?, 2, 300 << 10));
    WORLD.get_or_init(new).as_ref()
}

fn in_place() -> Option<&'static Netboot<'static>> {
    static NETBOOT: OnceLock<Option<Netboot<'static>>> = OnceLock::new();
    let build = || Some(small()?.build(Layout::InPlace, &[]));
    NETBOOT.get_or_init(build).as_ref()
}

#[track_caller]
fn nothing_is_refused(netboot: &Netboot<'_>) {
    let boot = netboot.boot(&netboot.initrd, "");
    let outcome = netboot.outcome(&boot);
    assert!(
        matches!(&outcome, Outcome::Refused(files) if files.is_empty()),
        "{outcome:?}"
    );
    assert_eq!(Netboot::devices(&boot), ["/dev/dm-0"], "{boot}");
}

#[test]
fn whole_in_place() {
    let Some(netboot) = in_place() else { return };
    nothing_is_refused(netboot);
}

#[test]
fn whole_in_files() {
    let Some(world) = small() else { return };
    nothing_is_refused(&world.build(Layout::File, &[]));
}

/// Where the second noise file's bytes are in the initrd: they do not compress.
fn noise_in(netboot: &Netboot<'_>) -> usize {
    let start = noise(1, 64);
    let found = netboot.initrd.windows(64).position(|bytes| bytes == start);
    found.expect("noise is stored as it is")
}

#[test]
fn a_changed_byte_of_a_file_is_an_error_and_all_other_files_are_right() {
    let Some(netboot) = in_place() else { return };
    let at = noise_in(netboot) + 150_000;
    let initrd = netboot.changed(|bytes| bytes[at] ^= 0x10);
    let outcome = netboot.outcome(&netboot.boot(&initrd, ""));
    let refused = [noise_file(1)];
    assert!(
        matches!(&outcome, Outcome::Refused(files) if *files == refused),
        "{outcome:?}"
    );
    // The same, where the kernel is to stop.
    let outcome = netboot.outcome(&netboot.boot(&initrd, "storeboot.verity=panic"));
    assert!(
        matches!(&outcome, Outcome::Panics(why) if why.contains("dm-verity device corrupted")),
        "{outcome:?}"
    );
}

/// What the mount reads, the tree and the root hash.
#[test]
fn an_image_that_is_not_that_of_its_root_hash_is_not_mounted() {
    let Some(netboot) = in_place() else { return };
    let image = &netboot.images[0];
    let first_block = image.offset + BLOCK - 1;
    let last_of_tree = image.tree().end - BLOCK + 1;
    let in_index = |hash: &str| {
        let found = netboot
            .initrd
            .windows(64)
            .position(|bytes| bytes == hash.as_bytes());
        found.expect("it is in the index")
    };
    for at in [first_block, last_of_tree, in_index(&image.root_hash)] {
        let initrd = netboot.changed(|bytes| bytes[at] ^= 1);
        let outcome = netboot.outcome(&netboot.boot(&initrd, ""));
        assert!(
            matches!(&outcome, Outcome::Says(why) if why.contains("is damaged: it is not the one that the root hash")),
            "byte {at}: {outcome:?}"
        );
    }
}

/// One boot of a hundred images, in each of which one byte of a file is another.
#[test]
fn of_a_hundred_changed_images_no_file_is_wrong() {
    const CHANGED: usize = 100;
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    // A build reserves 1 MiB for tables, so that the limit holds one file and not two.
    let world = World::new("verity-many", kernel, CHANGED, 150 << 10);
    let layer = world.layer("1224K");
    let netboot = world.build(Layout::InPlace, &[Path::new("--layer"), &layer]);
    let numbers = (0..CHANGED).map(|number| (noise(number as u64, 64), number));
    let numbers: HashMap<Vec<u8>, usize> = numbers.collect();
    let mut random = Random(0x5eed);
    let mut changed = Vec::new();
    let initrd = netboot.changed(|bytes| {
        for image in &netboot.images {
            let image = &mut bytes[image.offset..image.offset + image.data_size];
            // A file is stored as it is, behind superblock and options. The image that has none holds stage 2.
            let mut starts = image[SUPERBLOCK..BLOCK].windows(64);
            let Some(number) = starts.find_map(|start| numbers.get(start)) else {
                continue;
            };
            let inodes = u64::from_le_bytes(image[INODES].try_into().expect("eight bytes"));
            // The block with the superblock and the one where the inodes begin are for the mount.
            let data = BLOCK..inodes as usize / BLOCK * BLOCK;
            let at = data.start + random.below(data.len());
            image[at] ^= 1 << random.below(8);
            changed.push(noise_file(*number));
        }
    });
    changed.sort();
    assert_eq!(changed.len(), CHANGED, "{} images", netboot.images.len());
    match netboot.outcome(&netboot.boot(&initrd, "")) {
        Outcome::Refused(mut files) => {
            files.sort();
            assert_eq!(files, changed);
        }
        outcome => panic!("{outcome:?}"),
    }
}

/// Changes bytes anywhere in what is checked: the images, with their trees, and the index. `STOREBOOT_CHANGED_INITRDS`
/// says how many initrds are booted; their bytes change anywhere. Nothing checks stage 1's program and modules, so one of
/// these boots may hang.
#[test]
fn of_changed_initrds_none_has_a_wrong_file() {
    let Some(netboot) = in_place() else { return };
    let images = netboot.images.iter().map(Image::range);
    let checked = images.chain([netboot.index.clone()]).collect();
    let asked = std::env::var("STOREBOOT_CHANGED_INITRDS").ok();
    let asked: Option<u64> = asked.map(|count| count.parse().expect("a number"));
    let anywhere = 0..netboot.initrd.len();
    let (count, parts): (u64, Vec<Range<usize>>) = match asked {
        Some(count) => (count, vec![anywhere]),
        None => (4, checked),
    };
    for seed in 0..count {
        let mut random = Random(seed);
        let mut places = Vec::new();
        let initrd = netboot.changed(|bytes| {
            for _ in 0..=random.below(3) {
                let part = &parts[random.below(parts.len())];
                let at = part.start + random.below(part.len());
                bytes[at] = bytes[at].wrapping_add(1 + random.below(255) as u8);
                places.push(at);
            }
        });
        // This fails where a file is wrong.
        let outcome = netboot.outcome(&netboot.boot(&initrd, ""));
        println!("seed {seed}, bytes {places:?}: {outcome:?}");
    }
}

/// The same numbers in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
