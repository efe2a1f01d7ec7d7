//! Checks of a boot.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine, QUIET};

use crate::fixture::{self, INIT, store};

pub fn machine(name: &str, kernel: &Kernel, initrd: &[u8]) -> Machine {
    Machine::new()
        .kernel(kernel.image())
        .initrd(fixture::written(name, initrd))
}

/// Boots to stage 2 and checks the facts that it prints.
pub fn reaches_stage2(name: &str, kernel: &Kernel, initrd: &[u8], append: &str) -> Boot {
    let append = format!("{QUIET} init={INIT} fruit=apple {append} -- one two");
    let boot = machine(name, kernel, initrd).append(&append).boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    for expected in [
        "pid: 1",
        &format!("name: {INIT}"),
        "arguments: one two",
        "environment: HOME=/ TERM=linux fruit=apple",
        "console: yes",
        // Only root may write to `/` and `/run`, and `/run` has the mode that systemd sets.
        "modes: /=755:0:0 /run=755:0:0",
        "remount: 0",
        // The three standard descriptors, and the one that `ls` opens.
        "files: 0 1 2 3",
        &format!(
            "data: {}  /nix/store/11111111111111111111111111111111-data/data",
            store().data_hash
        ),
        "link: through a link",
        "pivot: done",
        "end",
    ] {
        assert!(
            facts(&boot).contains(&expected.to_owned()),
            "no {expected:?} in {boot}"
        );
    }
    assert!(
        fact(&boot, "executable").ends_with("-busybox/bin/busybox"),
        "{boot}"
    );
    assert!(!boot.console.contains("storeboot: warning"), "{boot}");
    boot
}

/// Returns the facts that stage 2 printed, with each list of several lines joined into one.
fn facts(boot: &Boot) -> Vec<String> {
    let mut facts: Vec<String> = Vec::new();
    for line in boot.console.lines() {
        match line.split_once("STAGE2 ") {
            Some((_, fact)) => facts.push(fact.trim().to_owned()),
            None if line.starts_with('[') => {}
            None => facts
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|fact| *fact = format!("{fact} {}", line.trim()).trim().to_owned()),
        }
    }
    facts
}

pub fn fact(boot: &Boot, name: &str) -> String {
    let prefix = format!("{name}: ");
    let found = facts(boot)
        .into_iter()
        .find_map(|fact| fact.strip_prefix(&prefix).map(str::to_owned));
    found.unwrap_or_else(|| panic!("no {name} in {boot}"))
}

/// Returns the mounts, sorted by name.
pub fn mounts(boot: &Boot) -> Vec<String> {
    let mut mounts: Vec<String> = fact(boot, "mounts").split(' ').map(str::to_owned).collect();
    mounts.sort();
    mounts
}

/// Checks the mounts of a system whose store is an overlay.
pub fn has_overlay(boot: &Boot, lower: &[&str]) {
    let mut expected: Vec<String> = lower
        .iter()
        .map(|place| format!("{place}=squashfs"))
        .collect();
    let others = [
        "/=tmpfs",
        "/dev=devtmpfs",
        "/nix/.rw-store=tmpfs",
        "/nix/store=overlay",
        "/proc=proc",
        "/run=tmpfs",
        "/sys=sysfs",
    ];
    expected.extend(others.map(String::from));
    expected.sort();
    assert_eq!(mounts(boot), expected, "{boot}");
    let options = fact(boot, "store");
    let lower_dirs = format!("lowerdir={},", lower.join(":"));
    assert!(
        options.contains(&lower_dirs) && options.contains("upperdir=/nix/.rw-store/store"),
        "{options}"
    );
    assert_eq!(fact(boot, "write"), "text", "{boot}");
}

/// Checks that nothing of the initrd is left in the root.
pub fn has_a_clean_root(boot: &Boot) {
    assert_eq!(fact(boot, "root"), "dev mnt nix proc run sys", "{boot}");
}

/// Checks that the root holds what [`fixture::with_own_archives`] added, as it was, and nothing else of the initrd.
pub fn keeps_own_archives(boot: &Boot) {
    assert_eq!(
        fact(boot, "root"),
        "dev etc mnt nix own proc root run sys",
        "{boot}"
    );
    let own = HEXLOWER.encode(&Sha256::digest([b'7'; 1000]));
    let expected = [
        "/root=700:0:0",
        "/root/.ssh=700:0:0",
        "/root/.ssh/authorized_keys=600:0:0",
        "/run/keys=700:0:0",
        "/run/keys/key=400:0:0",
        "/own=444:0:0",
        "/etc=755:0:0",
        "/etc/ssh=755:0:0",
        "/etc/ssh/keys=755:0:0",
        "/etc/ssh/keys/host=640:7:8",
        "/etc/ssh/host=777:0:0",
        "ssh-ed25519 of-the-user",
        "key-of-the-host",
        &format!("{own}  -"),
    ];
    assert_eq!(fact(boot, "kept"), expected.join(" "), "{boot}");
}

/// Boots the initrd of [`fixture::with_a_changed_store`]: the boot continues, and stage 1 names the changed file.
pub fn tells_of_a_changed_store(name: &str, kernel: &Kernel, initrd: &[u8], append: &str) {
    let append = format!("{QUIET} init={INIT} {append}");
    let boot = machine(name, kernel, initrd).append(&append).boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    assert_eq!(fact(&boot, "link"), "changed", "{boot}");
    let warnings: Vec<&str> = boot.lines_with("storeboot: warning: ").collect();
    let data = "/nix/store/11111111111111111111111111111111-data/target";
    let expected = format!("the store is changed: {data} comes from another archive in the initrd");
    assert_eq!(warnings, [expected], "{boot}");
}

/// Memory that files in a tmpfs take, in KiB: the unpacked initrd is among them until it is removed.
pub fn shmem(boot: &Boot) -> u32 {
    fact(boot, "shmem").parse().unwrap()
}

/// Boots with `loglevel=2`, and expects the message once, and the panic after it.
pub fn fails_with(name: &str, kernel: &Kernel, initrd: &[u8], append: &str, sentence: &str) {
    says_and_panics(
        &machine(name, kernel, initrd).append(QUIET).append(append),
        sentence,
    );
}

pub fn says_and_panics(machine: &Machine, sentence: &str) {
    let boot = machine.boot(LIMIT);
    assert!(boot.panicked(), "{boot}");
    assert!(!boot.console.contains("STAGE2"), "{boot}");
    let said: Vec<&str> = boot.lines_with("storeboot: ").collect();
    assert_eq!(said.len(), 1, "{boot}");
    assert!(said[0].contains(sentence), "no {sentence:?} in {boot}");
    let (told, panic) = (
        boot.console.find("storeboot: "),
        boot.console.find("Kernel panic"),
    );
    assert!(told < panic, "{boot}");
}
