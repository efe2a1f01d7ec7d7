//! Netboot directories that are not as their manifest says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use storeboot_tests::command::{printed, ran};

use crate::attempt::{World, check, text};

/// A netboot directory of this layout.
fn directory(world: &World, layout: &str) -> PathBuf {
    world.clear_outputs();
    world.build().set("--layout", layout).succeeds();
    world.out.join("netboot")
}

/// Changes what the manifest of a netboot directory says.
fn change(directory: &Path, change: impl FnOnce(&mut Value)) {
    let path = directory.join("manifest.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    change(&mut manifest);
    fs::remove_file(&path).expect("it can be removed");
    fs::write(path, manifest.to_string()).expect("a file");
}

/// Runs the command with these arguments.
fn run(world: &World, arguments: &[&Path]) -> Output {
    ran(Command::new(world.path("storeboot"))
        .args(arguments)
        .arg("--quiet"))
}

fn verified(world: &World, directory: &Path) -> Output {
    run(world, &["verify".as_ref(), directory])
}

#[test]
fn an_image_with_another_hash_than_the_manifest_says_is_told() {
    let world = World::new();
    for (layout, complaint) in [
        ("file", "has the SHA-256"),
        ("in-place", "has the SHA-256"),
        ("fetch", "another size or SHA-256"),
    ] {
        let directory = directory(&world, layout);
        assert!(verified(&world, &directory).status.success(), "{layout}");
        change(&directory, |manifest| {
            manifest["images"][0]["sha256"] = "0".repeat(64).into();
        });
        check(
            &verified(&world, &directory),
            ["the store image", complaint],
        );
    }
}

#[test]
fn the_index_of_a_boot_from_images_is_compared_with_the_manifest() {
    let world = World::new();
    for layout in ["file", "in-place"] {
        let directory = directory(&world, layout);
        // All else is as it was.
        change(&directory, |manifest| {
            let segments = manifest["segments"].as_array_mut().expect("segments");
            let index = segments
                .iter_mut()
                .find(|segment| segment["kind"] == "index");
            index.expect("an index")["kind"] = "stage-1".into();
        });
        check(
            &verified(&world, &directory),
            ["the manifest names no segment with an index"],
        );
    }
}

/// A secret key: that of the first test of RFC 8032.
const KEY: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

/// Runs `check` while the file is a link to itself in another folder, and again while it is a pipe.
fn while_it_is_no_file(world: &World, file: &Path, check: impl Fn(&str)) {
    let aside = world.path("aside");
    fs::rename(file, &aside).expect("it can be moved");
    symlink(&aside, file).expect("a link");
    check("it is a link, and could lead out of the directory");
    fs::remove_file(file).expect("it can be removed");
    printed(Command::new("mkfifo").arg(file));
    check("it is no regular file");
    fs::remove_file(file).expect("it can be removed");
    fs::rename(aside, file).expect("it can be moved back");
}

#[test]
fn links_and_pipes_in_a_netboot_directory_are_refused() {
    let world = World::new();
    let key = world.file("key", format!("test:{KEY}"));
    for layout in ["file", "fetch", "direct"] {
        let directory = directory(&world, layout);
        let folder = directory.as_path();
        let result = world.path("result");
        let _ = fs::remove_file(&result);
        symlink(folder, &result).expect("a link");
        let compare = || run(&world, &["compare".as_ref(), folder, &result]);
        assert!(compare().status.success());
        let mut names = vec!["manifest.json".to_owned(), "initrd".into()];
        for file in fs::read_dir(folder.join("images")).into_iter().flatten() {
            let name = file.expect("an entry").file_name();
            names.push(format!("images/{}", text(name)));
        }
        assert_eq!(names.len(), if layout == "fetch" { 3 } else { 2 });
        for name in names {
            let file = folder.join(name);
            while_it_is_no_file(&world, &file, |why| {
                check(&verified(&world, folder), [&*text(&file), why]);
                check(&compare(), [&*text(file.file_name().expect("a name")), why]);
                let sign = ["sign".as_ref(), "--key-file".as_ref(), key.as_ref(), folder];
                check(&run(&world, &sign), [&*text(&file), why]);
            });
        }
        assert!(verified(&world, folder).status.success());
    }
}

#[test]
fn links_and_pipes_in_a_layer_are_refused() {
    let world = World::new();
    let layer = world.path("layer");
    world.layer().set("--output", &layer).succeeds();
    for name in ["layer.json", "0.squashfs"] {
        let file = layer.join(name);
        while_it_is_no_file(&world, &file, |why| {
            world
                .build()
                .set("--layer", &layer)
                .fails([&*text(&file), why]);
        });
    }
    let image = layer.join("0.squashfs");
    while_it_is_no_file(&world, &image, |why| {
        check(&verified(&world, &layer), [&*text(&image), why]);
    });
    world.build().set("--layer", &layer).succeeds();
}
