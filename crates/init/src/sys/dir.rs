//! Listing a directory.

use core::ffi::CStr;

use linux_raw_sys::general as k;

use super::syscall::syscall;
use super::{Errno, Fd};

/// The offsets of the length and the name in a record of `getdents64`.
const LENGTH_AT: usize = 16;
const NAME_AT: usize = 19;

/// Calls `each` with every name in an open directory but `.` and `..`, until the list ends or `each` fails.
pub fn for_each_entry(
    dir: &Fd,
    mut each: impl FnMut(&CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    // On the stack, which is cheap: nested directories are listed at the same time.
    let mut buffer = [0_u8; 2048];
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer.
        let filled = unsafe {
            let (to, len) = (buffer.as_mut_ptr() as usize, buffer.len());
            syscall(k::__NR_getdents64, [dir.arg(), to, len])
        }?;
        if filled == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..filled];
        while rest.len() > NAME_AT {
            let length = usize::from(u16::from_ne_bytes([rest[LENGTH_AT], rest[LENGTH_AT + 1]]));
            let record = rest.get(NAME_AT..length).ok_or(Errno::EIO)?;
            let name = CStr::from_bytes_until_nul(record).map_err(|_| Errno::EIO)?;
            if !matches!(name.to_bytes(), b"." | b"..") {
                each(name)?;
            }
            rest = &rest[length..];
        }
    }
}
