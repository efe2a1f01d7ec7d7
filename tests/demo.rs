//! The demo's system, built by real Nix, boots in every layout, and its own checks pass: Nix verifies the store and
//! builds in its sandbox.

use std::fs;
use std::path::Path;
use std::thread;

use storeboot_tests::command::{Scratch, build_command, have, printed};
use storeboot_tests::debian::demo_system;
use storeboot_tests::qemu::{Boot, LIMIT, Machine, QUIET};

/// The number of checks in the demo's stage 2.
const CHECKS: &str = "storeboot-demo: 8 checks passed, 0 failed";

fn boot(system: &Path, layout: &str, folder: &Path) -> Boot {
    let output = folder.join(layout);
    // Use a fast compression: the size does not matter here.
    printed(build_command(system, layout, &output).args(["--compression", "zstd:1"]));
    let append = fs::read_to_string(output.join("kernelAppend")).expect("there");
    Machine::new()
        .kernel(output.join("bzImage"))
        .initrd(output.join("initrd"))
        .append(append.trim())
        .append(QUIET)
        .memory_mib(1024)
        .boot(LIMIT)
}

#[test]
fn the_demo_passes_its_checks_in_every_layout() {
    if !have(&["qemu-system-x86_64", "nix-build"]) {
        return;
    }
    let system = demo_system();
    let folder = Scratch::new();
    let check = |layout: &str| {
        let boot = boot(&system, layout, folder.path());
        assert!(boot.powered_off(), "{layout}: {boot}");
        assert!(boot.console.contains(CHECKS), "{layout}: {boot}");
    };
    thread::scope(|scope| {
        scope.spawn(|| check("in-place"));
        check("file");
    });
    check("direct");
}
