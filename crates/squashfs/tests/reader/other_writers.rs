//! Images by mksquashfs and gensquashfs.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_squashfs::reader::{Device, Image, InodeKind, Kind};
use tempfile::TempDir;

use crate::trees::{Content, assert_same, sources, tree_in, tree_of};

/// Whether the program is here. Where not, the test says that it is skipped; in CI it fails.
fn have(program: &str) -> bool {
    // It may well say no to this argument: it counts that it runs.
    let run = Command::new(program).arg("--version").output();
    if run.is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
    // Not `eprintln!`: the harness hides that where a test passes.
    let text = format!("\nSKIPPED: {program} is missing\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
    false
}

fn run(command: &str, args: &[&str]) {
    let output = Command::new(command).args(args).output().expect(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {args:?}: {errors}");
}

/// Runs mksquashfs and returns the image's path in a folder that goes with it.
fn mksquashfs(source: &Path, args: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("image");
    let (from, to) = (
        source.to_str().expect("a plain path"),
        path.to_str().expect("a plain path"),
    );
    let mut all = vec![
        from,
        to,
        "-noappend",
        "-quiet",
        "-no-progress",
        "-processors",
        "2",
    ];
    all.extend(args.split_whitespace());
    run("mksquashfs", &all);
    (folder, path)
}

fn open(path: &Path) -> Image<File> {
    Image::open(File::open(path).expect("the image")).expect("a sound image")
}

#[test]
fn what_mksquashfs_writes_is_read() {
    if !have("mksquashfs") {
        return;
    }
    for (block, args) in [
        (131_072, "-comp gzip"),
        (4096, "-comp gzip -b 4K -no-fragments -no-exports"),
        (131_072, "-comp xz -Xbcj x86"),
        (
            1 << 20,
            "-comp zstd -Xcompression-level 1 -b 1M -always-use-fragments",
        ),
        (8192, "-comp zstd -b 8K -Xcompression-level 3"),
        (131_072, "-comp lz4 -noI"),
        (65_536, "-comp lz4 -Xhc -b 64K -no-duplicates"),
        (131_072, "-comp gzip -noI -noId -noD -noF -no-sparse"),
    ] {
        let source = sources(block);
        let (_folder, path) = mksquashfs(source.path(), args);
        let mut expected = tree_of(source.path());
        // The number of links of a directory is a matter of taste of file systems.
        let mut found = tree_in(&mut open(&path));
        for tree in [&mut found, &mut expected] {
            for item in tree
                .values_mut()
                .filter(|item| item.content == Content::Directory)
            {
                item.links = 0;
            }
        }
        assert_same(&found, &expected, args);
    }
}

#[test]
fn what_gensquashfs_writes_is_read() {
    if !have("gensquashfs") {
        return;
    }
    for comp in ["gzip", "xz", "lz4", "zstd"] {
        let source = sources(4096);
        let folder = TempDir::new().expect("a folder");
        let image = folder.path().join("image");
        run(
            "gensquashfs",
            &[
                "-q",
                "-k",
                "-b",
                "4096",
                "-c",
                comp,
                "-e",
                "-D",
                source.path().to_str().expect("a plain path"),
                image.to_str().expect("a plain path"),
            ],
        );
        let (mut found, mut expected) = (tree_in(&mut open(&image)), tree_of(source.path()));
        for tree in [&mut found, &mut expected] {
            for item in tree.values_mut() {
                // It does not look for hard links in a folder, and gives all files to root.
                (item.links, item.uid, item.gid) = (0, 0, 0);
            }
        }
        // The root's mode and time are its own, too.
        found.remove(&b""[..]);
        expected.remove(&b""[..]);
        assert_same(&found, &expected, comp);
    }
}

#[test]
fn devices_pipes_and_sockets_are_read() {
    if !have("gensquashfs") {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let list = folder.path().join("list");
    fs::write(
        &list,
        "nod /null 0666 0 0 c 1 3\nnod /far 0660 3 6 b 259 70000\npipe /pipe 0640 0 0\nsock /sock 0600 1 2\n",
    )
    .expect("write");
    let path = folder.path().join("image");
    run(
        "gensquashfs",
        &[
            "-q",
            "-F",
            list.to_str().expect("plain"),
            path.to_str().expect("plain"),
        ],
    );
    let mut image = open(&path);
    let mut look = |name: &str| image.lookup(name.as_bytes()).expect("sound").expect(name);
    let null = InodeKind::CharDevice(Device { major: 1, minor: 3 });
    assert_eq!(look("null").kind, null);
    let far = look("far");
    let numbers = Device {
        major: 259,
        minor: 70_000,
    };
    assert_eq!(far.kind, InodeKind::BlockDevice(numbers));
    assert_eq!((far.uid, far.gid, far.mode), (3, 6, 0o660));
    assert_eq!(look("pipe").kind, InodeKind::Fifo);
    assert_eq!(look("sock").kind.kind(), Kind::Socket);
}

#[test]
fn extended_attributes_are_told_of() {
    if !have("gensquashfs") {
        return;
    }
    let source = TempDir::new().expect("a folder");
    fs::write(source.path().join("plain"), b"x").expect("write");
    let folder = TempDir::new().expect("a folder");
    let (list, path) = (folder.path().join("xattrs"), folder.path().join("image"));
    fs::write(&list, "# file: plain\nuser.comment=\"words\"\n").expect("write");
    let plain = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let (list, source) = (plain(&list), plain(source.path()));
    run(
        "gensquashfs",
        &["-q", "-A", &list, "-D", &source, &plain(&path)],
    );
    let mut image = open(&path);
    let inode = image.lookup(b"plain").expect("sound").expect("there");
    assert!(inode.has_xattrs && inode.kind.kind() == Kind::File);
    assert!(
        !image
            .lookup(b"")
            .expect("sound")
            .expect("the root")
            .has_xattrs
    );
}

#[test]
fn other_compressors_are_named() {
    if !have("mksquashfs") {
        return;
    }
    let source = TempDir::new().expect("a folder");
    for name in ["lzo", "lzma"] {
        let (_folder, path) = mksquashfs(source.path(), &format!("-comp {name}"));
        let error = Image::open(File::open(path).expect("the image"))
            .err()
            .expect("an error");
        assert!(
            error
                .to_string()
                .contains(&format!("compressed with {name};")),
            "{error}"
        );
    }
}
