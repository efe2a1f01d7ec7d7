//! Runs the library's examples as their documentation says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_tests::command::{Scratch, bz_image, example, printed, static_program, storeboot};
use storeboot_tests::fixture::{CONTENTS, Fixture, MANY, Manner, Recipe, SYSTEM};

/// Makes a system as NixOS has it, whose kernel is a link to another store path. Leaves out some store paths, since
/// examples are built without optimization and pack slowly.
fn system(without: &[&str]) -> (Scratch, Fixture) {
    const KERNEL: &str = "88888888888888888888888888888888-linux";

    let scratch = Scratch::new();
    let mut recipe = Recipe::new().without(&[MANY, KERNEL]).without(without);
    recipe.file(format!("{KERNEL}/bzImage"), bz_image("6.12.1"));
    recipe.symlink(
        format!("{SYSTEM}/kernel"),
        format!("/nix/store/{KERNEL}/bzImage"),
    );
    recipe.file(
        format!("{SYSTEM}/kernel-params"),
        "loglevel=4 console=ttyS0\n",
    );
    let fixture = recipe.write(scratch.path(), Manner::default());
    fs::write(scratch.join("stage1"), static_program()).expect("a file");
    (scratch, fixture)
}

/// Runs the example that builds a netboot directory. Returns the directory and the example's output.
fn netboot(scratch: &Scratch, fixture: &Fixture) -> (PathBuf, String) {
    let output = scratch.join("netboot");
    let said = printed(
        Command::new(example("netboot_directory"))
            .arg(fixture.root.join("nix/store").join(SYSTEM))
            .arg(scratch.join("stage1"))
            .args([&output, &fixture.path_info, &fixture.root]),
    );
    (output, String::from_utf8(said).expect("text"))
}

#[test]
fn a_closure_is_packed_from_the_cache_the_second_time() {
    let (scratch, fixture) = system(&[]);
    let pack = |image: &Path| {
        let said = printed(
            Command::new(example("pack_closure"))
                .arg(&fixture.path_info)
                .args([image, &scratch.join("cache"), &fixture.root]),
        );
        (
            String::from_utf8(said).expect("text"),
            fs::read(image).expect("an image"),
        )
    };
    let (said, first) = pack(&scratch.join("first.squashfs"));
    assert!(!said.contains(", 0 are new"), "{said}");
    let (said, second) = pack(&scratch.join("second.squashfs"));
    assert!(
        said.ends_with(" came from the cache, 0 are new\n"),
        "{said}"
    );
    assert!(first == second);

    let by_command = scratch.join("by-command.squashfs");
    printed(
        Command::new(storeboot())
            .args([
                "pack",
                "--quiet",
                "--format",
                "squashfs",
                "--compression",
                "zstd:15",
            ])
            .arg("--path-info")
            .arg(&fixture.path_info)
            .arg("--store-root")
            .arg(&fixture.root)
            .arg("--output")
            .arg(&by_command),
    );
    assert!(fs::read(by_command).expect("an image") == first);
}

#[test]
fn a_netboot_directory_is_built_from_a_system() {
    let (scratch, fixture) = system(&[CONTENTS]);
    let (output, said) = netboot(&scratch, &fixture);
    assert!(said.contains("layout in-place"), "{said}");
    let command_line = fs::read_to_string(output.join("kernelAppend")).expect("a file");
    let init = format!("init=/nix/store/{SYSTEM}/init ");
    assert!(command_line.starts_with(&init), "{command_line}");
    assert!(
        command_line
            .trim_end()
            .ends_with("loglevel=4 console=ttyS0"),
        "{command_line}"
    );
    assert_eq!(
        fs::read(output.join("bzImage")).expect("a kernel"),
        bz_image("6.12.1")
    );
}

#[test]
fn an_example_reports_an_error_in_one_sentence() {
    let nowhere = ["nowhere", "nowhere", "nowhere"];
    for (name, prefix) in [
        ("pack_closure", "pack_closure: cannot"),
        ("netboot_directory", "netboot_directory: cannot"),
    ] {
        let scratch = Scratch::new();
        let output = Command::new(example(name))
            .args(nowhere)
            .current_dir(scratch.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.starts_with(prefix),
            "{name}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
