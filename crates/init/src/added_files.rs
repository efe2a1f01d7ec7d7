//! Brings the files of the user's own archives from the initrd into the booted system.
//!
//! The kernel unpacks all archives of an initrd into rootfs: storeboot's, and those that a user adds with keys of the
//! machine or an `authorized_keys`. Where the booted system has another root, the added files are copied there. Each is
//! removed from rootfs after it is copied, so this takes only as much more memory as the largest of them. A hard link
//! becomes a file of its own.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::console::Console;
use crate::paths::NOT_FOR_THE_SYSTEM;
use crate::sys::{self, Errno, Fd, FileKind, Open, Stat};

/// Directories that the booted system gets from the kernel.
const KERNEL: [&CStr; 3] = [c"dev", c"proc", c"sys"];
/// How deep directories may be nested: each level takes two open files and a few KiB of the stack.
const DEPTH: usize = 200;
/// How much is copied at once; a symbolic link's target fits too.
const BUFFER: usize = 1 << 16;
/// How many failures get a warning each: on a serial console, every line takes time.
const WARNINGS: u64 = 50;

/// Copies the added files from rootfs to `/`. A file that cannot be copied gets a warning, and the boot goes on.
pub(crate) fn copy(rootfs: &Fd, console: &Console) {
    let mut failures = 0_u64;
    let mut lost = |path: &[u8], errno| {
        failures += 1;
        if failures <= WARNINGS {
            warn(path, errno, console);
        }
    };
    let kept = rootfs
        .stat()
        .and_then(|stat| {
            // Opened again: listing a directory continues where it ended, and rootfs is listed once more to be emptied.
            let rootfs = sys::open_at(rootfs, c".", Open::Directory)?;
            let root = sys::open(c"/", Open::Directory)?;
            Ok(copy_all(&rootfs, &root, stat.device, &mut lost))
        })
        .unwrap_or_else(|errno| {
            lost(b"", errno);
            0
        });
    if failures > WARNINGS {
        let more = failures - WARNINGS;
        console.warning(&format_args!("and {more} more"));
    }
    console.step(format_args!(
        "kept {kept} files of other archives in the initrd"
    ));
}

/// Copies from an open directory of rootfs to the file system that is now mounted over it, at `name`.
pub(crate) fn copy_into_mount(from: &Fd, name: &CStr, console: &Console) {
    let lost = &mut |path: &[u8], errno| warn(path, errno, console);
    match (from.stat(), sys::open(name, Open::Directory)) {
        (Ok(stat), Ok(to)) => {
            let mut copying = Copying::new(stat.device, lost);
            let name = name.to_bytes();
            copying.path = name.strip_prefix(b"/").unwrap_or(name).to_vec();
            copying.content(from, &to, 1);
        }
        (Err(errno), _) | (_, Err(errno)) => lost(name.to_bytes(), errno),
    }
}

fn warn(path: &[u8], errno: Errno, console: &Console) {
    let path = String::from_utf8_lossy(path);
    let path = path.trim_start_matches('/');
    console.warning(&format_args!(
        "cannot bring /{path} of the initrd into the booted system: {errno}"
    ));
}

/// Copies from one open directory to another, and returns the number of files. Calls `lost` for each that failed.
fn copy_all(from: &Fd, to: &Fd, device: (u32, u32), lost: &mut dyn FnMut(&[u8], Errno)) -> u64 {
    let mut copying = Copying::new(device, lost);
    copying.content(from, to, 0);
    copying.files
}

struct Copying<'a> {
    /// Only files on this file system are copied.
    device: (u32, u32),
    /// The current path, for messages.
    path: Vec<u8>,
    buffer: Vec<u8>,
    files: u64,
    lost: &'a mut dyn FnMut(&[u8], Errno),
}

impl<'a> Copying<'a> {
    fn new(device: (u32, u32), lost: &'a mut dyn FnMut(&[u8], Errno)) -> Self {
        Self {
            device,
            path: Vec::new(),
            buffer: alloc::vec![0; BUFFER],
            files: 0,
            lost,
        }
    }

    /// Copies everything in a directory.
    fn content(&mut self, from: &Fd, to: &Fd, depth: usize) {
        let listed = sys::for_each_entry(from, |name| {
            if depth == 0
                && NOT_FOR_THE_SYSTEM
                    .iter()
                    .chain(&KERNEL)
                    .any(|&own| own == name)
            {
                return Ok(());
            }
            let parent = self.path.len();
            if depth > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            if let Err(errno) = self.entry(from, to, name, depth) {
                (self.lost)(&self.path, errno);
            }
            self.path.truncate(parent);
            Ok(())
        });
        if let Err(errno) = listed {
            (self.lost)(&self.path, errno);
        }
    }

    fn entry(&mut self, from: &Fd, to: &Fd, name: &CStr, depth: usize) -> Result<(), Errno> {
        let stat = sys::lstat_at(from, name)?;
        if stat.device != self.device {
            return Ok(());
        }
        if stat.kind == FileKind::Directory {
            return self.directory(from, to, name, &stat, depth);
        }
        let mut made = self.file(from, to, name, &stat);
        if made == Err(Errno::EEXIST) {
            // A file of the store. As in layout `direct`, the added file replaces it.
            sys::remove_at(to, name, false)?;
            made = self.file(from, to, name, &stat);
        }
        if let Err(errno) = made.and_then(|()| sys::make_alike_at(to, name, &stat)) {
            // A cut-off file may do more harm than a missing one.
            let _ = sys::remove_at(to, name, false);
            return Err(errno);
        }
        self.files += 1;
        // If this fails, the memory is freed when rootfs is emptied.
        let _ = sys::remove_at(from, name, false);
        Ok(())
    }

    fn directory(
        &mut self,
        from: &Fd,
        to: &Fd,
        name: &CStr,
        stat: &Stat,
        depth: usize,
    ) -> Result<(), Errno> {
        if depth == DEPTH {
            return Err(Errno::ENAMETOOLONG);
        }
        if depth == 0 && is_the_kernels(from, name, stat) {
            return Ok(());
        }
        let made = sys::make_directory_at(to, name);
        if made != Err(Errno::EEXIST) {
            made?;
        }
        let inner = sys::open_at(from, name, Open::Directory)?;
        let target = sys::open_at(to, name, Open::Directory)?;
        self.content(&inner, &target, depth + 1);
        // Last, since making files in it changes its time. A directory that was there before keeps its own.
        match made {
            Ok(()) => sys::make_alike_at(to, name, stat),
            Err(_) => Ok(()),
        }
    }

    /// Makes anything but a directory. The name must be free.
    fn file(&mut self, from: &Fd, to: &Fd, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        match stat.kind {
            FileKind::File => {
                let target = sys::create_at(to, name)?;
                let source = sys::open_at(from, name, Open::Read)?;
                loop {
                    match source.read(&mut self.buffer)? {
                        0 => return Ok(()),
                        len => write_all(&target, &self.buffer[..len])?,
                    }
                }
            }
            FileKind::Link => {
                let len = sys::read_link_at(from, name, &mut self.buffer)?;
                *self.buffer.get_mut(len).ok_or(Errno::ENAMETOOLONG)? = 0;
                let target = CStr::from_bytes_until_nul(&self.buffer).map_err(|_| Errno::EINVAL)?;
                sys::make_link_at(to, name, target)
            }
            FileKind::Other => sys::make_node_at(to, name, stat),
            FileKind::Directory => Err(Errno::EISDIR),
        }
    }
}

/// Whether it is the empty `/root` of every kernel's built-in initramfs, which no user added.
fn is_the_kernels(rootfs: &Fd, name: &CStr, stat: &Stat) -> bool {
    let is_empty = || {
        let dir = sys::open_at(rootfs, name, Open::Directory)?;
        sys::for_each_entry(&dir, |_| Err(Errno::ENOTEMPTY))
    };
    name == c"root" && stat.mode & 0o7777 == 0o700 && is_empty().is_ok()
}

fn write_all(file: &Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match file.write(bytes)? {
            0 => return Err(Errno::EIO),
            len => bytes = &bytes[len..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
