//! Watching which files are opened.

use alloc::vec::Vec;
use core::ffi::CStr;

use linux_raw_sys::general as k;

use super::syscall::syscall;
use super::{Errno, Fd};

// `linux/fanotify.h`
const FAN_CLOEXEC: u32 = 0x1;
const FAN_NONBLOCK: u32 = 0x2;
const FAN_UNLIMITED_QUEUE: u32 = 0x10;
const FAN_MARK_ADD: u32 = 0x1;
const FAN_MARK_FILESYSTEM: u32 = 0x100;
/// A file is opened, to be read or to be run.
const FAN_OPEN: u64 = 0x20;
/// `struct fanotify_event_metadata`: length, version, reserved, its own length, mask, descriptor, process.
const EVENT: usize = 24;
const DESCRIPTOR: usize = 16;

/// Tells which files of a file system are opened.
#[derive(Debug)]
pub struct Watch {
    queue: Fd,
    buffer: Vec<u8>,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened(Fd);

impl Watch {
    /// Watches the file system that this path is on, in all its mounts.
    pub fn of_file_system(path: &CStr) -> Result<Self, Errno> {
        let flags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE;
        let files = k::O_RDONLY | k::O_CLOEXEC | k::O_LARGEFILE;
        // SAFETY: it touches no memory.
        let queue = unsafe { syscall(k::__NR_fanotify_init, [flags as usize, files as usize]) }?;
        let queue = Fd::from_number(queue);
        let flags = FAN_MARK_ADD | FAN_MARK_FILESYSTEM;
        // SAFETY: the path ends in NUL and is only read.
        unsafe {
            let (here, path) = (k::AT_FDCWD as usize, path.as_ptr() as usize);
            let number = queue.arg();
            syscall(
                k::__NR_fanotify_mark,
                [number, flags as usize, FAN_OPEN as usize, here, path],
            )?;
        }
        let buffer = alloc::vec![0; 64 * EVENT];
        Ok(Self { queue, buffer })
    }

    /// What to wait for until there is a file.
    #[must_use]
    pub fn queue(&self) -> &Fd {
        &self.queue
    }

    /// The files that were opened since the last call, or some of them; none if there are none.
    pub fn opened(&mut self) -> Result<Vec<Opened>, Errno> {
        let length = match self.queue.read(&mut self.buffer) {
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(errno) => return Err(errno),
        };
        let events = self.buffer[..length].chunks_exact(EVENT);
        let descriptor = |event: &[u8]| {
            let bytes = event[DESCRIPTOR..DESCRIPTOR + 4].try_into().ok()?;
            // An event without a file has -1.
            let number = usize::try_from(i32::from_ne_bytes(bytes)).ok()?;
            Some(Opened(Fd::from_number(number)))
        };
        Ok(events.filter_map(descriptor).collect())
    }
}

impl Opened {
    /// The open file.
    #[must_use]
    pub fn file(&self) -> &Fd {
        &self.0
    }
}
