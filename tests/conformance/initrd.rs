//! Initrds and archives of stores, listed and unpacked by GNU cpio, bsdtar and the crate cpio-archive.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use cpio_archive::{CpioReader, NewcReader};
use storeboot::manifest::Manifest;
use storeboot_tests::command::{
    Scratch, bz_image, have, is_root, printed, static_program, storeboot,
};
use storeboot_tests::fixture::{Fixture, INIT, MANY, ODD};
use storeboot_tests::listing::{Kind, Listing};

/// One member, as each of the programs can tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    /// As `ls -l` shows it.
    mode: String,
    /// Major and minor number of a device.
    device: Option<(u32, u32)>,
    /// Its size, where it is no device.
    size: Option<u64>,
    name: String,
}

/// Builds an initrd of layout `file` and has its archives listed.
pub fn is_listed_alike(fixture: &Fixture, folder: &Path) {
    let fixture = fixture.without(&[MANY, ODD]);
    let netboot = folder.join("netboot");
    let (kernel, stage1) = (folder.join("bzImage"), folder.join("stage1"));
    fs::write(&kernel, bz_image("6.12.1")).expect("a file");
    fs::write(&stage1, static_program()).expect("a file");
    printed(
        Command::new(storeboot())
            .args([
                "build",
                "--quiet",
                "--layout",
                "file",
                "--compression",
                "zstd:1",
                "--init",
                INIT,
            ])
            .arg("--path-info")
            .arg(&fixture.path_info)
            .arg("--store-root")
            .arg(&fixture.root)
            .arg("--kernel")
            .arg(&kernel)
            .arg("--stage1")
            .arg(&stage1)
            .arg("--output")
            .arg(&netboot),
    );
    let manifest = fs::read_to_string(netboot.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&manifest).expect("of this version");
    let initrd = fs::read(netboot.join("initrd")).expect("an initrd");
    let mut names = Vec::new();
    for segment in &manifest.segments {
        let file = folder.join(format!("segment-{}", segment.kind));
        let start = usize::try_from(segment.offset).expect("small");
        let size = usize::try_from(segment.size).expect("small");
        fs::write(&file, &initrd[start..start + size]).expect("a file");
        let members = by_library(&file);
        names.extend(
            members
                .iter()
                .map(|member| format!("{} {}", member.mode, member.name)),
        );
        by_program(&file, "cpio", &members);
        by_program(&file, "bsdtar", &members);
    }
    assert_eq!(
        names,
        [
            "drwxr-xr-x dev",
            "drwxr-xr-x proc",
            "drwxr-xr-x sys",
            "drwxr-xr-x storeboot",
            "drwxr-xr-x storeboot/modules",
            "crw------- dev/console",
            "-r-xr-xr-x init",
            "drwxr-xr-x storeboot",
            "-r--r--r-- storeboot/index",
            "drwxr-xr-x storeboot",
            "drwxr-xr-x storeboot/images",
            "-r--r--r-- storeboot/images/0.squashfs",
        ]
    );
}

fn by_library(file: &Path) -> Vec<Member> {
    let file = BufReader::new(fs::File::open(file).expect("a file"));
    let mut reader = NewcReader::new(file);
    let mut members = Vec::new();
    while let Some(header) = reader.read_next().expect("an archive") {
        assert_eq!((header.uid(), header.gid()), (0, 0));
        assert_eq!(header.mtime(), 1);
        let mode = header.mode();
        let kind = match mode & 0o170_000 {
            0o040_000 => 'd',
            0o100_000 => '-',
            0o020_000 => 'c',
            other => panic!("{other:#o}"),
        };
        let bits = (0..9).rev().zip("rwxrwxrwx".chars());
        let bits = bits.map(|(bit, letter)| if mode >> bit & 1 == 1 { letter } else { '-' });
        members.push(Member {
            mode: std::iter::once(kind).chain(bits).collect(),
            // The crate reads the device numbers, but its entries do not expose them.
            device: (kind == 'c').then_some((5, 1)),
            size: (kind != 'c').then(|| header.file_size()),
            name: header.name().to_owned(),
        });
    }
    members
}

fn by_program(file: &Path, program: &str, expected: &[Member]) {
    if !have(&[program]) {
        return;
    }
    let mut command = Command::new(program);
    match program {
        "cpio" => command.args(["-itv", "--quiet", "--numeric-uid-gid"]),
        _ => command.args(["-tvf", "-", "--numeric-owner"]),
    };
    let stdin = fs::File::open(file).expect("a file");
    let output = command
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(stdin)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{program}: {said}"
    );
    let text = String::from_utf8(output.stdout).expect("plain names");
    let members: Vec<Member> = text.lines().map(member).collect();
    assert_eq!(members, expected, "{program} of {}", file.display());
}

/// Reads a line such as `crw------- 1 0 0 5, 1 Jan  1  1970 dev/console`.
fn member(line: &str) -> Member {
    let spaced = line.replace(',', " ");
    let mut words = spaced.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("{line}"));
    let mode = word().to_owned();
    let _links = word();
    assert_eq!((word(), word()), ("0", "0"), "{line}");
    let mut number = || -> u64 { word().parse().unwrap_or_else(|_| panic!("{line}")) };
    let first = number();
    let (device, size) = if mode.starts_with('c') {
        (Some((first as u32, number() as u32)), None)
    } else {
        (None, Some(first))
    };
    assert_eq!([word(), word(), word()], ["Jan", "1", "1970"], "{line}");
    Member {
        mode,
        device,
        size,
        name: word().to_owned(),
    }
}

/// Has an archive of a store unpacked, and compares what comes out: with what is in `expected`, under `nix/store`.
pub fn is_unpacked_alike(archive: &Path, expected: &Listing) {
    for program in ["cpio", "bsdtar"] {
        if !have(&[program]) {
            continue;
        }
        let scratch = Scratch::new();
        let out = scratch.path();
        let mut command = Command::new(program);
        match program {
            "cpio" => command.args(["-idm", "--quiet"]),
            _ => command.args(["-xpf", "-"]),
        };
        let output = command
            .current_dir(out)
            .env("LC_ALL", "C")
            .stdin(fs::File::open(archive).expect("a file"))
            .stdout(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
        let mut listing = Listing::of_folder(&out.join("nix/store"));
        if program == "cpio" {
            // It leaves the times of links, and of directories that it may write to while it unpacks.
            listing = listing.map(|path, entry| {
                if path.is_empty() || matches!(entry.kind, Kind::Symlink(_)) {
                    entry.mtime = 1;
                }
            });
        }
        if !is_root() {
            listing = listing.map(|_, entry| entry.owner = (0, 0));
        }
        listing.assert_is(expected, &format!("{} by {program}", archive.display()));
    }
    read_by_library(archive, expected);
}

/// The crate cpio-archive converts names to text, so names that are not UTF-8 are converted on both sides.
fn read_by_library(archive: &Path, expected: &Listing) {
    let mut wanted: BTreeMap<String, (u32, Vec<u8>)> = BTreeMap::new();
    for (path, entry) in &expected.entries {
        let (kind, content) = match &entry.kind {
            Kind::Directory => (0o040_000, Vec::new()),
            Kind::File(content) => (0o100_000, content.clone()),
            Kind::Symlink(target) => (0o120_000, target.clone()),
            other => panic!("{other:?}"),
        };
        let name = [&b"nix/store/"[..], path].concat();
        let name = String::from_utf8_lossy(&name)
            .trim_end_matches('/')
            .to_owned();
        wanted.insert(name, (kind | entry.mode, content));
    }
    wanted.insert("nix".into(), (0o040_755, Vec::new()));
    let file = BufReader::new(fs::File::open(archive).expect("a file"));
    let mut reader = NewcReader::new(file);
    while let Some(header) = reader.read_next().expect("an archive") {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).expect("readable");
        let (name, mode) = (header.name().to_owned(), header.mode());
        let (wanted_mode, wanted_content) = wanted
            .remove(&name)
            .unwrap_or_else(|| panic!("{name:?} is one too many"));
        assert_eq!(mode, wanted_mode, "mode of {name:?}: {mode:o}");
        assert_eq!(header.mtime(), 1, "mtime of {name:?}");
        assert!(content == wanted_content, "content of {name:?}");
    }
    let left: Vec<&String> = wanted.keys().take(5).collect();
    assert!(
        left.is_empty(),
        "{} are missing, first {left:?}",
        wanted.len()
    );
}
