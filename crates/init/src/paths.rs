//! Paths that stage 1 uses, and paths as the kernel wants them.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::sys::{self, Errno, Open};

/// Where the new root is mounted until it is moved to `/`.
pub(crate) const NEW_ROOT: &str = "/storeboot/root";
/// The store.
pub(crate) const STORE: &str = "/nix/store";
/// The initrd as the boot loader handed it over.
pub(crate) const RETAINED_INITRD: &str = "/sys/firmware/initrd";

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

/// A small file's content. What is longer than `limit` is too large.
pub(crate) fn read_file(path: &str, limit: usize) -> Result<Vec<u8>, Errno> {
    let file = sys::open(&c_path(path)?, Open::Read)?;
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
