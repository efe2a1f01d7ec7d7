//! Making files that are like others, by their names in an open directory.

use core::ffi::CStr;

use linux_raw_sys::general as k;

use super::file::{FileKind, Stat};
use super::syscall::syscall;
use super::{Errno, Fd};

/// Makes an empty file that only its owner may read, and opens it for writing. The name must be free.
pub fn create_at(dir: &Fd, name: &CStr) -> Result<Fd, Errno> {
    let flags = k::O_WRONLY | k::O_CREAT | k::O_EXCL | k::O_CLOEXEC;
    // SAFETY: the name ends in NUL and is only read.
    let number = unsafe {
        let name = name.as_ptr() as usize;
        syscall(k::__NR_openat, [dir.arg(), name, flags as usize, 0o600])
    }?;
    Ok(Fd::from_number(number))
}

/// Gives a file another name in the same open directory. A file that has that name already is gone.
pub fn rename_at(dir: &Fd, from: &CStr, to: &CStr) -> Result<(), Errno> {
    // SAFETY: both names end in NUL and are only read.
    unsafe {
        let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
        syscall(k::__NR_renameat2, [dir.arg(), from, dir.arg(), to, 0])
    }
    .map(drop)
}

/// Makes an empty file in memory. It has no name, and is gone when nothing has it open any more.
pub fn create_in_memory(purpose: &CStr) -> Result<Fd, Errno> {
    // SAFETY: the text ends in NUL and is only read.
    let number = unsafe {
        let purpose = purpose.as_ptr() as usize;
        syscall(k::__NR_memfd_create, [purpose, k::MFD_CLOEXEC as usize])
    }?;
    Ok(Fd::from_number(number))
}

/// Makes a directory that only its owner may enter. The name must be free.
pub fn make_directory_at(dir: &Fd, name: &CStr) -> Result<(), Errno> {
    // SAFETY: the name ends in NUL and is only read.
    unsafe {
        let name = name.as_ptr() as usize;
        syscall(k::__NR_mkdirat, [dir.arg(), name, 0o700])
    }
    .map(drop)
}

/// Makes a symbolic link. The name must be free.
pub fn make_link_at(dir: &Fd, name: &CStr, target: &CStr) -> Result<(), Errno> {
    // SAFETY: both texts end in NUL and are only read.
    unsafe {
        let (target, name) = (target.as_ptr() as usize, name.as_ptr() as usize);
        syscall(k::__NR_symlinkat, [target, dir.arg(), name])
    }
    .map(drop)
}

/// Makes a device, a pipe or a socket like the one with these facts. The name must be free.
pub fn make_node_at(dir: &Fd, name: &CStr, like: &Stat) -> Result<(), Errno> {
    let mode = like.mode as usize;
    let (major, minor) = like.represents;
    // The kernel's numbering: the low byte of the minor number, the major number, the rest of the minor number.
    let number = minor & 0xff | major << 8 | (minor & !0xff) << 12;
    // SAFETY: the name ends in NUL and is only read; the rest are numbers.
    unsafe {
        let name = name.as_ptr() as usize;
        syscall(k::__NR_mknodat, [dir.arg(), name, mode, number as usize])
    }
    .map(drop)
}

/// Gives a file the owner, the permission bits and the time of the last change of the one with these facts. A
/// symbolic link is not followed.
pub fn make_alike_at(dir: &Fd, name: &CStr, like: &Stat) -> Result<(), Errno> {
    let (dir, name) = (dir.arg(), name.as_ptr() as usize);
    let (user, group) = like.owner;
    let itself = k::AT_SYMLINK_NOFOLLOW as usize;
    // SAFETY: the name ends in NUL and is only read; the rest are numbers.
    unsafe {
        let (user, group) = (user as usize, group as usize);
        syscall(k::__NR_fchownat, [dir, name, user, group, itself])
    }?;
    // After the owner, whose change takes set-uid bits away. A link has no permission bits of its own.
    if like.kind != FileKind::Link {
        let mode = (like.mode & 0o7777) as usize;
        // SAFETY: the name ends in NUL and is only read; the rest are numbers.
        unsafe { syscall(k::__NR_fchmodat, [dir, name, mode]) }?;
    }
    let (seconds, nanos) = like.modified;
    // The layout of two `__kernel_timespec`: of the last access, which stays, and of the last change.
    let times = [0, i64::from(k::UTIME_OMIT), seconds, i64::from(nanos)];
    // SAFETY: the name ends in NUL, the kernel reads four 64-bit numbers, and both outlive the call.
    unsafe {
        let times = times.as_ptr() as usize;
        syscall(k::__NR_utimensat, [dir, name, times, itself])
    }
    .map(drop)
}
