//! Mounting, and where `/` is.

use core::ffi::CStr;

use linux_raw_sys::general as k;

use super::Errno;
use super::syscall::syscall;

/// How to mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountFlags(usize);

impl MountFlags {
    /// As the file system likes.
    pub const NONE: Self = Self(0);
    /// Nothing can be written.
    pub const READ_ONLY: Self = Self(k::MS_RDONLY as usize);
    /// No device nodes, no programs, no set-uid bits: for proc and sysfs.
    pub const PLAIN: Self = Self((k::MS_NODEV | k::MS_NOEXEC | k::MS_NOSUID) as usize);
    /// No set-uid bits: for devtmpfs.
    pub const NO_SUID: Self = Self(k::MS_NOSUID as usize);
    /// No device nodes and no set-uid bits: for `/run`.
    pub const NO_DEV_NO_SUID: Self = Self((k::MS_NODEV | k::MS_NOSUID) as usize);
    /// Shows a directory at a second place.
    pub const BIND: Self = Self(k::MS_BIND as usize);
    /// Moves a mount.
    pub const MOVE: Self = Self(k::MS_MOVE as usize);
    /// What is mounted elsewhere does not show up in this mount.
    pub const PRIVATE: Self = Self(k::MS_PRIVATE as usize);
    /// Makes a mounted file system read-only.
    pub const NOW_READ_ONLY: Self =
        Self((k::MS_REMOUNT | k::MS_RDONLY | k::MS_NODEV | k::MS_NOSUID) as usize);
    /// Makes a bind mount read-only.
    pub const BIND_READ_ONLY: Self = Self((k::MS_REMOUNT | k::MS_BIND | k::MS_RDONLY) as usize);
}

/// Mounts; `source`, `kind` and `options` mean what they mean in mount(2).
pub fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: MountFlags,
    options: &CStr,
) -> Result<(), Errno> {
    let [source, target, kind, options] =
        [source, target, kind, options].map(|s| s.as_ptr() as usize);
    // SAFETY: all four texts end in NUL and are only read. The kernel copies up to a page of options and stops
    // quietly where the memory ends.
    unsafe { syscall(k::__NR_mount, [source, target, kind, flags.0, options]) }.map(drop)
}

/// Takes a mount out of sight. It ends when nothing uses it any more.
pub fn unmount(place: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL and is only read.
    unsafe {
        let place = place.as_ptr() as usize;
        syscall(k::__NR_umount2, [place, k::MNT_DETACH as usize])
    }
    .map(drop)
}

/// Makes this directory the one that relative paths start from.
pub fn change_dir(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL and is only read.
    unsafe { syscall(k::__NR_chdir, [path.as_ptr() as usize]) }.map(drop)
}

/// Makes this directory the one that absolute paths start from.
pub fn change_root(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL and is only read.
    unsafe { syscall(k::__NR_chroot, [path.as_ptr() as usize]) }.map(drop)
}
