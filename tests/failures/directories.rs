//! Netboot directories that are not as their manifest says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use storeboot_tests::command::ran;

use crate::attempt::{World, check};

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

fn verified(world: &World, directory: &Path) -> Output {
    let mut verify = Command::new(world.path("storeboot"));
    ran(verify.arg("verify").arg("--quiet").arg(directory))
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
