//! Files: open them, read, write, and ask for facts about them.

use alloc::vec::Vec;
use core::ffi::CStr;
use core::mem::MaybeUninit;

use linux_raw_sys::general as k;

use super::Errno;
use super::syscall::syscall;

/// The directory that a relative path starts from, as a system call's argument.
const HERE: usize = k::AT_FDCWD as usize;

/// An open file, closed when dropped.
#[derive(Debug)]
pub struct Fd(u32);

impl Fd {
    /// The open file that a system call returned.
    pub(super) fn from_number(number: usize) -> Self {
        Self(number as u32)
    }

    /// The number as a system call's argument.
    pub(super) fn arg(&self) -> usize {
        self.0 as usize
    }

    /// Its number among the open files of this process.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0
    }

    /// Reads from where the last reading ended; 0 is the end of the file.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer.
        unsafe {
            syscall(
                k::__NR_read,
                [self.arg(), buffer.as_mut_ptr() as usize, buffer.len()],
            )
        }
    }

    /// Reads from `offset` on; 0 is the end of the file. May read less than there is.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer.
        unsafe {
            let (to, len) = (buffer.as_mut_ptr() as usize, buffer.len());
            syscall(k::__NR_pread64, [self.arg(), to, len, offset as usize])
        }
    }

    /// Writes, maybe not all of it.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel only reads the bytes.
        unsafe {
            syscall(
                k::__NR_write,
                [self.arg(), bytes.as_ptr() as usize, bytes.len()],
            )
        }
    }

    /// Writes from `offset` on, maybe not all of it.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        // SAFETY: the kernel only reads the bytes.
        unsafe {
            let (from, len) = (bytes.as_ptr() as usize, bytes.len());
            syscall(k::__NR_pwrite64, [self.arg(), from, len, offset as usize])
        }
    }

    /// Makes the file that large. What is added is zeros, and takes no room.
    pub fn set_size(&self, size: u64) -> Result<(), Errno> {
        // SAFETY: it touches no memory.
        unsafe { syscall(k::__NR_ftruncate, [self.arg(), size as usize]) }.map(drop)
    }

    /// Sets blocks aside for the first `size` bytes, and makes the file that large if it is smaller. What is there stays.
    pub fn allocate(&self, size: u64) -> Result<(), Errno> {
        // SAFETY: it touches no memory.
        unsafe { syscall(k::__NR_fallocate, [self.arg(), 0, 0, size as usize]) }.map(drop)
    }

    /// Waits until all that was written is on the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        // SAFETY: it touches no memory.
        unsafe { syscall(k::__NR_fsync, [self.arg()]) }.map(drop)
    }

    /// Facts about the open file.
    pub fn stat(&self) -> Result<Stat, Errno> {
        statx(self.arg(), c"", k::AT_EMPTY_PATH)
    }

    /// Standard error, one of the three open files that every process starts with.
    #[must_use]
    pub fn standard_error() -> core::mem::ManuallyDrop<Self> {
        core::mem::ManuallyDrop::new(Self(2))
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the number is owned by this value and is used no more.
        let _ = unsafe { syscall(k::__NR_close, [self.arg()]) };
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Read it.
    Read,
    /// Write to it.
    Write,
    /// Both.
    ReadWrite,
    /// List this directory; a symbolic link is not followed.
    Directory,
}

/// Opens a file that is there.
pub fn open(path: &CStr, how: Open) -> Result<Fd, Errno> {
    open_from(HERE, path, how)
}

/// As [`open`], with the path starting from an open directory.
pub fn open_at(dir: &Fd, path: &CStr, how: Open) -> Result<Fd, Errno> {
    open_from(dir.arg(), path, how)
}

fn open_from(dir: usize, path: &CStr, how: Open) -> Result<Fd, Errno> {
    let flags = k::O_CLOEXEC
        | match how {
            Open::Read => k::O_RDONLY,
            Open::Write => k::O_WRONLY,
            Open::ReadWrite => k::O_RDWR,
            Open::Directory => k::O_RDONLY | k::O_DIRECTORY | k::O_NOFOLLOW,
        };
    // SAFETY: the path ends in NUL and is only read.
    let fd = unsafe {
        syscall(
            k::__NR_openat,
            [dir, path.as_ptr() as usize, flags as usize, 0],
        )
    }?;
    Ok(Fd::from_number(fd))
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Other,
}

/// Facts about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What kind of file it is.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// How many bytes are really there: less than the size when the file has holes.
    pub allocated: u64,
    /// The file system it is on.
    pub device: (u32, u32),
    /// Its kind and its permission bits, as the kernel has them.
    pub mode: u32,
    /// The user and the group that own it.
    pub owner: (u32, u32),
    /// The numbers of the device that it stands for, if it is one.
    pub represents: (u32, u32),
    /// When its content last changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
}

impl Stat {
    /// Whether it is a socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.mode & k::S_IFMT == k::S_IFSOCK
    }
}

/// Facts about what a path leads to.
pub fn stat(path: &CStr) -> Result<Stat, Errno> {
    statx(HERE, path, 0)
}

/// As [`stat`], of the link itself when the path ends in one.
pub fn lstat(path: &CStr) -> Result<Stat, Errno> {
    statx(HERE, path, k::AT_SYMLINK_NOFOLLOW)
}

/// As [`lstat`], with the path starting from an open directory.
pub fn lstat_at(dir: &Fd, path: &CStr) -> Result<Stat, Errno> {
    statx(dir.arg(), path, k::AT_SYMLINK_NOFOLLOW)
}

fn statx(dir: usize, path: &CStr, flags: u32) -> Result<Stat, Errno> {
    let mut raw = MaybeUninit::<k::statx>::zeroed();
    // SAFETY: the path ends in NUL; `raw` has the room that the kernel fills, and all zeros are a valid `statx`.
    let raw = unsafe {
        let (path, to) = (path.as_ptr() as usize, raw.as_mut_ptr() as usize);
        syscall(
            k::__NR_statx,
            [dir, path, flags as usize, k::STATX_BASIC_STATS as usize, to],
        )?;
        raw.assume_init()
    };
    Ok(Stat {
        kind: match u32::from(raw.stx_mode) & k::S_IFMT {
            k::S_IFREG => FileKind::File,
            k::S_IFDIR => FileKind::Directory,
            k::S_IFLNK => FileKind::Link,
            _ => FileKind::Other,
        },
        size: raw.stx_size,
        allocated: raw.stx_blocks.saturating_mul(512),
        device: (raw.stx_dev_major, raw.stx_dev_minor),
        mode: u32::from(raw.stx_mode),
        owner: (raw.stx_uid, raw.stx_gid),
        represents: (raw.stx_rdev_major, raw.stx_rdev_minor),
        modified: (raw.stx_mtime.tv_sec, raw.stx_mtime.tv_nsec),
    })
}

/// Whether what the path leads to may be executed.
pub fn access_execute(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL and is only read.
    unsafe {
        syscall(
            k::__NR_faccessat,
            [HERE, path.as_ptr() as usize, k::X_OK as usize],
        )
    }
    .map(drop)
}

/// Where a symbolic link points to.
pub fn read_link(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut target = alloc::vec![0; k::PATH_MAX as usize];
    let len = read_link_from(HERE, path, &mut target)?;
    target.truncate(len);
    Ok(target)
}

/// As [`read_link`], with the path starting from an open directory, into the buffer; how long it is. What does not
/// fit is cut off.
pub fn read_link_at(dir: &Fd, path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    read_link_from(dir.arg(), path, buffer)
}

fn read_link_from(dir: usize, path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the path ends in NUL; the kernel writes at most `buffer.len()` bytes.
    unsafe {
        let (path, to) = (path.as_ptr() as usize, buffer.as_mut_ptr() as usize);
        syscall(k::__NR_readlinkat, [dir, path, to, buffer.len()])
    }
}

/// Makes a directory of mode 0755; one that is there already is fine.
pub fn mkdir(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL and is only read.
    match unsafe { syscall(k::__NR_mkdirat, [HERE, path.as_ptr() as usize, 0o755]) } {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Removes a name from an open directory: a file, or an empty directory.
pub fn remove_at(dir: &Fd, name: &CStr, directory: bool) -> Result<(), Errno> {
    let flags = if directory { k::AT_REMOVEDIR } else { 0 };
    // SAFETY: the name ends in NUL and is only read.
    unsafe {
        syscall(
            k::__NR_unlinkat,
            [dir.arg(), name.as_ptr() as usize, flags as usize],
        )
    }
    .map(drop)
}

/// How much a file system holds; all zero where there is no limit (as on ramfs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it, in bytes.
    pub total: u64,
    /// What is free, in bytes.
    pub free: u64,
    /// How many files it can hold.
    pub files: u64,
    /// How many more.
    pub free_files: u64,
}

/// The room on the file system of an open file.
pub fn room(fd: &Fd) -> Result<Room, Errno> {
    let mut raw = MaybeUninit::<k::statfs>::zeroed();
    // SAFETY: `raw` has the room that the kernel fills, and all zeros are a valid `statfs`.
    let raw = unsafe {
        syscall(k::__NR_fstatfs, [fd.arg(), raw.as_mut_ptr() as usize])?;
        raw.assume_init()
    };
    let bytes = |blocks: k::__kernel_long_t| (blocks as u64).saturating_mul(raw.f_bsize as u64);
    Ok(Room {
        total: bytes(raw.f_blocks),
        free: bytes(raw.f_bfree),
        files: raw.f_files as u64,
        free_files: raw.f_ffree as u64,
    })
}

/// Whether the three files that every process starts with are open.
#[must_use]
pub fn stdio_is_open() -> bool {
    // SAFETY: asking for a descriptor's flags changes nothing, whether it is open or not.
    (0..3).all(|fd| unsafe { syscall(k::__NR_fcntl, [fd, k::F_GETFD as usize]) }.is_ok())
}

/// Makes standard input, output and error the given file. It stays open as those three.
pub fn replace_stdio(fd: Fd) {
    for target in 0..3 {
        if fd.arg() == target {
            // Opened into the gap that it should fill: keep it over `exec`, and open past this function.
            // SAFETY: setting a descriptor's flags touches no memory.
            let _ = unsafe { syscall(k::__NR_fcntl, [target, k::F_SETFD as usize, 0]) };
        } else {
            // SAFETY: duplicating touches no memory; 0, 1 and 2 are owned by no `Fd`.
            let _ = unsafe { syscall(k::__NR_dup3, [fd.arg(), target, 0]) };
        }
    }
    if fd.arg() < 3 {
        core::mem::forget(fd);
    }
}
