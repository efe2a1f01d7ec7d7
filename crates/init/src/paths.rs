//! Paths that stage 1 uses, paths as the kernel wants them, and reading a small file by its path.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::sys::{self, Errno, Fd, Open};

/// Where the new root is mounted until it is moved to `/`.
pub(crate) const NEW_ROOT: &str = "/storeboot/root";
/// The store.
pub(crate) const STORE: &str = "/nix/store";
/// The initrd as the boot loader handed it over.
pub(crate) const RETAINED_INITRD: &str = "/sys/firmware/initrd";

/// Where the store of layout `direct` is in an initrd with another stage 1.
pub(crate) const UNPACKED_STORE: &str = "/storeboot/store";

/// What the booted system does not get, by its name in rootfs: stage 1, its own files, what only the kernel reads of an
/// initrd (`kernel/x86/microcode`, `kernel/firmware/acpi`), and the copy that the kernel leaves of an initrd that it
/// could not unpack to the end (`initrd.image`).
pub(crate) const NOT_FOR_THE_SYSTEM: [&CStr; 4] =
    [c"init", c"storeboot", c"kernel", c"initrd.image"];

/// A path with a NUL at its end. No path has one within.
pub(crate) fn c_path(path: &str) -> Result<CString, Errno> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}

/// A path inside the initrd, which the index holds without the leading slash, as seen from `/`.
pub(crate) fn rooted(path: &str) -> String {
    ["/", path].concat()
}

/// Reads a small file. One of more than `limit` bytes is an error.
pub(crate) fn read_file(path: &str, limit: usize) -> Result<Vec<u8>, Errno> {
    read_all(&sys::open(&c_path(path)?, Open::Read)?, limit)
}

/// As [`read_file`], of an open file.
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
