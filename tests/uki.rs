//! UKIs: other programs read them, and they boot under Secure Boot with a key of the test's own, and not without.

#[path = "uki/secure_boot.rs"]
mod secure_boot;
#[path = "uki/tpm.rs"]
mod tpm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use storeboot_index::Layout;
use storeboot_tests::command::{have, installed, printed, ran, storeboot};
use storeboot_tests::debian::unpacked;
use storeboot_tests::http::Site;
use storeboot_tests::qemu::{Kernel, LIMIT};
use storeboot_tests::small_system::{SmallSystem, fact, scripts};

use secure_boot::SecureBoot;
use tpm::{Measured, Tpm};

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// What the tests share: a system, and keys that machines are given.
struct World {
    system: SmallSystem,
    secure_boot: SecureBoot,
}

/// None where machines cannot be run, or a program is missing.
fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let make = || {
        installed(&[STUB])?;
        if !have(&["sbsign", "sbverify", "objdump", "mformat", "openssl"]) {
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uki");
        let system = SmallSystem::in_folder(&folder, Kernel::debian("6.12")?);
        let secure_boot = SecureBoot::new(&folder.join("keys"))?;
        Some(World {
            system,
            secure_boot,
        })
    };
    WORLD.get_or_init(make).as_ref()
}

/// Makes a UKI of a netboot directory, beside it.
fn uki(netboot: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let output = netboot.with_file_name(name);
    let mut command = Command::new(storeboot());
    command
        .args(["--quiet", "uki"])
        .arg(netboot)
        .args(arguments)
        .arg("--output")
        .arg(&output);
    printed(&mut command);
    output
}

/// The sections of a file, as `objdump` shows them: name, size, address, place in the file.
fn sections(file: &Path) -> Vec<(String, u64, u64, u64)> {
    let shown = printed(Command::new("objdump").arg("--section-headers").arg(file));
    let shown = String::from_utf8(shown).expect("text");
    let number = |word: &str| u64::from_str_radix(word, 16).expect("a number");
    let lines = shown.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first()?.parse::<u32>().ok()?;
        let [_, name, size, address, _, offset, ..] = words[..] else {
            return None;
        };
        Some((
            name.to_owned(),
            number(size),
            number(address),
            number(offset),
        ))
    });
    lines.collect()
}

/// What is in a section of a file.
fn content<'a>(bytes: &'a [u8], sections: &[(String, u64, u64, u64)], name: &str) -> &'a [u8] {
    let mut sections = sections.iter();
    let (_, size, _, offset) = sections.find(|(found, ..)| found == name).expect("it");
    &bytes[*offset as usize..(offset + size) as usize]
}

#[test]
fn other_programs_read_what_is_in_it() {
    let Some(World { system, .. }) = world() else {
        return;
    };
    let netboot = system.build("read", Layout::Direct, &[]);
    let file = uki(&netboot, "read.efi", &["--cmdline", "more=words"]);
    let expected_line = {
        let line = fs::read_to_string(netboot.join("kernelAppend")).expect("a command line");
        format!("{} more=words", line.trim_end())
    };

    // The stub's own sections come first.
    let found = sections(&file);
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    let ours = [".osrel", ".cmdline", ".uname", ".initrd", ".linux"];
    assert!(
        names.ends_with(&ours) && names.contains(&".sbat"),
        "{names:?}"
    );
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].2 + pair[0].1 <= pair[1].2),
        "{found:?}"
    );
    let bytes = fs::read(&file).expect("the file");
    let content = |name: &str| content(&bytes, &found, name);
    assert_eq!(content(".cmdline"), expected_line.as_bytes());
    for (section, name) in [(".initrd", "initrd"), (".linux", "bzImage")] {
        let expected = fs::read(netboot.join(name)).expect("a file");
        assert!(content(section) == expected, "{section} is not {name}");
    }

    let ukify = unpacked("trixie", "systemd-ukify").join("usr/bin/ukify");
    let mut inspect = Command::new("/usr/bin/python3");
    inspect
        .arg(ukify)
        .arg("inspect")
        .arg(&file)
        .arg("--json=short");
    let json: serde_json::Value =
        serde_json::from_slice(&printed(&mut inspect)).expect("ukify writes JSON");
    assert_eq!(json[".cmdline"]["text"], expected_line);
    assert!(
        json[".osrel"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("PRETTY_NAME=\"system\"")),
        "{json}"
    );

    // The same file each time, and no other file is replaced by half of one.
    let again = uki(&netboot, "again.efi", &["--cmdline", "more=words"]);
    assert!(fs::read(&again).expect("the file") == bytes);
    let mut failing = Command::new(storeboot());
    failing
        .arg("uki")
        .arg(&netboot)
        .args(["--sign-with", "exit 1", "--output"])
        .arg(&again);
    assert!(!ran(&mut failing).status.success());
    assert!(fs::read(&again).expect("the file") == bytes);
}

/// Builds a system that tells what was measured.
fn build_measured(system: &SmallSystem, name: &str, layout: Layout) -> PathBuf {
    let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("uki-{name}.cpio"));
    let script = tpm::script(&system.busybox());
    fs::write(&archive, scripts(&[("first", &script)])).expect("an archive");
    system.build(name, layout, &[Path::new("--prepend"), &archive])
}

/// What the stub measures of a file, in this order. Before systemd 254, it was the first four.
const MEASURED: [&str; 6] = [".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"];

/// Checks what docs/trust.md says of the registers.
fn is_as_documented(measured: &Measured, key: &SecureBoot, file: &Path, parts: &[&str]) {
    // What was started: the file, as the hash that its signature is of.
    let started = measured.of_kind(4, "EV_EFI_BOOT_SERVICES_APPLICATION");
    let signature = key.signature(file);
    let is_signed = |digest: &[u8; 32]| signature.windows(32).any(|bytes| bytes == digest);
    assert!(
        started.len() == 1 && is_signed(&started[0]),
        "{measured:#?}"
    );
    // SecureBoot, PK, KEK, db, dbx; and the key that signed.
    for (kind, count) in [
        ("EV_EFI_VARIABLE_DRIVER_CONFIG", 5),
        ("EV_EFI_VARIABLE_AUTHORITY", 1),
    ] {
        assert_eq!(measured.of_kind(7, kind).len(), count, "{measured:#?}");
    }
    let places = sections(file);
    let bytes = fs::read(file).expect("the file");
    let sha256 = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
    let part = |name: &str| content(&bytes, &places, name);
    // Linux's stub measures the command line as it got it, with a NUL, and the initrd.
    let line = std::str::from_utf8(part(".cmdline")).expect("text");
    let line: Vec<u8> = line
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let linux: Vec<_> = measured.digests(9).collect();
    assert_eq!(linux[0], sha256(&line), "{measured:#?}");
    // A newer stub puts an archive of its own behind the initrd.
    assert_eq!(
        linux[1..] == [sha256(part(".initrd"))],
        parts.len() < MEASURED.len(),
        "{measured:#?}"
    );
    let of_stub = |name: &&str| [sha256(format!("{name}\0").as_bytes()), sha256(part(name))];
    let of_stub: Vec<_> = parts.iter().flat_map(of_stub).collect();
    let digests: Vec<_> = measured.digests(11).collect();
    assert_eq!(digests, of_stub, "{measured:#?}");
    // Nothing was beside the file, and what the firmware passed on was ignored.
    assert_eq!(measured.digests(12).count(), 0, "{measured:#?}");
}

/// One machine shows that the signed file boots, by the stub of a newer systemd, and that arguments of the firmware for it
/// count for nothing. Two others refuse it after one byte of it was changed: in the command line, and in the initrd.
#[test]
fn boots_under_secure_boot_and_not_when_a_byte_was_changed() {
    let Some(World {
        system,
        secure_boot,
    }) = world()
    else {
        return;
    };
    let Some(tpm) = Tpm::start() else {
        return;
    };
    let newer = unpacked("trixie", "systemd-boot-efi").join(&STUB[1..]);
    let newer = newer.to_str().expect("a path in text");
    let netboot = build_measured(system, "signed", Layout::InPlace);
    let file = uki(
        &netboot,
        "signed.efi",
        &["--stub", newer, "--sign-with", &secure_boot.command()],
    );
    secure_boot.has_signed(&file);

    let boot = tpm
        .in_machine(secure_boot.machine())
        .argument("-kernel")
        .argument(file.display().to_string())
        .argument("-append")
        .argument("init=/bin/sh evil=1")
        .boot(LIMIT);
    system.is_booted(&boot, Layout::InPlace);
    let line = fs::read_to_string(netboot.join("kernelAppend")).expect("a command line");
    assert_eq!(fact(&boot, "command line"), line.trim_end(), "{boot}");
    assert!(
        boot.console.contains("of the initrd, as expected"),
        "{boot}"
    );
    assert!(!boot.console.contains("Overlapping PE sections"), "{boot}");
    let measured = Measured::of(&boot);
    is_as_documented(&measured, secure_boot, &file, &MEASURED);

    let places = sections(&file);
    for section in [".cmdline", ".initrd"] {
        let (_, size, _, offset) = places
            .iter()
            .find(|(name, ..)| name == section)
            .expect("it");
        let mut bytes = fs::read(&file).expect("the file");
        bytes[(offset + size / 2) as usize] ^= 1;
        let changed = file.with_file_name(format!("changed{section}.efi"));
        fs::write(&changed, bytes).expect("a file");
        assert!(!secure_boot.verifies(&changed), "{section}");
        let mut machine = secure_boot.machine_with_disk(&changed).start();
        machine.wait_for("Access Denied", LIMIT);
        let said = machine.wait_for("No bootable option", LIMIT);
        assert!(!said.contains("storeboot"), "{said}");
    }
}

/// The firmware loads the file by plain HTTP, and checks it. Stage 1 loads the images by plain HTTP, and checks them: it
/// boots with those that it knows, and with none that was changed.
#[test]
fn boots_over_http_down_to_the_images_and_not_when_one_was_changed() {
    let Some(World {
        system,
        secure_boot,
    }) = world()
    else {
        return;
    };
    let Some(tpm) = Tpm::start() else {
        return;
    };
    let netboot = build_measured(system, "fetched", Layout::Fetch);
    let folder = netboot.parent().expect("it is in a folder");
    let server = Site::of(folder).serve();
    let file = uki(
        &netboot,
        "fetched.efi",
        &[
            "--cmdline",
            &format!("storeboot.store={}", server.url("fetched")),
            "--sign-with",
            &secure_boot.command(),
        ],
    );
    // The store is not in it.
    let size = |path: &Path| fs::metadata(path).expect("a file").len();
    let parts = ["bzImage", "initrd"].map(|name| size(&netboot.join(name)));
    assert!(size(&file) < parts.iter().sum::<u64>() + (256 << 10));

    let machine = secure_boot.machine_from(&server.url("fetched.efi"));
    let boot = tpm.in_machine(machine.clone()).boot(LIMIT);
    system.is_booted(&boot, Layout::Fetch);
    is_as_documented(&Measured::of(&boot), secure_boot, &file, &MEASURED[..4]);
    assert!(server.asked().contains(&"fetched.efi".to_owned()), "{boot}");

    let images = fs::read_dir(netboot.join("images")).expect("images");
    let image = images.last().expect("an image").expect("an entry").path();
    let mut bytes = fs::read(&image).expect("an image");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes).expect("an image");
    let mut machine = machine.start();
    machine.wait_for("has not the SHA-256 that the initrd says", LIMIT);
    let boot = machine.end(LIMIT);
    assert!(
        boot.panicked() && !boot.console.contains("STAGE2"),
        "{boot}"
    );
}
