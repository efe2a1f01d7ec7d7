//! Files of a store that cannot be read, or cannot be packed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use storeboot_tests::command::{printed, unprivileged};
use storeboot_tests::fixture::{FILE, SYSTEM};

use super::attempt::{World, text};

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    for (stored, mode) in [("share/doc", 0o000), ("share", 0o000)] {
        let path = world.stored(SYSTEM).join(stored);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        for attempt in [
            world.pack("squashfs"),
            world.pack("cpio"),
            world.build().set("--layout", "direct"),
        ] {
            let command = unprivileged(&world.path("storeboot"));
            let words = [text(&path), "Permission denied".into()];
            attempt.by(command).fails(words);
        }
    }
}

#[test]
fn a_store_path_that_changed_is_named() {
    let world = World::new();
    fs::write(world.stored(SYSTEM).join("share/doc"), "tampered").expect("a file");
    let attempts = || {
        let mut attempts = vec![
            world.pack("squashfs"),
            world.pack("cpio"),
            world.pack("cpio").set("--archives", "per-path"),
            world.layer(),
        ];
        for layout in ["file", "in-place", "direct", "fetch"] {
            attempts.push(world.build().set("--layout", layout));
        }
        attempts
    };
    let words = || [format!("/nix/store/{SYSTEM}"), "sha256".into()];
    let cache = world.path("cache");
    for attempt in attempts() {
        attempt.fails(words());
    }
    for attempt in attempts() {
        attempt.set("--cache", &cache).fails(words());
    }
    // Later builds trust what a cache keeps.
    let attempt = world.pack("squashfs").set("--cache", &cache);
    attempt.flag("--no-check").fails(words());
    for attempt in attempts() {
        attempt.flag("--no-check").succeeds();
    }
}

#[test]
fn a_store_path_that_cannot_be_hashed_is_named() {
    let world = World::new();
    let path = world.stored(FILE);
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("a mode");
    let graph = world.file("graph", format!("/nix/store/{FILE}\n\n0\n"));
    let command = unprivileged(&world.path("storeboot"));
    let attempt = world
        .pack("cpio")
        .without("--path-info")
        .set("--graph", graph);
    attempt
        .by(command)
        .fails([text(&path), "Permission denied".into()]);
}

#[test]
fn a_special_file_is_refused() {
    for format in ["squashfs", "cpio"] {
        for kind in ["pipe", "socket"] {
            let world = World::new();
            let path = world.stored(SYSTEM).join("share").join(kind);
            match kind {
                "pipe" => drop(printed(Command::new("mkfifo").arg(&path))),
                _ => drop(UnixListener::bind(&path).expect("a socket")),
            }
            let words = [
                text(&path),
                "neither a file, a directory nor a symbolic link".into(),
            ];
            world.pack(format).fails(words);
            // And where its hash has to be computed first.
            let graph = world.file("graph", format!("/nix/store/{SYSTEM}\n\n0\n"));
            let attempt = world
                .pack(format)
                .without("--path-info")
                .set("--graph", graph);
            attempt.fails([text(&path), "no file, directory or symbolic link".into()]);
        }
    }
}

#[test]
fn a_file_over_4_gib_in_an_archive_is_refused() {
    let world = World::new();
    let name = format!("{SYSTEM}/share/disk.img");
    let file = File::create(world.stored(&name)).expect("a file");
    file.set_len(u64::from(u32::MAX) + 1).expect("a long file");
    let words = ["share/disk.img", "4294967296", "4294967295"];
    world.pack("cpio").fails(words);
}

#[test]
fn names_in_messages_are_plain_text() {
    let world = World::new();
    let name = "two\nlines\u{1b}[31m";
    let pipe = world.stored(SYSTEM).join(name);
    printed(Command::new("mkfifo").arg(&pipe));
    for format in ["squashfs", "cpio"] {
        world.pack(format).fails(["two", "lines", "neither a file"]);
    }
}

#[test]
fn a_missing_store_path_is_named() {
    let world = World::new();
    fs::remove_file(world.stored(FILE)).expect("it was there");
    let words = || [text(world.stored(FILE)), "1 of the closure's 2".into()];
    world.build().fails(words());
    world.pack("squashfs").fails(words());
    world.pack("cpio").fails(words());
    let nowhere = world.path("nowhere");
    world
        .pack("cpio")
        .set("--store-root", &nowhere)
        .fails([text(&nowhere), "2 of the closure's 2".into()]);
}

#[test]
fn an_image_limit_that_is_too_low_is_explained() {
    let world = World::new();
    let big = vec![0x5a; 3 << 20];
    fs::write(world.stored(SYSTEM).join("share/big"), big).expect("a file");
    world
        .build()
        .set("--compression", "none")
        .set("--image-limit", "2M")
        .fails(["share/big", "--image-limit"]);
}
