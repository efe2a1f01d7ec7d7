//! GNU cpio and bsdtar list and unpack what is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use storeboot_cpio::{Metadata, Writer};

/// Whether the program is here. Where not, the test says that it is skipped; in CI it fails.
fn have(tool: &str) -> bool {
    let run = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if run.is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI must have {tool}");
    // Not `eprintln!`: the harness hides that where a test passes.
    let text = format!("\nSKIPPED: {tool} is missing\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
    false
}

/// Names and data that a store may have; with devices only to be listed, since making them takes
/// root.
fn archive(path: &Path, devices: bool) {
    let mut writer = Writer::new(File::create(path).unwrap());
    let dir = Metadata::directory();
    let file = Metadata::mode(0o644);
    writer.directory("dir", &dir).unwrap();
    writer.file("dir/empty", &file, 0, &b""[..]).unwrap();
    writer
        .file("dir/run", &Metadata::mode(0o755), 9, &b"#!/bin/sh"[..])
        .unwrap();
    writer.file("dir/größe", &file, 3, &b"utf"[..]).unwrap();
    writer
        .file(b"dir/gr\xf6\xdfe", &file, 5, &b"latin"[..])
        .unwrap();
    writer
        .symlink("dir/link", &Metadata::symlink(), "../no where")
        .unwrap();
    writer.directory("other", &dir).unwrap();
    let links = ["dir/one", "other/two", "dir/three"];
    writer.hard_links(&links, &file, 6, &b"linked"[..]).unwrap();
    writer
        .hard_links(&["dir/void", "other/void"], &file, 0, &b""[..])
        .unwrap();
    if devices {
        writer
            .char_device("dir/console", &Metadata::mode(0o600), 5, 1)
            .unwrap();
        writer
            .block_device("dir/loop0", &Metadata::mode(0o660), 7, 0)
            .unwrap();
    }
    let size = 10_000;
    // One whose own name can be padded, and one that takes a directory's as well.
    writer
        .aligned_file("dir/image", &file, 4096, size, &vec![b'i'; 10_000][..])
        .unwrap();
    // The name of what follows would begin 4 bytes after a page, with its name as it is.
    let filler = 4096 + 4 - (writer.position() + 2 * 124) % 4096;
    writer
        .file(
            "dir/filler",
            &file,
            filler,
            &vec![b'f'; filler as usize][..],
        )
        .unwrap();
    writer
        .aligned_file("dir/image2", &file, 4096, size, &vec![b'j'; 10_000][..])
        .unwrap();
    writer.file("last", &file, 4, &b"last"[..]).unwrap();
    writer.finish().unwrap();
}

fn run(command: &mut Command, input: &Path) -> String {
    let output = command
        .stdin(File::open(input).unwrap())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {errors}");
    // Nothing that they complain of, but that cpio counts its blocks.
    let complaints = errors
        .lines()
        .filter(|line| !line.ends_with(" blocks") && !line.ends_with(" block"));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first column (kind and permissions), the size or device, and the name with a link's target.
fn check_listing(listing: &str) {
    let lines: Vec<Vec<&str>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let find = |name: &str| {
        let line = lines.iter().find(|words| words[8] == name);
        line.unwrap_or_else(|| panic!("{name} is not in\n{listing}"))
    };
    assert_eq!(find("dir")[0], "drwxr-xr-x");
    assert_eq!(
        find("dir/run")[..5],
        [
            "-rwxr-xr-x",
            "1",
            find("dir/run")[2],
            find("dir/run")[3],
            "9"
        ]
    );
    assert_eq!(find("dir/link")[0], "lrwxrwxrwx");
    assert_eq!(find("dir/link")[9..], ["->", "../no", "where"]);
    assert_eq!(find("dir/console")[0], "crw-------");
    assert!(
        listing
            .lines()
            .any(|line| line.contains("5,") && line.contains(" 1 ") || line.contains("5,1"))
    );
    assert_eq!(find("dir/loop0")[0], "brw-rw----");
    assert_eq!(find("dir/one")[1], "3");
    assert_eq!(find("dir/image")[4], "10000");
    assert_eq!(find("dir/image2")[4], "10000");
    assert_eq!(find("dir/größe")[4], "3");
    assert_eq!(find("last")[4], "4");
    // All 18 members, and a directory twice.
    assert_eq!(lines.len(), 19, "{listing}");
}

/// Device numbers as one word, so that all lines have the same columns.
fn join_devices(listing: &str) -> String {
    listing
        .replace(",   ", ",")
        .replace(",  ", ",")
        .replace(", ", ",")
}

#[test]
fn they_list_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    archive(&path, true);
    if have("cpio") {
        let listing = run(Command::new("cpio").args(["-itv", "--quiet"]), &path);
        check_listing(&join_devices(&listing));
    }
    if have("bsdtar") {
        let listing = run(Command::new("bsdtar").args(["-tvf", "-"]), &path);
        check_listing(&join_devices(&listing));
    }
}

#[test]
fn they_unpack_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    archive(&path, false);
    for (tool, arguments) in [
        ("cpio", &["-im", "--quiet", "--no-preserve-owner"][..]),
        ("bsdtar", &["-xpf", "-", "--no-same-owner"]),
    ] {
        if !have(tool) {
            continue;
        }
        let to = dir.path().join(tool);
        fs::create_dir(&to).unwrap();
        run(Command::new(tool).args(arguments).current_dir(&to), &path);

        let read = |name: &str| fs::read(to.join(name)).unwrap();
        assert_eq!(read("dir/empty"), b"");
        assert_eq!(read("dir/größe"), b"utf");
        let latin = to.join(std::ffi::OsStr::from_bytes(b"dir/gr\xf6\xdfe"));
        assert_eq!(fs::read(latin).unwrap(), b"latin");
        assert_eq!(
            fs::read_link(to.join("dir/link")).unwrap(),
            Path::new("../no where")
        );
        let run = fs::metadata(to.join("dir/run")).unwrap();
        assert_eq!(run.permissions().mode() & 0o7777, 0o755);
        assert_eq!(run.mtime(), 1);
        assert_eq!(read("dir/image"), vec![b'i'; 10_000]);
        assert_eq!(read("dir/image2"), vec![b'j'; 10_000]);
        assert_eq!(read("last"), b"last");

        let mut files = BTreeMap::new();
        for name in ["dir/one", "other/two", "dir/three"] {
            assert_eq!(read(name), b"linked", "{tool}: {name}");
            files.insert(fs::metadata(to.join(name)).unwrap().ino(), name);
        }
        assert_eq!(files.len(), 1, "{tool}: {files:?}");
        let void = |name: &str| fs::metadata(to.join(name)).unwrap();
        assert_eq!(void("dir/void").ino(), void("other/void").ino(), "{tool}");
        assert_eq!(void("dir/void").len(), 0);
    }
}
