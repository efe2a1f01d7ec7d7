//! A system as NixOS has it boots in every layout: systemd starts all that it should, nothing fails, Nix finds its store
//! sound and builds in its sandbox, and somebody logs in on the serial line.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use storeboot_tests::command::{Scratch, build_command, have, printed};
use storeboot_tests::debian::systemd_system;
use storeboot_tests::qemu::{Architecture, LIMIT, Machine, QUIET, available};

/// How many checks the system makes of itself.
const CHECKS: &str = "storeboot-systemd: 14 checks passed, 0 failed";
const PROMPT: &str = "root@storeboot:~# ";

fn build(system: &Path, layout: &str, folder: &Path) -> PathBuf {
    let output = folder.join(layout);
    let parameters = fs::read_to_string(system.join("kernel-params")).expect("there");
    let mut build = build_command(system, layout, &output);
    // Quickly packed.
    build.args(["--compression", "zstd:3", "--cmdline", parameters.trim()]);
    printed(&mut build);
    output
}

fn check(system: &Path, layout: &str, folder: &Path, memory_mib: u32) {
    let netboot = build(system, layout, folder);
    let append = fs::read_to_string(netboot.join("kernelAppend")).expect("there");
    let mut machine = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .append(append.trim())
        .append("demo.check")
        .append(QUIET)
        .memory_mib(memory_mib)
        .start();

    let mut said = machine.wait_for(" checks passed, ", LIMIT);
    said += &machine.wait_for("\n", LIMIT);
    assert!(said.contains(CHECKS), "{layout}: {said}");
    for line in said
        .lines()
        .filter(|line| line.contains("storeboot-systemd: "))
    {
        // Past the test harness, which hides what a test prints that does not fail.
        let _ = std::io::stderr().write_all(format!("{layout}: {line}\n").as_bytes());
    }

    // The login's prompt may have come before the checks did, or in between: another one then.
    machine.enter("");
    machine.wait_for("login: ", LIMIT);
    machine.enter("root");
    machine.wait_for(PROMPT, LIMIT);
    machine.enter(r#"echo "$(id -un) on $(tty), $(systemctl is-system-running), $(loginctl --no-legend | wc -l)""#);
    machine.wait_for("root on /dev/ttyS0, running, 1", LIMIT);
    machine.wait_for(PROMPT, LIMIT);
    machine.enter("poweroff");
    let boot = machine.end(LIMIT);
    assert!(boot.powered_off(), "{layout}: {boot}");
}

#[test]
fn systemd_comes_up_in_every_layout() {
    if !have(&["nix-build"]) || !available(Architecture::X86_64) {
        return;
    }
    let system = systemd_system();
    let folder = Scratch::new();
    thread::scope(|scope| {
        scope.spawn(|| check(&system, "in-place", folder.path(), 1024));
        check(&system, "file", folder.path(), 1024);
    });
    check(&system, "direct", folder.path(), 2048);
}
