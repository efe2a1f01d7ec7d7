//! Which files are copied, which are not, and which failures are reported.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::paths::c_path;

/// Two directories, removed when dropped.
struct Roots {
    base: TempDir,
    old: PathBuf,
    new: PathBuf,
}

impl Roots {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| base.path().join(name));
        fs::create_dir_all(&old).unwrap();
        fs::create_dir_all(&new).unwrap();
        Self { base, old, new }
    }

    /// Copies, and returns the number of files and the failures.
    fn copy(&self) -> (u64, Vec<(String, Errno)>) {
        let mut lost = Vec::new();
        let old = open(&self.old);
        let device = old.stat().unwrap().device;
        let files = copy_all(&old, &open(&self.new), device, &mut |path, errno| {
            lost.push((String::from_utf8_lossy(path).into_owned(), errno));
        });
        (files, lost)
    }
}

fn open(path: &Path) -> Fd {
    sys::open(&c_path(path.to_str().unwrap()).unwrap(), Open::Directory).unwrap()
}

fn write(path: PathBuf, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_str().unwrap().into())
        .collect();
    names.sort();
    names
}

#[test]
fn files_arrive_as_they_were_and_leave_rootfs() {
    let roots = Roots::new();
    let (old, new) = (&roots.old, &roots.new);
    let large: Vec<u8> = (0..3 * BUFFER + 1).map(|i| (i / 3) as u8).collect();
    write(old.join("root/.ssh/authorized_keys"), b"key", 0o600);
    write(old.join("etc/tools/large"), &large, 0o4755);
    write(old.join("etc/tools/empty"), b"", 0o000);
    for (folder, mode) in [
        ("root", 0o700),
        ("root/.ssh", 0o700),
        ("etc/tools", 0o1777),
        ("empty", 0o750),
    ] {
        fs::create_dir_all(old.join(folder)).unwrap();
        fs::set_permissions(old.join(folder), Permissions::from_mode(mode)).unwrap();
    }
    symlink("tools/large", old.join("etc/link")).unwrap();
    symlink("/nowhere", old.join("dangling")).unwrap();
    let pipe = Stat {
        mode: 0o10_640,
        represents: (0, 0),
        ..open(old).stat().unwrap()
    };
    sys::make_node_at(&open(old), c"pipe", &pipe).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    for timed in ["etc/tools/large", "etc/tools"] {
        let file = fs::File::open(old.join(timed)).unwrap();
        file.set_modified(long_ago).unwrap();
    }

    assert_eq!(roots.copy(), (6, Vec::new()));
    assert_eq!(names(new), ["dangling", "empty", "etc", "pipe", "root"]);
    assert_eq!(fs::read(new.join("etc/link")).unwrap(), large);
    assert_eq!(
        fs::read(new.join("root/.ssh/authorized_keys")).unwrap(),
        b"key"
    );
    let mode = |name| fs::symlink_metadata(new.join(name)).unwrap().mode() & 0o7777;
    let modes = ["root", "root/.ssh", "root/.ssh/authorized_keys"].map(mode);
    assert_eq!(modes, [0o700, 0o700, 0o600]);
    let modes = ["etc/tools", "etc/tools/large", "etc/tools/empty", "empty"].map(mode);
    assert_eq!(modes, [0o1777, 0o4755, 0, 0o750]);
    for timed in ["etc/tools/large", "etc/tools"] {
        let metadata = fs::metadata(new.join(timed)).unwrap();
        assert_eq!(metadata.modified().unwrap(), long_ago);
    }
    let target = fs::read_link(new.join("dangling")).unwrap();
    assert_eq!(target, Path::new("/nowhere"));
    let kind = fs::symlink_metadata(new.join("pipe")).unwrap().file_type();
    assert!(kind.is_fifo());
    // Directories are all that is left.
    assert_eq!(names(old), ["empty", "etc", "root"]);
    assert!(names(&old.join("etc/tools")).is_empty());
}

#[test]
fn what_is_stage_1s_own_or_the_kernels_is_no_file_of_the_user() {
    let roots = Roots::new();
    let old = &roots.old;
    for own in NOT_FOR_THE_SYSTEM.iter().chain(&KERNEL) {
        write(old.join(own.to_str().unwrap()).join("file"), b"", 0o644);
        write(old.join("kept").join(own.to_str().unwrap()), b"", 0o644);
    }
    fs::create_dir(old.join("root")).unwrap();
    fs::set_permissions(old.join("root"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(roots.copy(), (7, Vec::new()));
    assert_eq!(names(&roots.new), ["kept"]);

    // With other permissions, a user added it.
    fs::set_permissions(old.join("root"), Permissions::from_mode(0o755)).unwrap();
    roots.copy();
    assert_eq!(names(&roots.new), ["kept", "root"]);

    write(old.join("elsewhere"), b"", 0o644);
    let (old, new) = (open(old), open(&roots.new));
    let files = copy_all(&old, &new, (u32::MAX, 0), &mut |_, _| ());
    assert_eq!(files, 0);
}

#[test]
fn what_is_there_is_merged() {
    let roots = Roots::new();
    write(roots.new.join("nix/store/a/old"), b"old", 0o444);
    write(roots.new.join("nix/store/a/changed"), b"store", 0o444);
    fs::set_permissions(roots.new.join("nix"), Permissions::from_mode(0o711)).unwrap();
    write(roots.old.join("nix/store/a/new"), b"new", 0o444);
    write(roots.old.join("nix/store/a/changed"), b"user", 0o640);
    assert_eq!(roots.copy(), (2, Vec::new()));
    let folder = roots.new.join("nix/store/a");
    assert_eq!(names(&folder), ["changed", "new", "old"]);
    assert_eq!(fs::read(folder.join("changed")).unwrap(), b"user");
    let metadata = fs::metadata(roots.new.join("nix")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o711);
}

#[test]
fn what_is_lost_is_named_and_the_rest_is_kept() {
    let roots = Roots::new();
    write(roots.old.join("a/b/file"), b"", 0o644);
    write(roots.old.join("a/c/file"), b"", 0o644);
    write(roots.old.join("d"), b"", 0o644);
    // Not a directory, not even for a link to one; and a directory where there should be a file.
    fs::create_dir_all(roots.new.join("a")).unwrap();
    fs::create_dir_all(roots.base.path().join("outside")).unwrap();
    symlink(roots.base.path().join("outside"), roots.new.join("a/b")).unwrap();
    fs::create_dir_all(roots.new.join("d")).unwrap();
    let mut deep = roots.old.clone();
    for _ in 0..=DEPTH {
        deep.push("x");
    }
    write(deep.join("file"), b"", 0o644);

    let (files, mut lost) = roots.copy();
    lost.sort_by_key(|(path, _)| path.clone());
    assert_eq!(files, 1);
    assert!(roots.new.join("a/c/file").exists());
    assert!(names(&roots.base.path().join("outside")).is_empty());
    let paths: Vec<_> = lost.iter().map(|(path, _)| path.as_str()).collect();
    let deep = ["x/".repeat(DEPTH), "x".to_string()].concat();
    assert_eq!(paths, ["a/b", "d", &deep]);
    let errors = [lost[0].1, lost[1].1, lost[2].1];
    assert_eq!(errors, [Errno::ENOTDIR, Errno::EISDIR, Errno::ENAMETOOLONG]);
}
