//! A system with systemd, as NixOS has it, boots in every layout: systemd starts all units without a failure, Nix
//! verifies the store and builds in its sandbox, and a login on the serial line succeeds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use storeboot_tests::command::{Scratch, build_command, have, printed};
use storeboot_tests::debian::systemd_system;
use storeboot_tests::qemu::{Architecture, LIMIT, Machine, QUIET, available};

/// The number of the system's own checks.
const CHECKS: &str = "storeboot-systemd: 17 checks passed, 0 failed";
/// The layout whose images have hash trees of dm-verity.
const VERITY: &str = "file";
const PROMPT: &str = "root@storeboot:~# ";

fn build(system: &Path, layout: &str, folder: &Path) -> PathBuf {
    let output = folder.join(layout);
    let parameters = fs::read_to_string(system.join("kernel-params")).expect("there");
    let mut build = build_command(system, layout, &output);
    // Use a fast compression.
    build.args(["--compression", "zstd:3", "--cmdline", parameters.trim()]);
    if layout == VERITY {
        build.arg("--verity");
    }
    printed(&mut build);
    output
}

/// Root's password: an argument for the kernel command line, and the text to type.
type Password<'a> = Option<(&'a str, &'a str)>;

const PLAIN: Password = Some(("live.nixos.password=by-word", "by-word"));
/// A password and its hash, from `openssl passwd -6`.
const HASHED: Password = Some((
    "live.nixos.passwordHash=$6$storeboot$2SJ2GkwnqYYqm/WyTnX8FxLw34p.oOQJBNGbs9kjV8Gam1yKNSLD0Oq6tGDZwiVZak0XzLTBzexNXsEGUvNs91",
    "by-hash",
));

/// Checks the boot profile that the recorder has written.
const PROFILE: &str = "touch /run/storeboot/profile.stop; \
    while [ -e /run/storeboot/profile.stop ]; do sleep 0.2; done; \
    head -n 2 /run/storeboot/profile | tr '\\n' ' '; grep -c /systemd/systemd-journald$ /run/storeboot/profile";

fn check(system: &Path, layout: &str, folder: &Path, memory_mib: u32, password: Password) {
    let netboot = build(system, layout, folder);
    let append = fs::read_to_string(netboot.join("kernelAppend")).expect("there");
    let mut machine = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .append(append.trim())
        .append("demo.check")
        .append("storeboot.profile")
        .append(password.map_or("", |(word, _)| word))
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
        // Write to stderr directly, since the test harness hides the output of tests that pass.
        let _ = std::io::stderr().write_all(format!("{layout}: {line}\n").as_bytes());
    }

    // The login prompt may have come before the checks or among their output. Enter asks for another one.
    machine.enter("");
    machine.wait_for("login: ", LIMIT);
    machine.enter("root");
    if let Some((_, typed)) = password {
        machine.wait_for("Password: ", LIMIT);
        machine.enter(typed);
    }
    machine.wait_for(PROMPT, LIMIT);
    machine.enter(r#"echo "$(id -un) on $(tty), $(systemctl is-system-running), $(loginctl --no-legend | wc -l)""#);
    machine.wait_for("root on /dev/ttyS0, running, 1", LIMIT);
    machine.wait_for(PROMPT, LIMIT);
    // Neither udev nor another part of the system changed what the store is read from.
    machine.enter("cat /sys/block/dm-*/dm/name");
    let seen = machine.wait_for(PROMPT, LIMIT);
    assert_eq!(seen.contains("storeboot-0"), layout == VERITY, "{seen}");
    machine.enter(PROFILE);
    machine.wait_for("storeboot profile 1 storeboot-systemd/init 1", LIMIT);
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
        scope.spawn(|| check(&system, "in-place", folder.path(), 1024, None));
        check(&system, "file", folder.path(), 1024, PLAIN);
    });
    check(&system, "direct", folder.path(), 2048, HASHED);
}
