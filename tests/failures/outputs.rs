//! Outputs that cannot be written, or must not be.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;
use storeboot_tests::command::{printed, unprivileged, with_mounts};
use storeboot_tests::fixture::{FILE, SYSTEM};
use storeboot_tests::listing::Listing;

use super::attempt::{World, check, text};

/// What is in the folder of the outputs; its own time changes with what is written there for a while.
fn outputs(world: &World) -> Listing {
    Listing::of_folder(&world.out).filter(|path| !path.is_empty())
}

#[test]
fn a_full_disk_is_named() {
    let world = World::new();
    let noise = std::iter::successors(Some(1_u64), |state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    });
    let noise: Vec<u8> = noise
        .take(3 << 20)
        .map(|state| (state >> 40) as u8)
        .collect();
    fs::write(world.stored(SYSTEM).join("share/noise"), noise).expect("a file");
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // What is left behind is seen where the disk is, and is printed.
    let script = r#"
        mount -t tmpfs -o size=1m none "$SMALL"
        code=0
        "$0" "$@" || code=$?
        ls -A "$SMALL"
        exit "$code""#;
    for attempt in [
        world.pack("squashfs"),
        world.pack("cpio"),
        world.build().set("--layout", "file"),
        world.build().set("--layout", "in-place"),
        world.build().set("--layout", "direct"),
    ] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let output = small.join("output");
        let result = attempt.set("--output", &output).by(command).run();
        // The list of what is left is on stdout, and has to be empty.
        check(&result, [text(&output), "No space left on device".into()]);
    }
}

/// A third more than the initrd is enough: what has been copied into it is not there twice.
#[test]
fn a_build_takes_the_disk_of_one_initrd() {
    const SIZE: u32 = 24 << 20;
    let world = World::new();
    let noise = (0..SIZE / 4).flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes());
    let noise: Vec<u8> = noise.collect();
    fs::write(world.stored(SYSTEM).join("share/noise"), noise).expect("a file");
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    let script =
        r#"mount -t tmpfs -o size=32m none "$SMALL"; "$0" "$@"; du -b "$SMALL/output/initrd" >&2"#;
    for layout in ["file", "in-place", "direct"] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let attempt = world
            .build()
            .set("--layout", layout)
            .set("--compression", "none");
        let result = attempt
            .set("--output", small.join("output"))
            .by(command)
            .run();
        let said = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{layout}: {said}");
        let size: u32 = said
            .split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a size");
        assert!(size > SIZE, "{layout}: {said}");
    }
}

/// What is too large for memory goes through temporary files.
#[test]
fn a_full_folder_of_temporary_files_is_named() {
    let world = World::new();
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // Each refers to all before it: a registration of 6 MB.
    let path = |number: u32| format!("{number:032}-{}", "n".repeat(100));
    let names: Vec<String> = (0..300).map(path).collect();
    let full: Vec<String> = names
        .iter()
        .map(|name| format!("/nix/store/{name}"))
        .collect();
    let closure: Vec<_> = (0..names.len())
        .map(|number| {
            fs::write(world.stored(&names[number]), "").expect("a file");
            let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            json!({ "path": full[number], "narHash": hash, "narSize": 96, "references": full[..number] })
        })
        .collect();
    let closure = world.file("large.json", json!(closure).to_string());
    let script = r#"mount -t tmpfs -o size=1m none "$TMPDIR"; exec "$0" "$@""#;
    for format in ["squashfs", "cpio"] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("TMPDIR", &small);
        let attempt = world.pack(format).set("--path-info", &closure).by(command);
        attempt.fails([text(&small), "No space left on device".into()]);
    }
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let world = World::new();
    let taken = world.out.join("taken");
    fs::create_dir(&taken).expect("a folder");
    fs::write(taken.join("mine"), "precious").expect("a file");
    let file = world.out.join("file");
    fs::write(&file, "precious").expect("a file");
    let before = outputs(&world);
    for output in [&taken, &file] {
        let words = [text(output), "is there already".into()];
        world.build().set("--output", output).fails(words);
    }
    let words = [text(&taken), "directory".into()];
    world.pack("cpio").set("--output", &taken).fails(words);
    outputs(&world).assert_is(&before, "what was there");
}

#[test]
fn an_old_output_stays_when_a_new_one_fails() {
    let world = World::new();
    world.build().succeeds();
    world.pack("squashfs").succeeds();
    let before = outputs(&world);
    fs::remove_file(world.stored(FILE)).expect("it was there");
    world.build().fails([FILE]);
    world.pack("squashfs").fails([FILE]);
    // And where it fails only late, when most is done.
    fs::write(world.stored(FILE), "again").expect("a file");
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    world.build().fails([text(&pipe)]);
    world.pack("squashfs").fails([text(&pipe)]);
    outputs(&world).assert_is(&before, "the old output");
}

#[test]
fn an_output_without_a_folder_to_be_in_is_refused() {
    let world = World::new();
    let missing = world.out.join("no-such-folder/output");
    let words = || [text(&missing), "No such file".into()];
    world.build().set("--output", &missing).fails(words());
    world.pack("cpio").set("--output", &missing).fails(words());
    let inside = world.file("file", "").join("output");
    let words = || [text(&inside), "Not a directory".into()];
    world.build().set("--output", &inside).fails(words());
    world.pack("cpio").set("--output", &inside).fails(words());
    for output in ["/", ".", ".."] {
        world.build().set("--output", output).fails([""; 0]);
        world.pack("cpio").set("--output", output).fails([""; 0]);
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let world = World::new();
    let folder = world.path("root");
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("a mode");
    let output = folder.join("output");
    for attempt in [world.build(), world.pack("squashfs")] {
        let command = unprivileged(&world.path("storeboot"));
        let words = [text(&output), "Permission denied".into()];
        attempt.set("--output", &output).by(command).fails(words);
    }
}
