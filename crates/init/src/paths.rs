//! Paths that stage 1 uses, and paths as the kernel wants them.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::error::Error;
use crate::sys::{self, Errno, Fd, Open};

/// Where the new root is mounted until it is moved to `/`.
pub(crate) const NEW_ROOT: &str = "/storeboot/root";
/// The store.
pub(crate) const STORE: &str = "/nix/store";
/// The initrd as the boot loader handed it over.
pub(crate) const RETAINED_INITRD: &str = "/sys/firmware/initrd";

/// Where the store of layout `direct` is in an initrd with somebody else's stage 1.
pub(crate) const UNPACKED_STORE: &str = "/storeboot/store";

/// What the booted system gets nothing of, by its name in rootfs: stage 1 itself, its own files, and what only the
/// kernel reads of an initrd (`kernel/x86/microcode`, `kernel/firmware/acpi`) or leaves of one that it could not
/// unpack to the end (`initrd.image`, a second copy). Anything else was put there to be found.
pub(crate) const LEFTOVERS: [&CStr; 4] = [c"init", c"storeboot", c"kernel", c"initrd.image"];

/// A path with a NUL at its end; one within it cannot be a path.
pub(crate) fn c_path(path: &str) -> Result<CString, Errno> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// A path inside the initrd, which the index holds without the leading slash, as seen from `/`.
pub(crate) fn rooted(path: &str) -> String {
    ["/", path].concat()
}

/// Makes a directory, and those that it is in.
pub(crate) fn make_directories(path: &str) -> Result<(), Error> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    for end in ends.filter(|&at| at > 0).chain([path.len()]) {
        make_directory(path.get(..end).unwrap_or(path))?;
    }
    Ok(())
}

/// Makes a directory; one that is there already is fine.
pub(crate) fn make_directory(path: &str) -> Result<(), Error> {
    let made = c_path(path).and_then(|c| sys::mkdir(&c));
    made.map_err(|errno| Error::Directory {
        path: path.into(),
        errno,
    })
}

/// A small file's content. What is longer than `limit` is too large.
pub(crate) fn read_file(path: &str, limit: usize) -> Result<Vec<u8>, Errno> {
    read_all(&sys::open(&c_path(path)?, Open::Read)?, limit)
}

/// As [`read_file`], of an open one.
pub(crate) fn read_all(file: &Fd, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut content = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(content),
            n if content.len() + n > limit => return Err(Errno::E2BIG),
            n => content.extend_from_slice(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_around_them() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let path = base.join("a/b/c");
        for _ in 0..2 {
            make_directories(path.to_str().unwrap()).unwrap();
            assert!(path.is_dir());
        }
        std::fs::write(base.join("file"), "").unwrap();
        let error = make_directories(base.join("file/d").to_str().unwrap()).unwrap_err();
        assert!(
            std::format!("{error}").contains("file/d: not a directory"),
            "{error}"
        );
    }
}
