//! Paths that stage 1 uses, and paths as the kernel wants them.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;

use crate::sys::{self, Errno, Open};

/// Where the new root is mounted until it is moved to `/`.
pub(crate) const NEW_ROOT: &str = "/storeboot/root";
/// The store.
pub(crate) const STORE: &str = "/nix/store";
/// The initrd as the boot loader handed it over.
pub(crate) const RETAINED_INITRD: &str = "/sys/firmware/initrd";

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
