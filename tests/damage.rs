//! Boots initrds that were truncated, damaged or extended in transit. Every boot reaches a complete store, or stage 1
//! fails with a message that says what is wrong, or the kernel panics because stage 1 itself is damaged. A store with
//! missing or changed files is never booted.

#[path = "damage/build.rs"]
mod build;
#[path = "damage/outcome.rs"]
mod outcome;

use std::ops::Range;

use build::{Build, build};
use outcome::Outcome::{self, Panics, Says, Works};
use storeboot_index::Layout;

const MISSING: Outcome =
    Says("/storeboot/index is missing: the kernel did not unpack the whole initrd");
const NO_INDEX: Outcome = Says("/storeboot/index cannot be read: ");
const CUT_OFF: Outcome =
    Says("the initrd is cut off: store image no-such-directory/0.squashfs ends at byte");

/// The kernel does not start a stage 1 that is incomplete.
const NO_STAGE1: Outcome = Panics("Requested init /nix/store/");

/// Boots the initrd, truncated at this byte.
fn cut(build: &Build, at: usize, expected: &Outcome) {
    let outcome = build.boot(&build.initrd[..at], "");
    let layout = build.layout;
    assert!(
        outcome.is(expected),
        "{layout}, cut at {at}: {outcome:?}, not {expected:?}"
    );
}

/// Boots with one byte changed. The boot succeeds, or stage 1 reports the damage.
fn change(build: &Build, at: usize, append: &str) -> Outcome<String> {
    let mut initrd = build.initrd.clone();
    // Change a digit to another digit, so that a number stays valid.
    initrd[at] ^= 1;
    let outcome = build.boot(&initrd, append);
    let layout = build.layout;
    assert!(
        !matches!(outcome, Panics(_)),
        "{layout}, {at} changed: {outcome:?}"
    );
    outcome
}

/// Boots with one byte changed, and checks the outcome.
fn change_comes_to(build: &Build, at: usize, append: &str, expected: &Outcome) {
    let outcome = change(build, at, append);
    let layout = build.layout;
    assert!(
        outcome.is(expected),
        "{layout}, {at} changed: {outcome:?}, not {expected:?}"
    );
}

/// Returns positions spread over a range, including the first and the last byte.
fn spread(range: &Range<usize>, count: usize) -> impl Iterator<Item = usize> {
    let (start, length) = (range.start, range.len() - 1);
    (0..count).map(move |number| start + length * number / (count - 1))
}

#[test]
fn cut_in_place() {
    let Some(build) = build(Layout::InPlace) else {
        return;
    };
    let (image, index) = (&build.images[0], &build.index);
    cut(build, 300, &Panics("Unable to mount root fs"));
    cut(build, build.init.start + build.init.len() / 2, &NO_STAGE1);
    cut(build, build.init.end + 100_000, &MISSING);
    cut(build, index.start + index.len() / 2, &NO_INDEX);
    cut(build, build.segments[2].start, &CUT_OFF);
    cut(build, image.start + image.len() / 2, &CUT_OFF);
    cut(build, image.end - 1, &CUT_OFF);
    cut(build, image.end, &Works);
}

#[test]
fn cut_file() {
    let Some(build) = build(Layout::File) else {
        return;
    };
    let (image, index) = (&build.images[0], &build.index);
    let incomplete = Says("bytes of store image /storeboot/images/0.squashfs are there");
    cut(build, index.end - 1, &NO_INDEX);
    cut(
        build,
        build.segments[2].start,
        &Says("store image /storeboot/images/0.squashfs is missing"),
    );
    cut(build, image.start + 50, &incomplete);
    cut(build, image.end - 4096, &incomplete);
    // The file looks complete where a part of its last page is there. The image may have less there than is cut off.
    let most = build.used() - 20;
    let last_page = image.len() - 4096;
    let expected = match most > last_page {
        true => &Says("cannot mount"),
        false => &incomplete,
    };
    cut(build, image.start + most, expected);
    cut(build, image.end, &Works);
}

#[test]
fn cut_direct() {
    let Some(build) = build(Layout::Direct) else {
        return;
    };
    let (store, index) = (&build.segments[1], &build.index);
    cut(build, store.start, &MISSING);
    cut(build, store.start + store.len() / 2, &MISSING);
    cut(build, store.end - 1, &MISSING);
    cut(build, build.segments[2].start, &MISSING);
    cut(build, index.start + index.len() / 2, &NO_INDEX);
    cut(build, index.end, &Works);
}

#[test]
fn index_changed_in_place() {
    let Some(build) = build(Layout::InPlace) else {
        return;
    };
    change_comes_to(build, build.index.start, "", &NO_INDEX);
    for at in spread(&build.index, 6) {
        change(build, at, "");
    }
}

#[test]
fn index_changed_file() {
    let Some(build) = build(Layout::File) else {
        return;
    };
    for at in spread(&build.index, 4) {
        change(build, at, "");
    }
}

#[test]
fn index_changed_direct() {
    let Some(build) = build(Layout::Direct) else {
        return;
    };
    for at in spread(&build.index, 3) {
        change(build, at, "");
    }
}

#[test]
fn store_changed_in_place() {
    let Some(build) = build(Layout::InPlace) else {
        return;
    };
    let image = &build.images[0];
    let superblock = image.start..image.start + 96;
    for at in spread(&superblock, 2) {
        change_comes_to(
            build,
            at,
            "",
            &Says("its superblock was searched for everywhere"),
        );
    }
    let middle = image.start + image.len() / 2;
    change_comes_to(
        build,
        middle,
        "storeboot.verify",
        &Says("is damaged: its SHA-256 is "),
    );
}

#[test]
fn store_changed_file() {
    let Some(build) = build(Layout::File) else {
        return;
    };
    let image = &build.images[0];
    let superblock = image.start..image.start + 96;
    for at in spread(&superblock, 2) {
        change_comes_to(build, at, "", &Says("of the superblock is 0x"));
    }
    let middle = image.start + image.len() / 2;
    change_comes_to(
        build,
        middle,
        "storeboot.verify",
        &Says("is damaged: its SHA-256 is "),
    );
}

/// The archive has a checksum, which the kernel checks.
#[test]
fn store_changed_direct() {
    let Some(build) = build(Layout::Direct) else {
        return;
    };
    for at in spread(&build.segments[1], 3) {
        change_comes_to(build, at, "", &MISSING);
    }
}

/// Returns bytes that are not an archive.
fn rubbish(length: u32) -> Vec<u8> {
    (0..length)
        .map(|number| ((number * number / 7) | 1) as u8)
        .collect()
}

#[test]
fn rubbish_behind() {
    for layout in [Layout::InPlace, Layout::File, Layout::Direct] {
        let Some(build) = build(layout) else { return };
        let outcome = build.boot(&[&build.initrd[..], &rubbish(5001)].concat(), "");
        assert!(outcome.is(&Works), "{layout}: {outcome:?}");
    }
}

#[test]
fn rubbish_in_front() {
    let Some(build) = build(Layout::InPlace) else {
        return;
    };
    // The kernel takes the start of our archive for the rest of a truncated one.
    for front in [&rubbish(5000)[..], &build.initrd[..300]] {
        let outcome = build.boot(&[front, &build.initrd].concat(), "");
        assert!(
            outcome.is(&Panics("Unable to mount root fs")),
            "{outcome:?}"
        );
    }
}

#[test]
fn retain_initrd_forgotten() {
    let Some(build) = build(Layout::InPlace) else {
        return;
    };
    let outcome = build.boot_without_retaining();
    let expected = Says("`retain_initrd` is missing on the kernel command line");
    assert!(outcome.is(&expected), "{outcome:?}");
}
