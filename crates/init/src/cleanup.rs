//! Frees the memory of the unpacked initrd.

use core::ffi::CStr;

use crate::sys::{self, Errno, Fd, FileKind, Open};

/// Removes everything from an open directory that is on the same file system; mounts stay. This only saves memory, so
/// a file that cannot be removed is no error.
pub(crate) fn empty(dir: &Fd) {
    if let Ok(stat) = dir.stat() {
        empty_on(dir, stat.device);
    }
}

/// Removes one file or directory from an open directory.
pub(crate) fn remove(dir: &Fd, name: &CStr) {
    if let Ok(stat) = dir.stat() {
        remove_on(dir, name, stat.device);
    }
}

fn empty_on(dir: &Fd, device: (u32, u32)) {
    let _ = sys::for_each_entry(dir, |name| {
        remove_on(dir, name, device);
        Ok(())
    });
}

fn remove_on(dir: &Fd, name: &CStr, device: (u32, u32)) {
    // Most names are files, and the kernel refuses to unlink a directory.
    if let Err(Errno::EISDIR | Errno::EPERM) = sys::remove_at(dir, name, false)
        && let Ok(inner) = sys::open_at(dir, name, Open::Directory)
        && inner
            .stat()
            .is_ok_and(|stat| stat.device == device && stat.kind == FileKind::Directory)
    {
        empty_on(&inner, device);
        let _ = sys::remove_at(dir, name, true);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::paths::c_path;

    #[test]
    fn everything_goes_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        fs::create_dir_all(inside.join("a/b/c")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        for i in 0..300 {
            fs::write(inside.join("a").join(std::format!("file-{i}")), "x").unwrap();
        }
        symlink(&outside, inside.join("a/link")).unwrap();
        symlink("nowhere", inside.join("dangling")).unwrap();
        fs::write(inside.join("spared"), "").unwrap();

        let open = |path: &std::path::Path| {
            sys::open(&c_path(path.to_str().unwrap()).unwrap(), Open::Directory).unwrap()
        };
        remove(&open(&inside), c"a");
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 2);
        empty(&open(&inside));
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
        assert!(outside.join("kept").exists());
    }
}
