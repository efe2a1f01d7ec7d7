//! Warnings about added files that change the store.
//!
//! A file that a user adds to an initrd replaces the one with its name, and a user may want that even in the store. But
//! a store path with other content than its NAR hash stands for can break anything, so each such file gets a warning.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use storeboot_index::INDEX_PATH;

use crate::console::Console;
use crate::paths::{STORE, c_path, rooted};
use crate::store::MTIME;
use crate::sys::{self, Errno, Fd, FileKind, Open, Stat};

/// How deep directories may be nested.
const DEPTH: usize = 200;
/// How many files get a warning each: on a serial console, every line takes time.
const WARNINGS: u64 = 50;

/// Warns of files in rootfs that will be copied over store paths, which are mounted already.
pub(crate) fn warn(rootfs: &Fd, console: &Console) {
    let mut warnings = Warnings::new(console);
    let stores = sys::open_at(rootfs, c"nix/store", Open::Directory).and_then(|added| {
        Ok((
            added,
            c_path(STORE).and_then(|store| sys::open(&store, Open::Directory))?,
        ))
    });
    if let Ok((added, store)) = stores {
        each_over(&added, &store, &mut |path| warnings.file(path));
    }
    warnings.end();
}

/// Warns of files in the unpacked store that are not as they were packed.
pub(crate) fn warn_unpacked(console: &Console) {
    // Not every kernel keeps the times of what it unpacks.
    let index = c_path(&rooted(INDEX_PATH)).and_then(|path| sys::lstat(&path));
    let times = index.is_ok_and(|stat| stat.modified == MTIME);
    let mut warnings = Warnings::new(console);
    if let Ok(store) = c_path(STORE).and_then(|store| sys::open(&store, Open::Directory)) {
        each_foreign(&store, times, &mut |path| warnings.file(path));
    }
    warnings.end();
}

struct Warnings<'a> {
    console: &'a Console,
    files: u64,
}

impl<'a> Warnings<'a> {
    fn new(console: &'a Console) -> Self {
        Self { console, files: 0 }
    }

    fn file(&mut self, path: &[u8]) {
        self.files += 1;
        if self.files <= WARNINGS {
            let path = String::from_utf8_lossy(path);
            self.console.warning(&format_args!(
                "the store is changed: {STORE}/{path} comes from another archive in the initrd"
            ));
        }
    }

    fn end(self) {
        if self.files > WARNINGS {
            let more = self.files - WARNINGS;
            let message = format_args!("the store is changed: and {more} more files of it");
            self.console.warning(&message);
        }
    }
}

/// Names each file that is added inside a packed store path. New store paths change nothing.
fn each_over(added: &Fd, store: &Fd, each: &mut dyn FnMut(&[u8])) {
    let mut path = Vec::new();
    // A directory that cannot be listed here cannot be copied later, which gets its own warning.
    let _ = sys::for_each_entry(added, |name| {
        if sys::lstat_at(store, name).is_ok() {
            let _ = entry(added, name, &mut path, &mut |path, _| each(path));
        }
        Ok(())
    });
}

/// Names each file whose owner, permissions or time are not those of all files in a store.
fn each_foreign(store: &Fd, times: bool, each: &mut dyn FnMut(&[u8])) {
    let mut path = Vec::new();
    content(store, &mut path, &mut |path, stat| {
        let ours = match (stat.kind, stat.mode & 0o7777) {
            (FileKind::File, mode) => mode == 0o444 || mode == 0o555,
            (FileKind::Link, _) => true,
            _ => false,
        };
        if !ours || stat.owner != (0, 0) || times && stat.modified != MTIME {
            each(path);
        }
    });
}

/// Calls `each` for everything below a directory except directories, in no order.
fn content(dir: &Fd, path: &mut Vec<u8>, each: &mut dyn FnMut(&[u8], &Stat)) {
    // There is no file to name where a directory cannot be read.
    let _ = sys::for_each_entry(dir, |name| {
        let _ = entry(dir, name, path, each);
        Ok(())
    });
}

fn entry(
    dir: &Fd,
    name: &CStr,
    path: &mut Vec<u8>,
    each: &mut dyn FnMut(&[u8], &Stat),
) -> Result<(), Errno> {
    let stat = sys::lstat_at(dir, name)?;
    let parent = path.len();
    if parent > 0 {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    if stat.kind != FileKind::Directory {
        each(path, &stat);
    } else if path.iter().filter(|&&byte| byte == b'/').count() < DEPTH
        && let Ok(inner) = sys::open_at(dir, name, Open::Directory)
    {
        content(&inner, path, each);
    }
    path.truncate(parent);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    /// A file as it is in every store.
    fn write(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn open(path: &Path) -> Fd {
        sys::open(&c_path(path.to_str().unwrap()).unwrap(), Open::Directory).unwrap()
    }

    fn sorted(tell: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<String> {
        let mut paths = Vec::new();
        tell(&mut |path| paths.push(String::from_utf8_lossy(path).into_owned()));
        paths.sort();
        paths
    }

    #[test]
    fn files_over_store_paths_are_named_and_new_store_paths_are_not() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [store, added] = folders.each_ref().map(TempDir::path);
        write(&store.join("a/bin/program"), 0o555);
        write(&store.join("b"), 0o444);
        for name in ["a/bin/program", "a/lib/new", "b", "c/file", "d"] {
            write(&added.join(name), 0o644);
        }
        symlink("nowhere", added.join("a/link")).unwrap();
        fs::create_dir(added.join("a/empty")).unwrap();
        let paths = sorted(|each| each_over(&open(added), &open(store), each));
        assert_eq!(paths, ["a/bin/program", "a/lib/new", "a/link", "b"]);
    }

    #[test]
    fn files_that_are_not_as_in_a_store_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        write(&store.join("a/file"), 0o444);
        write(&store.join("a/bin/program"), 0o555);
        write(&store.join("a/bin/writable"), 0o644);
        write(&store.join("b"), 0o444);
        fs::write(store.join("a/new"), "text").unwrap();
        fs::set_permissions(store.join("a/new"), Permissions::from_mode(0o444)).unwrap();
        let foreign = |times| sorted(|each| each_foreign(&open(store), times, each));
        if open(store).stat().unwrap().owner == (0, 0) {
            assert_eq!(foreign(true), ["a/bin/writable", "a/new"]);
            assert_eq!(foreign(false), ["a/bin/writable"]);
            symlink("file", store.join("a/link")).unwrap();
            assert_eq!(foreign(false), ["a/bin/writable"]);
            assert_eq!(foreign(true), ["a/bin/writable", "a/link", "a/new"]);
        } else {
            // Of another owner, all are.
            assert_eq!(foreign(false).len(), 5);
        }
    }
}
